"""The one door to a model. It serves what the journal holds, asks for the rest, retries, paces, and stores.

A slot in flight is given back before the commit is waited for. A reply is handed on only when the journal has it.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import orjson

from tracemill.errors import EndpointError, TracemillError
from tracemill.models.gate import Gate, GateClosed
from tracemill.models.replies import Unreadable, finish_reason, read_reply, usage
from tracemill.models.wire import Failure, Raw, Reply, Request, Sender, TransportError
from tracemill.recipe import Teacher
from tracemill.storage.flight import FlightRecorder
from tracemill.storage.journal import REPLY, Entry, Journal, serving

THROTTLED = frozenset({429, 503, 529})
TRANSIENT = frozenset({408, 500, 502, 504})
FATAL = frozenset({401, 402})
"""The account is wrong: no other request will fare better."""
DENIED = frozenset({403, 404})
"""The account or address is wrong, or a gateway refuses one prompt; which of them it is, the next requests tell."""
DENIALS = 5
"""So many denials without a reply between them stop the run."""
PATIENCE = 1800.0
"""Seconds that one request lets itself be throttled before it fails."""
FIRST_PAUSE, LONGEST_PAUSE = 0.25, 60.0
EVIDENCE_BYTES = 2000
WATCHED, FEWEST, TOO_MANY = 1000, 50, 0.2
"""A run stops when more than 20 % of the last 1,000 requests failed for the endpoint's sake, judged from 50 on."""

Mode = Literal["ask", "replay"]


@dataclass
class Tally:
    """What a door did, for progress."""

    sent: int = 0
    replies: int = 0
    served: int = 0
    failed: int = 0
    throttled: int = 0
    retried: int = 0
    open: int = 0
    """Requests sent whose reply the journal does not have yet: what a sudden death would ask twice."""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    latencies: deque[float] = field(default_factory=lambda: deque(maxlen=1000))


