"""Files that are added are worked alone, runs that are killed go on, and the bytes are those of one run over everything."""

from __future__ import annotations

import json
import random
import shutil
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from spoiled import SHIPPED, math_rows, recipe, write_dataset

import tracemill as tm
from campaign import kill, published, run, start
from rows import rows, write_lines, write_v1
from tracemill.engines.inline import InlineEngine
from tracemill.errors import Locked, RecipeError, UsageError
from tracemill.storage.layout import RunPaths
from tracemill.storage.lock import RunLock


class Counting(InlineEngine):
    """Says how many units it was given."""

    def __init__(self):
        self.given = []

    def run(self, plan, paths, units):
        self.given.append(len(units))
        return super().run(plan, paths, units)


def refined(data, out, *assignments, **more):
    return tm.refine(data, recipe(*assignments), out, workers=1, **more)


def renamed(data, shards):
    """Give the math files the names that they have among so many."""
    for file in (data / "data").glob("math-*.parquet"):
        file.rename(file.with_name(f"{file.name[:10]}-of-{shards:05d}.parquet"))


@pytest.fixture(scope="module")
def fresh(tmp_path_factory):
    """(a directory of five files, what one run over all of them publishes)."""
    place = tmp_path_factory.mktemp("fresh")
    write_dataset(place / "v1", shards=3)
    refined(place / "v1", place / "run", engine=InlineEngine())
    return place / "v1", published(place / "run"), place / "run"


def copied(data, to, *names):
    (to / "data").mkdir(parents=True, exist_ok=True)
    for name in names:
        (to / "data" / name).write_bytes((data / "data" / name).read_bytes())


def test_files_that_are_added_are_worked_alone_and_the_bytes_are_those_of_a_fresh_run(fresh, tmp_path):
    data, bytes_of_fresh, _ = fresh
    grown, engine = tmp_path / "v1", Counting()
    copied(data, grown, "math-00000-of-00003.parquet", "tool-00000-of-00001.parquet")
    renamed(grown, 1)
    refined(grown, tmp_path / "run", engine=engine)
    before = {p.name: p.stat().st_mtime_ns for p in (tmp_path / "run").glob(".tracemill/units/*/*.json")}
    (grown / "data" / "math-00000-of-00001.parquet").unlink()
    copied(data, grown, *(p.name for p in (data / "data").glob("*.parquet")))
    refined(grown, tmp_path / "run", engine=engine)
    assert engine.given == [2, 3]
    after = {p.name: p.stat().st_mtime_ns for p in (tmp_path / "run").glob(".tracemill/units/*/*.json")}
    again = {name for name in before if after.get(name) != before[name]}
    assert again == {"settled.json"}, "no unit was worked twice"
    assert published(tmp_path / "run") == bytes_of_fresh
    assert tm.audit(tmp_path / "run").ok
    refined(grown, tmp_path / "run", engine=engine)
    assert engine.given == [2, 3]
    assert len(list((tmp_path / "run" / ".tracemill" / "manifests").glob("*.json"))) == 2, (
        "nothing new, nothing published"
    )


def test_a_file_that_comes_before_the_others_takes_their_duplicates(tmp_path):
    held = math_rows(10)
    write_v1(tmp_path / "v1" / "data" / "math-00001-of-00002.parquet", held)
    refined(tmp_path / "v1", tmp_path / "run")
    copies = [{**row, "uuid": f"earlier-{n}"} for n, row in enumerate(held[:4])]
    write_v1(tmp_path / "v1" / "data" / "math-00000-of-00002.parquet", copies)
    report = refined(tmp_path / "v1", tmp_path / "run")
    assert (report.rows, report.lost) == (10, {"duplicates: duplicate": 4})
    gone = pq.read_table(tmp_path / "run" / "rejected").to_pylist()
    assert {(r["uuid"], r["evidence"]) for r in gone} == {
        (row["uuid"], f"says exactly what earlier-{n} says") for n, row in enumerate(held[:4])
    }
    assert tm.explain(tmp_path / "run", held[0]["uuid"]).why.startswith("duplicates: duplicate")
    assert tm.status(tmp_path / "run").fates == {"kept": 10, "duplicates: duplicate": 4}
    refined(tmp_path / "v1", tmp_path / "fresh")
    assert published(tmp_path / "fresh") == published(tmp_path / "run")


