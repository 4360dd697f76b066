"""Rows that are taken down are gone from what is published, stay away, and leave everything else as it was."""

from __future__ import annotations

import gzip
import json
import random
import shutil
import signal
import subprocess
from collections import Counter
from pathlib import Path

import pyarrow.parquet as pq
import pytest

import tracemill as tm
from campaign import run, start
from rows import rows, write_lines, write_v1
from tracemill.errors import CorruptRun, Locked, UsageError
from tracemill.storage.fs import REMOVAL_POINTS
from tracemill.storage.lock import RunLock
from tracemill.takedown.copy import prompt_hash_of

SHOWING = ("publish.shown", "manifest.copied")
NOBODY = "6f1f2c3d-0000-4000-8000-000000000001"
RECIPE = tm.Recipe(
    name="small",
    license="CC0-1.0",
    prompts=(tm.GeneratedPrompts(generate="word_problems", count=40),),
    teachers={"hasty": tm.Teacher(url="builtin", model="builtin-hasty", slips={"wrong": 0.15, "truncated": 0.05})},
    respond=tm.Respond(samples=2),
    publish=tm.Publish(shard_bytes=1_000_000),
)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A run of several units, and so of several shards, with rejected rows."""
    place = tmp_path_factory.mktemp("whole") / "run"
    recipe = RECIPE.model_copy(update={"prompts": (tm.GeneratedPrompts(generate="word_problems", count=2100),)})
    tm.build(recipe, place, workers=1)
    return recipe, place


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    place = tmp_path_factory.mktemp("small") / "run"
    tm.build(RECIPE, place, workers=1)
    return place


@pytest.fixture
def place(small, tmp_path):
    return Path(shutil.copytree(small, tmp_path / "run"))


def uuids(place, directory="data"):
    return [u for f in sorted((place / directory).glob("*")) for u in pq.read_table(f).column("uuid").to_pylist()]


def manifest(place):
    return json.loads((place / "manifest.json").read_text())


def objects(place):
    return {entry["path"]: entry["sha256"] for entry in manifest(place)["files"]}


def test_only_the_shard_that_held_the_row_is_written_anew(whole, tmp_path):
    recipe, first = whole
    place = Path(shutil.copytree(first, tmp_path / "run"))
    before, inodes = (
        objects(place),
        {e["sha256"]: (place / e["object"]).stat().st_ino for e in manifest(place)["files"]},
    )
    assert len([path for path in before if path.startswith("data/")]) >= 3
    victim = (
        pq.read_table(place / "data" / sorted(p.name for p in (place / "data").iterdir())[1]).column("uuid")[3].as_py()
    )
    report = tm.remove(place, uuids=[victim])
    after = objects(place)
    assert [path for path in before if before[path] != after[path]] == list(report.rewritten)
    assert len(report.rewritten) == 1
    assert report.removed == {"data/math": 1}
    kept = [e for e in manifest(place)["files"] if e["path"] not in report.rewritten]
    assert all((place / e["object"]).stat().st_ino == inodes[e["sha256"]] for e in kept)
    assert victim not in uuids(place)
    assert sorted([*uuids(place), victim]) == sorted(uuids(first))
    assert tm.audit(place).ok
    again = recipe.model_copy(update={"description": "Published from its units."})
    assert tm.build(again, place, workers=1).sent == 0
    assert objects(place) == after


def test_the_manifest_goes_on_from_the_one_before(place):
    tm.remove(place, uuids=uuids(place)[:1])
    first, second = (json.loads((place / ".tracemill" / "manifests" / f"0000000{n}.json").read_text()) for n in (1, 2))
    assert second == manifest(place)
    assert second["number"] == 2
    assert second["removed"] == [{"from": ["data", "math"], "rows": 1}]
    assert first["removed"] == []
    assert second["parent"] is not None
    assert first["ledger"] == second["ledger"]


def test_a_prompt_goes_with_all_its_rows(place):
    by_prompt = Counter(tm.explain(place, uuid).prompt_hash for uuid in uuids(place, "rejected"))
    hashed = by_prompt.most_common(1)[0][0]
    everywhere = [*uuids(place), *uuids(place, "rejected")]
    report = tm.remove(place, prompt_hashes=[hashed])
    left = {*uuids(place), *uuids(place, "rejected")}
    gone = [uuid for uuid in everywhere if uuid not in left]
    assert len(gone) == sum(report.removed.values()) == 2
    assert {tm.explain(place, uuid).place for uuid in gone} == {"removed"}
    assert {tm.explain(place, uuid).prompt_hash for uuid in gone} == {hashed}
    assert tm.audit(place).ok


def test_explain_says_when_and_by_which_manifest_and_no_published_file_does(place):
    victim = uuids(place)[0]
    text = tm.explain(place, victim).row["messages"][1]["content"]
    tm.remove(place, uuids=[victim])
    life = tm.explain(place, victim)
    assert life.removed is not None
    assert life.removed["manifest"] == 2
    assert f"taken down from math by manifest 2, asked for at {life.removed['at']}" in life.to_text()
    assert text[:60] not in json.dumps(life.to_json())
    shown = [place / "manifest.json", place / "README.md", place / "ATTRIBUTION.md"]
    assert not any(life.removed["at"][:10] in file.read_text() for file in shown)


def test_status_card_and_attribution_count_what_is_left(place):
    before = tm.status(place).published["math"]
    tm.remove(place, uuids=uuids(place)[:3])
    status = tm.status(place)
    assert (status.published["math"], status.removed) == (before - 3, 3)
    assert f"{before - 3} rows" in (place / "README.md").read_text()
    assert "3 rows were taken out." in (place / "README.md").read_text()
    assert f"| {before - 3} |" in (place / "ATTRIBUTION.md").read_text()


def test_a_second_call_changes_nothing_and_no_build_brings_a_row_back(place):
    victims = uuids(place)[:2]
    tm.remove(place, uuids=victims)
    files = {p: p.read_bytes() for p in place.rglob("*") if p.is_file() and p.name != "lock"}
    report = tm.remove(place, uuids=victims)
    assert (report.removed, report.earlier, report.rewritten, report.ok) == ({}, 2, (), True)
    assert {p: p.read_bytes() for p in place.rglob("*") if p.is_file() and p.name != "lock"} == files
    built = tm.build(RECIPE, place, workers=1)
    assert (built.sent, built.manifest, built.lost["remove: taken down"]) == (0, 2, 2)
    other = RECIPE.model_copy(update={"seed": 1, "publish": tm.Publish()})
    tm.build(other, place, workers=1)
    assert not set(victims) & {*uuids(place), *uuids(place, "rejected")}
    assert tm.audit(place).ok


def test_taken_down_one_by_one_or_at_once_the_files_are_the_same(small, tmp_path):
    chosen = random.Random(4).sample([*uuids(small), *uuids(small, "rejected")], 9)
    steps = Path(shutil.copytree(small, tmp_path / "steps"))
    for at in (0, 4, 5):
        tm.remove(steps, uuids=chosen[at : at + 5])
    once = Path(shutil.copytree(small, tmp_path / "once"))
    tm.remove(once, uuids=chosen)
    assert objects(steps) == objects(once)
    assert manifest(steps)["card"] == manifest(once)["card"]
    assert manifest(steps)["attribution"] == manifest(once)["attribution"]


def test_a_dataset_may_lose_all_its_rows(place):
    everyone = [*uuids(place), *uuids(place, "rejected")]
    report = tm.remove(place, uuids=everyone)
    assert report.files == 0
    assert manifest(place)["files"] == []
    assert sum(line["rows"] for line in manifest(place)["removed"]) == len(everyone)
    assert tm.audit(place).ok


@pytest.mark.parametrize("layout", ["v1", "v2", "v3"])
def test_every_layout_can_lose_rows(layout, tmp_path):
    recipe = RECIPE.model_copy(update={"publish": tm.Publish(layout=layout)})
    tm.build(recipe, tmp_path / "run", workers=1)
    tm.remove(tmp_path / "run", uuids=uuids(tmp_path / "run")[:2])
    assert tm.audit(tmp_path / "run").ok


def test_an_id_that_no_row_has_is_told_and_remembered(place):
    done = run("remove", place, "--uuid", NOBODY, "--json")
    assert done.returncode == 1
    assert json.loads(done.stdout)["absent"] == [NOBODY]
    assert tm.explain(place, NOBODY).place == "removed"
    assert tm.audit(place).ok


def quick(points, chosen):
    """Some crash points always, the others with the campaigns."""
    return [p if p in chosen else pytest.param(p, marks=pytest.mark.storm) for p in points]


@pytest.mark.parametrize("point", quick(REMOVAL_POINTS, ("remove.recorded", "publish.objects", "manifest.linked")))
def test_a_removal_killed_at_any_point_goes_on(point, small, tmp_path):
    victims = [uuids(small)[0], uuids(small, "rejected")[0]]
    words = [w for uuid in victims for w in ("--uuid", uuid)]
    whole = Path(shutil.copytree(small, tmp_path / "whole"))
    tm.remove(whole, uuids=victims)
    place = Path(shutil.copytree(small, tmp_path / "run"))
    passes = 2 if point in SHOWING else 1  # what is published is shown once more before anything is done
    process = start("remove", place, *words, env={"TRACEMILL_CRASH": f"{point}:{passes}"})
    process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL, f"{point} was never passed"
    by_build = Path(shutil.copytree(place, tmp_path / "built"))
    assert run("remove", place, *words).returncode == 0
    tm.build(RECIPE, by_build, workers=1)
    for resumed in (place, by_build):
        assert objects(resumed) == objects(whole)
        assert (resumed / "README.md").read_bytes() == (whole / "README.md").read_bytes()
        assert (resumed / "ATTRIBUTION.md").read_bytes() == (whole / "ATTRIBUTION.md").read_bytes()
        assert tm.audit(resumed, quick=True).ok
        assert tm.explain(resumed, victims[0]).removed["manifest"] == 2


def test_between_the_tombstone_and_the_manifest_explain_and_audit_say_so(place):
    victim = uuids(place)[0]
    start("remove", place, "--uuid", victim, env={"TRACEMILL_CRASH": "remove.recorded"}).communicate(timeout=60)
    assert "not yet done" in tm.explain(place, victim).why
    problems = [p for check in tm.audit(place, quick=True).checks for p in check.problems]
    assert any("to be taken down" in problem for problem in problems)


def test_a_run_that_somebody_writes_is_left_alone(place):
    with RunLock(place / ".tracemill" / "lock"), pytest.raises(Locked):
        tm.remove(place, uuids=uuids(place)[:1])


def test_a_run_whose_build_has_not_ended_is_refused(place):
    victim = uuids(place)[0]
    more = RECIPE.model_copy(update={"prompts": (tm.GeneratedPrompts(generate="word_problems", count=41),)})

    class Broken:
        def run(self, plan, paths, units):
            raise Locked("stopped here")

    with pytest.raises(Locked):
        tm.build(more, place, engine=Broken())
    with pytest.raises(UsageError, match="a run was begun"):
        tm.remove(place, uuids=[victim])


def test_tombstones_that_cannot_be_read_stop_everything(place):
    tm.remove(place, uuids=uuids(place)[:1])
    (place / ".tracemill" / "tombstones.json").write_text("{")
    with pytest.raises(CorruptRun, match="bring it back"):
        tm.build(RECIPE, place, workers=1)


def test_ids_come_from_words_and_lines(place, tmp_path):
    first, second, third = uuids(place)[:3]
    hashed = tm.explain(place, third).prompt_hash
    listed = tmp_path / "gone.txt"
    listed.write_text(f'{first.upper()}\n\n{{"uuid": "{second}", "why": "asked"}}\n{hashed}\n')
    report = tm.remove(place, file=listed)
    assert report.ok
    assert {tm.explain(place, u).place for u in (first, second, third)} == {"removed"}


@pytest.mark.parametrize(
    ("line", "told"), [("no-uuid", "should be a uuid"), ('{"id": 1}', "neither `uuid` nor"), ("{", "no JSON object")]
)
def test_a_line_that_is_no_id_is_named(line, told, place, tmp_path):
    (tmp_path / "gone.txt").write_text(f"{NOBODY}\n{line}\n")
    with pytest.raises(UsageError, match=f"gone.txt:2: .*{told}"):
        tm.remove(place, file=tmp_path / "gone.txt")
    assert not (place / ".tracemill" / "tombstones.json").exists()


def test_asking_for_nothing_is_refused(place):
    with pytest.raises(UsageError, match="nothing to remove"):
        tm.remove(place)


@pytest.fixture
def foreign(tmp_path):
    """v1's Parquet in two shards, and lines that are compressed."""
    write_v1(tmp_path / "v1" / "data" / "math-00000-of-00002.parquet", rows("math", 20))
    write_v1(tmp_path / "v1" / "data" / "math-00001-of-00002.parquet", rows("math", 20, seed=1))
    lines = "".join(json.dumps(r) + "\n" for r in rows("chat", 10))
    (tmp_path / "v1" / "data" / "chat.jsonl.gz").write_bytes(gzip.compress(f"no row\n{lines}".encode()))
    return tmp_path / "v1"


