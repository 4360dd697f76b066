"""JSON lines, plain or compressed: one bad line costs that line, and the reading goes on.

A plain file is read from any byte on, so that several processes can share it. Such pieces tell places by byte.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

import orjson
import pyarrow as pa

from tracemill.errors import DataError
from tracemill.gather.lines import DAMAGE, MAX_LINE, open_file
from tracemill.legible import one_line
from tracemill.reading.batch import BATCH_BYTES, BATCH_ROWS, BadRow, Batch, Piece
from tracemill.reading.columns import LLAMA, OTHER_NAMES, SCHEMA, TURN, TURNS, calls_of, json_text, llama_turns
from tracemill.reading.shards import Shard

BOM = b"\xef\xbb\xbf"
DEEPEST = 64
ANY_TYPE = frozenset({"tools", "metadata"})
"""Columns that are JSON: objects and lists stand in them as often as text."""
LOOSE = frozenset({"expected_answer", "difficulty", "topic"})
"""Columns of text in which numbers stand as often."""

REASONS = {
    "not_json": "the line is not JSON",
    "bad_utf8": "the line, or a text of the row, is not UTF-8",
    "bad_text": "a text holds half of a surrogate pair",
    "too_long": f"the line has more than {MAX_LINE:,} bytes",
    "too_deep": f"the line is nested more than {DEEPEST} deep",
    "not_object": "the line is JSON, but no object",
    "messages_missing": "there is neither `messages` nor `input`",
    "messages_wrong_type": "`messages` is no list, nor JSON text of one",
    "message_not_object": "a message is not an object",
    "role_wrong_type": "the role of a message is not text",
    "content_wrong_type": "the content of a message is neither text, nor null, nor a list of text parts",
    "reasoning_wrong_type": "`reasoning_content` is neither text nor null",
    "calls_wrong_type": "`tool_calls` is neither a list of objects nor null",
    "label_wrong_type": "uuid, license, category or another label is neither text nor null",
    "tools_wrong_type": "`tools` is neither a list, nor an object, nor text",
    "metadata_wrong_type": "`metadata` is neither an object nor text",
    "unreadable": "the file is damaged from here on",
}
"""Why a line is no row."""


class _Bad(Exception):
    """A line that is no row: (reason, evidence)."""


def pieces(shard: Shard, size: int) -> Iterator[Piece]:
    """Spans of about `size` bytes; one piece for a compressed file."""
    try:
        length = shard.path.stat().st_size
        with shard.path.open("rb") as file:
            head = file.read(48)
    except OSError as exc:
        raise DataError(f"{shard.name}: the file cannot be read: {exc.strerror or exc}") from exc
    if head.startswith(b"version https://git-lfs"):
        raise DataError(f"{shard.name}: this is a pointer of Git LFS, not the data; fetch the file itself")
    if head[:4] == b"PAR1":
        raise DataError(f"{shard.name}: this is a Parquet file; give its name the ending .parquet")
    if head[:2] == b"\x1f\x8b" or head[:4] == b"\x28\xb5\x2f\xfd" or length <= size:
        yield Piece(shard, 0, length, 0)
        return
    for first in range(0, length, size):
        yield Piece(shard, first, min(first + size, length), 0 if first == 0 else -1)


def batches(piece: Piece, columns: Collection[str]) -> Iterator[Batch]:
    """The rows of a span: those whose line begins in it."""
    shard = piece.shard
    rows = _Rows(columns)
    numbers: list[int] = []
    bad: list[BadRow] = []
    unit = unit_of(piece)
    whole = unit == "line"
    held = 0
    place = 0
    try:
        for place, line in _lines(piece, whole):
            try:
                if line is None:
                    raise _Bad("too_long", f"more than {MAX_LINE:,} bytes")
                rows.add(_parsed(line))
            except _Bad as exc:
                reason, evidence = exc.args
                bad.append(BadRow(f"{shard.name}:{unit} {place}", reason, one_line(evidence, 120)))
                held += 200
                continue
            numbers.append(place)
            held += len(line)
            if held >= BATCH_BYTES or len(numbers) >= BATCH_ROWS:
                yield rows.take(shard, numbers, unit, bad)
                numbers, bad, held = [], [], 0
    except DAMAGE as exc:
        where = f"{shard.name}, after {unit} {place:,}"
        if numbers or bad:
            yield rows.take(shard, numbers, unit, bad)
        raise DataError(f"{where}: {exc}; the file is damaged or was cut short") from exc
    if numbers or bad:
        yield rows.take(shard, numbers, unit, bad)


def byte_lines(piece: Piece) -> Iterator[tuple[int, bytes | None]]:
    """(place, line) of each line that begins in a piece; None for a line that is too long. See `batches`.

    Raises:
        DataError: The file is damaged from there on.
    """
    place, unit = 0, unit_of(piece)
    try:
        for place, line in _lines(piece, unit == "line"):
            yield place, line
    except DAMAGE as exc:
        where = f"{piece.shard.name}, after {unit} {place:,}"
        raise DataError(f"{where}: {exc}; the file is damaged or was cut short") from exc


def unit_of(piece: Piece) -> str:
    """What places in a piece count: "line", from 1, where it is the whole file, else "byte", from 0."""
    return "line" if piece.first == 0 and piece.last >= _length(piece.shard.path) else "byte"


def _length(path: Path) -> int:
    with suppress(OSError):
        return path.stat().st_size
    return 0


def _lines(piece: Piece, whole: bool) -> Iterator[tuple[int, bytes | None]]:
    """(line number from 1, or byte from 0, and the line without its end; None where it is too long)."""
    with open_file(piece.shard.path) as file:
        position = piece.first
        if position:
            file.seek(position - 1)
            position += _skip(file) - 1
        number = 0
        while whole or position < piece.last:
            line = file.readline(MAX_LINE + 1)
            if not line:
                return
            number += 1
            begun, size = position, len(line)
            if size > MAX_LINE and not line.endswith(b"\n"):
                size += _skip(file)
                yield (number if whole else begun), None
            else:
                line = line.removeprefix(BOM) if begun == 0 else line
                if not line.isspace() and line:
                    yield (number if whole else begun), line
            position += size


def _skip(file: BinaryIO) -> int:
    """Go to the next line; returns how many bytes that took."""
    taken = 0
    while rest := file.readline(MAX_LINE):
        taken += len(rest)
        if rest.endswith(b"\n"):
            break
    return taken


def _parsed(line: bytes) -> dict[str, Any]:
    try:
        row = orjson.loads(line)
    except orjson.JSONDecodeError as exc:
        try:
            text = line.decode()
        except UnicodeDecodeError:
            raise _Bad("bad_utf8", line[:200].decode(errors="replace")) from None
        raise _Bad("bad_text" if "surrogate" in str(exc) else "not_json", f"{exc}: {text[:200]}") from None
    if line.count(b"[") + line.count(b"{") > DEEPEST and _deeper(row, DEEPEST):
        raise _Bad("too_deep", f"nested more than {DEEPEST} deep")
    if type(row) is not dict:
        raise _Bad("not_object", line[:200].decode(errors="replace"))
    return row


def _deeper(value: object, levels: int) -> bool:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    return inner is not None and (levels == 0 or any(_deeper(held, levels - 1) for held in inner))


class _Rows:
    """Rows as columns of Python values, until there are enough for a batch."""

    def __init__(self, columns: Collection[str]) -> None:
        self.columns = tuple(columns)
        self.texts = tuple(name for name in columns if name != "messages")
        self._clear()

    def _clear(self) -> None:
        self.labels: list[list[Any]] = []
        self.turns: list[tuple[Any, ...]] = []
        self.ends = [0]
        self.notes: dict[str, list[int]] = {}

    def add(self, row: dict[str, Any]) -> None:
        """One row; raises `_Bad` and takes nothing of it where it is none."""
        turns = _turns(row) if "messages" in self.columns else []
        labels = []
        for name in self.texts:
            value = row.get(name)
            if type(value) is not str and (value is not None or name in OTHER_NAMES):
                value = _label(row, name)
            labels.append(value)
        self.turns += turns
        self.ends.append(len(self.turns))
        self.labels.append(labels)
        if type(row.get("messages")) is str:
            self._note("messages_as_text")
        if type(row.get("tools")) is str and row["tools"]:
            self._note("tools_as_text")
        if any(turn[3] for turn in turns) and _objects_called(row):
            self._note("arguments_as_object")

    def _note(self, what: str) -> None:
        self.notes.setdefault(what, []).append(len(self.ends) - 2)

    def take(self, shard: Shard, numbers: list[int], unit: str, bad: list[BadRow]) -> Batch:
        """All rows so far."""
        arrays: list[pa.Array] = []
        held = dict(zip(self.texts, zip(*self.labels, strict=True), strict=True)) if self.labels else {}
        for name in self.columns:
            if name == "messages":
                parts = list(zip(*self.turns, strict=True)) if self.turns else [()] * len(TURN)
                fields = [pa.array(part, field.type) for part, field in zip(parts, TURN, strict=True)]
                structs = pa.StructArray.from_arrays(fields, fields=list(TURN))
                arrays.append(pa.ListArray.from_arrays(pa.array(self.ends, pa.int32()), structs).cast(TURNS))
            else:
                arrays.append(pa.array(held.get(name, ()), pa.string()))
        schema = pa.schema([SCHEMA.field(name) for name in self.columns])
        made = pa.RecordBatch.from_arrays(arrays, schema=schema)
        batch = Batch(made, shard, numbers, unit, bad, self.notes)
        self._clear()
        return batch


def _objects_called(row: dict[str, Any]) -> bool:
    """Whether all arguments of a row's calls are objects."""
    turns = row.get("messages")
    calls = [call for turn in turns for call in turn.get("tool_calls") or ()] if type(turns) is list else []
    functions = [call.get("function", call) for call in calls]
    return not any(type(function) is dict and type(function.get("arguments")) is str for function in functions)


