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
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import zstandard

from tracemill.errors import CorruptRun, DiskError, TracemillError
from tracemill.storage.fs import REAL, Fs, crash_point

FORMAT = 1
"""Version of the journal's files. A newer Tracemill reads older ones; an older one refuses newer ones."""
APPLICATION_ID = 0x54524D4A
GROUP_ROWS = 256
"""Most rows in one commit: durable throughput hardly grows beyond (measured: 16 rows 3,092/s, 256 rows 14,784/s)."""
OPEN_FILES = 8
PROMPTS_PER_RANGE = 10_000
MAX_RANGES = 256
BUSY_SECONDS = 60
REPLY = "reply"

_TABLE = """
CREATE TABLE IF NOT EXISTS replies (
    id INTEGER PRIMARY KEY,
    key BLOB NOT NULL,
    outcome TEXT NOT NULL,
    status INTEGER,
    max_tokens INTEGER NOT NULL,
    finish_reason TEXT,
    prompt_tokens INTEGER,
    completion_tokens INTEGER,
    attempt INTEGER NOT NULL,
    latency_ms INTEGER,
    at REAL NOT NULL,
    teacher TEXT,
    endpoint TEXT,
    model TEXT,
    body BLOB
);
CREATE INDEX IF NOT EXISTS replies_by_key ON replies (key);
"""
_COLUMNS = (
    "key, outcome, status, max_tokens, finish_reason, prompt_tokens, completion_tokens, attempt, latency_ms, at, "
    "teacher, endpoint, model, body"
)


@dataclass(frozen=True, slots=True)
class Entry:
    """One reply, or one failed attempt, as the journal keeps it."""

    key: str
    outcome: str
    """"reply" for any HTTP 200, whatever its body; else the class of the failure."""
    max_tokens: int
    attempt: int
    body: bytes = b""
    status: int | None = None
    finish_reason: str | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    latency_ms: int | None = None
    at: float = 0.0
    """Unix time; for people only, never published."""
    teacher: str = ""
    endpoint: str = ""
    model: str | None = None


def ranges_for(prompts: int) -> int:
    """How many files a new journal gets: a power of two, about one for each 10,000 prompts, at most 256."""
    ranges = 1
    while ranges < MAX_RANGES and ranges * PROMPTS_PER_RANGE < prompts:
        ranges *= 2
    return ranges


class Journal:
    """A run's replies, for one process. Several processes may have the same journal open.

    `store` may be called from the event loop's thread only; `entries` and `serve` from any one thread.
    """

    def __init__(self, directory: Path, *, writable: bool = True, fs: Fs = REAL) -> None:
        self.directory = directory
        self.ranges = _read_format(directory, fs)
        self._writable = writable
        self._readers: OrderedDict[int, sqlite3.Connection] = OrderedDict()
        self._unzip = zstandard.ZstdDecompressor()
        self._queue: queue.SimpleQueue[tuple[Entry, int, asyncio.Future[None] | None] | None] = queue.SimpleQueue()
        self._writer: threading.Thread | None = None
        self._broken: TracemillError | None = None

    @staticmethod
    def create(directory: Path, prompts: int, fs: Fs = REAL) -> None:
        """Make the journal of a new run; one that is there stays as it is."""
        fs.mkdir(directory)
        if not (directory / "journal.json").exists():
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
        self._queue.put((entry, self._range(home), acknowledged))
        return acknowledged

    def serve(self, key: str, home: str, max_tokens: int) -> Entry | None:
        """The stored reply that answers a request with this limit, if there is one.

        A reply serves if it ended by itself, or was cut at or above the limit asked now. Among several, the first that
        ended by itself; else the one with the highest limit.
        """
        cut: Entry | None = None
        for entry in self.entries(key, home):
            if entry.outcome != REPLY:
                continue
            if entry.finish_reason != "length":
                return entry
            if entry.max_tokens >= max_tokens and (cut is None or entry.max_tokens > cut.max_tokens):
                cut = entry
        return cut

    def entries(self, key: str, home: str) -> list[Entry]:
        """All that is stored for a request, oldest first."""
        return self._stored(key, self._range(home))

    def find(self, key: str) -> list[Entry]:
        """All that is stored for a request whose prompt is not known, oldest first: looks into every file."""
        return [entry for number in range(self.ranges) for entry in self._stored(key, number)]

    def _stored(self, key: str, number: int) -> list[Entry]:
        reader = self._reader(number)
        if reader is None:
            return []
        found = reader.execute(f"SELECT {_COLUMNS} FROM replies WHERE key = ? ORDER BY id", (bytes.fromhex(key),))  # noqa: S608
        return [self._entry(row) for row in found]

    def counts(self) -> dict[str, int]:
        """Entries by outcome, over the whole journal."""
        out: dict[str, int] = {}
        for number in range(self.ranges):
            reader = self._reader(number)
            if reader is None:
                continue
            for outcome, count in reader.execute("SELECT outcome, count(*) FROM replies GROUP BY outcome"):
                out[outcome] = out.get(outcome, 0) + count
        return out

    def check(self) -> list[str]:
        """What SQLite finds wrong with the files; an empty list if nothing."""
        wrong = []
        for number in range(self.ranges):
            path = self._path(number)
            try:
                reader = self._reader(number)
                if reader is not None:
                    said = [row[0] for row in reader.execute("PRAGMA integrity_check(5)")]
                    wrong += [f"{path.name}: {line}" for line in said if line != "ok"]
            except sqlite3.DatabaseError as exc:
                wrong.append(f"{path.name}: {exc}")
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
        connection = _connect(self._path(number))
        self._readers[number] = connection
        if len(self._readers) > OPEN_FILES:
            self._readers.popitem(last=False)[1].close()
        return connection

    def _entry(self, row: tuple[Any, ...]) -> Entry:
        key, outcome, status, max_tokens, finish, prompt, completion, attempt, latency, at, *who, body = row
        return Entry(
            key=key.hex(),
            outcome=outcome,
            status=status,
            max_tokens=max_tokens,
            finish_reason=finish,
            prompt_tokens=prompt,
            completion_tokens=completion,
            attempt=attempt,
            latency_ms=latency,
            at=at,
            teacher=who[0],
            endpoint=who[1],
            model=who[2],
            body=self._unzip.decompress(body) if body else b"",
        )

    def _write(self) -> None:
        """The writer thread: commit what has come, until None comes."""
        connections: OrderedDict[int, sqlite3.Connection] = OrderedDict()
        zipper = zstandard.ZstdCompressor(level=3)
        last = False
        while not last:
            group = [self._queue.get()]
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
        rows = [_row(entry, zipper) for entry in entries]
        try:
            connection = connections.pop(number, None) or _connect(self._path(number))
            connections[number] = connection
            if len(connections) > OPEN_FILES:
                connections.popitem(last=False)[1].close()
            connection.execute("BEGIN IMMEDIATE")
            marks = ", ".join("?" * len(rows[0]))
            connection.executemany(f"INSERT INTO replies ({_COLUMNS}) VALUES ({marks})", rows)  # noqa: S608
            crash_point("journal.before_commit")
            connection.execute("COMMIT")
            crash_point("journal.after_commit")
        except sqlite3.Error as exc:
            # A connection whose commit failed is in doubt: no later commit of this process is trusted either.
            self._broken = _disk_error(self._path(number), exc)
            return self._broken
        return None


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
        if not loop.is_closed():
            loop.call_soon_threadsafe(tell)


