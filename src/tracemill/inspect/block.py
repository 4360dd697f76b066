"""A batch as arrays: one buffer with the bytes of all messages, and numbers that say what lies where in it."""

from __future__ import annotations

from collections.abc import Collection
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from tracemill.reading.batch import Batch
from tracemill.record import ROLES
from tracemill.think import CLOSE, OPEN

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
Bytes = npt.NDArray[np.uint8]

SYSTEM, USER, ASSISTANT, TOOL = range(4)
UNKNOWN = 4
BLANK_BYTES = 256
"""Longer texts are not looked at to see whether they are all white space."""
SPARSE = 1024
"""A byte that stands less than once in so many is searched for; one that stands more often is compared for."""


class Texts:
    """Texts that lie one after another in one buffer: text i is `data[ends[i]:ends[i + 1]]`."""

    def __init__(self, array: pa.Array) -> None:
        self.count = len(array)
        _, offsets, data = array.buffers()
        ends = np.frombuffer(offsets, np.int32)[array.offset : array.offset + self.count + 1] if offsets else [0]
        self.base = int(ends[0])
        self.ends: Ints = np.asarray(ends, np.int64) - self.base
        whole = np.frombuffer(data, np.uint8) if data is not None and data.size else np.zeros(0, np.uint8)
        self.data: Bytes = whole[self.base : self.base + int(self.ends[-1])]

    @cached_property
    def raw(self) -> bytes:
        """The buffer as bytes, for searches in Python."""
        return self.data.tobytes()

    @cached_property
    def ascii(self) -> bool:
        """Whether all of it is ASCII."""
        return not len(self.data) or int(self.data.max()) < 128

    @cached_property
    def sizes(self) -> Ints:
        """Bytes of each text."""
        return np.diff(self.ends)

    def __getitem__(self, i: int) -> bytes:
        return self.raw[self.ends[i] : self.ends[i + 1]]

    def owners(self, positions: Ints) -> Ints:
        """The text that each position lies in."""
        return np.searchsorted(self.ends, positions, "right") - 1

    def places(self, byte: bytes) -> Ints:
        """Where one byte stands in the buffer."""
        raw, most = self.raw, len(self.data) // SPARSE
        found: list[int] = []
        place = raw.find(byte)
        while place >= 0:
            if len(found) > most:
                return np.flatnonzero(self.data == byte[0])
            found.append(place)
            place = raw.find(byte, place + 1)
        return np.array(found, np.int64)

    def characters(self) -> Ints:
        """Unicode characters of each text: bytes less those that continue a character."""
        if self.ascii:
            return self.sizes
        there = np.flatnonzero(self.sizes)
        highest = np.maximum.reduceat(self.data, self.ends[there])
        found = self.sizes.copy()
        for i in there[highest >= 128].tolist():
            found[i] -= np.count_nonzero(self.data[self.ends[i] : self.ends[i + 1]].view(np.int8) < -64)
        return found

    def find(self, needle: bytes, positions: Ints) -> Ints:
        """Those of `positions` of its first byte at which `needle` stands within one text."""
        positions = positions[positions + len(needle) <= len(self.data)]
        for place in range(1, len(needle)):
            if not len(positions):
                return positions
            positions = positions[self.data[positions + place] == needle[place]]
        whole = self.ends[self.owners(positions) + 1] >= positions + len(needle)
        return positions[whole]


def first_by_owner(owners: Ints, positions: Ints, count: int) -> Ints:
    """The first of ascending `positions` of each owner; -1 where it has none."""
    first = np.full(count, -1, np.int64)
    first[owners[::-1]] = positions[::-1]
    return first


