"""Prompts from files: JSONL (plain, .gz, .zst), CSV and Parquet; one file, a directory, or a glob.

What cannot be a prompt becomes a `BadLine` with its place and reason, and the reading goes on. Compression is told by
the first bytes, not by the name.
"""

from __future__ import annotations

import csv
import glob
import gzip
import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast

import orjson
import pyarrow as pa
import zstandard

from tracemill.errors import RecipeError
from tracemill.recipe import Fields, PromptFiles
from tracemill.record import CATEGORIES, Message, Prompt
from tracemill.storage.parquet import read_batches

SUFFIXES = (".jsonl", ".ndjson", ".json", ".csv", ".parquet")
COMPRESSED = (".gz", ".zst")
MAX_LINE = 64 * 1024 * 1024
"""Bytes; a longer line is a bad line, so that no single line can fill the memory."""
EVIDENCE = 200
"""Characters of a bad line that are kept to show what was there."""

REASONS = frozenset(
    {"bad_utf8", "not_json", "not_object", "too_long", "missing_field", "wrong_type", "empty_prompt", "bad_text",
     "unknown_category", "unreadable"}
)  # fmt: skip
"""Why an input line is dropped."""


@dataclass(frozen=True, slots=True)
class BadLine:
    """An input line that cannot be a prompt."""

    source: str
    where: str
    """FILE:LINE."""
    category: str
    language: str
    reason: str
    evidence: str


def input_files(source: PromptFiles) -> list[Path]:
    """The files that a source names, sorted by name.

    Raises:
        RecipeError: there are none.
    """
    given = Path(source.path).expanduser()
    if given.is_file():
        return [given]
    if given.is_dir():
        found = [p for p in sorted(given.rglob("*")) if p.is_file() and _format(p) and not p.name.startswith(".")]
        if not found:
            raise RecipeError(
                f"prompts {source.name!r}: {given} holds no file ending in {', '.join(SUFFIXES)} (.gz, .zst)"
            )
        return found
    found = [Path(p) for p in sorted(glob.glob(str(given), recursive=True)) if Path(p).is_file()]
    if not found:
        raise RecipeError(
            f"prompts {source.name!r}: {source.path} is neither a file, nor a directory, nor a glob that finds any"
        )
    return found


def label(source: PromptFiles, file: Path) -> str:
    """How a file is called in rows: its path below the directory that the source names, else its name."""
    given = Path(source.path).expanduser()
    fixed = [part for part in given.parts if not glob.has_magic(part)]
    base = given if given.is_dir() else Path(*fixed) if len(fixed) < len(given.parts) and fixed else file.parent
    return file.relative_to(base).as_posix() if file.is_relative_to(base) else file.name


def read_prompts(source: PromptFiles, file: Path) -> Iterator[Prompt | BadLine]:
    """Each row of one file as a prompt, in file order, or as a bad line."""
    called = label(source, file)
    reader = {".csv": _csv_rows, ".parquet": _parquet_rows}.get(_format(file), _json_rows)
    for number, row in reader(file, source.fields):
        where = f"{called}:{number}"
        made = to_prompt(source, row, where) if isinstance(row, dict) else row
        if isinstance(made, Prompt):
            yield made
        else:
            yield BadLine(source.name, where, source.category, source.language, *made)


def _format(file: Path) -> str:
    suffixes = [s.lower() for s in file.suffixes]
    if suffixes and suffixes[-1] in COMPRESSED:
        suffixes.pop()
    return suffixes[-1] if suffixes and suffixes[-1] in SUFFIXES else ""


Row = tuple[int, "dict[str, Any] | tuple[str, str]"]
"""A row's number, from 1, and the row; or (reason, evidence) where there is none."""


def _open(file: Path) -> BinaryIO:
    with file.open("rb") as raw:
        magic = raw.read(4)
    if magic[:2] == b"\x1f\x8b":
        return cast(BinaryIO, gzip.open(file, "rb"))
    if magic == b"\x28\xb5\x2f\xfd":
        stream = zstandard.ZstdDecompressor().stream_reader(file.open("rb"), closefd=True, read_across_frames=True)
        return cast(BinaryIO, io.BufferedReader(stream))
    return file.open("rb")


def _json_rows(file: Path, fields: Fields) -> Iterator[Row]:
    number = 0
    try:
        with _open(file) as lines:
            while line := lines.readline(MAX_LINE + 1):
                number += 1
                if len(line) > MAX_LINE and not line.endswith(b"\n"):
                    while (rest := lines.readline(MAX_LINE)) and not rest.endswith(b"\n"):
                        pass
                    yield number, ("too_long", f"more than {MAX_LINE:,} bytes")
                    continue
                line = line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line
                if line.strip():
                    yield number, _json_row(line)
    except (OSError, EOFError, zstandard.ZstdError) as exc:
        yield number + 1, ("unreadable", f"{file.name} ends in damage: {exc}")


