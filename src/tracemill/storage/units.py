"""Committed units: what became of the prompts of one unit, as Parquet files and a note that says they are whole.

A unit is committed when its note `<unit>.json` is in place; without it the unit is worked again, from the journal.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from tracemill.storage.fs import REAL, Fs, crash_point
from tracemill.storage.parquet import ParquetFile, damage, file_sha256

KINDS = ("kept", "rejected", "failed")
GROUP = 200
"""Rows in a row group of a unit's file: what is held in memory until it is written."""


@dataclass(frozen=True, slots=True)
class UnitNote:
    """What a committed unit says of itself."""

    unit: str
    files: dict[str, dict[str, Any]]
    """By kind ("kept", "rejected", "failed"): name, rows, bytes, sha256. A kind without rows is absent."""
    ledger: list[dict[str, Any]]


class UnitStore:
    """The committed units of one plan, in `units/<fingerprint>/`."""

    def __init__(self, directory: Path, fs: Fs = REAL) -> None:
        self.directory = directory
        self.fs = fs

    def path(self, note: UnitNote, kind: str) -> Path | None:
        """The file with a unit's rows of one kind, or None if it has none."""
        entry = note.files.get(kind)
        return self.directory / entry["name"] if entry else None

    def read(self, unit: str) -> UnitNote | None:
        """The note of a committed unit whose files are all there with the right length; else None."""
        try:
            told = json.loads(self.fs.read(self.directory / f"{unit}.json"))
            note = UnitNote(told["unit"], told["files"], told["ledger"])
            whole = all((self.directory / f["name"]).stat().st_size == f["bytes"] for f in note.files.values())
        except (FileNotFoundError, ValueError, KeyError, TypeError, AttributeError):
            return None
        return note if whole else None

    def forget(self, unit: str) -> None:
        """Take a unit back: it will be worked again."""
        self.fs.unlink(self.directory / f"{unit}.json")

    def commit(self, unit: str, tables: Iterable[tuple[str, pa.Table]], ledger: list[dict[str, Any]]) -> UnitNote:
        """Write a unit's rows aside, and put them in place; the note comes last.

        Args:
            tables: Some rows at a time, each with their kind: "kept", "rejected" or "failed".
        """
        self.fs.mkdir(self.directory)
        files: dict[str, dict[str, Any]] = {}
        with ExitStack() as stack:
            open_files: dict[str, ParquetFile] = {}
            for kind, table in tables:
                if table.num_rows == 0:
                    continue
                if kind not in open_files:
                    file = ParquetFile(self._aside(unit, kind), table.schema, GROUP, self.fs, passing=True)
                    open_files[kind] = stack.enter_context(file)
                open_files[kind].write(table)
            for kind, file in open_files.items():
                part = file.finish()
                files[kind] = {
                    "name": f"{unit}.{kind}.parquet",
                    "rows": part.rows,
                    "bytes": part.bytes,
                    "sha256": part.sha256,
                }
        crash_point("unit.written")
        for kind, entry in files.items():
            self.fs.rename(self._aside(unit, kind), self.directory / entry["name"])
        crash_point("unit.renamed")
        note = UnitNote(unit, files, ledger)
        text = json.dumps({"unit": unit, "files": files, "ledger": ledger}, sort_keys=True)
        self.fs.replace(self.directory / f"{unit}.json", text.encode())
        crash_point("unit.committed")
        return note

    def _aside(self, unit: str, kind: str) -> Path:
        return self.directory / f".{unit}.{kind}.tmp"

    def check(self, note: UnitNote) -> str | None:
        """What is wrong with a unit's files, found by reading them whole."""
        for entry in note.files.values():
            path = self.directory / entry["name"]
            try:
                problem = None if file_sha256(path, self.fs) == entry["sha256"] else "it does not have its sha256"
            except OSError as exc:
                problem = str(exc)
            problem = problem or damage(path, entry["rows"])
            if problem:
                return f"{entry['name']}: {problem}"
        return None