class Block:
    """What the checks look at. Messages are numbered across all rows; row r has messages starts[r] to starts[r + 1]."""

    def __init__(self, batch: Batch) -> None:
        self.batch = batch
        self.rows = batch.rows.num_rows
        turns = batch.rows.column("messages")
        offsets = np.asarray(turns.offsets.to_numpy(), np.int64)
        self.starts: Ints = offsets - offsets[0]
        self._turns = turns.values.slice(int(offsets[0]), int(self.starts[-1]))
        self.messages = int(self.starts[-1])
        self.row_of: Ints = np.repeat(np.arange(self.rows), np.diff(self.starts))
        self.content = Texts(self._turns.field("content"))

    def texts(self, column: str) -> pa.Array:
        """A column of text; nulls where the batch has none."""
        if column in self.batch.rows.schema.names:
            return self.batch.rows.column(column)
        return pa.nulls(self.rows, pa.string())

    @cached_property
    def roles(self) -> npt.NDArray[np.int8]:
        """The number of each message's role in `record.ROLES`; `UNKNOWN` for any other."""
        found = pc.index_in(self._turns.field("role"), value_set=text_array(ROLES))
        return np.asarray(pc.fill_null(found, UNKNOWN).to_numpy(zero_copy_only=False), np.int8)

    @cached_property
    def traces(self) -> Texts:
        """`reasoning_content` of each message."""
        return Texts(self._turns.field("reasoning_content"))

    @cached_property
    def calls(self) -> Ints:
        """How many tool calls each message makes."""
        lengths = pc.list_value_length(self._turns.field("tool_calls"))
        return np.asarray(pc.fill_null(lengths, 0).to_numpy(zero_copy_only=False), np.int64)

    def call_values(self, message: int) -> list[dict[str, object]]:
        """The tool calls of one message."""
        return self._turns.field("tool_calls")[message].as_py() or []

    @cached_property
    def first_user(self) -> Ints:
        """The first user message of each row, or -1."""
        users = np.flatnonzero(self.roles == USER)
        return first_by_owner(self.row_of[users], users, self.rows)

    @cached_property
    def last_assistant(self) -> Ints:
        """The last assistant message of each row, or -1."""
        said = np.flatnonzero(self.roles == ASSISTANT)
        last = np.full(self.rows, -1, np.int64)
        last[self.row_of[said]] = said
        return last

    @cached_property
    def tags(self) -> Tags:
        """Where think tags stand."""
        return Tags(self)

    @cached_property
    def visible_start(self) -> Ints:
        """Of each message, where in the buffer the part begins that a reader sees."""
        return np.where(self.tags.inline, self.tags.first_close + len(CLOSE), self.content.ends[:-1])

    @cached_property
    def answers(self) -> Texts:
        """What a reader sees of each row's last assistant turn, copied together; "" where there is none."""
        raw, starts, ends = self.content.raw, self.visible_start.tolist(), self.content.ends.tolist()
        last = self.last_assistant.tolist()
        return joined([raw[starts[m] : ends[m + 1]] if m >= 0 else b"" for m in last])

    @cached_property
    def prompts(self) -> Texts:
        """The first user turn of each row, copied together; "" where there is none."""
        raw, ends = self.content.raw, self.content.ends.tolist()
        return joined([raw[ends[m] : ends[m + 1]] if m >= 0 else b"" for m in self.first_user.tolist()])

    def blank(self, starts: Ints, ends: Ints) -> Bools:
        """Whether the parts of the buffer from `starts` to `ends` hold nothing but white space."""
        empty = np.asarray(ends <= starts)
        short = np.flatnonzero(~empty & (ends - starts <= BLANK_BYTES))
        for i in short.tolist():
            empty[i] = not self.content.raw[starts[i] : ends[i]].decode(errors="replace").strip()
        return empty


def joined(parts: list[bytes]) -> Texts:
    """Texts from bytes."""
    sizes = np.fromiter(map(len, parts), np.int32, len(parts))
    offsets = np.zeros(len(parts) + 1, np.int32)
    np.cumsum(sizes, out=offsets[1:])
    return Texts(as_array(b"".join(parts), offsets))


def text_array(values: Collection[str]) -> pa.Array:
    """A few texts as Arrow has them. `pa.array` would load pandas, if there is one, which takes a third of a second."""
    made = joined([value.encode() for value in values])
    return as_array(made.raw, np.asarray(made.ends, np.int32), pa.string())


def as_array(data: bytes, offsets: npt.NDArray[np.int32], kind: pa.DataType | None = None) -> pa.Array:
    """An Arrow array of binary, or of `kind`, over a buffer, without a copy."""
    buffers = [None, pa.py_buffer(offsets.tobytes()), pa.py_buffer(data)]
    return pa.Array.from_buffers(kind or pa.binary(), len(offsets) - 1, buffers)


class Tags:
    """The think tags in assistant messages, and what they make of each message. -1 is nowhere."""

    def __init__(self, block: Block) -> None:
        content, count = block.content, block.messages
        brackets = content.places(b"<")
        assistant = block.roles == ASSISTANT
        opened = _of(content, content.find(OPEN.encode(), brackets), assistant)
        closed = _of(content, content.find(CLOSE.encode(), brackets), assistant)
        owners_opened, owners_closed = content.owners(opened), content.owners(closed)
        self.opened: Ints = np.bincount(owners_opened, minlength=count)
        self.closed: Ints = np.bincount(owners_closed, minlength=count)
        self.first_open = first_by_owner(owners_opened, opened, count)
        self.first_close = first_by_owner(owners_closed, closed, count)
        starts = content.ends[:-1]
        self.headed: Bools = (self.opened > 0) & (self.first_open == starts)
        """Whether the message begins with <think>, white space aside."""
        for i in np.flatnonzero((self.opened > 0) & ~self.headed).tolist():
            self.headed[i] = not content.raw[starts[i] : self.first_open[i]].decode(errors="replace").strip()
        self.inline: Bools = self.headed & (self.closed > 0)
        """Whether the message begins with a trace that is closed."""
        self.beside: Bools = assistant & (block.traces.sizes > 0)
        self.unclosed: Bools = self.headed & (self.closed == 0)
        self.unopened: Bools = (self.closed > 0) & (self.opened == 0)
        self.empty: Bools = self.inline.copy()
        inline = np.flatnonzero(self.inline)
        self.empty[inline] = block.blank(self.first_open[inline] + len(OPEN), self.first_close[inline])
        self.repeated: Bools = (self.inline & ((self.opened > 1) | (self.closed > 1))) | (
            ~self.headed & (self.opened > 0)
        )


def _of(content: Texts, positions: Ints, chosen: Bools) -> Ints:
    return positions[chosen[content.owners(positions)]] if len(positions) else positions
