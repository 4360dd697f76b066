"""What a tool has delivered, held against what the server said to each prompt."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from bench.ask import CONTENT_BYTES, REASONING_BYTES
from tracemill.layouts import from_layout

_NUMBER = re.compile(r"Problem (\d+):")
_SPACE = 8
"""Bytes of white space at the ends that a tool may strip."""


@dataclass(frozen=True)
class Row:
    """One row of a dataset; None where there is nothing."""

    question: str | None
    content: str | None
    reasoning: str | None


@dataclass(frozen=True)
class Delivered:
    """A dataset, counted."""

    right: int
    """Prompts with a row that holds content and trace as they were sent."""
    lost: int
    """Prompts without any row."""
    wrong: int
    """Rows that hold something else than was sent for their prompt, or a part of it, or whose prompt is unknown."""
    twice: int
    """Rows of a prompt after its first."""


def count_rows(rows: Iterable[Row], answers: Sequence[int]) -> Delivered:
    """Hold each row against the answer that its prompt was given.

    Args:
        answers: What the server boxed for the prompt of each number.
    """
    seen: Counter[int] = Counter()
    right, wrong = set(), 0
    for row in rows:
        told = _NUMBER.search(row.question or "")
        number = int(told[1]) if told else -1
        if not 0 <= number < len(answers):
            wrong += 1
            continue
        seen[number] += 1
        if _as_sent(row, answers[number]):
            right.add(number)
        else:
            wrong += 1
    return Delivered(len(right), len(answers) - len(seen), wrong, sum(seen.values()) - len(seen))


def _as_sent(row: Row, answer: int) -> bool:
    content, reasoning = (row.content or "").strip(), (row.reasoning or "").strip()
    return (
        content.endswith(f"\\boxed{{{answer}}}.")
        and CONTENT_BYTES - _SPACE <= len(content.encode()) <= CONTENT_BYTES
        and reasoning.endswith(f"\nSo the answer is {answer}.")
        and REASONING_BYTES - _SPACE <= len(reasoning.encode()) <= REASONING_BYTES
    )


def peer_answers(prompts: Path) -> list[int]:
    """What the server boxes for prompts that are sent as they are."""
    lines = prompts.read_bytes().splitlines()
    return [int.from_bytes(sha256(orjson.loads(x)["question"].encode()).digest()[:4], "big") % 1000 for x in lines]


def our_answers(prompts: Path) -> list[int]:
    """The same for prompts in Tracemill's template; `ask.job` has worked it out."""
    return [int(orjson.loads(line)["answer"]) for line in prompts.read_bytes().splitlines()]


def peer_rows(out: Path, files: str, fields: Sequence[str]) -> Iterator[Row]:
    """Rows of all whole Parquet files of that pattern.

    Args:
        fields: Columns of question, content and trace; a column that is absent holds nothing.
    """
    for file in sorted(out.glob(files)):
        try:
            table = pq.read_table(file)
        except (pa.ArrowInvalid, OSError):  # torn by a kill
            continue
        for row in table.to_pylist():
            yield Row(*(_text(row, name) for name in fields))


def _text(row: Mapping[str, object], name: str) -> str | None:
    value = row.get(name)
    return value if isinstance(value, str) else None


def our_rows(out: Path) -> Iterator[Row]:
    """Rows of a Tracemill run's dataset."""
    for file in sorted((out / "data").glob("*.parquet")):
        for row in pq.read_table(file).to_pylist():
            messages = from_layout(row, "v1").messages
            yield Row(messages[0].content, messages[-1].content, messages[-1].reasoning)
