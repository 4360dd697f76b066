"""Prompts that hold a benchmark's items: 13 words in a row that stand in one of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
import numpy.typing as npt

from tracemill.errors import DataError
from tracemill.inspect.block import Block
from tracemill.reading.dataset import located
from tracemill.reading.pieces import pieces
from tracemill.reading.raw import raw_rows
from tracemill.words import RUN, words_of

WORDS = RUN
SHORTEST = 8
"""Words from which on a shorter item counts as a whole."""
FIELDS = ("question", "prompt", "problem", "instruction", "query", "text", "input", "content")
"""Where a benchmark's question may stand; the first that is there."""
_POWERS = np.array([pow(1_000_003, k, 1 << 64) for k in range(WORDS)], np.uint64)

Hashes = npt.NDArray[np.uint64]


def benchmark_hashes(paths: list[str]) -> Hashes:
    """The hashes of all runs of 13 words in the questions of some benchmarks, sorted.

    Raises:
        DataError: A file holds no question that we can find; the text names its columns.
    """
    held = [np.zeros(0, np.uint64)]
    for path in paths:
        questions = 0
        for shard in located(path):
            for piece in pieces(shard):
                for row in raw_rows(piece):
                    for text in _questions(row):
                        questions += 1
                        held.append(_hashes(_words(text), shorter=True))
        if not questions:
            raise DataError(f"{path}: no row has a question in {', '.join(FIELDS)} or messages")
    return np.unique(np.concatenate(held))


def items(block: Block, benchmark: Hashes) -> dict[int, str]:
    """Rows whose prompt shares 13 words in a row with a benchmark, and how many such runs."""
    found = {}
    for row in range(block.rows):
        text = block.prompts[row].decode(errors="replace")
        words = _words(text)
        runs = _hashes(words, shorter=True)
        if not len(runs):
            continue
        shared = int(np.isin(runs, benchmark, assume_unique=False).sum())
        if shared:
            found[row] = f"{shared} of {len(runs)} runs of {WORDS} words stand in a benchmark"
    return found


def _questions(row: Mapping[str, Any]) -> Iterator[str]:
    turns = row.get("messages")
    if isinstance(turns, list):
        yield from (
            turn["content"]
            for turn in turns
            if isinstance(turn, dict) and turn.get("role") == "user" and isinstance(turn.get("content"), str)
        )
        return
    for name in FIELDS:
        if isinstance(row.get(name), str) and row[name].strip():
            yield row[name]
            return


def _words(text: str) -> npt.NDArray[np.uint64]:
    return np.array([crc32(word.encode(errors="surrogatepass")) for word in words_of(text)], np.uint64)


def _hashes(words: npt.NDArray[np.uint64], shorter: bool = False) -> Hashes:
    if len(words) < WORDS:
        if not shorter or len(words) < SHORTEST:
            return np.zeros(0, np.uint64)
        return np.array([(words * _POWERS[: len(words)]).sum(dtype=np.uint64)])
    runs = np.lib.stride_tricks.sliding_window_view(words, WORDS)
    return np.asarray((runs * _POWERS).sum(axis=1, dtype=np.uint64))


def read(path: Path) -> Hashes:
    """Hashes that another process wrote."""
    return np.asarray(np.memmap(path, np.uint64, "r"))
