"""How far a run is."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tracemill.charter import open_plan
from tracemill.engines.messages import Progress
from tracemill.errors import Locked
from tracemill.models.budget import Account, accounts, spent_lines, total
from tracemill.storage.journal import Journal
from tracemill.storage.lock import RunLock
from tracemill.storage.manifest import newest
from tracemill.storage.units import UnitStore


@dataclass(frozen=True)
class Status:
    """Where a run stands."""

    state: str
    """gathering, running, publishing, done; or "stopped" for a run that nobody is working on and that is not done."""
    prompts: int
    samples: int
    units: int
    units_done: int
    fates: dict[str, int]
    """Samples of committed units: "kept", or "stage: reason"."""
    journal: dict[str, int]
    """Stored replies and failed attempts, by outcome."""
    published: dict[str, int]
    """Rows by split of the manifest in force; empty before the first."""
    removed: int
    """Rows of `data/` that were taken down since."""
    live: dict[str, Any]
    """What the running process last wrote to status.json; empty if none runs."""
    spent: dict[str, Account]
    """By teacher: what the run has cost until now, by all that the journal holds."""

    @property
    def kept(self) -> int:
        """Rows of committed units that passed every check."""
        return self.fates.get("kept", 0)

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            **self.__dict__,
            "spent": total(self.spent).to_json(self.kept),
            "teachers": {name: account.to_json(self.kept) for name, account in self.spent.items()},
        }

    def to_text(self) -> str:
        """For a person."""
        lines = [
            f"{self.state}: {self.units_done} of {self.units} units, {sum(self.fates.values()):,} of {self.samples:,} samples",
            f"  prompts   {self.prompts:,}",
            f"  journal   {', '.join(f'{n:,} {k}' for k, n in sorted(self.journal.items())) or 'empty'}",
        ]
        lines += [
            f"  {count:>9,} {fate}" for fate, count in sorted(self.fates.items(), key=lambda f: (f[0] != "kept", f[0]))
        ]
        lines += [f"  spent     {line}" for line in spent_lines(self.spent, self.kept)]
        shown = ", ".join(f"{s} {n:,}" for s, n in self.published.items())
        lines.append(
            f"  published {shown or 'nothing yet'}" + (f"; {self.removed:,} taken down" if self.removed else "")
        )
        if self.live and self.state == "running":
            lines += [f"  now       {line}" for line in Progress.from_json(self.live).lines()]
        return "\n".join(lines)


def status(root: str | Path) -> Status:
    """Where the run in `root` stands.

    Raises:
        UsageError: there is no run.
    """
    paths, plan = open_plan(root)
    told: dict[str, Any] = {}
    try:
        told = json.loads(paths.status.read_bytes())
    except (OSError, ValueError):
        told = {}
    try:
        with RunLock(paths.lock, patience=0.0, claim=False):
            running = False
    except Locked:
        running = True
    fates: dict[str, int] = {}
    done = 0
    store = UnitStore(paths.units / plan.shelf)
    for note in plan.notes(store):
        done += 1
        fates["kept"] = fates.get("kept", 0) + note.files.get("kept", {"rows": 0})["rows"]
        for line in note.ledger:
            for reason, count in (line["dropped"] | line["failed"]).items():
                name = f"{line['stage']}: {reason}"
                fates[name] = fates.get(name, 0) + count
    journal = Journal(paths.journal, writable=False)
    try:
        counts = journal.counts()
        spent = accounts(journal, plan.recipe)
    finally:
        journal.close()
    manifest = newest(paths)
    published: dict[str, int] = {}
    for entry in manifest.files if manifest else []:
        if "split" in entry:
            published[entry["split"]] = published.get(entry["split"], 0) + entry["rows"]
    removed = manifest.content.get("removed", ()) if manifest else ()
    current = manifest is not None and manifest.content["plan"] == plan.fingerprint
    state = str(told.get("state", "running")) if running else "done" if current else "stopped"
    return Status(
        state,
        plan.spool.prompts,
        plan.samples,
        len(plan.units),
        done,
        fates,
        counts,
        published,
        sum(line["rows"] for line in removed if line["from"][0] == "data"),
        told if running else {},
        spent,
    )
