"""What `validate` does with each piece of a dataset: run every check over its batches, and tally what they find."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tracemill.errors import DataError
from tracemill.inspect import structure, texts, tools
from tracemill.inspect.block import Block, Ints
from tracemill.inspect.duplicates import Spill, hashes
from tracemill.inspect.languages import mismatches
from tracemill.inspect.loops import loops
from tracemill.inspect.tally import EXAMPLES, Article, Example, Tally, damage_of
from tracemill.legible import one_line
from tracemill.reading.batch import BadRow, Batch, Piece
from tracemill.reading.filters import languages_of
from tracemill.reading.pieces import batches

COLUMNS = (
    *("messages", "uuid", "license", "generator", "version", "category", "reasoning", "tools", "metadata"),
    *("language", "domain", "finish_reason"),
)
LABELS = ("license", "generator", "version", "category", "reasoning")
Rows = Ints | dict[int, str]


class Validator:
    """Checks pieces, one after another, in one process.

    Args:
        fine: Tell of what kind the rows of each batch are, not only those of each piece.
        spills: Where hashes of "uuid" and "prompt" are left; empty where nobody asks for duplicates.
        benchmark: Hashes of 13 words in a row, sorted; None where there is nothing to compare with.
    """

    def __init__(self, fine: bool, spills: Mapping[str, Spill], benchmark: Any = None) -> None:
        self.fine, self.spills, self.benchmark = fine, spills, benchmark

    def piece(self, number: int, piece: Piece) -> Tally:
        """The tally of one piece. Damage ends it, or of Parquet its row group, and is a finding."""
        tally, row = Tally(), 0
        for part in parts(piece):
            try:
                for batch in batches(part, COLUMNS):
                    self._batch(tally, number, row, batch)
                    row += batch.rows.num_rows
            except DataError as exc:
                shard = piece.shard
                example: Example = (number, row, "", shard.name, damage_of(shard.name, exc))
                tally.found("file_unreadable", shard.split, 1, [example])
        if not self.fine and tally.kinds:
            tally.kinds = [_together(tally.kinds)]
        for spill in self.spills.values():
            spill.flush()
        return tally

    def _batch(self, tally: Tally, number: int, begun: int, batch: Batch) -> None:
        split = batch.shard.split
        _bad_rows(tally, number, batch.bad, split)
        if not batch.rows.num_rows:
            return
        block = Block(batch)
        tally.rows[split] += block.rows
        characters = block.content.characters()
        tally.article.setdefault(split, Article()).merge(article(block, characters))
        self._lengths(tally, block, characters)
        found = row_checks(block, self.benchmark)
        uuids = block.texts("uuid")
        for check, held in found.items():
            places = sorted(held) if isinstance(held, dict) else held.tolist()
            examples: list[Example] = []
            for row in places[:EXAMPLES]:
                evidence = held[row] if isinstance(held, dict) else ""
                examples.append((number, begun + row, uuids[row].as_py() or "", batch.place(row), evidence))
            tally.found(check, split, len(places), examples)
        if self.spills:
            self._spill(block, number, begun, found)
        for label in LABELS:
            tally.value(label, _counted(block.texts(label)))
        tally.kinds.append((number, begun, block.rows, _kinds(block)))

    def _lengths(self, tally: Tally, block: Block, characters: Ints) -> None:
        split = block.batch.shard.split
        user, last = block.first_user, block.last_assistant
        tally.length(split, "messages").add(np.diff(block.starts))
        tally.length(split, "prompt").add(characters[user[user >= 0]])
        answers = block.answers.characters()
        tally.length(split, "answer").add(answers[last >= 0])
        # What is not the answer of the last turn, less the two tags, is its trace.
        traced = np.flatnonzero((last >= 0) & block.tags.inline[np.maximum(last, 0)]) if block.messages else last[:0]
        inline = characters[last[traced]] - answers[traced] - len("<think></think>")
        beside = block.traces.characters()
        tally.length(split, "trace").add(np.concatenate([np.maximum(inline, 0), beside[block.tags.beside]]))

    def _spill(self, block: Block, number: int, begun: int, found: dict[str, Rows]) -> None:
        uuids = block.texts("uuid")
        named = np.setdiff1d(np.arange(block.rows), np.asarray(found["uuid_missing"]))
        self.spills["uuid"].add(hashes(_as_texts(uuids), named), number, begun + named)
        withheld = np.concatenate([np.asarray(found[name]) for name in ("prompt_empty", "prompt_placeholder")])
        asked = np.setdiff1d(np.flatnonzero(block.first_user >= 0), withheld)
        self.spills["prompt"].add(hashes(block.prompts, asked), number, begun + asked)


def row_checks(block: Block, benchmark: Any = None) -> dict[str, Rows]:
    """What every check of single rows finds, by name: rows, or evidence by row.

    Args:
        benchmark: As of a `Validator`.
    """
    languages = languages_of(block.batch.rows, block.batch.shard).to_pylist()
    found: dict[str, Rows] = {
        "messages_as_text": np.asarray(block.batch.notes.get("messages_as_text", ()), np.int64),
        "tools_as_text": np.asarray(block.batch.notes.get("tools_as_text", ()), np.int64),
        **structure.turns(block),
        **structure.prompts(block),
        **structure.traces(block),
        **structure.boxes(block),
        **structure.labels(block),
        **tools.tool_calls(block),
        "answer_truncated": texts.truncated(block),
        "identity_leak": texts.identities(block),
        "script_leak": texts.scripts(block, languages),
        "language_differs": mismatches(block, languages),
        "instructions_contradict": texts.contradictions(block),
        "repetition_loop": loops(block),
        "text_damaged": texts.damaged(block),
    }
    if benchmark is not None:
        from tracemill.inspect import contamination

        found["benchmark_item"] = contamination.items(block, benchmark)
    return found


def article(block: Block, characters: Ints) -> Article:
    """The article's sums: the first message is the input and the second the output, whatever their roles."""
    count = np.diff(block.starts)
    two = count == 2
    first = block.starts[:-1][two]
    given, said = characters[first], characters[first + 1]
    full = (given > 0) & (said > 0)
    return Article(
        rows=block.rows,
        malformed=int((~two).sum()),
        empty=int((~full).sum()),
        measured=int(full.sum()),
        input_characters=int(given[full].sum()),
        output_characters=int(said[full].sum()),
    )