def test_other_peoples_data_is_left_as_it_is(foreign):
    done = run("remove", foreign, "--uuid", NOBODY)
    assert done.returncode == 2
    assert "name a new directory with --out" in done.stderr
    assert "Traceback" not in done.stderr


def test_other_peoples_data_is_written_anew_without_the_rows(foreign, tmp_path):
    chat, math = rows("chat", 10)[3], rows("math", 20)[7]
    report = tm.remove(foreign, uuids=[chat["uuid"], math["uuid"]], out=tmp_path / "out")
    assert report.removed == {"data/chat": 1, "data/math": 1}
    assert sorted(report.rewritten) == ["data/chat.jsonl.gz", "data/math-00000-of-00002.parquet"]
    same = "data/math-00001-of-00002.parquet"
    assert (tmp_path / "out" / same).read_bytes() == (foreign / same).read_bytes()
    left = [r["uuid"] for r in tm.open(tmp_path / "out")]
    assert left == [u for r in tm.open(foreign) if (u := r["uuid"]) not in (chat["uuid"], math["uuid"])]
    with gzip.open(tmp_path / "out" / "data" / "chat.jsonl.gz") as lines:
        assert lines.readline() == b"no row\n"
    before = pq.read_schema(foreign / same)
    assert pq.read_schema(tmp_path / "out" / "data" / "math-00000-of-00002.parquet").equals(before)
    assert "| chat |" in (tmp_path / "out" / "ATTRIBUTION.md").read_text()
    assert manifest(tmp_path / "out")["removed"] == [
        {"from": ["data", "chat"], "rows": 1},
        {"from": ["data", "math"], "rows": 1},
    ]
    files = {p: p.read_bytes() for p in (tmp_path / "out").rglob("*") if p.is_file() and p.name != "lock"}
    assert tm.remove(foreign, uuids=[chat["uuid"], math["uuid"]], out=tmp_path / "out").earlier == 2
    assert {p: p.read_bytes() for p in (tmp_path / "out").rglob("*") if p.is_file() and p.name != "lock"} == files
    with pytest.raises(UsageError, match="another dataset"):
        tm.remove(foreign, uuids=[math["uuid"]], out=tmp_path / "out")


