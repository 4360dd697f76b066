"""The audit: proof of what the mill promises about a run, from its files alone.

P3 every file that the manifest names is there, with its length and sha256, and every page of it can be read.
P4 working every unit again from the stored replies, in another order, gives the same bytes.
P5 every input line and every planned sample ends in exactly one place, and all counts agree with the rows.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tracemill import identity
from tracemill.charter import open_plan
from tracemill.engines.inline import replay
from tracemill.errors import RecipeError, TracemillError
from tracemill.ledger import Ledger
from tracemill.models.door import NotStored
from tracemill.plan import READ, Plan
from tracemill.publish.dataset import publication, publish
from tracemill.recipe.translate import STAGE as TRANSLATE
from tracemill.storage.journal import Journal
from tracemill.storage.layout import RunPaths
from tracemill.storage.manifest import PUBLIC, Manifest, newest, read
from tracemill.storage.parquet import damage, file_sha256, read_batches
from tracemill.storage.tombstones import Tombstones
from tracemill.storage.units import UnitStore

TEXTS = {"README.md": "card", "ATTRIBUTION.md": "attribution"}
"""Published texts, and where the manifest holds them."""
ENTERED = ("respond", READ)
"""The stages that the input comes to first."""
MADE = (*ENTERED, TRANSLATE)
"""The stages that make rows."""


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at."""

    name: str
    problems: list[str]
    seen: str
    """What was looked at, e.g. "7 files, 3,711 rows"."""

    @property
    def ok(self) -> bool:
        return not self.problems


@dataclass
class AuditReport:
    """All checks of one audit."""

    root: Path
    checks: list[Check] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        return all(check.ok for check in self.checks)

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        checks = [{"name": c.name, "ok": c.ok, "seen": c.seen, "problems": c.problems} for c in self.checks]
        return {"root": str(self.root), "ok": self.ok, "checks": checks}


def audit(root: str | Path, *, quick: bool = False) -> AuditReport:
    """Check a run.

    Args:
        root: Directory of the run.
        quick: Leave out P4, which works every unit again, and the reading of the journal.
    Raises:
        UsageError: `root` holds no run.
    """
    paths, plan = open_plan(root)
    report = AuditReport(paths.root)
    add = report.checks.append
    manifest = _newest(paths, plan, add)
    if manifest is None:
        return report
    add(_files(paths, manifest))
    add(_counts(paths, manifest))
    same = _same_plan(paths, plan, manifest)
    add(same)
    if manifest.content["plan"] != plan.fingerprint:
        return report
    add(_units(paths, plan))
    add(_places(paths, plan))
    if not quick:
        add(_journal(paths))
        if same.ok:
            add(_replayed(paths, plan, manifest))
    return report


def _newest(paths: RunPaths, plan: Plan, add: Callable[[Check], None]) -> Manifest | None:
    """The manifest in force, if the chain of manifests holds."""
    names = sorted(p for p in paths.manifests.glob("*.json") if not p.name.startswith("."))
    if not names:
        add(Check("manifest", [f"nothing is published yet; `tracemill {plan.command}` goes on"], "0 manifests"))
        return None
    problems, parent = [], None
    try:
        for number, path in enumerate(names, 1):
            manifest = read(path)
            if manifest.number != number or manifest.content["parent"] != parent:
                problems.append(f"{path.name} does not follow from the manifest before it")
            parent = manifest.sha256
        if not paths.manifest.exists():
            problems.append("manifest.json is missing")
        elif paths.manifest.read_bytes() != names[-1].read_bytes():
            problems.append(f"manifest.json is not a copy of {names[-1].name}")
        if not paths.card.exists():
            problems.append("README.md is missing")
        elif paths.card.read_text(encoding="utf-8") != manifest.content["card"]:
            problems.append("README.md is not the card that was published; was it edited?")
        told = manifest.content.get("attribution")
        if told is not None and (not paths.attribution.exists() or paths.attribution.read_text("utf-8") != told):
            problems.append("ATTRIBUTION.md is missing, or not the one that was published")
    except (TracemillError, UnicodeDecodeError, KeyError) as exc:
        problems.append(str(exc))
    add(Check("manifest", problems, f"{len(names)} manifests and the card"))
    return None if problems and not names else newest(paths) if not problems else _try_newest(paths)


def _try_newest(paths: RunPaths) -> Manifest | None:
    try:
        return newest(paths)
    except TracemillError:
        return None


