"""How many requests were open when a process died: a number in shared memory that outlives a kill -9."""

from __future__ import annotations

import mmap
import struct
from pathlib import Path

from tracemill.storage.fs import REAL, Fs

_NUMBER = struct.Struct("<q")


class FlightRecorder:
    """One process's count, in a file of eight bytes that the kernel keeps when the process is killed."""

    def __init__(self, path: Path, fs: Fs = REAL) -> None:
        fs.mkdir(path.parent)
        fs.replace(path, _NUMBER.pack(0), durable=False)
        with path.open("r+b") as file:
            self._map = mmap.mmap(file.fileno(), _NUMBER.size)

    def set(self, count: int) -> None:
        """Note how many requests are open now."""
        _NUMBER.pack_into(self._map, 0, count)

    def close(self) -> None:
        """Let go of the memory; the file stays."""
        self._map.close()


def left_open(directory: Path, fs: Fs = REAL) -> int:
    """Requests that were open when the processes of the last run died; 0 after an orderly end."""
    counts = [fs.read(directory / name) for name in fs.names(directory)]
    return sum(max(0, _NUMBER.unpack(data)[0]) for data in counts if len(data) == _NUMBER.size)
