"""Input files as bytes and lines, whatever their compression, with no line or record that can fill the memory."""

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
MAX_RECORD_LINES = 1000
"""Lines that one CSV record may span. A quote that is still open then was never closed."""


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
    """Lines of text with their ends. Bytes that are not UTF-8 become lone surrogates."""

    def __init__(self, raw: BinaryIO) -> None:
        self._raw = raw
        self._pieces: deque[bytes] = deque()
        self._first = True

    def __iter__(self) -> TextLines:
        return self

    def __next__(self) -> str | None:
        """The next line, or None for one that is too long."""
        if not self._pieces:
            line = self._raw.readline(MAX_LINE + 1)
            if not line:
                raise StopIteration
            if len(line) > MAX_LINE and not line.endswith(b"\n"):
                while (rest := self._raw.readline(MAX_LINE)) and not rest.endswith(b"\n"):
                    pass
                self._first = False
                return None
            line = line.removeprefix(b"\xef\xbb\xbf") if self._first else line
            self._first = False
            self._pieces.extend(line.splitlines(keepends=True) or [b""])
        return self._pieces.popleft().decode(errors="surrogateescape")


Line = tuple[int, "str | None"]
"""A line's number, from 1, and its text; None where it is too long."""

OPEN = "a quote is opened that is never closed"


def _state_after(text: str) -> str:
    """What `csv` says when a record begins with this line: "" if it ends there, `OPEN` if a quote is left open, else
    what is wrong with it.
    """
    try:
        for _ in csv.reader([text], strict=True):
            pass
    except csv.Error as exc:
        return OPEN if "end of data" in str(exc) else str(exc)
    return ""


class CsvLines:
    """Numbered lines for `csv`, remembered while a record lasts: one that cannot be read costs its first line alone,
    and the others are read anew.

    Where one quote is never closed, neither are most of those after it. Lines that were read inside a quote and left it
    open would do so again, whatever line the record begins with: `hopeless` drops such beginnings without reading the
    same thousand lines again for each of them.
    """

    def __init__(self, raw: BinaryIO) -> None:
        self._lines = TextLines(raw)
        self._again: deque[Line] = deque()
        self._waiting = 0
        """Characters in `_again`."""
        self._taken: list[Line] = []
        self._characters = 0
        self._verdict = ""
        """How each record ends that is inside a quote when the lines in `_again` begin; "" if that is not known."""
        self.read = 0
        """Lines read from the file so far."""
        self.damage: Exception | None = None
        """What ended the file too early."""

    def __iter__(self) -> CsvLines:
        return self

    def __next__(self) -> str:
        if len(self._taken) >= MAX_RECORD_LINES:
            raise csv.Error(f"a quote is opened that is not closed within {MAX_RECORD_LINES:,} lines")
        number, text = self._next()
        self._characters += len(text or "")
        if self._taken and (text is None or self._characters > MAX_LINE):
            self._give_back([(number, text)])
            raise csv.Error(f"a quote is opened that is not closed within {MAX_LINE:,} bytes")
        self._taken.append((number, text))
        if text is None:
            raise csv.Error(f"more than {MAX_LINE:,} bytes")
        return text

    def _next(self) -> Line:
        if not self._again:
            return self._read()
        line = self._again.popleft()
        self._waiting -= len(line[1] or "")
        return line

    def _give_back(self, lines: list[Line]) -> None:
        self._again.extendleft(reversed(lines))
        self._waiting += sum(len(text or "") for _, text in lines)

    def _read(self) -> Line:
        try:
            text = next(self._lines)
        except DAMAGE as exc:
            self.damage = self.damage or exc
        if self.damage:
            raise StopIteration
        self.read += 1
        return self.read, text

    def accept(self) -> int:
        """End a record that was read. Returns the number of its last line."""
        number = self._taken[-1][0]
        self._taken, self._characters = [], 0
        return number

    def drop_first(self, why: str) -> Line:
        """Give up a record that cannot be read. Returns its first line, None for the text if that is too long; the
        others come again.
        """
        first, *others = self._taken
        known = bool(others) and first[1] is not None and not self._again
        self._give_back(others)
        self._taken, self._characters = [], 0
        self._verdict = why if known and "limit" not in why else ""
        return first

    def hopeless(self) -> tuple[int, str, str] | None:
        """(number, text, what is wrong) of the next line, if it begins a record that is known to end like the last one
        that could not be read. The line is dropped.
        """
        if not self._verdict or not self._again:
            self._verdict = ""
            return None
        number, text = self._again[0]
        if text is None or _state_after(text) != OPEN or not self._still_open():
            return None
        self._next()
        return number, text, self._verdict

    def _still_open(self) -> bool:
        """Whether a record that begins inside a quote with the first waiting line ends as the verdict says. Where the
        limit of lines ended the last one, there is one more line now within it.
        """
        if "within" not in self._verdict:  # the last waiting line said so, or the end of the file
            return self._verdict == OPEN or len(self._again) > 1
        while len(self._again) < MAX_RECORD_LINES:
            try:
                number, text = self._read()
            except StopIteration:
                self._verdict = OPEN
                return True
            self._give_back_last(number, text)
            state = _state_after(f'"{text}') if text is not None else ""
            if self._waiting > MAX_LINE or state != OPEN:
                self._verdict = state if self._waiting <= MAX_LINE and "limit" not in state else ""
                return bool(self._verdict)
        return True

    def _give_back_last(self, number: int, text: str | None) -> None:
        self._again.append((number, text))
        self._waiting += len(text or "")
