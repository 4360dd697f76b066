"""Prompts from files: JSONL (plain, .gz, .zst), a JSON array, CSV and Parquet; one file, a directory, or a glob.

What cannot be a prompt becomes a `BadLine` with its place and reason, and the reading goes on. Compression is told by
the first bytes, not by the name.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa

from tracemill import think
from tracemill.gather.code_tasks import columns_of, expected_code
from tracemill.gather.inputs import form, label, suffix
from tracemill.gather.lines import DAMAGE, MAX_LINE, OPEN, CsvLines, open_file
from tracemill.gather.shapes import checks_in, each_of, opening, with_options
from tracemill.legible import did_you_mean
from tracemill.recipe import LANGUAGE, Fields, PromptFiles
from tracemill.record import CATEGORIES, BadLine, Message, Prompt
from tracemill.storage.parquet import read_batches

EVIDENCE = 200
"""Characters of a bad line that are kept to show what was there."""
DEEPEST = 64
BOM = b"\xef\xbb\xbf"
LONG_NUMBER = re.compile(rb"\d{19}")

REASONS = frozenset(
    {"bad_utf8", "not_json", "not_csv", "not_object", "too_long", "too_deep", "missing_field", "wrong_type",
     "empty_prompt", "bad_text", "unknown_category", "unknown_language", "unreadable"}
)  # fmt: skip
"""Why an input line is dropped."""


def read_prompts(source: PromptFiles, file: Path, not_seen: set[str] | None = None) -> Iterator[Prompt | BadLine]:
    """Each row of one file as a prompt, in file order, or as a bad line.

    Args:
        not_seen: Names of columns; those that a row has are taken out.
    """
    called = label(source, file)
    kind, foreign = form(file)
    reader = {".csv": _csv_rows, ".parquet": _parquet_rows}.get(kind, _json_rows)
    if foreign:
        told = f"{file.name} is {foreign}, which is not read; make JSONL, CSV or Parquet of it, in UTF-8"
        yield BadLine(source.name, f"{called}:1", source.category, source.language, "unreadable", _excerpt(told))
        return
    for number, row in reader(file, source.fields):
        where = f"{called}:{number}"
        if not_seen and isinstance(row, dict):
            not_seen -= {name for name in not_seen if _holds(row, name)}
        for made in _prompts(source, row, where):
            if isinstance(made, Prompt):
                yield made
            else:
                yield BadLine(source.name, where, source.category, source.language, *made)


def _prompts(
    source: PromptFiles, row: dict[str, Any] | tuple[str, str], where: str
) -> Iterator[Prompt | tuple[str, str]]:
    """The prompts of a row: one, or one for each item of `fields.each`."""
    if not isinstance(row, dict):
        yield row
    elif not source.fields.each:
        yield to_prompt(source, row, where)
    else:
        for place, item in enumerate(each_of(row, source.fields.each), 1):
            yield to_prompt(source, item, f"{where}.{place}")


Row = tuple[int, "dict[str, Any] | tuple[str, str]"]
"""A row's number, from 1, and the row; or (reason, evidence) where there is none."""


def _json_rows(file: Path, fields: Fields) -> Iterator[Row]:
    number = 0
    try:
        if suffix(file) == ".json" and _holds_array(file):
            yield from _array_rows(file)
            return
        with open_file(file) as lines:
            while line := lines.readline(MAX_LINE + 1):
                number += 1
                if len(line) > MAX_LINE and not line.endswith(b"\n"):
                    while (rest := lines.readline(MAX_LINE)) and not rest.endswith(b"\n"):
                        pass
                    yield number, ("too_long", f"more than {MAX_LINE:,} bytes")
                    continue
                line = line.removeprefix(BOM) if number == 1 else line
                if line.strip():
                    yield number, _json_row(line)
    except DAMAGE as exc:
        yield number + 1, ("unreadable", _excerpt(f"{file.name} ends in damage: {exc}"))


def _holds_array(file: Path) -> bool:
    with open_file(file) as data:
        piece = data.read(1 << 16).removeprefix(BOM)
        while piece and not piece.strip():
            piece = data.read(1 << 16)
    return piece.lstrip().startswith(b"[")


def _array_rows(file: Path) -> Iterator[Row]:
    """The values of a JSON array, numbered from 1. An array that cannot be read as a whole is one bad line."""
    with open_file(file) as data:
        text = data.read(MAX_LINE + 1).removeprefix(BOM)
    if len(text) > MAX_LINE:
        yield 1, ("too_long", f"a JSON array of more than {MAX_LINE:,} bytes; convert it to JSONL, one object a line")
        return
    try:
        values = orjson.loads(text)
        if LONG_NUMBER.search(text):
            values = json.loads(text, parse_int=_whole_number)
    except orjson.JSONDecodeError as exc:
        reason, evidence = _no_json(text, exc)
        yield 1, (reason, _excerpt(f"not a JSON array as a whole: {evidence}"))
        return
    except RecursionError:
        yield 1, ("too_deep", f"nested more than {DEEPEST} deep")
        return
    del text
    for number, value in enumerate(values, 1):
        if _deeper(value, DEEPEST):
            yield number, ("too_deep", f"nested more than {DEEPEST} deep")
        else:
            yield number, value if isinstance(value, dict) else ("not_object", _excerpt(json.dumps(value)))