def test_a_file_that_is_taken_away_takes_its_rows_along(fresh, tmp_path):
    data, _, _ = fresh
    copied(data, tmp_path / "v1", "code-00000-of-00001.parquet", "tool-00000-of-00001.parquet")
    refined(tmp_path / "v1", tmp_path / "run")
    (tmp_path / "v1" / "data" / "code-00000-of-00001.parquet").unlink()
    assert refined(tmp_path / "v1", tmp_path / "run").splits == {"tool_calling": 20}
    assert len(list((tmp_path / "run").glob(".tracemill/units/*/*.kept.parquet"))) == 1, "its units went too"
    assert tm.audit(tmp_path / "run").ok


def test_another_recipe_works_everything_anew_and_the_old_one_is_forgotten(fresh, tmp_path):
    data, bytes_of_fresh, _ = fresh
    engine = Counting()
    refined(data, tmp_path / "run", "refine.findings=[prompt_placeholder]", engine=engine)
    assert published(tmp_path / "run") != bytes_of_fresh
    refined(data, tmp_path / "run", engine=engine)
    assert engine.given == [5, 5]
    assert (
        refined(data, tmp_path / "run", "verify.duplicates=false", engine=engine).lost.get("duplicates: duplicate")
        is None
    )
    refined(data, tmp_path / "run", "publish.layout=v1", "name=other", engine=engine, split=["math"])
    refined(data, tmp_path / "run", engine=engine)
    assert engine.given == [5, 5, 2], "only what a split had left out was forgotten"
    assert published(tmp_path / "run") == bytes_of_fresh


@pytest.mark.parametrize("point", ["unit.committed:3", "settle.unit", "publish.written"])
def test_a_run_killed_at_a_crash_point_goes_on_to_the_same_bytes(point, fresh, tmp_path):
    data, bytes_of_fresh, _ = fresh
    words = ("refine", data, "--recipe", SHIPPED, "--out", tmp_path / "run", "--workers", "1", "--progress", "none")
    dead = start(*words, env={"TRACEMILL_CRASH": point})
    dead.communicate(timeout=120)
    assert dead.returncode == -9, "the point was never passed"
    refined(data, tmp_path / "run", engine=InlineEngine())
    assert published(tmp_path / "run") == bytes_of_fresh


def test_a_run_killed_at_random_moments_goes_on_to_the_same_bytes(fresh, tmp_path):
    data, bytes_of_fresh, _ = fresh
    draw = random.Random(11)
    words = ("refine", data, "--recipe", SHIPPED, "--out", tmp_path / "run", "--workers", "2", "--progress", "none")
    deaths = 0
    for _ in range(3):
        process = start(*words)
        time.sleep(draw.uniform(0.3, 1.0))
        if process.poll() is None:
            deaths += 1
        kill(process) if process.poll() is None else process.communicate()
    assert deaths
    assert run(*words).returncode == 0
    assert published(tmp_path / "run") == bytes_of_fresh
    assert tm.audit(tmp_path / "run").ok


def test_a_second_process_is_told_of_the_first(fresh, tmp_path):
    data, _, _ = fresh
    with RunLock(RunPaths(tmp_path / "run").lock), pytest.raises(Locked):
        refined(data, tmp_path / "run")


