"""What became of the samples of one prompt: which are right, which are wrong, and by whose word."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tracemill.record import Reasoning, Sample
from tracemill.schema import from_row

WRONG: Mapping[str, frozenset[str]] = {
    "verify_math": frozenset({"wrong_answer", "minority_answer"}),
    "verify_choices": frozenset({"wrong_choice", "minority_answer"}),
    "verify_units": frozenset({"wrong_answer", "wrong_unit"}),
    "verify_code": frozenset({"test_failed", "limit_exceeded", "not_faster"}),
    "verify_tools": frozenset({"missing_call", "needless_call", "wrong_call", "wrong_state", "wrong_answer"}),
    "judge": frozenset({"judged_bad"}),
}
"""Reasons of checks that say an answer is whole and wrong. Only such answers are the worse half of a pair."""
UNKNOWN = frozenset({"undecided", "tie", "low_agreement", "unverified", "test_invalid", "no_verdict"})
"""Reasons that say nothing of the answer."""
LATER = frozenset({"agree", "duplicates"})
"""Stages that take right answers out for other reasons."""


@dataclass
class Samples:
    """The answered samples of one prompt in one mode."""

    right: list[Sample] = field(default_factory=list)
    wrong: list[Sample] = field(default_factory=list)
    broken: int = 0
    """Answers that are neither: cut off, empty, without a result..."""
    steps: Counter[str] = field(default_factory=Counter)
    """The checks that decided, by how often."""

    @property
    def judged(self) -> int:
        """Answers of which it is known whether they are right; a broken one is not."""
        return len(self.right) + len(self.wrong) + self.broken


Of = dict[str, dict[Reasoning, Samples]]
"""By prompt key, then mode."""


def add_rows(found: Of, rows: Iterable[Mapping[str, Any]]) -> None:
    """Sort rows of a unit, kept or rejected, into `found`. Translations, and samples nobody was asked for, are passed over."""
    for row in rows:
        if row["parent_uuid"] is not None or not row["requests"] or not row["prompt_key"]:
            continue
        stage, reason = row.get("stage"), row.get("reason")
        if stage == "respond":
            continue
        sample = from_row(row)
        of = found.setdefault(sample.prompt_key, {}).setdefault(sample.reasoning, Samples())
        _add(of, sample, stage, reason)


def _add(of: Samples, sample: Sample, stage: str | None, reason: str | None) -> None:
    checks = [verdict for verdict in sample.verdicts if verdict.step in WRONG]
    against = next((verdict for verdict in checks if not verdict.passed), None)
    if against is not None:  # refused, or kept with the verdict against it
        stage, reason = against.step, against.evidence.partition(":")[0]
    elif stage in LATER:
        stage = None
    if stage is None:
        if checks:
            of.right.append(sample)
            of.steps[checks[-1].step] += 1
    elif reason in WRONG.get(stage, ()):
        of.wrong.append(sample)
        of.steps[stage] += 1
    elif reason not in UNKNOWN:
        of.broken += 1
