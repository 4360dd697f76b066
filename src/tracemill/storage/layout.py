"""Where each file of a run lies.

out/  README.md  ATTRIBUTION.md  manifest.json  status.json  data/  rejected/  failed/
.tracemill/  recipe.yaml  plan.json  templates/  translation/  lock  claims  journal/  verdicts.sqlite  flight/
             spool/  units/  objects/  manifests/  tombstones.json
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

STOCK = "stock.json"
"""Below a spool's name: which rows a refined run works, in the place of prompts."""


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
    def translation(self) -> Path:
        return self.inner / "translation"

    @property
    def claims(self) -> Path:
        return self.inner / "claims"

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
    def tombstones(self) -> Path:
        return self.inner / "tombstones.json"

    @property
    def manifest(self) -> Path:
        return self.root / "manifest.json"

    @property
    def status(self) -> Path:
        return self.root / "status.json"

    @property
    def card(self) -> Path:
        return self.root / "README.md"

    @property
    def attribution(self) -> Path:
        return self.root / "ATTRIBUTION.md"
