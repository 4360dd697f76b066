"""The journal: every reply that was paid for, stored raw before anything reads it, keyed by its request.

A journal is a directory of SQLite files (WAL, synchronous=FULL), one per range of prompt hashes, and `journal.json`,
which fixes how many there are when the run is made. The range follows from the prompt, not from unit or worker, so any
engine finds every reply. A writer thread commits whatever has come, waits for the disk, and starts over: the next group
is what arrived meanwhile. A reply is acknowledged when its group is on the disk.

One row: key 9f.., outcome "reply", status 200, max_tokens 16384, finish_reason "stop", body (zstd, as received).
"""

from __future__ import annotations

import asyncio
import json
import queue
import sqlite3
import threading
import time
from collections import Counter, OrderedDict
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import zstandard

from tracemill.errors import CorruptRun, TracemillError
from tracemill.storage import sums
from tracemill.storage.dictionaries import Unpacker
from tracemill.storage.entries import COLUMNS, Entry, entry_of, row_of, serving
from tracemill.storage.fs import REAL, Fs, crash_point
from tracemill.storage.sqlite import (
    FORMAT,
    Checkpointer,
    begin,
    check_index,
    connect,
    connect_to_write,
    damage_told,
    disk_error,
    is_made,
)
from tracemill.storage.wal import damage

PACE = 0.008
"""Seconds from one commit to the next, at least: while replies come faster they share commits. A reply that comes alone
is committed at once; none waits longer than this for its commit to begin."""
GROUP_ROWS = 256
"""Most rows in one commit: durable throughput hardly grows beyond (measured: 16 rows 3,092/s, 256 rows 14,784/s)."""
CHECKPOINT_ROWS = 1000
"""Commits of one process between two checkpoints of a file, in rows: some megabytes of log."""
OPEN_FILES = 8
KNOWN_FILES = 3
"""Files whose keys are held in memory, some 80 bytes each: units come in the order of the files."""
PROMPTS_PER_RANGE = 10_000
MAX_RANGES = 256


def ranges_for(prompts: int) -> int:
    """How many files a new journal gets: a power of two, about one for each 10,000 prompts, at most 256."""
    ranges = 1
    while ranges < MAX_RANGES and ranges * PROMPTS_PER_RANGE < prompts:
        ranges *= 2
    return ranges


@dataclass(slots=True)
class _Known:
    """The keys that one file held when it was last looked at, and those stored since by this process."""

    keys: set[int] = field(default_factory=set)
    last: int = 0
    """Id of the last row that was read."""
    fresh: bool = False


def _prefix(key: str) -> int:
    """Eight bytes of a key: enough to say that a request has nothing stored; whether it has, the file says."""
    return int(key[:16], 16)


