"""Committed units: there as a whole or not at all."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest

from tracemill.errors import DiskError
from tracemill.storage.fs import Fs
from tracemill.storage.parquet import file_sha256, read_batches
from tracemill.storage.units import UnitStore

LEDGER = [{"stage": "respond", "category": "math", "language": "en", "taken": 3, "spawned": 0, "kept": 3}]


def tables(kept: int = 3, rejected: int = 1, failed: int = 0, first: int = 0) -> list[tuple[str, pa.Table]]:
    counts = {"kept": kept, "rejected": rejected, "failed": failed}
    return [(kind, pa.table({"uuid": pa.array(range(first, first + n), pa.int64())})) for kind, n in counts.items()]


def rows(store: UnitStore, unit: str, kind: str) -> list[int] | None:
    note = store.read(unit)
    path = store.path(note, kind) if note else None
    return [n for batch in read_batches(path) for n in batch.column("uuid").to_pylist()] if path else None


def test_a_committed_unit_is_read_back(tmp_path):
    store = UnitStore(tmp_path / "units")
    note = store.commit("a0", tables(), LEDGER)
    assert UnitStore(tmp_path / "units").read("a0") == note
    assert rows(store, "a0", "kept") == [0, 1, 2]
    assert note.ledger == LEDGER
    assert {kind: entry["rows"] for kind, entry in note.files.items()} == {"kept": 3, "rejected": 1}
    assert all(file_sha256(store.directory / entry["name"]) == entry["sha256"] for entry in note.files.values())


def test_a_kind_without_rows_has_no_file(tmp_path):
    store = UnitStore(tmp_path)
    note = store.commit("a0", tables(failed=0), LEDGER)
    assert store.path(note, "failed") is None
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a0.json", "a0.kept.parquet", "a0.rejected.parquet"]


def test_a_unit_that_was_never_committed_is_not_there(tmp_path):
    assert UnitStore(tmp_path / "units").read("a0") is None


def test_a_unit_committed_again_holds_the_new_rows(tmp_path):
    store = UnitStore(tmp_path)
    store.commit("a0", tables(), LEDGER)
    store.commit("a0", tables(kept=2, rejected=0, first=7), LEDGER)
    assert rows(store, "a0", "kept") == [7, 8]
    assert rows(store, "a0", "rejected") is None


def test_a_forgotten_unit_is_worked_again_and_leaves_its_neighbours(tmp_path):
    store = UnitStore(tmp_path)
    store.commit("a0", tables(), LEDGER)
    store.commit("a1", tables(), LEDGER)
    store.forget("a0")
    store.forget("never there")
    assert store.read("a0") is None
    assert store.read("a1") is not None


@pytest.mark.parametrize("note", ["", "[]", "{}", '{"unit": "a0", "files": [], "ledger": []}', '{"files": 4}'])
def test_a_damaged_note_is_no_note(tmp_path, note):
    store = UnitStore(tmp_path)
    store.commit("a0", tables(), LEDGER)
    (tmp_path / "a0.json").write_text(note)
    assert store.read("a0") is None


@pytest.mark.parametrize("damage", ["cut", "gone"])
def test_a_unit_whose_file_is_not_whole_is_not_there(tmp_path, damage):
    store = UnitStore(tmp_path)
    store.commit("a0", tables(), LEDGER)
    file = tmp_path / "a0.kept.parquet"
    if damage == "gone":
        file.unlink()
    else:
        os.truncate(file, file.stat().st_size - 1)
    assert store.read("a0") is None


@pytest.mark.parametrize("place", [0.1, 0.5, 0.9])
def test_a_flipped_bit_in_a_unit_is_found_when_it_is_checked(tmp_path, place):
    store = UnitStore(tmp_path)
    note = store.commit("a0", tables(kept=500), LEDGER)
    assert store.check(note) is None
    file = tmp_path / "a0.kept.parquet"
    data = bytearray(file.read_bytes())
    data[int(len(data) * place)] ^= 1
    file.write_bytes(data)
    problem = store.check(note)
    assert problem is not None
    assert problem.startswith("a0.kept.parquet: ")


CHILD = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from test_units import LEDGER, tables
from tracemill.storage.units import UnitStore
UnitStore(Path(sys.argv[2])).commit("a0", tables(kept=5), LEDGER)
"""


@pytest.mark.parametrize(("point", "kept"), [("unit.written", 3), ("unit.renamed", None), ("unit.committed", 5)])
def test_a_unit_killed_while_it_is_committed_is_the_old_one_none_or_the_new_one(tmp_path, point, kept):
    store = UnitStore(tmp_path)
    store.commit("a0", tables(), LEDGER)
    words = [sys.executable, "-c", CHILD, str(Path(__file__).parent), str(tmp_path)]
    died = subprocess.run(words, env={**os.environ, "TRACEMILL_CRASH": point}, start_new_session=True)
    assert died.returncode == -signal.SIGKILL
    found = rows(store, "a0", "kept")
    assert found == (None if kept is None else list(range(kept)))
    store.commit("a0", tables(kept=5), LEDGER)
    assert rows(store, "a0", "kept") == list(range(5))
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith(".")] == []


class Refusing(Fs):
    """Refuses to rename anything."""

    def rename(self, old: Path, new: Path) -> None:
        raise DiskError(f"the disk is full at {new}")


def test_a_unit_that_the_disk_refuses_is_not_committed(tmp_path):
    with pytest.raises(DiskError):
        UnitStore(tmp_path, Refusing()).commit("a0", tables(), LEDGER)
    assert UnitStore(tmp_path).read("a0") is None