def _files(paths: RunPaths, manifest: Manifest) -> Check:
    """P3."""
    problems = []
    for entry in manifest.files:
        for name in (entry["path"], entry["object"]):
            path = paths.root / name
            problem = None
            if not path.is_file():
                problem = "is missing"
            elif path.stat().st_size != entry["bytes"]:
                problem = f"holds {path.stat().st_size:,} bytes instead of {entry['bytes']:,}"
            elif file_sha256(path) != entry["sha256"]:
                problem = "does not have its sha256"
            elif name == entry["path"] and (found := damage(path, entry["rows"])):
                problem = found
            if problem:
                problems.append(f"{name}: {problem}")
    named = {entry["path"] for entry in manifest.files}
    for directory in PUBLIC:
        there = [f"{directory}/{path.name}" for path in sorted((paths.root / directory).glob("*"))]
        problems += [f"{name}: no manifest names it" for name in there if name not in named]
    rows = sum(entry["rows"] for entry in manifest.files)
    return Check("files (P3)", problems, f"{len(manifest.files)} files, {rows:,} rows")


def _rows_of(paths: RunPaths, manifest: Manifest, directory: str, columns: list[str]) -> Iterator[tuple[Any, ...]]:
    for entry in manifest.files:
        if entry["path"].startswith(f"{directory}/"):
            for batch in read_batches(paths.root / entry["path"], columns):
                yield from zip(*(batch.column(c).to_pylist() for c in columns), strict=True)


def _counts(paths: RunPaths, manifest: Manifest) -> Check:
    """P5: the ledger adds up, and says what the rows say."""
    ledger = Ledger.from_lines(manifest.content["ledger"])
    problems = ledger.imbalance()
    try:
        rejected = Counter(_rows_of(paths, manifest, "rejected", ["stage", "reason"]))
        failed = Counter(_rows_of(paths, manifest, "failed", ["error_class"]))
        kept = sum(1 for _ in _rows_of(paths, manifest, "data", ["uuid"]))
        taken_down = 0
        for line in manifest.content.get("removed", ()):
            place, *what = line["from"]
            taken_down += line["rows"]
            if place == "data":
                kept += line["rows"]
            else:
                (rejected if place == "rejected" else failed)[tuple(what)] += line["rows"]
    except (OSError, ValueError) as exc:
        return Check("counts (P5)", [*problems, f"rows cannot be counted: {exc}"], "")
    lost: Counter[tuple[str, ...]] = Counter()
    for (stage, _, _, reason), count in ledger.dropped.items():
        lost[stage, reason] += count
    errors: Counter[tuple[str, ...]] = Counter()
    for (_, _, _, kind), count in ledger.failed.items():
        errors[(kind,)] += count
    problems += [
        f"the ledger dropped {lost[k]:,} as {k}, rejected/ holds {rejected[k]:,}"
        for k in lost | rejected
        if lost[k] != rejected[k]
    ]
    problems += [
        f"the ledger failed {errors[k]:,} as {k}, failed/ holds {failed[k]:,}"
        for k in errors | failed
        if errors[k] != failed[k]
    ]
    asked = sum(n for (stage, _, _), n in (ledger.taken + ledger.spawned).items() if stage in MADE)
    ended = kept + failed.total() + sum(n for (stage, _), n in rejected.items() if stage != "gather")
    if asked != ended:
        problems.append(f"{asked:,} samples were asked for, {ended:,} are in data/, rejected/ and failed/")
    gathered = sum(n for (stage, _, _), n in ledger.kept.items() if stage == "gather")
    answered = sum(n for (stage, _, _), n in ledger.taken.items() if stage in ENTERED)
    if gathered != answered:
        problems.append(f"{gathered:,} prompts were gathered, {answered:,} were answered")
    for source in manifest.content["inputs"]:
        if source["prompts"] < 0 or source["bad_lines"] < 0:
            problems.append(f"source {source['name']}: counts below zero")
    taken = sum(n for (stage, _, _), n in ledger.taken.items() if stage == "gather")
    told = sum(s["prompts"] + s["bad_lines"] for s in manifest.content["inputs"])
    if taken != told:
        problems.append(f"the ledger took {taken:,} input lines, the sources tell of {told:,}")
    return Check(
        "counts (P5)",
        problems,
        f"{taken:,} input lines, {asked:,} samples: {kept:,} kept, {ended - kept:,} not"
        + (f"; {taken_down:,} of them taken down" if taken_down else ""),
    )


