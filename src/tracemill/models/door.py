"""The one door to a model. It serves what the journal holds, asks for the rest, retries, paces, and stores.

A place in flight is given back before the commit is waited for. A reply is handed on only when the journal has it.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from tracemill.errors import EndpointError, TracemillError
from tracemill.models.budget import Budget
from tracemill.models.outcomes import EVIDENCE_BYTES, MEANINGS, kind_of, said_by, same_model
from tracemill.models.pool import GateClosed, Lane, Pool
from tracemill.models.replies import Unreadable, finish_reason, parsed, read_told, usage
from tracemill.models.wire import Failure, Raw, Reply, Request, TransportError
from tracemill.record import Usage
from tracemill.storage.entries import REPLY, Entry, serving
from tracemill.storage.flight import FlightRecorder
from tracemill.storage.journal import Journal

DENIALS = 5
"""So many denials without a reply between them stop the run."""
PATIENCE = 1800.0
"""Seconds that one request lets itself be throttled before it fails."""
FIRST_PAUSE, LONGEST_PAUSE = 0.25, 10.0
"""Seconds before a request is sent again, drawn from 0 to twice as much each time (full jitter)."""
RETRY_SHARE, RETRIES_AT_ONCE, RETRIES_A_SECOND = 0.2, 10, 20.0
"""Retries are paid for: each request that is sent for the first time earns a fifth of one, each second twenty."""
WATCHED, FEWEST, TOO_MANY = 1000, 50, 0.2
"""A run stops when more than 20 % of the last 1,000 requests failed for the endpoint's sake, judged from 50 on."""
NOT_THE_ENDPOINT = frozenset({"refused", "denied", "too_long"})

Mode = Literal["ask", "replay"]


@dataclass
class Tally:
    """What a door did, for progress."""

    sent: int = 0
    replies: int = 0
    served: int = 0
    failed: int = 0
    throttled: int = 0
    unspent: int = 0
    """Of `sent`, those that were throttled or never reached the endpoint."""
    retried: int = 0
    open: int = 0
    """Requests sent whose reply the journal does not have yet: what a sudden death would ask twice."""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost: float = 0.0
    """Of what was asked by this process, by the teachers' prices."""
    latencies: deque[float] = field(default_factory=lambda: deque(maxlen=1000))


@dataclass(slots=True)
class _Came:
    """What became of one sending."""

    kind: str = ""
    detail: str = ""
    raw: Raw | None = None
    told: Any = None
    reply: Reply | None = None


