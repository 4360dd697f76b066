"""`tracemill.contains`: which rows of a dataset hold a text."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tracemill import think
from tracemill.errors import UsageError
from tracemill.legible import how_many, one_line
from tracemill.reading.batch import Batch, Piece
from tracemill.reading.dataset import located
from tracemill.reading.filters import Wanted, pick_splits
from tracemill.reading.pieces import batches, pieces
from tracemill.search.needle import SHARE, Needle
from tracemill.words import words_of

WHERE = {"user": "prompt", "system": "prompt", "assistant": "answer"}
"""By role; whatever has another is "tool"."""
SHOWN = 20
MOST_THREADS = 4


@dataclass(frozen=True, slots=True)
class Match:
    """A row that holds a text, and where it holds most of it."""

    uuid: str | None
    split: str
    place: str
    """FILE:row or FILE:line."""
    where: str
    """prompt, answer, trace or tool."""
    share: float
    """Of the text's runs of 13 words, those that stand there."""
    whole: bool
    """Whether that prompt, answer or trace is the text and nothing else, word for word."""


@dataclass
class Sought:
    """What was found of one text."""

    text: str
    """Its beginning."""
    words: int
    sha256: str
    """Hex, of its words."""
    rows: int = 0
    matches: list[Match] = field(default_factory=list)
    """The first rows, in the order of the dataset."""


@dataclass
class ContainsReport:
    """What was found of some texts in a dataset."""

    rows: int
    """Rows that were looked through."""
    share: float
    """From which on a part of a text counts."""
    texts: list[Sought]

    @property
    def found(self) -> bool:
        """Whether some row holds some of the texts."""
        return any(sought.rows for sought in self.texts)

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {"found": self.found, **asdict(self)}

    def to_text(self) -> str:
        """For a person."""
        lines = [f"{how_many(self.rows, 'row')} looked through"]
        for sought in self.texts:
            told = (
                "no row holds"
                if not sought.rows
                else "1 row holds"
                if sought.rows == 1
                else f"{sought.rows:,} rows hold"
            )
            lines.append(f"{told} {self.share:.0%} or more of {sought.words:,} words: {sought.text}")
            lines += [
                f"  {match.share:>4.0%} {'whole ' if match.whole else ''}{match.where} of {one_line(match.uuid)} "
                f"({one_line(match.split)}, {one_line(match.place)})"
                for match in sought.matches
            ]
            if sought.rows > len(sought.matches):
                lines.append(f"  and {sought.rows - len(sought.matches):,} more rows")
        return "\n".join(lines)


class _Held(NamedTuple):
    """What one batch came to."""

    rows: int
    matches: list[tuple[int, Match]]
    """(number of the text, match)."""


def contains(
    data: str | Path,
    texts: str | Sequence[str],
    *,
    share: float = SHARE,
    split: Wanted = None,
    limit: int = SHOWN,
    revision: str | None = None,
) -> ContainsReport:
    """Look for texts in prompts, answers, traces and tool results; arguments of calls are not looked through.

    A row holds a text if at least `share` of the text's runs of 13 words stand in one of its messages, or in the trace of
    one; a text of fewer words must stand there as it is. Case, punctuation and white space do not count. Memory depends on
    the size of a batch, not on that of the data.

    Args:
        texts: One text, or several that are looked for in the same pass.
        share: 0 to 1, above 0. The default is the bound below which Llama 2's report calls a sample clean. Of texts
            longer than 500 words a row at this bound is overlooked with a chance of one in a million.
        limit: How many rows are told of each text; all are counted.
    Raises:
        UsageError: A text without words, a share out of bounds, or no such data.
        DataError: A file is damaged.
    """
    if not 0 < share <= 1:
        raise UsageError(f"share={share}: it is above 0 and at most 1, such as 0.2 or 20%")
    needles = [Needle(text, share) for text in ([texts] if isinstance(texts, str) else texts)]
    if not needles:
        raise UsageError("nothing to look for: give a text, with --text or --file")
    report = ContainsReport(0, share, [Sought(one_line(n.text, 60), len(n.words), n.sha256) for n in needles])
    shards = pick_splits(located(data, revision), split)
    finders = [needle.expressions() for needle in needles]
    work = (piece for shard in shards for piece in pieces(shard))
    for held in _in_order(work, needles, finders):
        report.rows += held.rows
        for number, match in held.matches:
            sought = report.texts[number]
            sought.rows += 1
            if len(sought.matches) < limit:
                sought.matches.append(match)
    return report


def _in_order(work: Iterator[Piece], needles: list[Needle], finders: list[list[str]]) -> Iterator[_Held]:
    """What each piece came to, in order; a few pieces are looked at at once, and of each a batch at a time."""
    threads = max(1, min(MOST_THREADS, os.cpu_count() or 1))

    def look(piece: Piece) -> _Held:
        rows, found = 0, list[tuple[int, Match]]()
        for batch in batches(piece, ["uuid", "messages"], ("role", "content", "reasoning_content")):
            rows += batch.rows.num_rows
            found += _matches(batch, needles, finders)
        return _Held(rows, found)

    with ThreadPoolExecutor(threads) as pool:
        running: deque[Future[_Held]] = deque()
        try:
            for piece in work:
                running.append(pool.submit(look, piece))
                if len(running) > threads:
                    yield running.popleft().result()
            while running:
                yield running.popleft().result()
        finally:
            for future in running:
                future.cancel()


def _matches(batch: Batch, needles: list[Needle], finders: list[list[str]]) -> Iterator[tuple[int, Match]]:
    turns = batch.rows.column("messages")
    offsets = np.asarray(turns.offsets.to_numpy(), np.int64)
    held = turns.values.slice(int(offsets[0]), int(offsets[-1] - offsets[0]))
    offsets = offsets - offsets[0]
    columns = [held.field("content"), held.field("reasoning_content")]
    told: dict[int, dict[int, Any]] = {}
    for number, finder in enumerate(finders):
        hit = np.zeros(len(held), np.bool_)
        for column in columns:
            if column.null_count < len(column):
                for expression in finder:
                    hit |= _hits(column, expression)
        for row in np.unique(np.searchsorted(offsets, np.flatnonzero(hit), "right") - 1).tolist():
            messages = told.setdefault(row, dict(enumerate(turns[row].as_py() or ())))
            if best := _best(messages.values(), needles[number]):
                where, share, whole = best
                uuid = batch.rows.column("uuid")[row].as_py()
                yield number, Match(uuid, batch.shard.split, batch.place(row), where, share, whole)


def _hits(column: pa.Array, expression: str) -> Any:
    found = pc.match_substring_regex(column, expression).fill_null(False)
    return found.to_numpy(zero_copy_only=False)


def _best(messages: Any, needle: Needle) -> tuple[str, float, bool] | None:
    """(where, share, whole) of the message that holds most of a text; None where none holds enough."""
    found = []
    for message in messages:
        for where, text in _texts(message):
            share, whole = needle.held_in(words_of(text))
            if share >= needle.share:
                found.append((whole, share, where))
    if not found:
        return None
    whole, share, where = max(found, key=lambda told: told[:2])
    return where, round(share, 4), whole


def _texts(message: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """(where, text) of what a message says."""
    content = message["content"] or ""
    where = WHERE.get(message["role"] or "", "tool")
    if where == "answer" and message["reasoning_content"] is None:
        trace, content, _ = think.split(content)
    else:
        trace = message["reasoning_content"]
    if trace:
        yield "trace", trace
    yield where, content
