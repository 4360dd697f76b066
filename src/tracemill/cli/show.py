"""Progress on stderr: a live panel on a terminal, plain lines elsewhere, or a JSON document on each line.

The panel is drawn when progress comes, by no thread of its own: worker processes are copies of this one, which is safe
only while it runs one thread.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol

from tracemill.cli.terminal import clean, hang_up, tell
from tracemill.engines.messages import Progress
from tracemill.errors import UsageError
from tracemill.legible import quoted

if TYPE_CHECKING:
    from rich.console import Console, Group

FORMS = ("auto", "live", "plain", "json", "none")
"""auto: live on a terminal, else plain."""
PLAIN_EVERY = 5.0
"""Seconds between two plain lines."""
JSON_EVERY = 1.0
"""Seconds between two JSON lines."""
BAR_COLUMNS = 30


class Face(Protocol):
    """One way to show a run."""

    def note(self, text: str) -> None:
        """One line that stays."""
        ...

    def progress(self, progress: Progress) -> None:
        """Where the run stands; called about four times a second."""
        ...

    def close(self) -> None:
        """No more comes."""
        ...


class Show:
    """Shows a run to whoever reads stderr.

    Args:
        form: One of `FORMS`.
    """

    def __init__(self, form: str = "auto") -> None:
        if form not in FORMS:
            raise UsageError(f"--progress {quoted(form)}: it is one of {', '.join(FORMS)}")
        if form == "auto":
            form = "live" if sys.stderr.isatty() else "plain"
        faces: dict[str, Callable[[], Face]] = {"live": Panel, "plain": Lines, "json": Documents, "none": Nothing}
        self._make = faces[form]
        self._face: Face = Nothing()

    def __enter__(self) -> Show:
        self._face = self._make()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._face.close()

    def note(self, text: str) -> None:
        """One line that stays."""
        self._face.note(text)

    def progress(self, progress: Progress) -> None:
        """Where the run stands."""
        self._face.progress(progress)


class Nothing:
    """Shows notes alone."""

    def note(self, text: str) -> None:
        tell(text)

    def progress(self, progress: Progress) -> None:
        pass

    def close(self) -> None:
        pass


class Lines(Nothing):
    """One line now and then."""

    def __init__(self) -> None:
        self._told = time.monotonic() - PLAIN_EVERY

    def progress(self, progress: Progress) -> None:
        if time.monotonic() - self._told >= PLAIN_EVERY:
            self._told = time.monotonic()
            tell(" | ".join(progress.lines()))


class Documents:
    """A JSON document on each line: {"at": Unix time, "progress": {...}} each second, {"at": ..., "note": TEXT} at once."""

    def __init__(self) -> None:
        self._told = 0.0
        self._last: Progress | None = None

    def note(self, text: str) -> None:
        self._tell(note=clean(text))

    def progress(self, progress: Progress) -> None:
        self._last = progress
        if time.monotonic() - self._told >= JSON_EVERY:
            self._told = time.monotonic()
            self._tell(progress=progress.to_json())

    def close(self) -> None:
        if self._last is not None:
            self._tell(progress=self._last.to_json())

    def _tell(self, **told: Any) -> None:
        tell(json.dumps({"at": round(time.time(), 3), **told}))


class Panel:
    """A few lines with a bar, drawn over again in place."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.live import Live

        self._console: Console = Console(stderr=True, highlight=False)
        self._live: Live | None = Live(
            console=self._console,
            auto_refresh=False,
            redirect_stdout=False,
            redirect_stderr=False,
            vertical_overflow="crop",
        )
        self._drawing(self._live.start)

    def note(self, text: str) -> None:
        from rich.text import Text

        self._drawing(lambda: self._console.print(Text(clean(text)), soft_wrap=True))

    def progress(self, progress: Progress) -> None:
        def draw() -> None:
            if self._live is not None:
                self._live.update(panel(progress), refresh=True)

        self._drawing(draw)

    def close(self) -> None:
        if self._live is not None:
            self._drawing(self._live.stop)

    def _drawing(self, draw: Callable[[], None]) -> None:
        """Draw, and where the terminal is gone let all else go on without it."""
        try:
            draw()
        except OSError:
            self._live = None
            hang_up(sys.stderr)


def panel(progress: Progress) -> Group:
    """What the panel shows, as something that rich can draw."""
    from rich.console import Group
    from rich.progress_bar import ProgressBar
    from rich.table import Table
    from rich.text import Text

    first, *rest = (Text(clean(line), overflow="ellipsis", no_wrap=True) for line in progress.lines())
    head = Table.grid(padding=(0, 1))
    done = progress.rows if progress.samples else progress.units_done
    bar = ProgressBar(total=max(1, progress.samples or progress.units), completed=done, width=BAR_COLUMNS)
    head.add_row(bar, first)
    return Group(head, *rest)