def _same_plan(paths: RunPaths, plan: Plan, manifest: Manifest) -> Check:
    problems = []
    store = UnitStore(paths.units / plan.shelf)
    notes = plan.notes(store)
    stones = Tombstones.load(paths)
    if manifest.content["plan"] != plan.fingerprint:
        problems.append(
            f"the recipe or the input has changed since this was published; `tracemill {plan.command}` goes on"
        )
    elif stones.until(manifest.number).identity != stones.identity:
        problems.append(
            "rows are to be taken down that are still shown; `tracemill remove` with the same words goes on"
        )
    elif len(notes) == len(plan.units) and (
        manifest.content.get("publication") != publication(plan.recipe, plan.fingerprint, notes, stones)
    ):
        problems.append(
            "the recipe has changed since this was published, or rows that had failed have come in; "
            f"`tracemill {plan.command}` publishes anew"
        )
    return Check("plan", problems, f"plan {plan.fingerprint[:16]}")


def _units(paths: RunPaths, plan: Plan) -> Check:
    """P3, for the units that the next publication would be made of."""
    store = UnitStore(paths.units / plan.shelf)
    notes = plan.notes(store)
    problems = [
        f"unit {note.unit}: {problem}; delete this file, and `tracemill {plan.command}` works the unit again"
        for note in notes
        if (problem := store.check(note))
    ]
    return Check("units (P3)", problems, f"{sum(len(note.files) for note in notes)} files")


def _places(paths: RunPaths, plan: Plan) -> Check:
    """P5: each planned uuid stands in exactly one of the unit's three files."""
    store = UnitStore(paths.units / plan.shelf)
    problems, seen = [], 0
    for unit in plan.units:
        note = store.read(unit.name)
        if note is None:
            problems.append(f"unit {unit.name} is not committed")
            continue
        found: Counter[str] = Counter()
        parents: list[tuple[str, str, str]] = []
        try:
            planned = plan.planned(unit)
            for kind in note.files:
                path = store.path(note, kind)
                if path is not None:
                    for batch in read_batches(path, ["uuid", "language", "category", "domain"]):
                        rows = [(r["uuid"], r["language"], r["domain"] or r["category"]) for r in batch.to_pylist()]
                        found.update(uuid for uuid, *_ in rows)
                        parents += [row for row in rows if kind == "kept" and row[0] in planned]
        except (OSError, ValueError, RecipeError) as exc:
            problems.append(f"unit {unit.name} cannot be read: {exc}")
            continue
        planned.update(plan.translations(parents))
        seen += planned.total()
        if planned != found:
            differing = sorted((planned - found) + (found - planned))
            problems.append(f"unit {unit.name}: {len(differing)} rows are missing or stand twice, e.g. {differing[0]}")
    return Check("places (P5)", problems, f"{seen:,} rows in {len(plan.units)} units")


def _journal(paths: RunPaths) -> Check:
    try:
        journal = Journal(paths.journal, writable=False)
        try:
            problems = journal.check()
            counts = journal.counts() if not problems else {}
        finally:
            journal.close()
    except TracemillError as exc:
        return Check("journal (P1)", [str(exc)], "")
    return Check("journal (P1)", problems, ", ".join(f"{n:,} {k}" for k, n in sorted(counts.items())))


def _replayed(paths: RunPaths, plan: Plan, manifest: Manifest) -> Check:
    """P4: last unit first, in one process, from the journal alone."""
    with tempfile.TemporaryDirectory(prefix="tracemill-audit-") as scratch:
        again = RunPaths(Path(scratch))
        store = UnitStore(again.units)
        try:
            notes = replay(plan, paths, reversed(plan.units), store)
            settled, ordered = plan.settled(store, [notes[unit.name] for unit in plan.units])
            spool = settled.spool
            stones = Tombstones.load(paths)
            second = publish(
                *(again, plan.recipe, plan.fingerprint, spool.inputs, spool.ledger, spool.bad_lines(), store, ordered),
                stones=stones,
                gone=stones.gone(spool.keys_of),
            )
        except NotStored as exc:
            return Check("replay (P4)", [f"the journal lacks the reply to request {exc}"], "")
        except (TracemillError, OSError, ValueError) as exc:
            return Check("replay (P4)", [f"the run cannot be worked again: {exc}"], "")
        before = {f["path"]: f["sha256"] for f in manifest.files} | {
            name: identity.digest(manifest.content.get(key)) for name, key in TEXTS.items()
        }
        after = {f["path"]: f["sha256"] for f in second.files} | {
            name: identity.digest(second.content.get(key)) for name, key in TEXTS.items()
        }
        problems = [
            f"{p}: worked again it comes out different" for p in sorted(before | after) if before.get(p) != after.get(p)
        ]
    return Check("replay (P4)", problems, f"{len(plan.units)} units worked again in another order")
