"""One OpenAI-compatible endpoint: sends a request once and hands back what came, unparsed."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import aiohttp
import orjson

from tracemill.models.wire import Raw, Request, TransportError
from tracemill.recipe import Teacher, resolve_secret, secret_texts

KEEP_ALIVE = 4.0
"""Seconds. vLLM's HTTP server closes idle connections after 5; ours must be the one that closes first."""
LARGEST_BODY = 32 * 1024 * 1024
"""Bytes. A longer reply is cut off: no answer is that long, and a hostile server must not fill the memory."""
CONNECT_SECONDS = 30.0
MASK = "***"
SHORTEST_SECRET = 4
"""Characters. A shorter value would mask half of any text."""
LONGEST_WAIT = 600.0
"""Seconds that a Retry-After header may ask for; a longer wait is cut to this."""


class Endpoint:
    """Sends to one base URL. Use inside a running event loop."""

    def __init__(self, name: str, teacher: Teacher) -> None:
        self.url = f"{teacher.url}/chat/completions"
        self.name = teacher.transport()
        self.timeout = teacher.timeout
        where = f"teachers.{name}"
        self._headers = {k: resolve_secret(v, f"{where}.headers.{k}") for k, v in teacher.headers.items()}
        self._headers["content-type"] = "application/json"
        if teacher.api_key is not None:
            self._headers["authorization"] = f"Bearer {resolve_secret(teacher.api_key, f'{where}.api_key')}"
        secrets = [s for s in secret_texts(teacher, where) if len(s) >= SHORTEST_SECRET]
        spellings = {
            *secrets,
            *(orjson.dumps(s).decode()[1:-1] for s in secrets),
            *(s.replace("/", "\\/") for s in secrets),
        }
        self._secrets = sorted(spellings, key=len, reverse=True)
        self._session: aiohttp.ClientSession | None = None

    async def send(self, request: Request) -> Raw:
        """Send once; the whole reply within the deadline, or TransportError."""
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=KEEP_ALIVE),
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS),
                headers=self._headers,
            )
        started = time.monotonic()
        answered = False
        try:
            async with (
                asyncio.timeout(self.timeout),
                self._session.post(self.url, data=orjson.dumps(request.body()), allow_redirects=False) as response,
            ):
                answered = True
                body = await _whole_body(response)
                return Raw(
                    status=response.status,
                    body=self._masked(body),
                    latency=time.monotonic() - started,
                    endpoint=self.name,
                    retry_after=retry_after(response.headers.get("retry-after")),
                )
        except aiohttp.ConnectionTimeoutError:
            raise TransportError("connection", f"no connection within {CONNECT_SECONDS:g} s") from None
        except TimeoutError:
            raise TransportError("timeout", f"no whole reply within {self.timeout:g} s") from None
        except (aiohttp.ClientError, OSError, ValueError) as exc:
            kind = "partial" if answered else "connection"
            detail = self._hidden(f"{type(exc).__name__}: {exc}")
            raise TransportError(kind, detail) from None

    def _masked(self, data: bytes) -> bytes:
        """What a server echoes of our secrets goes no further, however its JSON spells them."""
        if not self._secrets:
            return data
        try:
            told = orjson.loads(data)
        except orjson.JSONDecodeError:
            return self._hidden(data.decode("utf-8", "surrogateescape")).encode("utf-8", "surrogateescape")
        clean = self._without_secrets(told)
        return data if clean == told else orjson.dumps(clean)

    def _without_secrets(self, value: Any) -> Any:
        if isinstance(value, str):
            return self._hidden(value)
        if isinstance(value, list):
            return [self._without_secrets(v) for v in value]
        if isinstance(value, dict):
            return {self._hidden(k): self._without_secrets(v) for k, v in value.items()}
        return value

    def _hidden(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, MASK)
        return text

    async def close(self) -> None:
        """Let go of the connections."""
        if self._session is not None:
            await self._session.close()


async def _whole_body(response: aiohttp.ClientResponse) -> bytes:
    pieces = []
    size = 0
    async for piece in response.content.iter_any():
        size += len(piece)
        if size > LARGEST_BODY:
            response.close()
            raise TransportError("partial", f"the reply is longer than {LARGEST_BODY:,} bytes")
        pieces.append(piece)
    return b"".join(pieces)


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
