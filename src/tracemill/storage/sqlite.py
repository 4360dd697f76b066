"""One SQLite file of the journal: how it is opened, what is in it, and what its errors mean."""

from __future__ import annotations

import os
import queue
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import zstandard

from tracemill.errors import CorruptRun, DiskError, TracemillError

FORMAT = 2
"""Version of the journal's files: 2 may hold a dictionary for its bodies, 1 never does. A newer Tracemill reads older
files; an older one refuses newer ones."""
APPLICATION_ID = 0x54524D4A
BUSY_SECONDS = 60

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
    body BLOB,
    crc INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS replies_by_key ON replies (key);
"""


def connect(path: Path, writable: bool = True) -> sqlite3.Connection:
    """Open a file of the journal, or make it. One that is not writable may lie on a read-only disk.

    Raises:
        CorruptRun: it is no journal, or a newer Tracemill wrote it.
        DiskError: the disk is full or refuses.
    """
    try:
        mode = "rwc" if writable else "ro" if os.access(path.parent, os.W_OK) else "ro&immutable=1"
        name = f"{path.absolute().as_uri()}?mode={mode}"
        connection = sqlite3.connect(
            name, uri=True, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
        )
    except sqlite3.Error as exc:
        raise disk_error(path, exc) from exc
    try:
        if writable:
            _into_wal_mode(connection)
        connection.execute("PRAGMA synchronous=FULL")
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if version > FORMAT:
            raise CorruptRun(
                f"{path}: written by a newer Tracemill (journal format {version}, this one knows {FORMAT}); upgrade to read it"
            )
        if version == 0 and writable:
            connection.executescript(
                f"BEGIN IMMEDIATE; {_TABLE} PRAGMA application_id={APPLICATION_ID}; PRAGMA user_version={FORMAT}; COMMIT"
            )
    except sqlite3.Error as exc:
        connection.close()
        raise disk_error(path, exc) from exc
    except CorruptRun:
        connection.close()
        raise
    return connection


def connect_to_write(path: Path) -> sqlite3.Connection:
    """Open a file of the journal for `begin`. It is never this connection that carries the log into the file."""
    connection = connect(path)
    connection.execute("PRAGMA busy_timeout=0")
    connection.execute("PRAGMA wal_autocheckpoint=0")
    return connection


def begin(connection: sqlite3.Connection) -> None:
    """Start a transaction that writes, as soon as no other process is in one.

    SQLite's own waiting sleeps up to a tenth of a second at a time; commits here take about a millisecond.
    """
    deadline = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            connection.execute("BEGIN IMMEDIATE")
            return
        except sqlite3.OperationalError as exc:
            if "locked" not in str(exc) or time.monotonic() > deadline:
                raise
            time.sleep(0.0005)


class Checkpointer:
    """Carries the log of busy files into the files, in a thread of its own, so that no commit waits for it."""

    def __init__(self) -> None:
        self._paths: queue.SimpleQueue[Path | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="checkpoints", daemon=True)
        self._thread.start()

    def carry(self, path: Path) -> None:
        """Ask for one file's log to be carried over, soon."""
        self._paths.put(path)

    def close(self) -> None:
        """End what was begun."""
        self._paths.put(None)
        self._thread.join()

    def _run(self) -> None:
        while (path := self._paths.get()) is not None:
            # What cannot be carried over now (a full disk, a busy file) stays in the log, where it is just as safe.
            with suppress(sqlite3.Error, TracemillError), closing(connect(path)) as connection:
                connection.execute("PRAGMA wal_checkpoint(PASSIVE)")


def is_made(connection: sqlite3.Connection) -> bool:
    """Whether a file got as far as having its table."""
    return bool(connection.execute("SELECT count(*) FROM sqlite_master WHERE name = 'replies'").fetchone()[0])


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


def disk_error(path: Path, exc: sqlite3.Error) -> TracemillError:
    """Our error for what SQLite says."""
    text = " ".join(str(exc).split())  # SQLite quotes a damaged schema, lines and all
    if "full" in text:
        return DiskError(
            f"the disk is full at {path}. Nothing that was acknowledged is lost: "
            "free some space and run the same command again"
        )
    if isinstance(exc, sqlite3.DatabaseError) and not isinstance(exc, sqlite3.OperationalError):
        return CorruptRun(f"{path}: the journal is damaged: {text}. Restore it from a copy, or move it away")
    return DiskError(f"{path}: the journal cannot be written: {text}")


def check_index(reader: sqlite3.Connection, path: Path) -> None:
    """See that table and index name the same replies: a key that has changed on the disk would be asked for again, as if it
    had never been stored. Raises CorruptRun.
    """
    reader.execute("BEGIN")
    try:
        table = dict(reader.execute("SELECT id, key FROM replies NOT INDEXED"))
        index = dict(reader.execute("SELECT id, key FROM replies INDEXED BY replies_by_key"))
    finally:
        reader.execute("ROLLBACK")
    if table != index:
        wrong = sum(table.get(row) != index.get(row) for row in table.keys() | index.keys())
        raise CorruptRun(
            f"{path}: the journal is damaged: the keys of {wrong} replies differ between table and index. "
            "Restore it from a copy, or move it away"
        )


@contextmanager
def damage_told(path: Path) -> Iterator[None]:
    """Turn what reading a damaged file raises into our error, naming the file."""
    try:
        yield
    except sqlite3.OperationalError as exc:
        raise disk_error(path, exc) from exc
    except (sqlite3.Error, zstandard.ZstdError, ValueError, TypeError, AttributeError) as exc:
        text = " ".join(str(exc).split())
        raise CorruptRun(f"{path}: the journal is damaged: {text}. Restore it from a copy, or move it away") from exc
