"""A breaker: an endpoint that is down is not asked, but for one probe now and then.

Closed, requests flow. After `IN_A_ROW` failures, or when more than half of the last `WATCHED` failed, it opens; after a
pause one request goes through as a probe, and its outcome closes the breaker or doubles the pause.
"""

from __future__ import annotations

import time
from collections import deque

IN_A_ROW = 10
UNREACHABLE_IN_A_ROW = 3
"""Fewer where there was no connection at all: nobody is there to be asked."""
WATCHED = 50
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 8.0
"""Seconds between probes. Short: a probe is one request, and after an outage the rate is to be back at once."""


class Breaker:
    """Whether one endpoint may be asked."""

    def __init__(self) -> None:
        self.open_since: float | None = None
        self.probe_at = 0.0
        self._probing = False
        self._pause = FIRST_PAUSE
        self._bad = 0
        self._recent: deque[bool] = deque(maxlen=WATCHED)

    def lets_through(self) -> bool:
        """Whether a request may go to the endpoint now."""
        return self.open_since is None or (not self._probing and time.monotonic() >= self.probe_at)

    def sent(self) -> None:
        """A request goes to the endpoint."""
        self._probing = self.open_since is not None

    def ended(self, good: bool | None, unreachable: bool = False) -> None:
        """A request came back.

        Args:
            good: Whether the endpoint is well; None if the outcome says nothing of that. As a probe it is then no proof.
            unreachable: No connection could be made.
        """
        if self.open_since is not None:
            self._probed(good)
        elif good is not None:
            self._recent.append(good)
            self._bad = 0 if good else self._bad + 1
            most = UNREACHABLE_IN_A_ROW if unreachable else IN_A_ROW
            failing = len(self._recent) == WATCHED and self._recent.count(False) > WATCHED / 2
            if self._bad >= most or failing:
                self.open_since = time.monotonic()
                self._pause = FIRST_PAUSE
                self.probe_at = self.open_since + self._pause

    def gave_up(self) -> None:
        """A request was admitted, and not sent after all."""
        self._probing = False

    def _probed(self, good: bool | None) -> None:
        """What the probe, or a request sent before the breaker opened, came to."""
        self._probing = False
        if good:
            self.open_since = None
            self._bad = 0
            self._recent.clear()
        elif time.monotonic() >= self.probe_at:
            self._pause = min(self._pause * 2, LONGEST_PAUSE)
            self.probe_at = time.monotonic() + self._pause
