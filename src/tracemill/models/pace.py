"""How many requests may be in flight to one endpoint: as many as it bears, found by trying.

Slow start takes the limit to four times as much with each round of replies; after the first sign of overload it grows
by one a round, more slowly near the limit that was too much (AIMD; Chiu & Jain, 1989). A round's share of refusals
decides, not one refusal: some endpoints refuse now and then whatever one does, and for those the limit must not shrink
to nothing. What they refuse at a limit that is already lower is noise, and only more than twice the noise is a sign.
"""

from __future__ import annotations

import random
import time

START = 64
BELIEVED = 0.25
"""Of the limit that the recipe sets, what is sent at once where that is more: whoever asks for 1,024 knows the endpoint."""
STEEP = 3.0
"""What each reply adds to the limit in slow start: any limit above 256 is reached in one round, which a short run feels."""
CUT = 0.5
"""Of the limit, what is left at least when a round showed far too much."""
STEP_BACK = 0.9
"""Of the limit, what is left when it had only just been raised too far."""
TOUCHED = 0.94
"""Of the limit, what is left after one refusal just below the known ceiling."""
FAR = 0.7
"""Of the ceiling: below it the limit grows by a tenth a round."""
SIGN = 0.01
"""Share of refusals in a round that is a sign of overload, above twice the noise."""
FLOOD = 0.3
"""Share of refusals that is no noise, whatever happens at a lower limit."""
FLAT = 1.05
"""Growth of the rate that is none."""
QUEUE = 0.1
"""Share of our requests that may wait inside an endpoint."""
FEWEST = 10
"""Outcomes in a round, at least."""
FIRST_HOLD, LONGEST_HOLD = 0.1, 10.0
"""Seconds for which nothing is sent while everything is refused; doubled each time. Long enough to be no storm at one
request at a time, short enough to be back soon after an outage."""
FORGET = 12
"""Rounds without a sign after which a known ceiling is forgotten."""


class Pace:
    """The limit on requests in flight to one endpoint, for one event loop."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.limit = float(min(max(START, BELIEVED * most), most))
        self.in_flight = 0
        self.hold_until = 0.0
        self.noise = 0.0
        self._slow_start = True
        self._ceiling: float | None = None
        self._cut_at = 0.0
        self._hold = FIRST_HOLD
        self._since_reply = 0
        self._outcomes = self._refusals = 0
        self._waited, self._round = 0.0, time.monotonic()
        self._judged: tuple[float, float] | None = None
        self._mark = (0.0, 0.0)
        """Limit and rate (replies a second) when slow start last looked."""
        self._calm = 0

    def free(self) -> bool:
        """Whether one more may be sent now."""
        return self.in_flight < int(self.limit) and time.monotonic() >= self.hold_until

    def load(self) -> float:
        """Share of the limit that is in use."""
        return self.in_flight / max(self.limit, 1.0)

    def leave(self, entered: float, refused: bool = False, wait: float | None = None, well: bool = True) -> None:
        """Give a place back, and say how it went.

        Args:
            entered: When it was taken, by `time.monotonic`.
            well: False if the endpoint failed: that tells nothing of how much it bears, and nothing grows.
            refused: The endpoint said that it has too much to do.
            wait: Seconds for which it then asked to be left alone.
        """
        full = self.in_flight >= int(self.limit)
        self.in_flight -= 1
        if not well:
            return
        if refused:
            if self._near_ceiling() and entered >= self._cut_at and self.noise < SIGN:
                self._set(max(1.0, TOUCHED * self.limit), time.monotonic())
            self._since_reply += 1
            if self._since_reply >= max(FEWEST, 2 * int(self.limit)):
                self._hold_back(wait)
        else:
            self._since_reply = 0
            self._hold = FIRST_HOLD
            if full:
                self._grow()
        if entered >= self._cut_at:  # what was sent before the last cut tells of the old limit
            self._count(entered, refused)

    def queued(self, waiting: int) -> None:
        """Hear that so many of our requests wait inside the endpoint (vLLM queues instead of refusing)."""
        if waiting > max(2, QUEUE * self.limit):
            self._ceiling = self.limit
            # A few stay in the queue, so that no place in the endpoint is ever empty.
            self._set(max(1.0, self.limit - waiting * (1 - QUEUE)), time.monotonic())

    def _near_ceiling(self) -> bool:
        return not self._slow_start and self._ceiling is not None and self.limit >= STEP_BACK * self._ceiling

    def _grow(self) -> None:
        if self._slow_start:
            step = STEEP
        elif self._near_ceiling():
            step = 0.2 / self.limit
        elif self._ceiling is not None and self.limit < FAR * self._ceiling:
            step = max(0.1, 1 / self.limit)
        else:
            step = 1 / self.limit
        self.limit = min(float(self.most), self.limit + step)

    def _count(self, entered: float, refused: bool) -> None:
        self._outcomes += 1
        self._refusals += refused
        now = time.monotonic()
        if not refused:
            self._waited += now - entered
        if self._outcomes >= max(FEWEST, int(self.limit)):
            share, good = self._refusals / self._outcomes, self._outcomes - self._refusals
            # Little's law: those that were being answered are as many as came in, times how long each took.
            borne = self._waited / max(now - self._round, 1e-6) if good else 0.0
            rate = good / max(now - self._round, 1e-6)
            self._outcomes = self._refusals = 0
            self._waited, self._round = 0.0, now
            self._judge(share, borne)
            if self._slow_start and self.in_flight >= 0.8 * self.limit:
                self._look_at_rate(rate)

    def _look_at_rate(self, rate: float) -> None:
        """End slow start where half as many requests more have brought no more replies a second: they only queue."""
        limit_then, rate_then = self._mark
        if self.limit < 1.5 * limit_then:
            return
        if rate < FLAT * rate_then:
            self._ceiling = self.limit
            self._set(limit_then, time.monotonic())
        self._mark = (self.limit, rate)

    def _judge(self, share: float, borne: float) -> None:
        """Draw the consequence of one round, in which so many requests were being answered at a time."""
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
        least, most = CUT * self.limit, STEP_BACK * self.limit
        self._set(max(1.0, most if gently else min(max(borne, least), most)), time.monotonic())

    def _set(self, limit: float, now: float) -> None:
        self.limit = limit
        self._slow_start = False
        self._cut_at = self._round = now
        self._outcomes = self._refusals = 0
        self._waited = 0.0

    def _hold_back(self, wait: float | None) -> None:
        """Nothing but refusals: leave it alone for a while."""
        self.hold_until = time.monotonic() + max(wait or 0.0, random.uniform(self._hold / 2, self._hold))
        self._hold = min(self._hold * 2, LONGEST_HOLD)
        self._since_reply = 0