def test_a_prompt_of_other_peoples_data_goes_with_all_its_rows(tmp_path):
    held = [*rows("chat", 4), *rows("chat", 4, seed=1)]
    held[5]["messages"][0] = held[2]["messages"][0]
    write_lines(tmp_path / "set" / "chat.jsonl", held)
    hashed = prompt_hash_of(list(tm.open(tmp_path / "set"))[2])
    report = tm.remove(tmp_path / "set", prompt_hashes=[hashed], out=tmp_path / "out")
    assert report.ok
    assert [r["uuid"] for r in tm.open(tmp_path / "out")] == [held[n]["uuid"] for n in (0, 1, 3, 4, 6, 7)]


@pytest.mark.parametrize("point", quick([p for p in REMOVAL_POINTS if p != "remove.recorded"], ("publish.objects",)))
def test_a_copy_killed_at_any_point_goes_on(point, foreign, tmp_path):
    words = ("remove", foreign, "--uuid", rows("math", 20)[7]["uuid"])
    assert run(*words, "--out", tmp_path / "whole").returncode == 0
    process = start(*words, "--out", tmp_path / "out", env={"TRACEMILL_CRASH": point})
    process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL, f"{point} was never passed"
    assert run(*words, "--out", tmp_path / "out").returncode == 0
    assert objects(tmp_path / "out") == objects(tmp_path / "whole")