def measured(piece: Piece) -> Tally:
    """The article's metrics of a piece and nothing else; only the contents of messages are read."""
    tally = Tally()
    for batch in batches(piece, ("messages",), ("content",)):
        _bad_rows(tally, 0, batch.bad, batch.shard.split)
        block = Block(batch)
        split = batch.shard.split
        tally.rows[split] += block.rows
        tally.article.setdefault(split, Article()).merge(article(block, block.content.characters()))
    return tally


def parts(piece: Piece) -> Iterator[Piece]:
    """Of Parquet: the piece's row groups one by one, so that damage in one costs that one."""
    if piece.shard.kind != "parquet":
        yield piece
        return
    from tracemill.reading.parquet import rows_in

    row = piece.row
    for group in range(piece.first, piece.last):
        part = Piece(piece.shard, group, group + 1, row)
        yield part
        row += rows_in(part)


def _bad_rows(tally: Tally, number: int, bad: list[BadRow], split: str) -> None:
    begun = tally.rows.total() + tally.bad.total()
    tally.bad[split] += len(bad)
    for place, row in enumerate(bad):
        tally.found(row.reason, split, 1, [(number, begun + place, "", row.place, row.evidence)])


def _as_texts(array: pa.Array) -> Any:
    from tracemill.inspect.block import Texts

    return Texts(array)


def _counted(array: pa.Array) -> dict[str, int]:
    told = pc.value_counts(array)
    pairs = zip(told.field("values").to_pylist(), told.field("counts").to_pylist(), strict=True)
    return {"(none)" if value is None else one_line(value, 80): count for value, count in pairs}


def _kinds(block: Block) -> dict[str, dict[str, int]]:
    """Of what kind the rows are, in six respects."""
    sizes = (
        np.add.reduceat(np.append(block.content.sizes, 0), block.starts[:-1]) if block.messages else block.starts[1:]
    )
    system = block.roles[np.minimum(block.starts[:-1], max(block.messages - 1, 0))] == 0 if block.messages else []
    return {
        "messages": _histogram(np.minimum(np.diff(block.starts), 9)),
        "system turn": _histogram(np.asarray(system, np.int64)),
        "length": _histogram(np.asarray(np.log2(np.maximum(sizes, 1)) / 2, np.int64)),
        **{label: _counted(block.texts(label)) for label in ("reasoning", "generator", "category")},
    }


def _histogram(values: Ints) -> dict[str, int]:
    numbers, counts = np.unique(values, return_counts=True)
    return {str(n): c for n, c in zip(numbers.tolist(), counts.tolist(), strict=True)}


def _together(kinds: list[Any]) -> Any:
    number, begun, rows, held = kinds[0]
    for _, _, more, others in kinds[1:]:
        rows += more
        for feature, counts in others.items():
            for value, count in counts.items():
                held[feature][value] = held[feature].get(value, 0) + count
    return (number, begun, rows, held)