class Door:
    """Asks the teachers of one recipe, for one process.

    Args:
        pools: By teacher name.
        mode: "ask" asks for what is not stored; "replay" never asks, and raises NotStored instead.
        flight: Told how many requests are open, so that the next process can say it.
        budget: What may be spent.
    """

    def __init__(
        self,
        journal: Journal,
        pools: Mapping[str, Pool],
        mode: Mode = "ask",
        flight: FlightRecorder | None = None,
        budget: Budget | None = None,
    ) -> None:
        self.journal, self.pools, self.mode, self.flight = journal, pools, mode, flight
        self.budget = budget or Budget()
        self.tally = Tally()
        self.stopped: TracemillError | None = None
        """Why no further request is sent, if it is for an error."""
        self.stopping = False
        self._denied = 0
        self._recent: deque[bool] = deque(maxlen=WATCHED)
        self._retries = float(RETRIES_AT_ONCE)
        self._earned_at = time.monotonic()

    def stop(self, error: TracemillError | None = None) -> None:
        """Send nothing more. What is in flight ends as it would, and is stored."""
        self.stopping = True
        self.stopped = self.stopped or error
        for pool in self.pools.values():
            pool.close()

    async def __call__(self, request: Request) -> Reply | Failure:
        """The reply to a request, from the journal or from its teacher.

        Raises:
            EndpointError: the teacher cannot be asked at all; the run should stop.
            BudgetSpent: what may be spent is spent.
            GateClosed: the run is stopping, and this request was not sent.
            DiskError: the journal cannot store the reply.
        """
        entries = self.journal.entries(request.key, request.home)
        stored = serving(entries, request.max_tokens)
        if stored is not None:
            try:
                reply = read_told(request, parsed(stored.body))
            except Unreadable as exc:
                if self.mode == "replay":
                    return Failure(request.key, "malformed", stored.attempt, str(exc))
            else:
                self._check_model(request, reply)
                self.tally.served += 1
                return reply
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
                or (
                    e.outcome in ("refused", "too_long")
                    and request.max_tokens >= e.max_tokens
                    and e.endpoint in {lane.name for lane in self.pools[request.teacher].lanes}
                )
            )
        ]
        if final:
            return _failure(request, entries)
        if self.mode == "replay":
            raise NotStored(request.key)
        return None

    async def _ask(self, request: Request) -> Reply | Failure:
        pool = self.pools[request.teacher]
        attempts: dict[str, int] = {}
        sendings = 0
        pause = FIRST_PAUSE
        throttled_since: float | None = None
        while True:
            while self.budget.waits():
                await self._sleep(0.02, pool)
            lane = await pool.enter(request.home, first=sendings == 0)
            if not self._admit(pool, lane):
                continue
            sendings += 1
            try:
                came = await self._send_once(pool, lane, request, first=not attempts)
                attempt = sum(attempts.values()) + 1
                if came.reply is not None:
                    return await self._keep(request, came, attempt, lane)
            finally:
                self.tally.open -= 1
                self._tell_others()
            meaning = MEANINGS[came.kind]
            if meaning.attempt:
                attempts[came.kind] = attempts.get(came.kind, 0) + 1
                await self._note_failure(request, came, attempt, lane)
            if came.kind == "throttled":
                throttled_since = throttled_since or time.monotonic()
                over = time.monotonic() - throttled_since > PATIENCE
                if over:
                    await self._note_failure(request, came, attempt, lane)
            else:
                throttled_since = None
                over = meaning.attempt and (
                    meaning.final
                    or attempt >= pool.teacher.attempts
                    or attempts[came.kind] >= (meaning.most or pool.teacher.attempts)
                )
            self._stop_if_hopeless(request, came)
            if over:
                self._count_failure(request, came.kind, came.detail)
                return _failure(request, self.journal.entries(request.key, request.home))
            wait = (came.raw.retry_after if came.raw else None) or random.uniform(0, pause)
            pause = min(pause * 2, LONGEST_PAUSE)
            if meaning.attempt:
                self.tally.retried += 1
                wait = max(wait, self._retry_in())
            await self._sleep(wait, pool)

    def _admit(self, pool: Pool, lane: Lane) -> bool:
        """Count a request in, if the budget lets it go; else give its place back."""
        sent = False
        try:
            with self.budget.turn():
                if sent := self.budget.sending():
                    self.tally.open += 1
                    self.tally.sent += 1
                    self._tell_others()
        finally:
            if not sent:
                pool.give_up(lane)
        return sent

    async def _send_once(self, pool: Pool, lane: Lane, request: Request, first: bool) -> _Came:
        """Send, and say how it went: to the pool at once, to the caller in full.

        Args:
            first: Whether this is the request's first attempt. Only then does its failure speak against the endpoint: a
                few requests that always fail are no outage, though in the end they are all that is left.
        """
        entered = time.monotonic()
        came = _Came()
        try:
            came = await self._send(lane, request)
        finally:
            good = MEANINGS[came.kind].good if came.kind else None
            well = good is True
            if good is False and not first and came.kind != "unreachable":
                good = None
            throttled = came.kind == "throttled"
            self.tally.throttled += throttled
            self.tally.unspent += bool(came.kind) and not MEANINGS[came.kind].attempt
            pool.leave(
                lane,
                entered,
                good,
                well=well,
                refused=throttled,
                wait=came.raw.retry_after if came.raw else None,
                trouble="" if good else came.detail,
                reached=came.kind != "unreachable",
            )
        return came

    async def _send(self, lane: Lane, request: Request) -> _Came:
        try:
            raw = await lane.sender.send(request)
        except TransportError as exc:
            return _Came(exc.kind, exc.detail)
        except RecursionError:
            return _Came("malformed", "the reply nests too deep")
        kind = kind_of(raw)
        if kind != REPLY:
            return _Came(kind, said_by(raw), raw)
        self._denied = 0
        try:
            told = parsed(raw.body)
            return _Came(REPLY, "", raw, told, read_told(request, told))
        except Unreadable as exc:
            return _Came("malformed", str(exc), raw)

    def _stop_if_hopeless(self, request: Request, came: _Came) -> None:
        self._denied += came.kind == "denied"
        if MEANINGS[came.kind].stops or self._denied >= DENIALS:
            raise EndpointError(
                f"teacher {request.teacher!r} answers {came.detail[:300]}\n"
                f"Check teachers.{request.teacher}.url, .model and .api_key; nothing is lost, the same command goes on."
            )

    def _tell_others(self) -> None:
        if self.flight is not None:
            told = self.tally
            tokens = told.prompt_tokens + told.completion_tokens
            self.flight.set(told.open, told.sent - told.unspent, told.replies, tokens, told.cost)

    def _retry_in(self) -> float:
        """Take one retry out of what has been earned. Seconds until it may be sent; 0 if it had been earned."""
        now = time.monotonic()
        earned = (now - self._earned_at) * RETRIES_A_SECOND
        self._earned_at = now
        self._retries = min(self._retries + earned, max(RETRIES_AT_ONCE, RETRY_SHARE * self.tally.replies)) - 1
        return max(0.0, -self._retries / RETRIES_A_SECOND)

    async def _sleep(self, seconds: float, pool: Pool) -> None:
        """Sleep, but not past the end of the run."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            if pool.closed:
                raise GateClosed
            await asyncio.sleep(min(left, 0.5))

    async def _keep(self, request: Request, came: _Came, attempt: int, lane: Lane) -> Reply:
        """Store a reply as it came, wait until the disk has it, and hand it on."""
        assert came.raw is not None
        assert came.reply is not None
        raw, used = came.raw, usage(came.told)
        self.tally.latencies.append(raw.latency)
        self._retries += RETRY_SHARE
        entry = Entry(
            key=request.key,
            outcome=REPLY,
            max_tokens=request.max_tokens,
            attempt=attempt,
            body=raw.body,
            status=raw.status,
            finish_reason=finish_reason(came.told),
            prompt_tokens=used.prompt_tokens if used else None,
            completion_tokens=used.completion_tokens if used else None,
            latency_ms=round(raw.latency * 1000),
            teacher=request.teacher,
            endpoint=lane.name,
            model=came.reply.model,
        )
        # Once handed over it is stored, even if whoever asked is cancelled.
        await self.journal.store(entry, request.home)
        self._count_reply(request, used)
        self._recent.append(True)
        self._check_model(request, came.reply)
        return came.reply

    def _count_reply(self, request: Request, used: Usage | None) -> None:
        """Count what a reply took. Until it is stored it counts among those in flight, and not twice."""
        self.tally.replies += 1
        if used is not None:
            self.tally.prompt_tokens += used.prompt_tokens
            self.tally.completion_tokens += used.completion_tokens
            price = self.pools[request.teacher].teacher.price
            if price is not None:
                self.tally.cost += price.of(used.prompt_tokens, used.completion_tokens)

    async def _note_failure(self, request: Request, came: _Came, attempt: int, lane: Lane) -> None:
        body = came.raw.body if came.raw is not None and came.kind == "malformed" else b""
        entry = Entry(
            key=request.key,
            outcome=came.kind,
            max_tokens=request.max_tokens,
            attempt=attempt,
            body=body or came.detail[:EVIDENCE_BYTES].encode(errors="replace"),
            status=came.raw.status if came.raw else None,
            teacher=request.teacher,
            endpoint=lane.name,
        )
        await self.journal.store(entry, request.home)

    def _check_model(self, request: Request, reply: Reply) -> None:
        """Raises EndpointError if another model than the one asked for has answered: its rows would name the wrong one."""
        told = reply.model
        if told is None or told == request.model or self.mode == "replay":
            return
        if not same_model(request.model, told, self.pools[request.teacher].teacher.accept_models):
            raise EndpointError(
                f"teacher {request.teacher!r} was asked for the model {request.model!r}, and {told!r} answered. "
                f"If that is the same model, add it: teachers.{request.teacher}.accept_models: [{told!r}]. "
                "Every reply is stored; the same command goes on."
            )

    def _count_failure(self, request: Request, kind: str, detail: str) -> None:
        self.tally.failed += 1
        if kind in NOT_THE_ENDPOINT:
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