def test_a_saved_directory_of_arrow_files_becomes_parquet(tmp_path):
    import datasets

    held = rows("math", 6)
    datasets.DatasetDict({"math": datasets.Dataset.from_list(held)}).save_to_disk(tmp_path / "saved")
    report = tm.remove(tmp_path / "saved", uuids=[held[1]["uuid"]], out=tmp_path / "out")
    assert report.removed == {"data/math": 1}
    assert [r["uuid"] for r in tm.open(tmp_path / "out", split="math")] == [r["uuid"] for r in held if r is not held[1]]


def test_rows_of_a_refined_set_go_as_well_and_stay_away_when_files_are_added(tmp_path):
    held = rows("math", 30)
    held[4]["uuid"] = "NOT-a-uuid"
    held[9]["messages"] = [{"role": "user", "content": "-"}, {"role": "assistant", "content": "4"}]
    write_v1(tmp_path / "v1" / "data" / "math-00000-of-00002.parquet", held[:20])
    recipe = tm.Recipe(
        name="refined",
        license="CC-BY-4.0",
        prompts=(tm.Rows(rows="-", license="CC-BY-4.0"),),
        refine=tm.Refine(findings=("prompt_placeholder",)),
    )
    tm.refine(tmp_path / "v1", recipe, tmp_path / "run", workers=1)
    everywhere = {*uuids(tmp_path / "run"), *uuids(tmp_path / "run", "rejected")}
    assert {"NOT-a-uuid", held[9]["uuid"]} <= everywhere
    hashed = tm.explain(tmp_path / "run", held[2]["uuid"]).prompt_hash
    report = tm.remove(tmp_path / "run", uuids=["NOT-a-uuid", held[9]["uuid"], "nobody"], prompt_hashes=[hashed])
    assert report.absent == ("nobody",)
    gone = {"NOT-a-uuid", held[9]["uuid"], held[2]["uuid"]}
    assert everywhere - {*uuids(tmp_path / "run"), *uuids(tmp_path / "run", "rejected")} == gone
    assert {tm.explain(tmp_path / "run", uuid).place for uuid in gone} == {"removed"}
    assert tm.audit(tmp_path / "run").ok
    write_v1(tmp_path / "v1" / "data" / "math-00001-of-00002.parquet", held[20:])
    tm.refine(tmp_path / "v1", recipe, tmp_path / "run", workers=1)
    assert not gone & {*uuids(tmp_path / "run"), *uuids(tmp_path / "run", "rejected")}
    assert tm.audit(tmp_path / "run").ok


def test_a_run_takes_no_out(place, tmp_path):
    with pytest.raises(UsageError, match="leave --out away"):
        tm.remove(place, uuids=[NOBODY], out=tmp_path / "out")
    assert subprocess.run(["test", "-e", tmp_path / "out"]).returncode == 1