class Door:
    """Asks the teachers of one recipe, for one process.

    Args:
        senders: By teacher name.
        gates: By teacher name.
        mode: "ask" asks for what is not stored; "replay" never asks, and raises NotStored instead.
        flight: Told how many requests are open, so that the next process can say it.
    """

    def __init__(
        self,
        journal: Journal,
        teachers: Mapping[str, Teacher],
        senders: Mapping[str, Sender],
        gates: Mapping[str, Gate],
        mode: Mode = "ask",
        flight: FlightRecorder | None = None,
    ) -> None:
        self.journal, self.teachers, self.senders, self.gates, self.mode = journal, teachers, senders, gates, mode
        self.flight = flight
        self.tally = Tally()
        self.stopped: TracemillError | None = None
        """Why no further request is sent, if it is for an error."""
        self.stopping = False
        self._denied = 0
        self._recent: deque[bool] = deque(maxlen=WATCHED)

    def stop(self, error: TracemillError | None = None) -> None:
        """Send nothing more. What is in flight ends as it would, and is stored."""
        self.stopping = True
        self.stopped = self.stopped or error
        for gate in self.gates.values():
            gate.close()

    async def __call__(self, request: Request) -> Reply | Failure:
        """The reply to a request, from the journal or from its teacher.

        Raises:
            EndpointError: the teacher cannot be asked at all; the run should stop.
            GateClosed: the run is stopping, and this request was not sent.
            DiskError: the journal cannot store the reply.
        """
        entries = self.journal.entries(request.key, request.home)
        stored = serving(entries, request.max_tokens)
        if stored is not None:
            got = self._read(request, stored.body, stored.attempt, fresh=False)
            if isinstance(got, Reply) or self.mode == "replay" or stored.endpoint == self._way(request):
                self.tally.served += 1
                return got
        failure = self._stored_failure(request, entries)
        if failure is not None:
            return failure
        try:
            return await self._ask(request)
        except TracemillError as exc:
            self.stop(exc)
            raise

    def _stored_failure(self, request: Request, entries: Sequence[Entry]) -> Failure | None:
        """A refusal is final for the same request, as high a limit and the same way to the teacher; on replay every
        stored failure is.
        """
        final = [
            e
            for e in entries
            if e.outcome != REPLY
            and (
                self.mode == "replay"
                or (e.outcome == "refused" and request.max_tokens >= e.max_tokens and e.endpoint == self._way(request))
            )
        ]
        if final:
            return _failure(request, entries)
        if self.mode == "replay":
            raise NotStored(request.key)
        return None

    async def _ask(self, request: Request) -> Reply | Failure:
        teacher, sender, gate = (
            self.teachers[request.teacher],
            self.senders[request.teacher],
            self.gates[request.teacher],
        )
        attempt = 0
        pause = FIRST_PAUSE
        throttled_since = 0.0
        while True:
            entered = await gate.enter()
            attempt += 1
            self.tally.sent += 1
            self._open(+1)
            raw, kind = None, ""
            try:
                try:
                    raw, kind, detail = await self._send(sender, request)
                finally:
                    throttled = kind == "throttled"
                    gate.leave(entered, overloaded=throttled, wait=raw.retry_after if raw and throttled else None)
                if raw is not None and kind == REPLY:
                    return await self._keep(request, raw, attempt)
            finally:
                self._open(-1)
            if throttled:
                attempt -= 1
                self.tally.throttled += 1
                throttled_since = throttled_since or time.monotonic()
                over = time.monotonic() - throttled_since > PATIENCE
            else:
                throttled_since = 0.0
                over = kind in ("refused", "denied", "fatal") or attempt >= teacher.attempts
            if over or not throttled:
                await self._note_failure(request, kind, detail, raw, max(attempt, 1))
            if kind == "fatal":
                raise EndpointError(
                    f"teacher {request.teacher!r} answers {detail[:300]}\n"
                    f"Check teachers.{request.teacher}.url, .model and .api_key; nothing is lost, the same command goes on."
                )
            if over:
                self._count_failure(request, kind, detail)
                return _failure(request, self.journal.entries(request.key, request.home))
            self.tally.retried += not throttled
            wait = (raw.retry_after if raw else None) or random.uniform(0, pause)
            pause = min(pause * 2, LONGEST_PAUSE)
            await self._sleep(wait, gate)

    def _way(self, request: Request) -> str:
        return self.teachers[request.teacher].transport()

    def _open(self, change: int) -> None:
        self.tally.open += change
        if self.flight is not None:
            self.flight.set(self.tally.open)

    async def _send(self, sender: Sender, request: Request) -> tuple[Raw | None, str, str]:
        """Send once: (what came, its class, what to say of it)."""
        try:
            raw = await sender.send(request)
        except TransportError as exc:
            return None, exc.kind, exc.detail
        detail = f"HTTP {raw.status}: {raw.body[:EVIDENCE_BYTES].decode(errors='replace')}"
        if raw.status == 200:
            self._denied = 0
            return raw, REPLY, ""
        if raw.status in THROTTLED:
            return raw, "throttled", detail
        if raw.status in TRANSIENT or raw.status >= 500:
            return raw, "transient", detail
        if raw.status in DENIED:
            self._denied += 1
            return raw, "fatal" if self._denied >= DENIALS else "denied", detail
        return raw, "fatal" if raw.status in FATAL else "refused", detail

    async def _sleep(self, seconds: float, gate: Gate) -> None:
        """Sleep, but not past the end of the run."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            if gate.closed:
                raise GateClosed
            await asyncio.sleep(min(left, 0.5))

    async def _keep(self, request: Request, raw: Raw, attempt: int) -> Reply | Failure:
        """Store a reply as it came, wait until the disk has it, and only then read it."""
        try:
            told = orjson.loads(raw.body)
        except orjson.JSONDecodeError:
            told = None
        used = usage(told)
        self.tally.replies += 1
        self.tally.latencies.append(raw.latency)
        if used is not None:
            self.tally.prompt_tokens += used.prompt_tokens
            self.tally.completion_tokens += used.completion_tokens
        entry = Entry(
            key=request.key,
            outcome=REPLY,
            max_tokens=request.max_tokens,
            attempt=attempt,
            body=raw.body,
            status=raw.status,
            finish_reason=finish_reason(told),
            prompt_tokens=used.prompt_tokens if used else None,
            completion_tokens=used.completion_tokens if used else None,
            latency_ms=round(raw.latency * 1000),
            teacher=request.teacher,
            endpoint=self._way(request),
            model=told.get("model") if isinstance(told, dict) and isinstance(told.get("model"), str) else None,
        )
        # Shielded: what has been paid for is stored even if whoever asked is cancelled.
        await asyncio.shield(self.journal.store(entry, request.home))
        return self._read(request, raw.body, attempt, fresh=True)

    async def _note_failure(self, request: Request, kind: str, detail: str, raw: Raw | None, attempt: int) -> None:
        entry = Entry(
            key=request.key,
            outcome=kind,
            max_tokens=request.max_tokens,
            attempt=attempt,
            body=detail[:EVIDENCE_BYTES].encode(errors="replace"),
            status=raw.status if raw else None,
            teacher=request.teacher,
            endpoint=self._way(request),
        )
        await asyncio.shield(self.journal.store(entry, request.home))

    def _read(self, request: Request, body: bytes, attempt: int, fresh: bool) -> Reply | Failure:
        """The answer in a body, or that there is none. Only a fresh reply says how the endpoint is doing."""
        try:
            reply = read_reply(request, body)
            if fresh:
                self._recent.append(True)
            return reply
        except Unreadable as exc:
            if fresh:
                self._count_failure(request, "malformed", str(exc))
            return Failure(request.key, "malformed", attempt, str(exc))

    def _count_failure(self, request: Request, kind: str, detail: str) -> None:
        self.tally.failed += 1
        if kind in ("refused", "denied"):
            return
        self._recent.append(False)
        bad = self._recent.count(False)
        if len(self._recent) >= FEWEST and bad > TOO_MANY * len(self._recent):
            raise EndpointError(
                f"teacher {request.teacher!r} failed {bad} of the last {len(self._recent)} requests, lately as "
                f"{kind!r}: {detail[:300]}\nNothing is lost; when it answers again, the same command goes on."
            )


def _failure(request: Request, entries: Sequence[Entry]) -> Failure:
    """What the journal says of a request that got no answer: asked now or replayed, it is the same."""
    failed = [e for e in entries if e.outcome != REPLY]
    return Failure(request.key, failed[-1].outcome, len(failed), failed[-1].body.decode(errors="replace"))


class NotStored(Exception):
    """A replay came to a request that the journal does not hold."""