def test_an_input_that_changes_under_the_run_stops_it(tmp_path):
    file = write_v1(tmp_path / "math.parquet", math_rows(5))

    class Changes(InlineEngine):
        def run(self, plan, paths, units):
            write_v1(file, math_rows(6))
            return super().run(plan, paths, units)

    with pytest.raises(RecipeError, match="changed since it was read"):
        refined(file, tmp_path / "run", engine=Changes())
    assert refined(file, tmp_path / "run").rows == 6


def test_the_audit_notices_a_changed_row_and_a_lost_input(tmp_path):
    file = write_v1(tmp_path / "math.parquet", math_rows(5))
    refined(file, tmp_path / "run")
    file.unlink()
    doubts = {check.name: check.problems for check in tm.audit(tmp_path / "run").checks if not check.ok}
    assert set(doubts) == {"places (P5)", "replay (P4)"}
    assert "cannot be read any more" in doubts["replay (P4)"][0]


def test_units_do_not_depend_on_where_their_file_lies_in_a_large_input(tmp_path, monkeypatch):
    monkeypatch.setattr("tracemill.rework.stock.UNIT_BYTES", 4000)
    lines = write_lines(tmp_path / "jsonl" / "math.jsonl", math_rows(60))
    write_v1(tmp_path / "jsonl" / "code-00000-of-00001.parquet", rows("code", 40), group=5)
    engine = Counting()
    report = refined(lines.parent, tmp_path / "run", engine=engine)
    assert report.rows == 100
    assert engine.given[0] > 8, "the files were divided"
    assert [
        r["uuid"] for r in pq.read_table(tmp_path / "run" / "data" / "math-00000-of-00001.parquet").to_pylist()
    ] == [json.loads(line)["uuid"] for line in lines.read_text().splitlines()]
    assert tm.audit(tmp_path / "run").ok


def test_the_first_rows_are_refined_and_then_the_rest(fresh, tmp_path):
    data, bytes_of_fresh, _ = fresh
    out = tmp_path / "run"
    before = [r["uuid"] for r in tm.open(data)][:7]
    engine = Counting()
    few = refined(data, out, engine=engine, limit=7)
    assert few.rows + sum(few.lost.values()) == 7
    found = {
        r["uuid"] for kind in ("data", "rejected") for f in (out / kind).glob("*") for r in pq.read_table(f).to_pylist()
    }
    assert found == set(before)
    assert tm.audit(out).ok
    assert refined(data, out, engine=engine, limit=7).manifest == few.manifest
    assert tm.audit(out).ok
    refined(data, out, engine=engine)
    assert published(out) == bytes_of_fresh
    with pytest.raises(UsageError, match="at least 1"):
        refined(data, out, limit=0)


def test_what_goes_on_with_rows_is_called_refine(fresh, tmp_path):
    _, _, whole = fresh
    out = Path(shutil.copytree(whole, tmp_path / "run"))
    for file in (out / ".tracemill" / "manifests").iterdir():
        file.unlink()
    [check] = tm.audit(out).checks
    assert check.problems == ["nothing is published yet; `tracemill refine` goes on"]
    with pytest.raises(UsageError, match="`tracemill refine` goes on"):
        tm.remove(out, uuids=["someone"])


def test_rows_of_another_set_do_not_take_the_place_of_what_is_there(tmp_path):
    for name in ("one", "two"):
        write_lines(tmp_path / name / f"{name}.jsonl", rows("math", 4, seed=len(name) + ord(name[0])))
    refined(tmp_path / "one", tmp_path / "run", engine=InlineEngine())
    before = published(tmp_path / "run")
    with pytest.raises(UsageError, match=r"made of 'one\.jsonl' and has no file in common with .*'two\.jsonl'"):
        refined(tmp_path / "two", tmp_path / "run", engine=InlineEngine())
    assert published(tmp_path / "run") == before
    (tmp_path / "one" / "one.jsonl").rename(tmp_path / "one" / "other.jsonl")
    refined(tmp_path / "one", tmp_path / "run", engine=InlineEngine())
