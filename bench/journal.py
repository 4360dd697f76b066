"""How many replies a second the journal makes durable, and how long each waits, with 256 that wait at once."""

from __future__ import annotations

import asyncio
import os
import queue
import random
import sqlite3
import threading
import time
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any, Protocol

import orjson

from bench.prose import prose
from bench.result import Figures, Line, Measure, Result, compared, file_system, load
from tracemill.storage.entries import REPLY, Entry
from tracemill.storage.journal import Journal
from tracemill.testing.answers import Answer, completion

WAITERS = 256
SIZES = {"4 kB": 4_096, "8 kB": 8_192}
DISTINCT = 512
"""Different bodies; they are used in turn."""
SYNC_EVERY = 0.05

COLUMNS = ("journal", "a commit for each row", "JSONL every 50 ms", "JSONL at once")
MEASURES = (
    Measure("rate", "durable rows/s", headline=True),
    Measure("median", "ms until acknowledged, median", 1),
    Measure("late", "ms until acknowledged, 99th percentile", 1),
    Measure("cpu_ms", "CPU ms for each row", 3),
)


class Store(Protocol):
    """Whoever keeps bodies. The future is done when the disk has the body."""

    def store(self, number: int, body: bytes) -> asyncio.Future[None]: ...

    def close(self) -> None: ...


def measure(quick: bool, pairs: int, count: int | None = None) -> Result:
    """Every store in turn, with bodies of each size.

    Args:
        count: Rows that go through the journal in one run; by default 10,000, or 2,000 if it is to be quick. A commit
            for each row gets a tenth, JSONL every 50 ms a half: both are limited by the clock, not by the rows.
    """
    count = count or (2000 if quick else 10_000)
    before = load()
    lines: list[Line] = []
    with TemporaryDirectory() as place:
        scratch = Path(place)
        for size, length in SIZES.items():
            bodies = _bodies(length)
            runs: dict[str, list[Figures]] = {column: [] for column in COLUMNS}
            for pair in range(pairs):
                for column in COLUMNS if pair % 2 == 0 else reversed(COLUMNS):
                    runs[column].append(_once(column, scratch / f"{length}-{pair}-{column[:9]}", bodies, count))
            lines += compared(runs, MEASURES, f"{size}: ")
        kind = file_system(scratch)
    return Result(
        name="journal",
        about=(
            f"`Journal.store`, with {WAITERS} waiters that each store the next reply when their last one is on the disk. "
            "The baselines serve the same waiters: SQLite (WAL, synchronous=FULL) with one commit for each row; a JSONL "
            "file with `fdatasync` every 50 ms; and the same file with the next `fdatasync` as soon as the last has ended, "
            "which is about all that a disk can do. The journal compresses and checks each row; the baselines do not."
        ),
        columns=list(COLUMNS),
        lines=lines,
        settings={"rows": count, "waiters": WAITERS, "body_bytes": list(SIZES.values()), "file_system": kind},
        pairs=pairs,
        quick=quick,
        noise={"load_before": before, "load_after": load()},
        remarks=[
            f"JSONL every 50 ms cannot exceed {WAITERS / SYNC_EVERY:,.0f} rows/s with {WAITERS} waiters.",
            "The text is made up; zstd takes it to about 40 % of its length, recorded solutions of GSM8K to a third.",
        ],
    )


