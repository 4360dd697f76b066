"""The life of one row: where it comes from, what was asked and came back, what each step said, and where it ended."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pyarrow.compute as pc

from tracemill import identity
from tracemill.charter import open_plan
from tracemill.errors import UsageError
from tracemill.legible import one_line
from tracemill.plan import Plan
from tracemill.publish.dataset import split_of
from tracemill.storage.entries import Entry
from tracemill.storage.journal import Journal
from tracemill.storage.layout import RunPaths
from tracemill.storage.parquet import read_batches
from tracemill.storage.units import KINDS, UnitStore


@dataclass(frozen=True)
class Life:
    """What is known of one row."""

    uuid: str
    place: str
    """A split's name, "rejected", "failed", or "planned" for a row that has no fate yet."""
    why: str
    """Stage and reason, or class of the failure; empty for a kept row."""
    row: dict[str, Any]
    attempts: list[dict[str, Any]]
    """Each stored reply or failed attempt, oldest first."""

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)

    def to_text(self) -> str:
        """For a person."""
        row = self.row
        lines = [f"{self.uuid} is in {self.place}" + (f": {self.why}" if self.why else "")]
        lines.append(
            f"  source    {one_line(row.get('source'))} {one_line(row.get('source_id'))} "
            f"({one_line(row.get('source_license'))})"
        )
        lines += [f"  {m['role']:<9} {one_line(m['content'])}" for m in row.get("messages") or []]
        if row.get("expected_answer") is not None:
            lines.append(f"  expected  {one_line(row['expected_answer'])}")
        for number, attempt in enumerate(self.attempts, 1):
            told = ", ".join(f"{k} {one_line(v)}" for k, v in attempt.items() if v not in (None, "", {}) and k != "key")
            lines.append(f"  asked {number}   {told}")
        for verdict in row.get("verdicts") or []:
            passed = "passed" if verdict["passed"] else "refused"
            lines.append(f"  {verdict['step']:<9} {passed} {one_line(verdict['evidence'])}".rstrip())
        return "\n".join(lines)


def explain(root: str | Path, uuid: str) -> Life:
    """The life of the row `uuid` of the run in `root`.

    Raises:
        UsageError: there is no such run, or no such row in it.
    """
    paths, plan = open_plan(root)
    wanted = uuid.strip().lower()
    life = _in_units(paths, plan, wanted) or _among_bad_lines(plan, wanted) or _planned(plan, wanted)
    if life is None:
        raise UsageError(f"{paths.root} has no row {uuid}; take one from data/, rejected/ or failed/")
    return life


def _in_units(paths: RunPaths, plan: Plan, uuid: str) -> Life | None:
    store = UnitStore(paths.units / plan.fingerprint[:16])
    for unit in plan.units:
        note = store.read(unit.name)
        for kind in KINDS if note else ():
            path = store.path(note, kind) if note else None
            if path is None:
                continue
            for batch in read_batches(path):
                found = batch.filter(pc.equal(batch.column("uuid"), uuid))
                if found.num_rows:
                    return _life(paths, kind, found.to_pylist()[0])
    return None


def _life(paths: RunPaths, kind: str, row: dict[str, Any]) -> Life:
    why = ""
    place = kind
    if kind == "kept":
        place = split_of(row["category"], row["language"])
    elif kind == "rejected":
        why = f"{row['stage']}: {row['reason']} ({one_line(row['evidence'])})"
    else:
        why = f"{row['error_class']} after {row['attempts']} attempts ({one_line(row['evidence'])})"
    journal = Journal(paths.journal, writable=False)
    try:
        attempts = [_attempt(entry) for key in row["requests"] for entry in journal.find(key)]
    finally:
        journal.close()
    return Life(row["uuid"], place, why, row, attempts)


def _attempt(entry: Entry) -> dict[str, Any]:
    told = asdict(entry)
    del told["body"]
    return told


def _among_bad_lines(plan: Plan, uuid: str) -> Life | None:
    for bad in plan.spool.bad_lines():
        if identity.input_uuid(bad.source, bad.where) == uuid:
            row = {"source": bad.source, "source_id": bad.where, "evidence": bad.evidence}
            return Life(uuid, "rejected", f"gather: {bad.reason} ({one_line(bad.evidence)})", row, [])
    return None


def _planned(plan: Plan, uuid: str) -> Life | None:
    for unit in plan.units:
        for prompt in plan.spool.read(unit):
            for question in plan.questions.of(prompt):
                if question.unanswered.uuid == uuid:
                    row = {
                        "source": prompt.source,
                        "source_id": prompt.source_id,
                        "source_license": prompt.source_license,
                        "messages": [{"role": m.role, "content": m.content} for m in question.unanswered.messages],
                        "expected_answer": prompt.expected,
                    }
                    return Life(uuid, "planned", "it has no fate yet; `tracemill build` goes on", row, [])
    return None
