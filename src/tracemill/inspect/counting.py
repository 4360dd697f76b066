"""Counting a piece for `stats`: rows, bytes, characters and tokens of each combination of labels."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tracemill.errors import MissingExtra, UsageError
from tracemill.inspect.block import Block, Ints
from tracemill.legible import one_line
from tracemill.reading.batch import Piece
from tracemill.reading.filters import languages_of
from tracemill.reading.pieces import batches

DIMENSIONS = ("split", "category", "domain", "language", "generator", "reasoning", "license")
MEASURES = ("rows", "arrow_bytes", "bytes", "characters", "tokens")
COLUMNS = (
    "messages",
    "category",
    "domain",
    "language",
    "generator",
    "reasoning",
    "license",
    "metadata",
    "tools",
    "uuid",
)
MOST_KEYS = 20_000
"""Different combinations of labels that a piece tells apart; the rest is counted under "(other)"."""
OTHER = "(other)"


def counted(piece: Piece, tokenizer: str | None) -> dict[str, Any]:
    """{"cells": [[labels, counts] ...], "bad": lines that are no rows} of a piece; damage is told as {"damage": text}."""
    from tracemill.errors import DataError

    count = _counter(tokenizer) if tokenizer else None
    cells: dict[tuple[str, ...], list[int]] = {}
    bad, damage = 0, ""
    try:
        for batch in batches(piece, COLUMNS):
            bad += len(batch.bad)
            if batch.rows.num_rows:
                _count(cells, Block(batch), count)
    except DataError as exc:
        damage = one_line(exc, 300)
    return {"cells": [[list(key), value] for key, value in cells.items()], "bad": bad, "damage": damage}


def _count(cells: dict[tuple[str, ...], list[int]], block: Block, count: Callable[[Block], Ints] | None) -> None:
    labels = {
        "split": pa.repeat(pa.scalar(block.batch.shard.split), block.rows),
        "language": languages_of(block.batch.rows, block.batch.shard),
    }
    codes, values = np.zeros(block.rows, np.int64), []
    for name in DIMENSIONS:
        held = pc.dictionary_encode(labels[name] if name in labels else block.texts(name), "encode")
        known = ["(none)" if v is None else one_line(v, 80) for v in held.dictionary.to_pylist()]
        values.append(known)
        codes = codes * max(len(known), 1) + held.indices.to_numpy(zero_copy_only=False)
    per_row = [np.ones(block.rows, np.int64), np.full(block.rows, block.batch.rows.nbytes // block.rows)]
    per_row.append(_by_row(block, block.content.sizes + block.traces.sizes))
    per_row.append(_by_row(block, block.content.characters() + block.traces.characters()))
    per_row.append(count(block) if count else np.zeros(block.rows, np.int64))
    distinct, places = np.unique(codes, return_inverse=True)
    sums = [np.bincount(places, weights=each, minlength=len(distinct)).astype(np.int64) for each in per_row]
    for i, code in enumerate(distinct.tolist()):
        left, key = code, []
        for known in reversed(values):
            left, place = divmod(left, max(len(known), 1))
            key.append(known[place] if known else "(none)")
        whole = tuple(reversed(key))
        if whole not in cells and len(cells) >= MOST_KEYS:
            whole = (whole[0], *(OTHER,) * (len(DIMENSIONS) - 1))
        held_cell = cells.setdefault(whole, [0] * len(MEASURES))
        for m, each in enumerate(sums):
            held_cell[m] += int(each[i])


def _by_row(block: Block, per_message: Ints) -> Ints:
    sums = np.concatenate([[0], np.cumsum(per_message)])
    return np.asarray(sums[block.starts[1:]] - sums[block.starts[:-1]], np.int64)


@lru_cache(maxsize=1)
def _counter(tokenizer: str) -> Callable[[Block], Ints]:
    """Tokens of each row's messages, by the file `tokenizer.json` of a model."""
    try:
        from tokenizers import Tokenizer  # type: ignore[import-not-found,unused-ignore]
    except ImportError as exc:
        raise MissingExtra(
            "to count tokens, install the library of tokenizers: pip install 'tracemill[tokens]'"
        ) from exc
    path = Path(tokenizer) / "tokenizer.json" if Path(tokenizer).is_dir() else Path(tokenizer)
    try:
        made = Tokenizer.from_file(str(path))
    except Exception as exc:  # the library raises a bare Exception
        raise UsageError(f"{path} is no tokenizer.json: {one_line(exc, 200)}") from exc

    def count(block: Block) -> Ints:
        texts = [block.content[i].decode(errors="replace") for i in range(block.messages)]
        traces = [block.traces[i].decode(errors="replace") for i in range(block.messages)]
        both = made.encode_batch([*texts, *traces], add_special_tokens=False)
        lengths = np.array([len(one.ids) for one in both], np.int64)
        return _by_row(block, lengths[: block.messages] + lengths[block.messages :])

    return count


def check_tokenizer(tokenizer: str | None) -> None:
    """Raise what is wrong with a tokenizer before any row is read."""
    if tokenizer:
        _counter(tokenizer)
