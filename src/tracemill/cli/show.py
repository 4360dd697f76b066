"""Progress on stderr: a live line on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING

from tracemill.cli.terminal import tell
from tracemill.engines.messages import Progress

if TYPE_CHECKING:
    from rich.status import Status

PLAIN_EVERY = 5.0
"""Seconds between two lines where stderr is no terminal."""


class Show:
    """Shows a run to a person."""

    def __init__(self) -> None:
        self.live = sys.stderr.isatty()
        self._status: Status | None = None
        self._last = 0.0
        self._started = time.monotonic()

    def __enter__(self) -> Show:
        if self.live:
            from rich.console import Console

            self._status = Console(stderr=True).status("starting")
            self._status.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._status is not None:
            self._status.stop()

    def note(self, text: str) -> None:
        """One line that stays."""
        tell(text)

    def progress(self, progress: Progress) -> None:
        """Where the run stands."""
        if self._status is not None:
            from rich.text import Text

            self._status.update(Text(self._line(progress)))
        elif time.monotonic() - self._last > PLAIN_EVERY:
            self._last = time.monotonic()
            self.note(self._line(progress))

    def _line(self, progress: Progress) -> str:
        stats = progress.stats
        kept = progress.fates.get("kept", 0)
        lost = sum(progress.fates.values()) - kept
        seconds = max(time.monotonic() - self._started, 0.001)
        parts = [
            "stopping" if progress.draining else "working",
            f"units {progress.units_done}/{progress.units}",
            f"kept {kept:,}",
            f"dropped {lost:,}",
            f"in flight {int(stats.get('in_flight', 0))}/{int(stats.get('limit', 0))}",
            f"{stats.get('completion_tokens', 0) / seconds:,.0f} tokens/s",
        ]
        if stats.get("throttled"):
            parts.append(f"throttled {int(stats['throttled']):,}")
        return "  ".join(parts)
