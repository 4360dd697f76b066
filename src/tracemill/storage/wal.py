"""Proving the log that a sudden death leaves beside a file of the journal.

SQLite takes a log up to its first frame that is not right, and what follows is gone without a word. That is as it should be
for a commit that death has cut off, which nobody was told of. Where whole commits follow, a frame has changed on the
disk, and replies that were paid for and acknowledged would be asked for again: this must be said.

The format is SQLite's (sqlite.org/fileformat2.html, section 4): a head of 32 bytes, then frames of 24 bytes and a page,
each with the two salts of the head and a checksum over everything before it.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tracemill.storage.fs import REAL, Fs

HEAD, FRAME = 32, 24
LITTLE, BIG = 0x377F0682, 0x377F0683
"""First word of a log: in which order its checksums take the bytes of a word."""
_PAGES = 28
"""Where the head of the file itself has its number of pages."""

Sum = tuple[int, int]


@dataclass(frozen=True, slots=True)
class _Log:
    """What of a log counts."""

    pages: frozenset[int]
    """Pages in its commits."""
    size: int
    """Pages that the file has after the last commit; 0 where there is none."""
    problem: str | None


def damage(path: Path, fs: Fs = REAL) -> str | None:
    """What is wrong with a journal's file or its log, as far as their sizes and the log's checksums can tell.

    To be asked while nobody writes. Cost: reads the log once, and the head of the file.
    """
    beside = path.with_name(f"{path.name}-wal")
    log = _read(fs.read(beside)) if beside.exists() else _Log(frozenset(), 0, None)
    if log.problem is not None:
        return f"{beside.name}: {log.problem}"
    if not path.exists() or path.stat().st_size < 100:
        return None  # nothing was ever carried over into it, or SQLite says what is wrong
    with path.open("rb") as file:
        head = file.read(100)
    page = int.from_bytes(head[16:18], "big")
    page = 65_536 if page == 1 else page
    if page < 512:
        return None  # no database: SQLite says so
    pages = log.size or int.from_bytes(head[_PAGES : _PAGES + 4], "big")
    there = path.stat().st_size // page
    missing = next((number for number in range(there + 1, pages + 1) if number not in log.pages), None)
    return None if missing is None else f"it was cut short: page {missing} of {pages} is missing"


def _read(data: bytes) -> _Log:
    nothing = _Log(frozenset(), 0, None)
    if len(data) < HEAD + FRAME:
        return nothing
    magic, _, page, _, *salts = struct.unpack(">6I", data[:24])
    order = {LITTLE: "<u4", BIG: ">u4"}.get(magic)
    if order is None or page < 512 or page & (page - 1) or _sum(data[:24], order, (0, 0)) != _told(data, 24):
        return _Log(frozenset(), 0, "its head is damaged, so that nothing in it can be read")
    running = _told(data, 24)
    frames = range(HEAD, len(data) - FRAME - page + 1, FRAME + page)
    open_pages: list[int] = []
    pages: set[int] = set()
    size = 0
    for number, start in enumerate(frames):
        got = _sum(data[start : start + 8] + data[start + FRAME : start + FRAME + page], order, running)
        if _salts(data, start) != salts or got != _told(data, start + 16):
            return _Log(frozenset(pages), size, _behind(data, frames, number, salts))
        running = got
        at, committed = struct.unpack(">2I", data[start : start + 8])
        open_pages.append(at)
        if committed:
            pages.update(open_pages)
            open_pages, size = [], committed
    return _Log(frozenset(pages), size, None)


def _behind(data: bytes, frames: range, bad: int, salts: list[int]) -> str | None:
    """Whether a frame that is not right is one that has changed, rather than the last that a death cut off."""
    places = list(frames)
    own = [number for number in range(bad, len(places)) if _salts(data, places[number]) == salts]
    half = [a == b for a, b in zip(_salts(data, places[bad]), salts, strict=True)]
    at_end = bad == len(places) - 1
    if any(number > bad for number in own) or (any(half) and not all(half)) or (all(half) and at_end):
        return f"frame {bad + 1} of {len(places)} is damaged, and what was stored behind it cannot be read"
    return None  # written over an older log, and cut off


def _salts(data: bytes, start: int) -> list[int]:
    return list(struct.unpack(">2I", data[start + 8 : start + 16]))


def _told(data: bytes, at: int) -> Sum:
    first, second = struct.unpack(">2I", data[at : at + 8])
    return first, second


def _sum(data: bytes, order: str, begun: Sum) -> Sum:
    """SQLite's checksum of some bytes after others: for each pair of words, s0 += x0 + s1, then s1 += x1 + s0."""
    words = np.frombuffer(data, order).astype(np.uint64)
    count = len(words) // 2
    fib = _fibonacci(2 * count + 2)
    # After n pairs a pair that m pairs follow weighs as Fibonacci numbers say: both sums run like them.
    later = 2 * np.arange(count - 1, -1, -1)
    first, second = words[0::2], words[1::2]
    s0 = int((first * fib[later + 1] + second * fib[later]).sum(dtype=np.uint64))
    s1 = int((first * fib[later + 2] + second * fib[later + 1]).sum(dtype=np.uint64))
    a, b = begun
    n = 2 * count
    s0 += a * int(fib[n - 1]) + b * int(fib[n])
    s1 += a * int(fib[n]) + b * int(fib[n + 1])
    return s0 & 0xFFFFFFFF, s1 & 0xFFFFFFFF


_known = np.array([0, 1], np.uint64)


def _fibonacci(count: int) -> np.ndarray:
    """The first Fibonacci numbers, modulo 2 ** 32."""
    global _known  # noqa: PLW0603  made once
    if len(_known) < count:
        numbers = [0, 1]
        while len(numbers) < count:
            numbers.append((numbers[-1] + numbers[-2]) & 0xFFFFFFFF)
        _known = np.array(numbers, np.uint64)
    return _known
