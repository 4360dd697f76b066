"""Where each file of a run lies.

out/  README.md  manifest.json  status.json  data/  rejected/  failed/
.tracemill/  recipe.yaml  plan.json  templates/  lock  journal/  verdicts.sqlite  flight/  spool/  units/  objects/  manifests/
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class RunPaths:
    """The paths of the run in `root`."""

    root: Path

    @property
    def inner(self) -> Path:
        return self.root / ".tracemill"

    @property
    def lock(self) -> Path:
        return self.inner / "lock"

    @property
    def recipe(self) -> Path:
        return self.inner / "recipe.yaml"

    @property
    def plan(self) -> Path:
        return self.inner / "plan.json"

    @property
    def templates(self) -> Path:
        return self.inner / "templates"

    @property
    def journal(self) -> Path:
        return self.inner / "journal"

    @property
    def verdicts(self) -> Path:
        return self.inner / "verdicts.sqlite"

    @property
    def flight(self) -> Path:
        return self.inner / "flight"

    @property
    def spool(self) -> Path:
        return self.inner / "spool"

    @property
    def units(self) -> Path:
        return self.inner / "units"

    @property
    def objects(self) -> Path:
        return self.inner / "objects"

    @property
    def manifests(self) -> Path:
        return self.inner / "manifests"

    @property
    def manifest(self) -> Path:
        return self.root / "manifest.json"

    @property
    def status(self) -> Path:
        return self.root / "status.json"

    @property
    def card(self) -> Path:
        return self.root / "README.md"