def _bodies(length: int) -> list[bytes]:
    """Replies of about `length` bytes, as an endpoint sends them."""
    text = length - 420
    out = []
    for number in range(DISTINCT):
        asked = {"model": "scripted", "messages": [{"role": "user", "content": f"How many are {number}?"}]}
        said = Answer(prose(2 * number, text // 4), prose(2 * number + 1, text - text // 4))
        out.append(orjson.dumps(completion(asked, said, sha256(str(number).encode()).hexdigest(), False)))
    return out


def _once(column: str, place: Path, bodies: list[bytes], count: int) -> Figures:
    rows = {"a commit for each row": max(WAITERS, count // 10), "JSONL every 50 ms": max(WAITERS, count // 2)}
    return asyncio.run(_keep(_STORES[column], place, bodies, rows.get(column, count)))


async def _keep(opened: Callable[[Path], Store], place: Path, bodies: list[bytes], rows: int) -> Figures:
    place.mkdir()
    store = opened(place)
    for number in range(4):  # opens files, starts the thread
        await store.store(number, bodies[number])
    waits: list[float] = []
    todo = iter(range(4, rows + 4))

    async def wait() -> None:
        for number in todo:
            begun = time.perf_counter()
            await store.store(number, bodies[number % len(bodies)])
            waits.append(time.perf_counter() - begun)

    used, begun = time.process_time(), time.perf_counter()
    await asyncio.gather(*(wait() for _ in range(WAITERS)))
    seconds, cpu = time.perf_counter() - begun, time.process_time() - used
    store.close()
    waits.sort()
    return {
        "rate": rows / seconds,
        "median": 1000 * median(waits),
        "late": 1000 * waits[int(0.99 * (len(waits) - 1))],
        "cpu_ms": 1000 * cpu / rows,
    }


class Journalled:
    """The journal as the door uses it."""

    def __init__(self, place: Path) -> None:
        Journal.create(place, 1)
        self._journal = Journal(place)
        self._draw = random.Random(0)

    def store(self, number: int, body: bytes) -> asyncio.Future[None]:
        key = self._draw.randbytes(32).hex()
        entry = Entry(key, REPLY, 16_384, 1, body, 200, "stop", 250, 1_400, 200, 0.0, "main", "http://127.0.0.1/v1")
        return self._journal.store(entry, key)

    def close(self) -> None:
        self._journal.close()


class _Threaded:
    """A store whose thread takes what has come, keeps it, and tells whoever waits."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self._queue: queue.SimpleQueue[tuple[bytes, asyncio.Future[None]] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._write, daemon=True)
        self._thread.start()

    def store(self, number: int, body: bytes) -> asyncio.Future[None]:
        kept: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._queue.put((body, kept))
        return kept

    def close(self) -> None:
        self._queue.put(None)
        self._thread.join()

    def _write(self) -> None:
        raise NotImplementedError

    def _group(self) -> tuple[list[tuple[bytes, asyncio.Future[None]]], bool]:
        """Whatever has come, at least one, and whether it was the last."""
        group = [self._queue.get()]
        while not self._queue.empty():
            group.append(self._queue.get())
        return [item for item in group if item is not None], None in group

    @staticmethod
    def _tell(futures: list[asyncio.Future[None]]) -> None:
        def tell() -> None:
            for future in futures:
                future.set_result(None)

        if futures:
            futures[0].get_loop().call_soon_threadsafe(tell)


class EachRow(_Threaded):
    """SQLite with a commit for each row."""

    def _write(self) -> None:
        connection = sqlite3.connect(self.place / "rows.sqlite", isolation_level=None)
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("CREATE TABLE rows (id INTEGER PRIMARY KEY, body BLOB)")
        last = False
        while not last:
            group, last = self._group()
            for body, kept in group:
                connection.execute("INSERT INTO rows (body) VALUES (?)", (body,))  # commits, and waits for the disk
                self._tell([kept])
        connection.close()


class Lines(_Threaded):
    """A JSONL file that is synced when `pause` seconds have gone by since the last time."""

    pause = 0.0

    def _write(self) -> None:
        fd = os.open(self.place / "rows.jsonl", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        last = False
        while not last:
            time.sleep(self.pause)
            group, last = self._group()
            os.write(fd, b"\n".join([*(body for body, _ in group), b""]))
            os.fdatasync(fd)
            self._tell([kept for _, kept in group])
        os.close(fd)


class SlowLines(Lines):
    pause = SYNC_EVERY


_STORES: dict[str, Any] = dict(zip(COLUMNS, (Journalled, EachRow, SlowLines, Lines), strict=True))