def _row(entry: Entry, zipper: zstandard.ZstdCompressor) -> tuple[Any, ...]:
    return (
        bytes.fromhex(entry.key),
        entry.outcome,
        entry.status,
        entry.max_tokens,
        entry.finish_reason,
        entry.prompt_tokens,
        entry.completion_tokens,
        entry.attempt,
        entry.latency_ms,
        entry.at or time.time(),
        entry.teacher,
        entry.endpoint,
        entry.model,
        zipper.compress(entry.body) if entry.body else None,
    )


def _connect(path: Path) -> sqlite3.Connection:
    new = not path.exists()
    connection = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    try:
        _into_wal_mode(connection)
        connection.execute("PRAGMA synchronous=FULL")
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if version > FORMAT:
            raise CorruptRun(
                f"{path}: written by a newer Tracemill (journal format {version}, this one knows {FORMAT}); upgrade to read it"
            )
        if version == 0:
            connection.executescript(
                f"BEGIN IMMEDIATE; {_TABLE} PRAGMA application_id={APPLICATION_ID}; PRAGMA user_version={FORMAT}; COMMIT"
            )
    except sqlite3.Error as exc:
        connection.close()
        if new:
            raise _disk_error(path, exc) from exc
        raise CorruptRun(
            f"{path}: not a journal that can be read: {exc}. Restore it from a copy, or move it away"
        ) from exc
    except CorruptRun:
        connection.close()
        raise
    return connection


def _into_wal_mode(connection: sqlite3.Connection) -> None:
    """Switch to WAL. Two processes that open a new file at once may both need the exclusive lock for an instant, and
    SQLite reports that without waiting.
    """
    deadline = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as exc:
            if "locked" not in str(exc) or time.monotonic() > deadline:
                raise
            time.sleep(0.01)


def _disk_error(path: Path, exc: sqlite3.Error) -> TracemillError:
    text = str(exc)
    if "full" in text:
        return DiskError(
            f"the disk is full at {path}. Nothing that was acknowledged is lost: "
            "free some space and run the same command again"
        )
    if isinstance(exc, sqlite3.DatabaseError) and not isinstance(exc, sqlite3.OperationalError):
        return CorruptRun(f"{path}: the journal is damaged: {text}")
    return DiskError(f"{path}: the journal cannot be written: {text}")


def _read_format(directory: Path, fs: Fs) -> int:
    try:
        told = json.loads(fs.read(directory / "journal.json"))
        if told["format"] > FORMAT:
            raise CorruptRun(f"{directory}: written by a newer Tracemill (journal format {told['format']}); upgrade")
        return int(told["ranges"])
    except FileNotFoundError:
        raise CorruptRun(f"{directory}: there is no journal here (journal.json is missing)") from None
    except (ValueError, KeyError, TypeError) as exc:
        raise CorruptRun(f"{directory / 'journal.json'}: not readable: {exc}") from exc
