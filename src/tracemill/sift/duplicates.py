"""Rows that say exactly what an earlier row says.

Equal conversations have equal prompts. Where units are ranges of prompts, a unit finds all of its duplicates. Where they
are pieces of files, all rows are looked at once more, in order, with `Seen`.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Hashable, Sequence
from hashlib import sha256
from pathlib import Path
from types import TracebackType
from typing import Self

from tracemill import identity
from tracemill.errors import DiskError
from tracemill.record import Sample
from tracemill.schema import calls_out
from tracemill.step import Drop

STAGE = "duplicates"
DROPS = frozenset({"duplicate", "duplicate_uuid"})
DIGITS = 32
"""Hex digits of a row's digest: two of 25 million different rows share one with a chance of 1e-24."""
CACHE_KIB = 65_536


def signature(sample: Sample) -> Hashable:
    """Equal for rows with the same category, reasoning mode, language, tools and conversation, trace included."""
    turns = tuple((m.role, m.content, m.reasoning, m.tool_calls, m.tool_call_id) for m in sample.messages)
    tools = identity.canonical(list(sample.tools)) if sample.tools else b""
    return (sample.category, sample.reasoning, sample.language, tools, turns)


def digest(sample: Sample) -> str:
    """Hex; what `signature` says, short enough to be kept of every row."""
    turns = [[m.role, m.content, m.reasoning, calls_out(m), m.tool_call_id] for m in sample.messages]
    told = [sample.category, sample.reasoning, sample.language, list(sample.tools), turns]
    return identity.digest(told)[:DIGITS]


def without_duplicates(samples: Sequence[Sample]) -> list[Sample | Drop]:
    """One result per sample, in order: the first of equal rows stays.

    Only where turns before the last are equal is the whole row looked at: hashing long answers takes its time.
    """
    alone: dict[Hashable, Sample] = {}
    met: dict[Hashable, str] = {}
    out: list[Sample | Drop] = []
    for sample in samples:
        asked = (sample.reasoning, sample.language, *(turn.content for turn in sample.messages[:-1]))
        first = alone.setdefault(asked, sample)
        kept = sample.uuid
        if first is not sample:
            met.setdefault(signature(first), first.uuid)
            kept = met.setdefault(signature(sample), sample.uuid)
        out.append(sample if kept == sample.uuid else Drop("duplicate", f"says exactly what {kept} says"))
    return out


class Seen:
    """The rows that were kept so far, on the disk: memory does not grow with them.

    Args:
        path: Of a new file, which whoever named it takes away.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._db = sqlite3.connect(path, isolation_level=None)
            for setting in (
                "journal_mode=OFF",
                "synchronous=OFF",
                "locking_mode=EXCLUSIVE",
                f"cache_size=-{CACHE_KIB}",
            ):
                self._db.execute(f"PRAGMA {setting}")
            self._db.execute("CREATE TABLE seen (key BLOB PRIMARY KEY, uuid TEXT) WITHOUT ROWID")
            self._db.execute("BEGIN")
        except sqlite3.Error as exc:
            raise DiskError(f"{path}: the table of rows that were seen cannot be made: {exc}") from exc

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._db.close()

    def judge(self, uuid: str, digest: str) -> Drop | None:
        """Why the next row is dropped: a kept one says the same, or has its uuid. None: it is kept."""
        said, named = bytes.fromhex(digest), b"uuid" + sha256(uuid.encode(errors="replace")).digest()[:16]
        try:
            earlier = self._db.execute("SELECT uuid FROM seen WHERE key = ?", (said,)).fetchone()
            if earlier is not None:
                return Drop("duplicate", f"says exactly what {earlier[0]} says")
            if self._db.execute("SELECT 1 FROM seen WHERE key = ?", (named,)).fetchone() is not None:
                return Drop("duplicate_uuid", "an earlier row has this uuid and says something else")
            self._db.execute("INSERT INTO seen VALUES (?, ?), (?, NULL)", (said, uuid, named))
        except sqlite3.Error as exc:
            raise DiskError(f"{self.path}: the table of rows that were seen cannot be written: {exc}") from exc
        return None
