"""How many requests may be in flight to one endpoint: as many as it bears, found by trying.

Slow start doubles the limit with each round of replies; after the first sign of overload it grows by one a round, more
slowly near the limit that was too much (AIMD; Chiu & Jain, 1989). A round's share of refusals decides, not one refusal:
some endpoints refuse now and then whatever one does, and for those the limit must not shrink to nothing. What they
refuse at a limit that is already lower is noise, and only more than twice the noise is a sign.
"""

from __future__ import annotations

import random
import time

START = 64
CUT = 0.75
"""Of the limit, what is left when a round showed far too much."""
STEP_BACK = 0.9
"""Of the limit, what is left when it had only just been raised too far."""
SIGN = 0.01
"""Share of refusals in a round that is a sign of overload, above twice the noise."""
FLOOD = 0.3
"""Share of refusals that is no noise, whatever happens at a lower limit."""
FEWEST = 10
"""Outcomes in a round, at least."""
FIRST_HOLD, LONGEST_HOLD = 0.1, 10.0
"""Seconds for which nothing is sent while everything is refused; doubled each time. Long enough to be no storm at one
request at a time, short enough to be back soon after an outage."""
FORGET = 50
"""Rounds without a sign after which a known ceiling is forgotten."""


class Pace:
    """The limit on requests in flight to one endpoint, for one event loop."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.limit = float(min(START, most))
        self.in_flight = 0
        self.hold_until = 0.0
        self.noise = 0.0
        self._slow_start = True
        self._ceiling: float | None = None
        self._cut_at = 0.0
        self._hold = FIRST_HOLD
        self._since_reply = 0
        self._outcomes = self._refusals = 0
        self._judged: tuple[float, float] | None = None
        self._calm = 0

    def free(self) -> bool:
        """Whether one more may be sent now."""
        return self.in_flight < int(self.limit) and time.monotonic() >= self.hold_until

    def load(self) -> float:
        """Share of the limit that is in use."""
        return self.in_flight / max(self.limit, 1.0)

    def leave(self, entered: float, refused: bool = False, wait: float | None = None) -> None:
        """Give a place back, and say how it went.

        Args:
            entered: When it was taken, by `time.monotonic`.
            refused: The endpoint said that it has too much to do.
            wait: Seconds for which it then asked to be left alone.
        """
        full = self.in_flight >= int(self.limit)
        self.in_flight -= 1
        if refused:
            self._since_reply += 1
            if self._since_reply >= max(FEWEST, 2 * int(self.limit)):
                self._hold_back(wait)
        else:
            self._since_reply = 0
            self._hold = FIRST_HOLD
            if full:
                self._grow()
        if entered >= self._cut_at:  # what was sent before the last cut tells of the old limit
            self._count(refused)

    def queued(self, waiting: int) -> None:
        """Hear that so many of our requests wait inside the endpoint (vLLM queues instead of refusing)."""
        if waiting > max(2, self.limit * 0.1):
            self._ceiling = self.limit
            self._set(max(1.0, self.limit - waiting), time.monotonic())

    def _grow(self) -> None:
        if self._slow_start:
            step = 1.0
        elif self._ceiling is not None and self.limit >= STEP_BACK * self._ceiling:
            step = 0.2 / self.limit
        else:
            step = 1 / self.limit
        self.limit = min(float(self.most), self.limit + step)

    def _count(self, refused: bool) -> None:
        self._outcomes += 1
        self._refusals += refused
        if self._outcomes >= max(FEWEST, int(self.limit)) or (refused and self._refusals > max(3, FLOOD * self.limit)):
            share = self._refusals / self._outcomes
            self._outcomes = self._refusals = 0
            self._judge(share)

    def _judge(self, share: float) -> None:
        """Draw the consequence of one round."""
        before, self._judged = self._judged, None
        if before is not None:
            limit_then, share_then = before
            if share >= share_then / 2 and share_then < FLOOD:
                self.noise = max(self.noise, share)  # fewer in flight did not help: it was not our number
                self.limit = max(self.limit, limit_then)
                return
            self.noise *= 0.8
        if share <= SIGN + 2 * self.noise:
            self._calm += 1
            if self._calm > FORGET:
                self._ceiling = None
            return
        self._calm = 0
        self._judged = (self.limit, share)
        gently = not self._slow_start and self._ceiling is not None and share < FLOOD / 3
        self._ceiling = self.limit
        self._set(max(1.0, self.limit * (STEP_BACK if gently else CUT)), time.monotonic())

    def _set(self, limit: float, now: float) -> None:
        self.limit = limit
        self._slow_start = False
        self._cut_at = now

    def _hold_back(self, wait: float | None) -> None:
        """Nothing but refusals: leave it alone for a while."""
        self.hold_until = time.monotonic() + max(wait or 0.0, random.uniform(self._hold / 2, self._hold))
        self._hold = min(self._hold * 2, LONGEST_HOLD)
        self._since_reply = 0
