"""Signals while no engine runs: while input is read, and while the dataset is written."""

from __future__ import annotations

import os
import signal
import threading
from types import FrameType
from typing import Any

from tracemill.engines.local import SIGNALS
from tracemill.errors import Interrupted


class Signals:
    """While open, a signal raises Interrupted in the main thread. An engine may take the signals for its own while."""

    def __init__(self) -> None:
        self._before: dict[signal.Signals, Any] = {}
        self._told = 0

    def __enter__(self) -> Signals:
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.getsignal(number) for number in SIGNALS}
        self.take()
        return self

    def take(self) -> None:
        """Answer the signals from now on. One that was ignored before we came, as after nohup, stays ignored."""
        for number, before in self._before.items():
            signal.signal(number, before if before is signal.SIG_IGN else self._stop)

    def _stop(self, number: int, frame: FrameType | None) -> None:
        self._told += 1
        told = signal.Signals(number)
        if self._told == 1:
            raise Interrupted(f"stopped by {told.name}", SIGNALS[told])
        if self._told > 2:  # as with the engine: the second is too late to help, the third ends at once
            os._exit(SIGNALS[told])

    def __exit__(self, *exc: object) -> None:
        for number, before in self._before.items():
            signal.signal(number, signal.SIG_DFL if before is None else before)