def _json_row(line: bytes) -> dict[str, Any] | tuple[str, str]:
    try:
        row = orjson.loads(line)
        if line.count(b"[") + line.count(b"{") > DEEPEST and _deeper(row, DEEPEST):
            return "too_deep", f"nested more than {DEEPEST} deep"
        if LONG_NUMBER.search(line):
            row = json.loads(line, parse_int=_whole_number)
    except orjson.JSONDecodeError as exc:
        return _no_json(line, exc)
    return row if isinstance(row, dict) else ("not_object", _excerpt(line.decode(errors="replace")))


def _no_json(data: bytes, exc: orjson.JSONDecodeError) -> tuple[str, str]:
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return "bad_utf8", _excerpt(data.decode(errors="replace"))
    reason = "bad_text" if "surrogate" in str(exc) else "not_json"
    return reason, _excerpt(f"{exc}: {text}")


def _deeper(value: object, levels: int) -> bool:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    return inner is not None and (levels == 0 or any(_deeper(held, levels - 1) for held in inner))


def _whole_number(text: str) -> int | str:
    """Numbers beyond 64 bits stay the digits that were written; as a float they would be another number."""
    return int(text) if len(text) < 19 or -(2**63) <= int(text[:25]) < 2**63 else text


def _csv_rows(file: Path, fields: Fields) -> Iterator[Row]:
    """Rows are numbered by the line that they end in. Where a record cannot be read, as after a quote that is never
    closed, its first line is dropped and the next line begins another: each line ends in a row or a bad line.
    """
    csv.field_size_limit(MAX_LINE)
    number = 0
    try:
        with open_file(file) as raw:
            lines = CsvLines(raw)
            rows = csv.reader(lines, strict=True)
            header: list[str] | None = None
            while True:
                while beginning := lines.hopeless():
                    number, text, why = beginning
                    yield number, ("not_csv", _excerpt(f"{why}: {text}"))
                try:
                    row = next(rows, None)
                except csv.Error as exc:
                    why = OPEN if "end of data" in str(exc) else str(exc)
                    number, first = lines.drop_first(why)
                    yield number, ("too_long", why) if first is None else ("not_csv", _excerpt(f"{why}: {first}"))
                    continue
                if row is None:
                    break
                number = lines.accept()
                if not row:
                    continue
                if header is None:
                    header = [name.encode(errors="surrogateescape").decode(errors="replace") for name in row]
                elif not all(map(_encodable, row)):
                    told = ",".join(row).encode(errors="surrogateescape")
                    yield number, ("bad_utf8", _excerpt(told.decode(errors="replace")))
                elif len(row) > len(header):
                    yield number, ("wrong_type", f"{len(row) - len(header)} fields more than the header has")
                else:
                    yield number, dict(zip(header, row, strict=False))
            if lines.damage:
                number = lines.read
                raise lines.damage
    except DAMAGE as exc:
        yield number + 1, ("unreadable", _excerpt(f"{file.name} ends in damage: {exc}"))


def _parquet_rows(file: Path, fields: Fields) -> Iterator[Row]:
    number = 0
    try:
        for batch in read_batches(file):
            try:
                rows: list[Any] = batch.to_pylist()
            except (ValueError, OverflowError):  # one value spoils the batch: find the row that holds it
                rows = [_parquet_row(batch.slice(place, 1)) for place in range(batch.num_rows)]
            for row in rows:
                number += 1
                yield number, row
    except (pa.ArrowException, OSError, ValueError) as exc:
        yield number + 1, ("unreadable", _excerpt(f"{file.name} cannot be read on from here: {exc}"))


def _parquet_row(batch: pa.RecordBatch) -> dict[str, Any] | tuple[str, str]:
    try:
        row: dict[str, Any] = batch.to_pylist()[0]
    except UnicodeDecodeError as exc:
        return "bad_utf8", _excerpt(str(exc))
    except (pa.ArrowException, ValueError, OverflowError) as exc:
        return "wrong_type", _excerpt(str(exc))
    return row