class Journal:
    """A run's replies, for one process. Several processes may have the same journal open.

    `store` may be called from the event loop's thread only; `entries` and `serve` from any one thread.
    """

    def __init__(self, directory: Path, *, writable: bool = True, fs: Fs = REAL) -> None:
        self.directory = directory
        self.ranges = _read_format(directory, fs)
        self._writable = writable
        self._readers: OrderedDict[int, sqlite3.Connection] = OrderedDict()
        self._unzip = Unpacker()
        self._queue: queue.SimpleQueue[tuple[Entry, int, asyncio.Future[None] | None] | None] = queue.SimpleQueue()
        self._writer: threading.Thread | None = None
        self._known: OrderedDict[int, _Known] = OrderedDict()
        self._broken: TracemillError | None = None

    @staticmethod
    def create(directory: Path, prompts: int, fs: Fs = REAL) -> None:
        """Make the journal of a new run; one that is there stays as it is, and is proven.

        Raises:
            CorruptRun: as `prove`.
        """
        fs.mkdir(directory)
        if (directory / "journal.json").exists():
            Journal(directory, writable=False, fs=fs).prove()
            return
        text = json.dumps({"format": FORMAT, "ranges": ranges_for(prompts)})
        fs.replace(directory / "journal.json", text.encode())

    def store(self, entry: Entry, home: str) -> asyncio.Future[None]:
        """Queue an entry for the next commit. The future is done when the disk has it.

        Raises (from the future): DiskError, when the disk is full or refuses; the entry is then not acknowledged.
        """
        if self._writer is None:
            self._writer = threading.Thread(target=self._write, name="journal", daemon=True)
            self._writer.start()
        acknowledged: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        number = self._range(home)
        if number in self._known:
            self._known[number].keys.add(_prefix(entry.key))
        self._queue.put((entry, number, acknowledged))
        return acknowledged

    def serve(self, key: str, home: str, max_tokens: int) -> Entry | None:
        """The stored reply that answers a request with this limit, if there is one; see `serving`."""
        return serving(self.entries(key, home), max_tokens)

    def entries(self, key: str, home: str) -> list[Entry]:
        """All that is stored for a request, oldest first; what others stored since the last `look_anew` may be missing.

        Most requests of a run have nothing stored. Which have is kept in memory, a number for each, so that they cost no
        look into the file.
        """
        number = self._range(home)
        if self._writable and _prefix(key) not in self._keys(number):
            return []
        return self._stored(key, number)

    def look_again(self, home: str) -> None:
        """See what others have stored until now beside one prompt."""
        known = self._known.get(self._range(home))
        if known is not None:
            known.fresh = False

    def look_anew(self) -> None:
        """See what others have stored until now."""
        for known in self._known.values():
            known.fresh = False

    def _keys(self, number: int) -> set[int]:
        """The prefixes of all keys in one file."""
        known = self._known.pop(number, None) or _Known()
        self._known[number] = known
        if len(self._known) > KNOWN_FILES:
            self._known.popitem(last=False)
        reader = None if known.fresh else self._reader(number)
        if reader is not None:
            with damage_told(self._path(number)):
                if not known.last:
                    check_index(reader, self._path(number))
                for last, key in reader.execute("SELECT id, key FROM replies WHERE id > ?", (known.last,)):
                    known.keys.add(int.from_bytes(key[:8], "big"))
                    known.last = last
        known.fresh = True
        return known.keys

    def find(self, key: str) -> list[Entry]:
        """All that is stored for a request whose prompt is not known, oldest first: looks into every file."""
        return [entry for number in range(self.ranges) for entry in self._stored(key, number)]

    def _stored(self, key: str, number: int) -> list[Entry]:
        reader = self._reader(number)
        if reader is None:
            return []
        query = f"SELECT {COLUMNS} FROM replies WHERE key = ? ORDER BY id"  # noqa: S608  our own column names
        with damage_told(self._path(number)):
            return [self.read(row) for row in reader.execute(query, (bytes.fromhex(key),))]

    def counts(self) -> dict[str, int]:
        """Entries by outcome, over the whole journal."""
        out: dict[str, int] = {}
        for number in range(self.ranges):
            reader = self._reader(number)
            if reader is None:
                continue
            with damage_told(self._path(number)):
                for outcome, count in sums.outcomes(reader).items():
                    out[outcome] = out.get(outcome, 0) + count
        return out

    def spent(self) -> dict[str, tuple[int, ...]]:
        """By teacher: entries, replies, the tokens of all prompts and of all replies as the endpoints counted them, and
        the replies that say nothing of tokens. What was bought elsewhere is not among them.
        """
        out: dict[str, tuple[int, ...]] = {}
        for number in range(self.ranges):
            reader = self._reader(number)
            if reader is not None:
                with damage_told(self._path(number)):
                    for teacher, numbers in sums.spent(reader).items():
                        before = out.get(teacher, (0,) * len(numbers))
                        out[teacher] = tuple(a + b for a, b in zip(before, numbers, strict=True))
        return out

    def prove(self) -> None:
        """See that no file was cut short, and that no log has lost what was acknowledged. While nobody writes: before the
        first worker of a run.

        Raises:
            CorruptRun: one was; nothing is asked again until somebody has decided it.
        """
        for number in range(self.ranges):
            path = self._path(number)
            problem = damage(path)
            if problem is not None:
                raise CorruptRun(
                    f"{path}: the journal is damaged: {problem}. Restore it from a copy; or move {path.name} and what "
                    "begins like it away, and its replies are asked for again"
                )

    def check(self) -> list[str]:
        """What is wrong with the files, found by SQLite and by reading every row; an empty list if nothing."""
        wrong = []
        for number in range(self.ranges):
            path = self._path(number)
            try:
                reader = self._reader(number)
                if reader is not None:
                    with damage_told(path):
                        said = [row[0] for row in reader.execute("PRAGMA integrity_check(5)")]
                        wrong += [f"{path.name}: {line}" for line in said if line != "ok"]
                        for row in reader.execute(f"SELECT {COLUMNS} FROM replies ORDER BY id"):  # noqa: S608
                            self.read(row)
            except CorruptRun as exc:
                wrong.append(str(exc))
        return wrong

    def close(self) -> None:
        """Commit what is queued and let go of the files."""
        if self._writer is not None:
            self._queue.put(None)
            self._writer.join()
            self._writer = None
        while self._readers:
            self._readers.popitem()[1].close()

    def _range(self, home: str) -> int:
        return int(home[:8], 16) * self.ranges >> 32

    def _path(self, number: int) -> Path:
        return self.directory / f"{number:03d}.sqlite"

    def _reader(self, number: int) -> sqlite3.Connection | None:
        if number in self._readers:
            self._readers.move_to_end(number)
            return self._readers[number]
        if not self._path(number).exists() and not self._writable:
            return None
        connection = connect(self._path(number), self._writable)
        if not self._writable:
            with damage_told(self._path(number)):
                made = is_made(connection)
            if not made:
                connection.close()
                return None
        with damage_told(self._path(number)):
            self._unzip.learn(connection)
        self._readers[number] = connection
        if len(self._readers) > OPEN_FILES:
            self._readers.popitem(last=False)[1].close()
        return connection

    def learn(self, connection: sqlite3.Connection) -> None:
        """Take in the dictionary of an open file, so that `read` understands its rows."""
        self._unzip.learn(connection)

    def read(self, row: tuple[Any, ...]) -> Entry:
        """The entry of a row with `COLUMNS`, read with this journal's dictionaries. Raises CorruptRun if it is damaged."""
        return entry_of(row, self._unzip)

    def _write(self) -> None:
        """The writer thread: commit what has come, until None comes."""
        connections: OrderedDict[int, sqlite3.Connection] = OrderedDict()
        zipper = zstandard.ZstdCompressor(level=3)
        checkpointer = Checkpointer()
        since: Counter[int] = Counter()
        last = False
        begun = 0.0
        while not last:
            group = [self._queue.get()]
            if (early := begun + PACE - time.monotonic()) > 0:
                time.sleep(early)
            begun = time.monotonic()
            while len(group) < GROUP_ROWS:
                try:
                    group.append(self._queue.get_nowait())
                except queue.Empty:
                    break
            last = None in group
            by_range: dict[int, list[tuple[Entry, asyncio.Future[None] | None]]] = {}
            for item in group:
                if item is not None:
                    by_range.setdefault(item[1], []).append((item[0], item[2]))
            for number, entries in by_range.items():
                error = self._commit(connections, zipper, number, [entry for entry, _ in entries])
                _acknowledge([future for _, future in entries if future is not None], error)
                since[number] += len(entries)
                if since[number] >= CHECKPOINT_ROWS:
                    since[number] = 0
                    checkpointer.carry(self._path(number))
        checkpointer.close()
        while connections:
            connections.popitem()[1].close()

    def _commit(
        self,
        connections: OrderedDict[int, sqlite3.Connection],
        zipper: zstandard.ZstdCompressor,
        number: int,
        entries: list[Entry],
    ) -> TracemillError | None:
        if self._broken is not None:
            return self._broken
        try:
            rows = [row_of(entry, zipper) for entry in entries]
            connection = connections.pop(number, None) or connect_to_write(self._path(number))
            connections[number] = connection
            if len(connections) > OPEN_FILES:
                connections.popitem(last=False)[1].close()
            begin(connection)
            marks = ", ".join("?" * len(rows[0]))
            connection.executemany(f"INSERT INTO replies ({COLUMNS}) VALUES ({marks})", rows)  # noqa: S608
            crash_point("journal.before_commit")
            connection.execute("COMMIT")
            crash_point("journal.after_commit")
        except sqlite3.Error as exc:
            # A connection whose commit failed is in doubt: no later commit of this process is trusted either.
            self._broken = disk_error(self._path(number), exc)
        except TracemillError as exc:
            self._broken = exc
        except Exception as exc:  # whoever waits must hear of it, whatever it is
            self._broken = TracemillError(f"{self._path(number)}: a reply cannot be stored: {exc!r}")
        return self._broken


def _acknowledge(futures: list[asyncio.Future[None]], error: TracemillError | None) -> None:
    def tell() -> None:
        for future in futures:
            if future.done():
                continue
            if error is None:
                future.set_result(None)
            else:
                future.set_exception(error)

    if futures:
        loop = futures[0].get_loop()
        with suppress(RuntimeError):  # the loop may have been closed
            loop.call_soon_threadsafe(tell)


def _read_format(directory: Path, fs: Fs) -> int:
    try:
        told = json.loads(fs.read(directory / "journal.json"))
        if told["format"] > FORMAT:
            raise CorruptRun(f"{directory}: written by a newer Tracemill (journal format {told['format']}); upgrade")
        ranges = int(told["ranges"])
        if not 1 <= ranges <= MAX_RANGES:
            raise ValueError(f"{ranges} ranges")
        return ranges
    except CorruptRun:
        raise
    except FileNotFoundError:
        raise CorruptRun(f"{directory}: there is no journal here (journal.json is missing)") from None
    except (ValueError, KeyError, TypeError) as exc:
        raise CorruptRun(f"{directory / 'journal.json'}: not readable: {exc}") from exc
