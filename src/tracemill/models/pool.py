"""The endpoints of one teacher, and the queue of those who want to ask it.

Whoever asks gets the endpoint that its prompt prefers, so that the samples of one prompt find its prefix in one cache
(vLLM, SGLang), unless that one is much busier than another. One that is down or full is passed over.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256

from tracemill.errors import EndpointError
from tracemill.models.breaker import Breaker
from tracemill.models.pace import Pace
from tracemill.models.wire import Sender
from tracemill.recipe import Teacher

SLACK = 0.25
"""How much more of its limit the preferred endpoint may have in use than the least busy one."""
NEVER_SEEN = 15.0
"""Seconds to wait for an endpoint that has not answered once in this run: most likely the address is wrong."""
SOON, OFTEN = 0.002, 0.5
"""Seconds between two looks of a queue that waits, at least and at most."""
WAIT = 600.0
"""Seconds to wait for one that has, unless told otherwise."""


class GateClosed(Exception):
    """No new request may start: the run is being stopped."""


@dataclass(eq=False)
class Lane:
    """One endpoint, and how it is doing."""

    name: str
    sender: Sender
    pace: Pace
    breaker: Breaker = field(default_factory=Breaker)

    def takes(self) -> bool:
        """Whether a request may go there now."""
        return self.pace.free() and self.breaker.lets_through()


class Pool:
    """All lanes to one teacher, for one event loop.

    Args:
        wait: Seconds to wait for a teacher none of whose endpoints answers. None: `WAIT`, or `NEVER_SEEN` if none ever has.
    """

    def __init__(self, name: str, teacher: Teacher, lanes: Sequence[Lane], wait: float | None = None) -> None:
        self.name, self.teacher, self.lanes, self.wait = name, teacher, lanes, wait
        self.closed = False
        self.seen = False
        """Whether any endpoint has answered yet."""
        self.trouble = ""
        """What was last wrong with an endpoint that is down."""
        self._down_since: float | None = None
        self._waiting: deque[tuple[asyncio.Future[Lane], str]] = deque()
        self._timer: asyncio.TimerHandle | None = None

    @property
    def most(self) -> int:
        return sum(lane.pace.most for lane in self.lanes)

    @property
    def waiting(self) -> int:
        """Requests that wait for a place."""
        return len(self._waiting)

    async def enter(self, home: str, first: bool = True) -> Lane:
        """Wait for a place in flight at one of the endpoints; give it back with `leave`.

        Args:
            home: The prompt's hash, whose samples keep together.
            first: False for a request that was sent before: it goes before those that were not.
        Raises:
            GateClosed: no new request may start.
            EndpointError: no endpoint has answered for too long.
        """
        if self.closed:
            raise GateClosed
        lane = None if self._waiting else self._choose(home)
        if lane is None:
            waiter: asyncio.Future[Lane] = asyncio.get_running_loop().create_future()
            (self._waiting.append if first else self._waiting.appendleft)((waiter, home))
            self._wake()
            try:
                return await waiter
            except asyncio.CancelledError:
                if waiter.done() and not waiter.cancelled() and waiter.exception() is None:
                    self._release(waiter.result())
                raise
        self._take(lane)
        return lane

    def leave(
        self,
        lane: Lane,
        entered: float,
        good: bool | None,
        well: bool = True,
        refused: bool = False,
        wait: float | None = None,
        trouble: str = "",
        reached: bool = True,
    ) -> None:
        """Give a place back, and say how it went; see `Pace.leave` and `Breaker.ended`.

        Args:
            good: For the breaker; None speaks neither for nor against the endpoint.
            well: For the pace: False for any failure that is no refusal.
            trouble: What was wrong, for whoever waits for the endpoint.
            reached: Whether there was a connection at all.
        """
        lane.pace.leave(entered, refused, wait, well=well)
        lane.breaker.ended(good, not reached)
        self.seen = self.seen or bool(good) or refused
        if trouble:
            self.trouble = trouble
        if self._waiting or self._down_since is not None or not good:
            self._wake()

    def close(self) -> None:
        """Let no further request start; those that wait are turned away."""
        self.closed = True
        self._end_waiting(GateClosed())

    async def shut(self) -> None:
        """Let go of the connections."""
        if self._timer is not None:
            self._timer.cancel()
        for lane in self.lanes:
            await lane.sender.close()

    def _take(self, lane: Lane) -> None:
        lane.breaker.sent()
        lane.pace.in_flight += 1

    def give_up(self, lane: Lane) -> None:
        """Give a place back for which nothing was sent."""
        self._release(lane)

    def _release(self, lane: Lane) -> None:
        lane.pace.in_flight -= 1
        lane.breaker.gave_up()
        self._wake()

    def _choose(self, home: str) -> Lane | None:
        if len(self.lanes) == 1:
            return self.lanes[0] if self.lanes[0].takes() else None
        there = [lane for lane in self.lanes if lane.takes()]
        if not there:
            return None
        wanted = min(there, key=lambda lane: sha256(f"{home} {lane.name}".encode()).digest())
        easiest = min(there, key=lambda lane: lane.pace.load())
        return wanted if wanted.pace.load() <= easiest.pace.load() + SLACK else easiest

    def _wake(self) -> None:
        while self._waiting:
            waiter, home = self._waiting[0]
            if waiter.done():
                self._waiting.popleft()
                continue
            lane = self._choose(home)
            if lane is None:
                break
            self._waiting.popleft()
            self._take(lane)
            waiter.set_result(lane)
        self._look_at_outage()
        if self._waiting and self._timer is None:
            self._sleep()

    def _sleep(self) -> None:
        """Come back when a lane may open by itself: after a hold, or for a probe."""
        now = time.monotonic()
        moments = [
            max(lane.pace.hold_until, lane.breaker.probe_at if lane.breaker.open_since is not None else 0.0)
            for lane in self.lanes
        ]
        # Always, and never at once: a timer may fire a little before its time, and then nobody else would look again.
        delay = min([max(moment - now, SOON) for moment in moments if moment > now - SOON] + [OFTEN])
        self._timer = asyncio.get_running_loop().call_later(delay, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        self._wake()

    def _look_at_outage(self) -> None:
        if any(lane.breaker.open_since is None for lane in self.lanes):
            self._down_since = None
            return
        now = time.monotonic()
        self._down_since = self._down_since or now
        patience = self.wait if self.wait is not None else WAIT if self.seen else NEVER_SEEN
        if now - self._down_since >= patience and self._waiting:
            self._end_waiting(self._outage(now - self._down_since))

    def _outage(self, seconds: float) -> EndpointError:
        where = ", ".join(sorted({lane.name.partition("#")[0] for lane in self.lanes}))
        said = f": {self.trouble}" if self.trouble else ""
        return EndpointError(
            f"teacher {self.name!r} has not answered for {seconds:.0f} s at {where}{said}\n"
            "Is it running, and is that its address? Nothing is lost; the same command goes on. "
            "To wait longer for it, add --wait-for-endpoint 1h"
        )

    def _end_waiting(self, error: Exception) -> None:
        while self._waiting:
            waiter, _ = self._waiting.popleft()
            if not waiter.done():
                waiter.set_exception(error)
