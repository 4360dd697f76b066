"""What becomes of samples: kept, rejected or failed; how a stage's word on one is counted, and the rows of a unit."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import pyarrow as pa

from tracemill.columns import table_of
from tracemill.errors import LossyConversion
from tracemill.ledger import Ledger
from tracemill.models.wire import Failure
from tracemill.record import Message, Sample, Verdict
from tracemill.schema import FAILED_SCHEMA, REJECTED_SCHEMA, SCHEMA, to_row
from tracemill.step import Drop

T = TypeVar("T")

AT_ONCE = 100
"""Rows of a unit that become columns at once."""


@dataclass(frozen=True, slots=True)
class Rejected:
    """A sample that a stage dropped."""

    sample: Sample
    stage: str
    drop: Drop


@dataclass(frozen=True, slots=True)
class Failed:
    """A sample that got no answer."""

    sample: Sample
    failure: Failure


Fate = Sample | Rejected | Failed


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a unit: every sample in exactly one of three places, each in key order."""

    kept: list[Sample]
    rejected: list[Rejected]
    failed: list[Failed]
    ledger: Ledger

    def tables(self) -> Iterator[tuple[str, pa.Table]]:
        """The rows by kind, ready to be stored, some at a time: all at once they would be in memory three times."""
        for some in _cut(self.kept):
            yield "kept", table_of([to_row(s) for s in some], SCHEMA)
        for refused in _cut(self.rejected):
            yield "rejected", table_of([_rejected_row(r) for r in refused], REJECTED_SCHEMA)
        for failed in _cut(self.failed):
            yield "failed", table_of([_failed_row(f) for f in failed], FAILED_SCHEMA)


def _cut(rows: Sequence[T]) -> Iterator[Sequence[T]]:
    return (rows[i : i + AT_ONCE] for i in range(0, len(rows), AT_ONCE))


def _rejected_row(of: Rejected) -> dict[str, Any]:
    return {**_row_of(of.sample), "stage": of.stage, "reason": of.drop.reason, "evidence": of.drop.evidence}


def _failed_row(of: Failed) -> dict[str, Any]:
    told = of.failure
    return {**_row_of(of.sample), "error_class": told.kind, "attempts": told.attempts, "evidence": told.detail}


def _row_of(sample: Sample) -> dict[str, Any]:
    """A row of a sample that was not kept. What no layout can carry is shown as plain text, so that one strange reply
    or prompt never stops a run; the reply itself is in the journal.
    """
    try:
        return to_row(sample)
    except LossyConversion:
        turns = tuple(Message(m.role, f"trace: {m.reasoning}\n\nanswer: {m.content}") for m in sample.messages)
        return to_row(replace(sample, messages=turns, tools=(), metadata={}))


def count(stage: str, drops: frozenset[str], sample: Sample, got: Sample | Drop, ledger: Ledger) -> Sample | Rejected:
    """Count what a stage that takes a sample says of it."""
    ledger.taken[place_of(stage, sample)] += 1
    return ended(stage, drops, sample, got, ledger)


def place_of(stage: str, sample: Sample) -> tuple[str, str, str]:
    """Where a sample is counted; a translation with the category of its parent, so that tables can compare them."""
    return (stage, sample.category if sample.parent is None else sample.domain or sample.category, sample.language)


def ended(stage: str, drops: frozenset[str], sample: Sample, got: Sample | Drop, ledger: Ledger) -> Sample | Rejected:
    """Count how a stage ended for a sample that it took or made."""
    place = place_of(stage, sample)
    if isinstance(got, Drop):
        if got.reason not in drops:
            raise AssertionError(f"step {stage!r} gave {got.reason!r}, which it does not declare")
        ledger.dropped[(*place, got.reason)] += 1
        verdict = Verdict(stage, False, got.reason if not got.evidence else f"{got.reason}: {got.evidence}")
        return Rejected(replace(sample, verdicts=(*sample.verdicts, verdict)), stage, got)
    ledger.kept[place] += 1
    return got
