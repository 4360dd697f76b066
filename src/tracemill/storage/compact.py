"""Making a journal smaller. What no build of the recipe could need goes; what stays is packed tighter.

Each file is rewritten aside, synced, read back and renamed over the old one. Before that, the old one's log is carried
into it and taken away, because SQLite would apply a log to whatever file has the name. So at any moment the name belongs
to a whole file that holds every reply which serves.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import asdict, dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any

from tracemill.errors import CorruptRun, DiskError, Locked
from tracemill.storage.dictionaries import SAMPLE_BYTES, keep, packer, train
from tracemill.storage.entries import COLUMNS, REPLY, Entry, row_of
from tracemill.storage.fs import REAL, Fs, crash_point, disk_errors
from tracemill.storage.journal import Journal
from tracemill.storage.sqlite import FORMAT, connect, damage_told, disk_error

COMPACT_POINTS = ("compact.settled", "compact.written", "compact.renamed")
"""Where a test cuts a compaction, in the order in which each file passes them."""
ENDED, CUT = "a reply that ended", "a longer reply"

Readable = Callable[[bytes], bool]
"""Whether the body of a reply holds an answer."""


@dataclass(frozen=True, slots=True)
class JournalSize:
    """What a journal holds."""

    files: int = 0
    replies: int = 0
    failures: int = 0
    bytes: int = 0


@dataclass
class CompactReport:
    """What a compaction came to."""

    before: JournalSize
    after: JournalSize
    dropped: dict[str, int] = field(default_factory=dict)
    """Entries that went, by outcome and what took their place, e.g. "timeout, then a reply that ended"."""

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


def superseded(entries: Sequence[Entry], readable: Readable) -> dict[int, str]:
    """Which of a request's entries, oldest first, no build can need: their places, and what took each one's.

    The first reply that ended by itself serves every limit, on every way to the teacher, as `serving` has it, so that
    beside it nothing else is ever looked at. Without one, of the replies that were cut only the longest can serve;
    failures then stay, because a refusal is final and a replay counts attempts. Where the one that serves holds no
    answer, everything stays: another endpoint may be asked, and what was refused there must not be asked again.
    """
    ended = [n for n, e in enumerate(entries) if e.outcome == REPLY and e.finish_reason not in (None, "length")]
    if ended:
        first = ended[0]
        gone = {n: ENDED for n in range(len(entries)) if n != first}
        return gone if gone and readable(entries[first].body) else {}
    cut = [n for n, e in enumerate(entries) if e.outcome == REPLY and e.finish_reason == "length"]
    if len(cut) < 2:
        return {}
    longest = max(cut, key=lambda n: entries[n].max_tokens)
    return dict.fromkeys((n for n in cut if n != longest), CUT) if readable(entries[longest].body) else {}


def compact(
    directory: Path, readable: Readable, fs: Fs = REAL, tell: Callable[[str], None] = lambda text: None
) -> CompactReport:
    """Make the journal in `directory` smaller. Whoever calls holds the run's lock.

    Args:
        tell: Called with the name of each file that was looked at.
    Raises:
        CorruptRun: a file is damaged; it is left as it is.
        Locked: another process is reading a file.
        DiskError: the disk is full or refuses; every file is whole, and the same call goes on.
    """
    journal = Journal(directory, writable=False, fs=fs)
    journal.close()
    before, after, dropped = Counter[str](), Counter[str](), Counter[str]()
    for number in range(journal.ranges):
        path = directory / f"{number:03d}.sqlite"
        if path.exists():
            told = _File(path, number, readable, fs)
            told.rewrite()
            before.update(told.before)
            after.update(told.after)
            dropped.update(told.dropped)
            tell(path.name)
    return CompactReport(JournalSize(**before), JournalSize(**after), dict(sorted(dropped.items())))


class _File:
    """One file on its way from large to small."""

    def __init__(self, path: Path, number: int, readable: Readable, fs: Fs) -> None:
        self.path, self.number, self.readable, self.fs = path, number, readable, fs
        self.aside = path.with_name(f".{path.name}.tmp")
        self.reader = Journal(path.parent, writable=False, fs=fs)
        self.before: Counter[str] = Counter()
        self.after: Counter[str] = Counter()
        self.dropped: Counter[str] = Counter()

    def rewrite(self) -> None:
        """Put a smaller file in this one's place, unless it would not be smaller."""
        large = self._bytes()
        self._settle()
        crash_point("compact.settled")
        try:
            with closing(connect(self.path, writable=False)) as old, damage_told(self.path):
                self.reader.learn(old)
                gone = self._superseded(old)
                told = self._copy(old, set(gone))
            if self._read_back() != told:
                raise CorruptRun(f"{self.aside}: what was just written is not what was read; {self.path} is as it was")
            self._finish()
            crash_point("compact.written")
            if gone or self.aside.stat().st_size < large:
                self.fs.rename(self.aside, self.path)
                self.fs.sync_dir(self.path.parent)
                crash_point("compact.renamed")
        finally:
            with suppress(DiskError):
                self._remove_aside()
        self.dropped.update(gone.values())
        self.before.update(files=1, bytes=large)
        self.after.update(files=1, bytes=self._bytes())

    def _remove_aside(self) -> None:
        for end in ("", "-wal", "-shm"):
            self.fs.unlink(self.aside.with_name(f"{self.aside.name}{end}"))

    def _bytes(self) -> int:
        log = self.path.with_name(f"{self.path.name}-wal")
        with disk_errors(self.path):
            return self.path.stat().st_size + (log.stat().st_size if log.exists() else 0)

    def _settle(self) -> None:
        """Carry the log into the file and take it away. Whoever opens the file next to write makes a new one.

        The file's own journal stays in memory meanwhile: one on the disk would have to be rolled back after a kill, which
        nobody can who may only read.
        """
        with damage_told(self.path), closing(sqlite3.connect(self.path, timeout=1, isolation_level=None)) as opened:
            wrong = [row[0] for row in opened.execute("PRAGMA integrity_check(5)") if row[0] != "ok"]
            if wrong:
                raise CorruptRun("; ".join(wrong))
            connect(self.path, writable=False).close()  # says whether the file is one of ours
            try:
                busy = opened.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
                mode = "busy" if busy == 1 else opened.execute("PRAGMA journal_mode=MEMORY").fetchone()[0]
            except sqlite3.OperationalError as exc:
                if "locked" not in str(exc):
                    raise
                mode = "busy"
            if mode != "memory":
                raise Locked(f"{self.path}: another process is reading it, `tracemill status` perhaps; try again")

    def _superseded(self, old: sqlite3.Connection) -> dict[int, str]:
        """Ids of the entries that go, and why each of them may."""
        gone = {}
        several = "SELECT key FROM replies GROUP BY key HAVING count(*) > 1"
        query = f"SELECT {COLUMNS}, id FROM replies WHERE key IN ({several}) ORDER BY key, id"  # noqa: S608
        for _, rows in groupby(old.execute(query), key=lambda row: row[0]):
            ids, entries = zip(*((row[-1], self.reader.read(row[:-1])) for row in rows), strict=True)
            for place, instead in superseded(entries, self.readable).items():
                gone[ids[place]] = f"{entries[place].outcome}, then {instead}"
        return gone

    def _copy(self, old: sqlite3.Connection, gone: set[int]) -> bytes:
        """Write what stays aside, and wait for the disk. A hash of all that is told in it."""
        dictionary = train(list(self._samples(old)), self.number)
        zipper = packer(dictionary)
        told = hashlib.sha256()
        self._remove_aside()
        try:
            with closing(sqlite3.connect(self.aside, isolation_level=None)) as new:
                new.execute("PRAGMA journal_mode=OFF")  # a half-written file is thrown away, never repaired
                new.execute("PRAGMA synchronous=OFF")  # synced as a whole below
                indexes = _copy_schema(old, new)
                new.execute("BEGIN")
                for row in old.execute(f"SELECT {COLUMNS}, id FROM replies ORDER BY id"):  # noqa: S608
                    entry = self.reader.read(row[:-1])
                    kind = "replies" if entry.outcome == REPLY else "failures"
                    self.before[kind] += 1
                    if row[-1] in gone:
                        continue
                    self.after[kind] += 1
                    packed = (*row_of(entry, zipper), row[-1])
                    marks = ", ".join("?" * len(packed))
                    new.execute(f"INSERT INTO replies ({COLUMNS}, id) VALUES ({marks})", packed)  # noqa: S608
                    told.update(repr((row[-1], entry)).encode(errors="surrogatepass"))
                for index in indexes:
                    new.execute(index)
                if dictionary is not None:
                    keep(new, dictionary)
                new.execute("COMMIT")
        except sqlite3.OperationalError as exc:
            raise disk_error(self.aside, exc) from exc
        return told.digest()

    def _finish(self) -> None:
        """Make the file aside what the next writer opens, which is not to be done in its place, and sync it."""
        try:
            with closing(sqlite3.connect(self.aside, isolation_level=None)) as new:
                new.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as exc:
            raise disk_error(self.aside, exc) from exc
        with self.fs.open(self.aside) as file:
            self.fs.sync(file, self.aside)

    def _samples(self, old: sqlite3.Connection) -> Iterator[bytes]:
        """Bodies from all over the file, together about as long as a dictionary learns from."""
        ids = [row[0] for row in old.execute("SELECT id FROM replies WHERE outcome = 'reply' ORDER BY id")]
        left = SAMPLE_BYTES
        step = max(1, len(ids) // 2000)
        for number in ids[::step]:
            query = f"SELECT {COLUMNS} FROM replies WHERE id = ?"  # noqa: S608
            body = self.reader.read(old.execute(query, (number,)).fetchone()).body
            left -= len(body)
            if left < 0:
                return
            yield body

    def _read_back(self) -> bytes:
        """The hash of all that is told in the file aside, read by a connection of its own."""
        told, reader = hashlib.sha256(), Journal(self.path.parent, writable=False, fs=self.fs)
        with closing(connect(self.aside, writable=False)) as new, damage_told(self.aside):
            reader.learn(new)
            for row in new.execute(f"SELECT {COLUMNS}, id FROM replies ORDER BY id"):  # noqa: S608
                entry = reader.read(row[:-1])
                told.update(repr((row[-1], entry)).encode(errors="surrogatepass"))
        return told.digest()


def _copy_schema(old: sqlite3.Connection, new: sqlite3.Connection) -> list[str]:
    """Make the tables of a file in a new one. Returns what makes the indexes, for when the rows are in."""
    made = old.execute("SELECT type, sql FROM sqlite_master WHERE name != 'dictionaries' AND sql NOT NULL").fetchall()
    for kind, sql in made:
        if kind == "table":
            new.execute(sql)
    new.execute(f"PRAGMA application_id={old.execute('PRAGMA application_id').fetchone()[0]}")
    new.execute(f"PRAGMA user_version={FORMAT}")
    return [sql for kind, sql in made if kind == "index"]
