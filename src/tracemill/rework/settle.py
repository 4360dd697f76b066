"""What only all rows together can tell: which of them say what an earlier one says.

Units are worked apart, in any order, and stay as they are when files are added. Here their kept rows are looked at once
more, in input order, by uuid and digest alone. A unit that loses rows is committed a second time under another name, with
those rows among the rejected ones; `settled.json` tells which units are meant.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pyarrow as pa

from tracemill import identity
from tracemill.fate import Outcome, Rejected, count
from tracemill.ledger import Ledger
from tracemill.record import Sample
from tracemill.schema import SCHEMA, from_table
from tracemill.sift.duplicates import DROPS, STAGE, Seen
from tracemill.step import Drop
from tracemill.storage.fs import REAL, Fs, crash_point
from tracemill.storage.parquet import read_batches
from tracemill.storage.units import UnitNote, UnitStore

SIGNATURE = "signature"
"""Column of a unit's kept rows beside those of `SCHEMA`: `sift.duplicates.digest` of the row."""
FILE = "settled.json"
COLUMNS = ["uuid", "category", "language", "parent_uuid", "domain", SIGNATURE]


def settle(fingerprint: str, store: UnitStore, notes: list[UnitNote], wanted: bool, fs: Fs = REAL) -> list[UnitNote]:
    """The notes of all units, duplicates taken out.

    Args:
        fingerprint: Of the plan.
        notes: In input order, as the units were committed.
        wanted: Whether duplicates are to go at all.
    """
    about = identity.digest([fingerprint, [[note.unit, note.ledger, note.files] for note in notes]])
    told = _read(store, fs)
    if told.get("of") != about:
        told = {"plan": fingerprint, "of": about, "units": _decided(store, notes, fs) if wanted else {}}
        fs.replace(store.directory / FILE, json.dumps(told).encode())
    return [_note(store, note, told["units"].get(note.unit)) for note in notes]


def kept_notes(fingerprint: str, units: list[str], store: UnitStore) -> list[UnitNote]:
    """The notes of the units that are done, settled ones where `settle` was called for this plan."""
    told = _read(store, store.fs)
    known = told["units"] if told.get("plan") == fingerprint else {}
    notes = [note for unit in units if (note := store.read(unit)) is not None]
    return [_note(store, note, known.get(note.unit)) for note in notes]


def in_use(store: UnitStore, units: list[str]) -> set[str]:
    """The names of all files of the store that belong to some units."""
    told = _read(store, store.fs)
    names = {FILE}
    for unit in units:
        entry = told.get("units", {}).get(unit) or {}
        for name in (unit, entry.get("name")):
            note = store.read(name) if name else None
            names |= {f"{name}.json", *(file["name"] for file in note.files.values())} if note else set()
    return names


def _read(store: UnitStore, fs: Fs) -> dict[str, Any]:
    try:
        told = json.loads(fs.read(store.directory / FILE))
    except (FileNotFoundError, ValueError):
        return {}
    return told if isinstance(told, dict) else {}


def _note(store: UnitStore, note: UnitNote, entry: dict[str, Any] | None) -> UnitNote:
    if entry is None:
        return note
    again = store.read(entry["name"]) if entry["name"] else None
    return UnitNote(note.unit, again.files if again else note.files, [*note.ledger, *entry["ledger"]])


def _decided(store: UnitStore, notes: list[UnitNote], fs: Fs) -> dict[str, Any]:
    """By unit: the name of the unit that stands in its place, if any, and what the stage counted."""
    units: dict[str, Any] = {}
    scratch = store.directory / ".seen.tmp"
    fs.mkdir(store.directory)
    fs.unlink(scratch)
    with Seen(scratch) as seen:
        for note in notes:
            path = store.path(note, "kept")
            if path is None:
                continue
            ledger = Ledger()
            drops = dict(_judged(read_batches(path, COLUMNS), seen, ledger))
            name = None
            if drops:
                name = f"{note.unit}-{identity.digest([[at, d.reason, d.evidence] for at, d in drops.items()])[:12]}"
                again = store.read(name)
                if again is None or store.check(again):
                    _commit(store, note, name, drops)
            ledger.close()
            units[note.unit] = {"name": name, "ledger": list(ledger.lines())}
    fs.unlink(scratch)
    return units


def _judged(batches: Iterator[pa.RecordBatch], seen: Seen, ledger: Ledger) -> Iterator[tuple[int, Drop]]:
    """(row, why) of each kept row of a unit that goes; all are counted."""
    at = 0
    for batch in batches:
        for row in batch.to_pylist():
            category = row["category"] if row["parent_uuid"] is None else row["domain"] or row["category"]
            place = (STAGE, category, row["language"])
            ledger.taken[place] += 1
            drop = seen.judge(row["uuid"], row[SIGNATURE])
            if drop is None:
                ledger.kept[place] += 1
            else:
                ledger.dropped[(*place, drop.reason)] += 1
                yield at, drop
            at += 1


def _commit(store: UnitStore, note: UnitNote, name: str, drops: dict[int, Drop]) -> None:
    """The unit once more, some of its kept rows now rejected."""
    path, before = store.path(note, "kept"), store.path(note, "rejected")
    assert path is not None
    kept = pa.Table.from_batches(list(read_batches(path)))
    samples = from_table(kept.take(list(drops)).select(SCHEMA.names))
    gone = [_rejected(sample, drop) for sample, drop in zip(samples, drops.values(), strict=True)]
    stay = sorted(set(range(kept.num_rows)) - set(drops))

    def tables() -> Iterator[tuple[str, pa.Table]]:
        yield "kept", kept.take(pa.array(stay, pa.int64()))
        if before is not None:
            yield from (("rejected", pa.Table.from_batches([batch])) for batch in read_batches(before))
        yield from Outcome([], gone, [], Ledger()).tables()

    store.commit(name, tables(), note.ledger)
    crash_point("settle.unit")


def _rejected(sample: Sample, drop: Drop) -> Rejected:
    fate = count(STAGE, DROPS, sample, drop, Ledger())
    assert isinstance(fate, Rejected)
    return fate
