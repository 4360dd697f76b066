"""The life of one row: where it comes from, what was asked and came back, what each step said, and where it ended."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from tracemill import identity
from tracemill.charter import open_plan
from tracemill.errors import UsageError
from tracemill.gather.spool import Unit
from tracemill.legible import one_line
from tracemill.models.door import NotStored
from tracemill.plan import Plan
from tracemill.publish.dataset import split_of
from tracemill.report.translations import walk
from tracemill.schema import FAILED_SCHEMA, REJECTED_SCHEMA
from tracemill.storage.entries import Entry
from tracemill.storage.journal import Journal
from tracemill.storage.layout import RunPaths
from tracemill.storage.manifest import Manifest, newest
from tracemill.storage.parquet import read_batches
from tracemill.storage.tombstones import Stone, Tombstones
from tracemill.storage.units import UnitStore

TOLD_OF_REMOVED = ("source", "source_id", "source_license", "category", "language", "generator", "reasoning")
"""What is still told of a row that was taken down."""


@dataclass(frozen=True)
class Life:
    """What is known of one row."""

    uuid: str
    place: str
    """A split's name, "rejected", "failed", "planned" for a row that has no fate yet, or "removed"."""
    why: str
    """Stage and reason, or class of the failure; empty for a kept row."""
    row: dict[str, Any]
    attempts: list[dict[str, Any]]
    """Each stored reply or failed attempt, oldest first."""
    prompt_hash: str | None = None
    """Of what is asked, equal for all rows of a prompt; None for a line that became no prompt."""
    removed: dict[str, Any] | None = None
    """Of a row that was taken down: its tombstone, with the number of the first manifest without it, and when."""

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
        if self.prompt_hash:
            lines.append(f"  prompt    {self.prompt_hash}")
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
    life = _in_units(paths, plan, uuid.strip()) or _among_bad_lines(plan, wanted) or _planned(plan, wanted)
    told = (life.uuid, life.prompt_hash, life.row.get("parent_uuid")) if life else (wanted, None)
    stone = Tombstones.load(paths).stone_of(*told)
    if stone is not None:
        return _removed(life or Life(wanted, "no row of this run", "", {}, []), stone, newest(paths))
    if life is None:
        raise UsageError(f"{paths.root} has no row {uuid}; take one from data/, rejected/ or failed/")
    return life


def _removed(life: Life, stone: Stone, manifest: Manifest | None) -> Life:
    """The life of a row that was taken down: all of it but its texts."""
    shown = manifest is None or manifest.number < stone.manifest
    why = (
        f"asked for at {stone.at}, but not yet done: `tracemill remove` with the same words goes on"
        if shown
        else f"taken down from {life.place} by manifest {stone.manifest}, asked for at {stone.at}"
    )
    row = {name: life.row[name] for name in TOLD_OF_REMOVED if name in life.row}
    return replace(life, place="removed", why=why, row=row, removed=asdict(stone))


def _in_units(paths: RunPaths, plan: Plan, uuid: str) -> Life | None:
    store = UnitStore(paths.units / plan.shelf)
    units = {unit.name: unit for unit in plan.units}
    for note in plan.notes(store):
        for kind in note.files:
            path = store.path(note, kind)
            for batch in read_batches(path) if path else ():
                found = batch.filter(pc.is_in(batch.column("uuid"), value_set=pa.array([uuid, uuid.lower()])))
                if found.num_rows:
                    row = found.to_pylist()[0]
                    told = {name: row[name] for name in row if name in FAILED_SCHEMA.names + REJECTED_SCHEMA.names}
                    return _life(paths, plan, units[note.unit], kind, told)
    return None


def _life(paths: RunPaths, plan: Plan, unit: Unit, kind: str, row: dict[str, Any]) -> Life:
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
        asked = row["requests"] or _asked_to_translate(paths, plan, row)
        attempts = [_attempt(entry) for key in asked for entry in journal.find(key)]
    finally:
        journal.close()
    return Life(row["uuid"], place, why, row, attempts, plan.prompt_hash(unit, row))


def _asked_to_translate(paths: RunPaths, plan: Plan, row: dict[str, Any]) -> list[str]:
    """The keys of the requests that a translated row took, found by walking it again."""
    if plan.translation is None or row["parent_uuid"] is None:
        return []
    place = row["parent_uuid"], row["language"]
    try:
        for _, _, told, requests in walk(paths, plan, lambda parent, code: (parent.uuid, code) == place):
            if told.sample.uuid == row["uuid"]:
                return list(dict.fromkeys(request.key for request in requests))
    except NotStored:
        pass  # a request that got no reply: what is stored of it the failed row tells
    return []


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
                    why = f"it has no fate yet; `tracemill {plan.command}` goes on"
                    return Life(uuid, "planned", why, row, [], prompt.hash)
    return None