def _label(row: dict[str, Any], name: str) -> str | None:
    value = row.get(name)
    if value is None:
        value = next((row[other] for other in OTHER_NAMES.get(name, ()) if row.get(other) is not None), None)
    if value is None or type(value) is str:
        return value
    if name in ANY_TYPE:
        if name == "metadata" and type(value) is not dict:
            raise _Bad("metadata_wrong_type", f"metadata is {value!r:.100}")
        if name == "tools" and type(value) is not list and type(value) is not dict:
            raise _Bad("tools_wrong_type", f"tools is {value!r:.100}")
        return orjson.dumps(value).decode()
    if name in LOOSE:
        return json_text(value)
    raise _Bad("label_wrong_type", f"{name} is {value!r:.100}")


def _turns(row: dict[str, Any]) -> list[tuple[Any, ...]]:
    given = row.get("messages")
    if type(given) is str:
        with suppress(orjson.JSONDecodeError):
            given = orjson.loads(given)
    if given is None and "input" in row:
        given = llama_turns(*(row.get(name) for name in LLAMA))
    if given is None:
        raise _Bad("messages_missing", f"there is {', '.join(sorted(row)) or 'nothing'}")
    if type(given) is not list:
        raise _Bad("messages_wrong_type", f"messages is {given!r:.100}")
    return [_turn(turn) for turn in given]