def _json_row(line: bytes) -> dict[str, Any] | tuple[str, str]:
    try:
        row = orjson.loads(line)
    except orjson.JSONDecodeError as exc:
        try:
            text = line.decode()
        except UnicodeDecodeError:
            return "bad_utf8", _excerpt(line.decode(errors="replace"))
        reason = "bad_text" if "surrogate" in str(exc) else "not_json"
        return reason, _excerpt(f"{exc}: {text}")
    return row if isinstance(row, dict) else ("not_object", _excerpt(line.decode(errors="replace")))


def _csv_rows(file: Path, fields: Fields) -> Iterator[Row]:
    csv.field_size_limit(MAX_LINE)
    number = 1
    try:
        with io.TextIOWrapper(_open(file), encoding="utf-8-sig", newline="") as text:
            rows = csv.DictReader(text, strict=True)
            for row in rows:
                number = rows.line_num
                if None in row:
                    yield number, ("wrong_type", f"{len(row[None])} fields more than the header has")
                else:
                    yield number, {k: v for k, v in row.items() if v is not None}
    except (csv.Error, UnicodeDecodeError) as exc:
        reason = "bad_utf8" if isinstance(exc, UnicodeDecodeError) else "unreadable"
        yield number + 1, (reason, f"{file.name} cannot be read on from here: {exc}")
    except (OSError, EOFError, zstandard.ZstdError) as exc:
        yield number + 1, ("unreadable", f"{file.name} ends in damage: {exc}")


def _parquet_rows(file: Path, fields: Fields) -> Iterator[Row]:
    number = 0
    try:
        for batch in read_batches(file):
            for row in batch.to_pylist():
                number += 1
                yield number, row
    except (pa.ArrowException, OSError) as exc:
        yield number + 1, ("unreadable", f"{file.name} cannot be read on from here: {exc}")


def to_prompt(source: PromptFiles, row: Mapping[str, Any], where: str) -> Prompt | tuple[str, str]:
    """One input row as a prompt, or (reason, evidence) why it cannot be one."""
    fields = source.fields
    asked = _get(row, fields.prompt)
    if asked is None:
        return "missing_field", f"no {fields.prompt!r}; there is {', '.join(sorted(map(str, row))) or 'nothing'}"
    messages = _messages(asked)
    if not isinstance(messages, list):
        return messages
    category = _text(_get(row, fields.category)) if fields.category else source.category
    if category not in CATEGORIES:
        return "unknown_category", f"{category!r} is not one of {', '.join(CATEGORIES)}"
    expected = _text(_get(row, fields.expected)) if fields.expected else None
    if fields.expected and expected is None:
        return "missing_field", f"no {fields.expected!r}; there is {', '.join(sorted(map(str, row)))}"
    if expected is not None and source.expected_after is not None:
        _, found, expected = expected.rpartition(source.expected_after)
        if not found:
            return "missing_field", f"{source.expected_after!r} does not stand in {fields.expected!r}"
    return Prompt(
        category=category,
        messages=tuple(messages),
        expected=expected.strip() if expected is not None else None,
        language=(_text(_get(row, fields.language)) if fields.language else None) or source.language,
        source=source.name,
        source_id=(_text(_get(row, fields.id)) if fields.id else None) or where,
        source_license=(_text(_get(row, fields.license)) if fields.license else None) or source.license,
        metadata={name: value for name in fields.metadata if (value := _get(row, name)) is not None},
    )


def _messages(asked: object) -> list[Message] | tuple[str, str]:
    """A question as text, or as OpenAI messages that end in a user turn."""
    turns: list[Any] = asked if isinstance(asked, list) else [{"role": "user", "content": asked}]
    messages: list[Message] = []
    for turn in turns:
        if not isinstance(turn, dict) or not isinstance(turn.get("content"), str):
            return "wrong_type", _excerpt(f"text is wanted, there is {asked!r}")
        if turn.get("role") not in ("system", "user", "assistant"):
            return "wrong_type", _excerpt(f"role {turn.get('role')!r} in a prompt")
        text = turn["content"]
        if "\x00" in text or not _encodable(text):
            return "bad_text", "a NUL character or half of a surrogate pair"
        messages.append(Message(turn["role"], text))
    if not messages or messages[-1].role != "user" or not messages[-1].content.strip():
        return "empty_prompt", _excerpt(repr(asked))
    return messages


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _get(row: Mapping[str, Any], name: str) -> Any:
    if name in row:
        return row[name]
    value: Any = row
    for part in name.split("."):
        if not isinstance(value, Mapping) or part not in value:
            return None
        value = value[part]
    return value


def _text(value: object) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return str(value) if isinstance(value, int | float) else orjson.dumps(value, default=str).decode()


def _excerpt(text: str) -> str:
    return text if len(text) <= EVIDENCE else text[:EVIDENCE] + "..."