def to_prompt(source: PromptFiles, row: Mapping[str, Any], where: str) -> Prompt | tuple[str, str]:
    """One input row as a prompt, or (reason, evidence) why it cannot be one."""
    fields = source.fields
    asked = _get(row, fields.prompt)
    if asked is None:
        return "missing_field", _excerpt(f"no {fields.prompt!r}; there is {_columns(row, fields.prompt)}")
    if fields.before and isinstance(asked, str):
        asked = " ".join([*filter(None, (_text(_get(row, name)) for name in fields.before)), asked])
    messages = _messages(opening(asked) if fields.opening else asked)
    if not isinstance(messages, list):
        return messages
    category = _text(_get(row, fields.category)) if fields.category else source.category
    if category not in CATEGORIES:
        return "unknown_category", f"{_excerpt(repr(category))} is not one of {', '.join(CATEGORIES)}"
    expected = _text(_get(row, fields.expected)) if fields.expected else None
    if fields.expected and expected is None:
        return "missing_field", _excerpt(f"no {fields.expected!r}; there is {_columns(row, fields.expected)}")
    if source.code is not None and category == "code":
        made = expected_code(source.code, {name: _get(row, column) for name, column in columns_of(source.code)})
        if not isinstance(made, str):
            return made[0], _excerpt(made[1])
        expected = made
    if expected is not None and source.expected_after is not None:
        _, found, expected = expected.rpartition(source.expected_after)
        if not found:
            return "missing_field", f"{source.expected_after!r} does not stand in {fields.expected!r}"
    if expected is not None and not expected.strip():
        return "missing_field", f"{fields.expected!r} holds no answer"
    more = checks_in(fields, row, expected, lambda name: _get(row, name))
    if isinstance(more[1], str):
        return str(more[0]), _excerpt(more[1])
    check, tools, expected = more
    if "choices" in check:
        messages[-1] = Message("user", with_options(messages[-1].content, check["choices"]))
    language = (_text(_get(row, fields.language)) if fields.language else None) or source.language
    language = fields.languages.get(language, language)
    if not LANGUAGE.fullmatch(language):
        return "unknown_language", _excerpt(f"{language!r} is not a code such as 'en' or 'pt-BR'")
    try:
        metadata = _metadata(row, fields)
    except (TypeError, ValueError) as exc:
        return "wrong_type", _excerpt(f"metadata cannot be written as JSON: {exc}")
    return Prompt(
        category=category,
        messages=tuple(messages),
        expected=expected.strip() if expected is not None else None,
        language=language,
        source=source.name,
        source_id=(_text(_get(row, fields.id)) if fields.id else None) or where,
        source_license=(_text(_get(row, fields.license)) if fields.license else None) or source.license,
        metadata=metadata,
        tools=tools or source.tools,
        check=check,
    )


def _metadata(row: Mapping[str, Any], fields: Fields) -> dict[str, Any]:
    """The columns that are carried along, as plain JSON values: dates and the like are text, and NaN is nothing."""
    if not fields.metadata:
        return {}
    plain = orjson.loads(orjson.dumps({name: _get(row, name) for name in fields.metadata}, default=str))
    return {name: value for name, value in plain.items() if value is not None}


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
        trace, content, seam = think.split(text) if turn["role"] == "assistant" else (None, text, None)
        messages.append(Message(turn["role"], content, trace, seam=seam))
    if not messages or messages[-1].role != "user" or not messages[-1].content.strip():
        return "empty_prompt", _excerpt(repr(asked))
    return messages


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _columns(row: Mapping[str, Any], wanted: str) -> str:
    """What a row has instead of a column."""
    names = sorted(map(str, row))
    if len(names) == 1 and (mark := next((mark for mark in "\t;|" if mark in names[0]), None)):
        return f"{names[0]}; is this separated by {mark!r}? CSV wants commas"
    return (", ".join(names) or "nothing") + (
        f", without a value in {wanted!r}" if wanted in names else did_you_mean(wanted, names).replace(" Did", ". Did")
    )


_NOT_THERE = object()


def _get(row: Mapping[str, Any], name: str) -> Any:
    found = _at(row, name)
    return None if found is _NOT_THERE else found


def _holds(row: Mapping[str, Any], name: str) -> bool:
    return _at(row, name) is not _NOT_THERE


def _at(row: Mapping[str, Any], name: str) -> Any:
    if name in row:
        return row[name]
    value: Any = row
    for part in name.split("."):
        if isinstance(value, list) and part.isdecimal() and int(part[:9]) < len(value):
            value = value[int(part)]
        elif isinstance(value, Mapping) and part in value:
            value = value[part]
        else:
            return _NOT_THERE
    return value


def _text(value: object) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, int | float | Decimal):
        return str(value)
    text = orjson.dumps(value, default=str).decode()
    return str(orjson.loads(text)) if text.startswith('"') else text


def _excerpt(text: str) -> str:
    text = text if len(text) <= EVIDENCE else text[:EVIDENCE] + "..."
    return text.encode(errors="backslashreplace").decode()
