"""How many requests may be in flight: as many as the endpoint bears, found by trying.

Slow start doubles the limit with each round of replies; after the first sign of overload it grows by one a round. A
sign cuts it by a quarter, once for each burst (AIMD; Chiu & Jain, 1989).
"""

from __future__ import annotations

import asyncio
import time
from collections import deque

START = 16
CUT = 0.75
"""Of the limit, what is left after a sign of overload."""


class Gate:
    """Slots for requests to one endpoint. For one event loop."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.limit = float(min(START, most))
        self.in_flight = 0
        self.closed = False
        self._slow_start = True
        self._last_cut = 0.0
        self._hold_until = 0.0
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._timer: asyncio.TimerHandle | None = None

    async def enter(self) -> float:
        """Wait for a slot. Returns the moment it was given, to be handed back to `leave`.

        Raises:
            GateClosed: no new request may start.
        """
        if self.closed:
            raise GateClosed
        if self._waiting or not self._free():
            waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.append(waiter)
            self._wake()
            try:
                await waiter
            except asyncio.CancelledError:
                if waiter.done() and not waiter.cancelled() and waiter.exception() is None:
                    self._release()
                raise
        else:
            self.in_flight += 1
        return time.monotonic()

    def leave(self, entered: float, overloaded: bool, wait: float | None = None) -> None:
        """Give a slot back, and say how it went.

        Args:
            overloaded: The endpoint said that it has too much to do.
            wait: Seconds for which it asked to be left alone.
        """
        now = time.monotonic()
        if wait:
            self._hold_until = max(self._hold_until, now + wait)
        if overloaded:
            # Replies to what was sent before the last cut tell of the old limit.
            if entered >= self._last_cut:
                self.limit = max(1.0, self.limit * CUT)
                self._last_cut = now
                self._slow_start = False
        elif self.in_flight >= self.limit - 1:
            self.limit = min(float(self.most), self.limit + (1 if self._slow_start else 1 / self.limit))
        self._release()

    def close(self) -> None:
        """Let no further request start; those that wait are turned away."""
        self.closed = True
        while self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.done():
                waiter.set_exception(GateClosed())

    def _free(self) -> bool:
        return self.in_flight < int(self.limit) and time.monotonic() >= self._hold_until

    def _release(self) -> None:
        self.in_flight -= 1
        self._wake()

    def _wake(self) -> None:
        while self._waiting and self._free():
            waiter = self._waiting.popleft()
            if not waiter.done():
                self.in_flight += 1
                waiter.set_result(None)
        hold = self._hold_until - time.monotonic()
        if self._waiting and hold > 0 and self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(hold, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        self._wake()


class GateClosed(Exception):
    """No new request may start: the run is being stopped."""