def _turn(turn: Any) -> tuple[Any, ...]:
    if type(turn) is not dict:
        raise _Bad("message_not_object", f"{turn!r:.100}")
    role, content = turn.get("role"), turn.get("content")
    if role is not None and type(role) is not str:
        raise _Bad("role_wrong_type", f"role is {role!r:.100}")
    if content is not None and type(content) is not str:
        content = _joined(content)
    if len(turn) == 2 and "role" in turn and "content" in turn:
        return role, content, None, None, None
    trace, calls, answers = turn.get("reasoning_content"), turn.get("tool_calls"), turn.get("tool_call_id")
    if trace is not None and type(trace) is not str:
        raise _Bad("reasoning_wrong_type", f"reasoning_content is {trace!r:.100}")
    if calls is not None and (type(calls) is not list or not all(type(call) is dict for call in calls)):
        raise _Bad("calls_wrong_type", f"tool_calls is {calls!r:.100}")
    return role, content, trace, calls_of(calls) if calls else None, json_text(answers)


def _joined(content: Any) -> str:
    """The text of a list of parts, as multimodal endpoints write them."""
    if type(content) is list:
        parts = [part.get("text") if type(part) is dict else None for part in content]
        if parts and all(type(part) is str for part in parts):
            return "".join(map(str, parts))
    raise _Bad("content_wrong_type", f"content is {content!r:.100}")
