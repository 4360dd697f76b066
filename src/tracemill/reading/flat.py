"""The flat view: one line of plain columns for each row, as readers of the articles expect them.

No published row has these columns; they are taken from where they lie:

    prompt            the first user turn
    response          the last assistant turn, without its trace
    reasoning_chain   the trace of that turn; null where there is none
    language          the row's column, else the split or category `multilingual_<language>`, else "en"
    category, domain, generator, license, reasoning, uuid, split     as the row says
    difficulty, topic, expected_answer    the row's column, else the key of that name in its metadata, else null
    system            the system turn, or null
    turns             how many messages the row has: 2 for one question and one answer
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Protocol, SupportsIndex

import orjson
import pyarrow as pa

from tracemill import think
from tracemill.errors import UsageError
from tracemill.layouts import from_layout
from tracemill.legible import did_you_mean, quoted
from tracemill.reading.batch import Batch, sized
from tracemill.reading.filters import languages_of

if TYPE_CHECKING:
    from tracemill.record import Sample

TEXT_COLUMNS = (
    *("uuid", "split", "category", "domain", "language", "system", "prompt", "response", "reasoning_chain"),
    *("reasoning", "generator", "license", "difficulty", "topic", "expected_answer"),
)
SCHEMA = pa.schema([*(pa.field(name, pa.string()) for name in TEXT_COLUMNS), pa.field("turns", pa.int32())])
_SPOKEN = ("system", "prompt", "response", "reasoning_chain", "turns")
_IN_METADATA = ("difficulty", "topic", "expected_answer")
_KEYS = {"difficulty": ("difficulty", "difficulty_level"), "topic": ("topic", "subject")}


class Opened(Protocol):
    """What the view needs of a dataset, which is a `Dataset`."""

    @property
    def tests(self) -> tuple[Callable[[dict[str, Any]], bool], ...]: ...

    def passed(self, columns: Collection[str], turn_fields: Collection[str] = ()) -> Iterator[Batch]: ...

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[dict[str, Any]]: ...

    def __getitem__(self, which: str | SupportsIndex) -> Any: ...


class Flat:
    """The flat view of a dataset: iterate for dicts, or take `batches`. It reads only what its columns need."""

    def __init__(self, dataset: Opened, columns: Sequence[str] | None = None) -> None:
        names = SCHEMA.names
        for name in columns or ():
            if name not in names:
                raise UsageError(
                    f"there is no column {quoted(name)}; there are {', '.join(names)}.{did_you_mean(name, names)}"
                )
        self.dataset = dataset
        self.schema = pa.schema([SCHEMA.field(name) for name in columns or names])

    @property
    def columns(self) -> list[str]:
        """The names of the columns, in order."""
        return list(self.schema.names)

    def __len__(self) -> int:
        return len(self.dataset)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        for part in self._parts():
            yield from part.to_pylist()

    def __getitem__(self, which: str | SupportsIndex) -> Any:
        """A split of it by name, or one line by its number."""
        if isinstance(which, str):
            return Flat(self.dataset[which], self.columns)
        row = self.dataset[which]  # refuses what is neither
        made = flat_row(row)
        return {name: made[name] for name in self.columns}

    def batches(self, size: int = 1000) -> Iterator[pa.Table]:
        """Tables of `size` lines; the last one has what is left."""
        yield from sized(self._parts(), size, self.schema)

    def _parts(self) -> Iterator[pa.RecordBatch]:
        if self.dataset.tests:
            for row in self.dataset:
                yield pa.RecordBatch.from_pylist([flat_row(row)], schema=self.schema)
            return
        needed, fields = self._needed()
        for batch in self.dataset.passed(needed, fields):
            yield self._flattened(batch)

    def _needed(self) -> tuple[list[str], tuple[str, ...]]:
        names = set(self.schema.names)
        needed = [name for name in names if name not in (*_SPOKEN, "split")]
        if names & set(_SPOKEN):
            needed.append("messages")
        if names & set(_IN_METADATA):
            needed.append("metadata")
        if "language" in names and "category" not in needed:
            needed.append("category")
        return sorted(needed) or ["uuid"], ("role", "content", "reasoning_content")

    def _flattened(self, batch: Batch) -> pa.RecordBatch:
        rows, count = batch.rows, batch.rows.num_rows
        made: dict[str, Any] = {"split": pa.repeat(pa.scalar(batch.shard.split), count)}
        if "messages" in rows.schema.names:
            said = [spoken(turns or ()) for turns in _light(rows.column("messages"))]
            for place, name in enumerate(_SPOKEN):
                made[name] = pa.array([row[place] for row in said], SCHEMA.field(name).type)
        if "language" in self.schema.names:
            made["language"] = languages_of(rows, batch.shard)
        if "metadata" in rows.schema.names:
            texts = rows.column("metadata").to_pylist()
            for name in set(_IN_METADATA) & set(self.schema.names):
                held = rows.column(name).to_pylist()
                pairs = zip(held, texts, strict=True)
                made[name] = pa.array([v if v is not None else _found(t, name) for v, t in pairs], pa.string())
        arrays = [made[n] if n in made else rows.column(n) for n in self.schema.names]
        return pa.RecordBatch.from_arrays(arrays, schema=self.schema)


def _light(turns: pa.ListArray) -> Iterator[list[dict[str, Any]]]:
    """Each conversation as Python values, without the fields that nobody asks for here."""
    first = turns.offsets[0].as_py()
    ends = turns.offsets.to_pylist()
    structs = turns.values
    roles, contents, traces = (structs.field(i).to_pylist() for i in range(3))
    for begin, end in pairwise(ends):
        yield [
            {"role": roles[i], "content": contents[i], "reasoning_content": traces[i]}
            for i in range(begin, end)
            if i >= first
        ]


def spoken(turns: Sequence[Mapping[str, Any]]) -> tuple[str | None, str, str, str | None, int]:
    """(system, prompt, response, reasoning_chain, turns) of a conversation; "" for a prompt or response not there."""
    system = next((turn["content"] for turn in turns if turn["role"] == "system"), None)
    prompt = next((turn["content"] for turn in turns if turn["role"] == "user"), None)
    answer = next((turn for turn in reversed(turns) if turn["role"] == "assistant"), None)
    if answer is None:
        return system, prompt or "", "", None, len(turns)
    trace, content, _ = think.split(answer["content"] or "")
    beside = answer.get("reasoning_content")
    if beside is not None:
        trace, content = beside, answer["content"] or ""
    return system, prompt or "", content, trace, len(turns)


def flat_row(row: Mapping[str, Any]) -> dict[str, Any]:
    """One row of a dataset as a line of the flat view."""
    made = {name: row.get(name) for name in TEXT_COLUMNS}
    made.update(zip(_SPOKEN, spoken(row["messages"] or ()), strict=True))
    for name in _IN_METADATA:
        if made[name] is None:
            made[name] = _found(row.get("metadata"), name)
    if not made["language"]:
        before, _, named = (row.get("category") or "").partition("multilingual_")
        before_split, _, split = (row.get("split") or "").partition("multilingual_")
        made["language"] = (named if not before else "") or (split if not before_split else "") or "en"
    return made


def _found(metadata: str | None, name: str) -> str | None:
    """The value under `name` in metadata text, as text."""
    if not metadata or metadata == "{}":
        return None
    try:
        held = orjson.loads(metadata)
    except orjson.JSONDecodeError:
        return None
    if not isinstance(held, dict):
        return None
    value = next((held[key] for key in _KEYS.get(name, (name,)) if held.get(key) is not None), None)
    return value if value is None or isinstance(value, str) else orjson.dumps(value).decode()


def to_sample(row: Mapping[str, Any]) -> Sample:
    """A row of a dataset as a `Sample`. Raises LossyConversion where no sample can hold it."""
    kept = ("messages", "uuid", "license", "generator", "version", "category", "reasoning", "tools", "metadata")
    given = {name: row[name] for name in kept if row.get(name) is not None}
    turns = given.get("messages") or []
    beside = given.get("tools") is not None or any(
        turn.get("reasoning_content") is not None or turn.get("tool_call_id") is not None for turn in turns
    )
    if beside:
        given["messages"] = [_split_turn(turn) for turn in turns]
    made = from_layout(given, "v3" if beside else "v1", split=row.get("split"))
    return replace(
        made,
        language=row.get("language") or made.language,
        domain=row.get("domain") or made.domain,
        expected=row.get("expected_answer"),
        finish_reason=row.get("finish_reason"),
    )


def _split_turn(turn: Mapping[str, Any]) -> Mapping[str, Any]:
    """A v3 message whose trace stands inline, with the trace beside its content."""
    if turn["role"] != "assistant" or turn["reasoning_content"] is not None:
        return turn
    trace, content, _ = think.split(turn["content"] or "")
    return turn if trace is None else {**turn, "content": content, "reasoning_content": trace}
