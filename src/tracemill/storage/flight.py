"""What each process of a run has under way and has spent: numbers in shared memory that outlive a kill -9."""

from __future__ import annotations

import fcntl
import mmap
import os
import struct
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from tracemill.storage.fs import REAL, Fs

_NUMBERS = struct.Struct("<qqqqd")


class Flown(NamedTuple):
    """One process's numbers."""

    open: int = 0
    """Requests sent whose reply the journal does not have."""
    sent: int = 0
    replies: int = 0
    tokens: int = 0
    cost: float = 0.0


class FlightRecorder:
    """One process's numbers, in a small file that the kernel keeps when the process is killed; and those of the others.

    Who takes the place of a process that died goes on from what that one had sent and spent.
    """

    def __init__(self, directory: Path, number: int, processes: int = 1, fs: Fs = REAL) -> None:
        prepare(directory, processes, fs)
        self._maps = [_map(directory / f"{n}") for n in range(processes)]
        self._mine = self._maps[number]
        self._before = Flown(*_NUMBERS.unpack_from(self._mine))._replace(open=0)
        self.set(0, 0, 0, 0, 0.0)  # what a dead one had in flight will not come
        self._turn = os.open(directory / "0", os.O_RDWR | os.O_CLOEXEC)

    def set(self, in_flight: int, sent: int, replies: int, tokens: int, cost: float) -> None:
        """Note this process's numbers, those of `Flown`."""
        _, sent_then, replies_then, tokens_then, cost_then = self._before
        _NUMBERS.pack_into(
            self._mine, 0, in_flight, sent_then + sent, replies_then + replies, tokens_then + tokens, cost_then + cost
        )

    def all(self) -> Flown:
        """The sums over all processes."""
        return _sum(Flown(*_NUMBERS.unpack_from(each)) for each in self._maps)

    @contextmanager
    def turn(self) -> Iterator[None]:
        """While open, no other process is in its turn: what `all` says stays so until `set`."""
        fcntl.flock(self._turn, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.flock(self._turn, fcntl.LOCK_UN)


def prepare(directory: Path, processes: int, fs: Fs = REAL, *, anew: bool = False) -> None:
    """Make the files of so many processes, those that are not there; with `anew`, all of them at nought."""
    fs.mkdir(directory)
    for number in range(processes):
        if anew:
            fs.replace(directory / f"{number}", _NUMBERS.pack(*Flown()), durable=False)
        elif not (directory / f"{number}").exists():
            fs.put_if_absent(directory / f"{number}", _NUMBERS.pack(*Flown()))


def left(directory: Path, fs: Fs = REAL) -> Flown:
    """What the processes of the last run left: `open` is 0 after an orderly end."""
    found = [fs.read(directory / name) for name in fs.names(directory) if name.isdigit()]
    flown = _sum(Flown(*_NUMBERS.unpack(data)) for data in found if len(data) == _NUMBERS.size)
    return flown._replace(open=max(0, flown.open))


def _sum(each: Iterable[Flown]) -> Flown:
    return Flown(*map(sum, zip(Flown(), *each, strict=True)))


def _map(path: Path) -> mmap.mmap:
    with path.open("r+b") as file:
        return mmap.mmap(file.fileno(), _NUMBERS.size)
