"""Keeping a run in shape: its journal made smaller."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tracemill.errors import UsageError
from tracemill.models.replies import Unreadable, read_reply
from tracemill.models.wire import Request
from tracemill.storage.compact import CompactReport
from tracemill.storage.compact import compact as compact_journal
from tracemill.storage.fs import REAL, Fs
from tracemill.storage.layout import RunPaths
from tracemill.storage.lock import RunLock

_ANY = Request(teacher="", model="", messages=(), reasoning="on", seed=0, max_tokens=0, home="")


def holds_answer(body: bytes) -> bool:
    """Whether the body of a reply can be read as an answer, to whatever was asked."""
    try:
        read_reply(_ANY, body)
    except Unreadable:
        return False
    return True


def compact(root: str | Path, *, fs: Fs = REAL, tell: Callable[[str], None] = lambda text: None) -> CompactReport:
    """Make the journal of the run in `root` smaller. A build afterwards asks nothing more, and publishes the same bytes.

    Failed attempts go where a reply that ended follows them, and cut replies where a longer one serves. What stays is
    packed tighter. Killed at any moment, it leaves a whole journal.

    Args:
        tell: Called with the name of each file that is done.
    Raises:
        UsageError: `root` holds no journal.
        Locked: another process writes the run, or reads its journal just now.
        CorruptRun: a file of the journal is damaged; nothing in it is changed.
        DiskError: the disk is full or refuses; the same call goes on.
    """
    paths = RunPaths(Path(root))
    if not (paths.journal / "journal.json").is_file():
        raise UsageError(f"{paths.root} holds no journal; `tracemill build RECIPE --out {paths.root}` makes one")
    with RunLock(paths.lock):
        return compact_journal(paths.journal, holds_answer, fs, tell)
