"""One OpenAI-compatible endpoint: sends a request once and hands back what came, unparsed."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import orjson

from tracemill.models.http import HttpError, Server
from tracemill.models.masking import Mask
from tracemill.models.wire import Raw, Request, TransportError
from tracemill.recipe import Teacher, resolve_secret, secret_texts

METRICS_SECONDS = 5.0
LONGEST_WAIT = 600.0
"""Seconds that a Retry-After header may ask for; a longer wait is cut to this."""


class Endpoint:
    """Sends to one base URL of a teacher, by default its first. Use inside a running event loop."""

    def __init__(self, name: str, teacher: Teacher, url: str | None = None) -> None:
        self.name = teacher.transport(url)
        self.timeout, self.slowest = teacher.timeout, teacher.slowest
        where = f"teachers.{name}"
        headers = {k: resolve_secret(v, f"{where}.headers.{k}") for k, v in teacher.headers.items()}
        headers["content-type"] = "application/json"
        if teacher.api_key is not None:
            headers["authorization"] = f"Bearer {resolve_secret(teacher.api_key, f'{where}.api_key')}"
        self._mask = Mask(secret_texts(teacher, where))
        self._server = Server(url or teacher.url, headers)
        self._root = Server(root_of(url or teacher.url), headers)

    async def send(self, request: Request) -> Raw:
        """Send once; the whole reply within the deadline, or TransportError."""
        started = time.monotonic()
        seconds = self.timeout + (request.max_tokens / self.slowest if self.slowest else 0.0)
        try:
            response = await self._server.send("POST", "/chat/completions", orjson.dumps(request.body()), seconds)
        except HttpError as exc:
            raise TransportError(exc.kind, self._mask.text(str(exc))) from None
        told = response.headers
        return Raw(
            status=response.status,
            body=self._mask.body(response.body),
            latency=time.monotonic() - started,
            endpoint=self.name,
            location=self._mask.text(told["location"]) if "location" in told else None,
            retry_after=retry_after(told.get("retry-after")),
        )

    async def metrics(self) -> str | None:
        """What GET /metrics beside the API says, or None where there is none."""
        try:
            response = await self._root.send("GET", "/metrics", seconds=METRICS_SECONDS)
        except HttpError:
            return None
        return response.body.decode(errors="replace") if response.status == 200 else None

    async def close(self) -> None:
        """Let go of the connections."""
        self._server.close()
        self._root.close()


def root_of(url: str) -> str:
    """A base URL without its API version: where vLLM has its /metrics."""
    return re.sub(r"/v\d+/?$", "", url)


def retry_after(header: str | None) -> float | None:
    """Seconds to wait by a Retry-After header, in seconds or as a date (RFC 9110, 10.2.3); None if it says nothing."""
    if not header:
        return None
    try:
        seconds = float(header)
    except ValueError:
        try:
            date = parsedate_to_datetime(header)
        except ValueError:
            return None
        seconds = (date.replace(tzinfo=date.tzinfo or UTC) - datetime.now(UTC)).total_seconds()
    return min(max(seconds, 0.0), LONGEST_WAIT) if seconds == seconds else None
