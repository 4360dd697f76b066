"""Input files as bytes and lines, whatever their compression, with no line that can fill the memory."""

from __future__ import annotations

import csv
import gzip
import io
import zlib
from collections import deque
from pathlib import Path
from typing import Any, BinaryIO, cast

import zstandard

MAX_LINE = 64 * 1024 * 1024
"""Bytes; a longer line is a bad line, so that no single line can fill the memory."""


def open_file(file: Path) -> BinaryIO:
    """A file for reading, decompressed if its first bytes say so."""
    with file.open("rb") as raw:
        magic = raw.read(4)
    if magic[:2] == b"\x1f\x8b":
        return cast(BinaryIO, gzip.open(file))
    if magic == b"\x28\xb5\x2f\xfd":
        return cast(BinaryIO, io.BufferedReader(_ZstdFile(file)))
    return file.open("rb")


class _ZstdFile(io.RawIOBase):
    """The library's own reader takes a file that was cut short for a whole one; this one says so."""

    PIECE = 2048
    """Compressed bytes taken at once: at zstd's highest ratio they become 64 MB."""

    def __init__(self, file: Path) -> None:
        self._raw = file.open("rb")
        self._frame: Any = None
        self._rest = b""
        self._out = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._out:
            piece = self._rest or self._raw.read(self.PIECE)
            if not piece:
                if self._frame is not None:
                    raise EOFError("the compressed file was cut short")
                return 0
            self._frame = self._frame or zstandard.ZstdDecompressor().decompressobj()
            self._out = memoryview(self._frame.decompress(piece))
            self._rest = self._frame.unused_data
            if self._frame.eof:
                self._frame = None
        target = memoryview(buffer).cast("B")
        count = min(len(target), len(self._out))
        target[:count] = self._out[:count]
        self._out = self._out[count:]
        return count

    def close(self) -> None:
        self._raw.close()
        super().close()


DAMAGE = (OSError, EOFError, zlib.error, zstandard.ZstdError)
"""What reading a file raises that is damaged or cut short."""


class TextLines:
    """Lines of text for `csv`, which wants line ends kept. Bytes that are not UTF-8 become lone surrogates."""

    def __init__(self, raw: BinaryIO) -> None:
        self._raw = raw
        self._pieces: deque[bytes] = deque()
        self._first = True

    def __iter__(self) -> TextLines:
        return self

    def __next__(self) -> str:
        if not self._pieces:
            line = self._raw.readline(MAX_LINE + 1)
            if not line:
                raise StopIteration
            if len(line) > MAX_LINE and not line.endswith(b"\n"):
                while (rest := self._raw.readline(MAX_LINE)) and not rest.endswith(b"\n"):
                    pass
                raise csv.Error(f"line larger than {MAX_LINE:,} bytes")
            line = line.removeprefix(b"\xef\xbb\xbf") if self._first else line
            self._first = False
            self._pieces.extend(line.splitlines(keepends=True) or [b""])
        return self._pieces.popleft().decode(errors="surrogateescape")
