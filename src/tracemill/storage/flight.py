"""What each process of a run has under way and has spent: numbers in shared memory that outlive a kill -9."""

from __future__ import annotations

import mmap
import struct
from collections.abc import Iterable
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
    """One process's numbers, in a small file that the kernel keeps when the process is killed; and those of the others."""

    def __init__(self, directory: Path, number: int, processes: int = 1, fs: Fs = REAL) -> None:
        prepare(directory, processes, fs)
        self._maps = [_map(directory / f"{n}") for n in range(processes)]
        self._mine = self._maps[number]

    def set(self, in_flight: int, sent: int, replies: int, tokens: int, cost: float) -> None:
        """Note this process's numbers, those of `Flown`."""
        _NUMBERS.pack_into(self._mine, 0, in_flight, sent, replies, tokens, cost)

    def all(self) -> Flown:
        """The sums over all processes."""
        return _sum(Flown(*_NUMBERS.unpack_from(each)) for each in self._maps)


def prepare(directory: Path, processes: int, fs: Fs = REAL) -> None:
    """Make the files of so many processes, those that are not there."""
    fs.mkdir(directory)
    for number in range(processes):
        if not (directory / f"{number}").exists():
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
