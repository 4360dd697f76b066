"""A run whose journal was made smaller asks nothing more and comes to the same bytes, even if that was cut short."""

from __future__ import annotations

import dataclasses
import json
import os
import random
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from campaign import answers, first, kill, problem_recipe, published, run, start, write_real_problems
from tracemill.mill import build
from tracemill.recipe_file import load_recipe
from tracemill.report.audit import audit
from tracemill.storage.compact import COMPACT_POINTS
from tracemill.storage.lock import RunLock
from tracemill.testing import Faults, ScriptedServer
from tracemill.upkeep import compact

PROMPTS = 250


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    """A run with failed attempts, and answers that needed a higher limit twice; its recipe at a limit, and its server."""
    folder = tmp_path_factory.mktemp("scene")
    table = write_real_problems(folder / "problems.jsonl", PROMPTS)
    for number, (text, known) in enumerate(table.items()):
        if number % 5 == 0:
            table[text] = [dataclasses.replace(a, reasoning="word " * 500) for a in known]
    faults = Faults(script=lambda body, attempt: "error_500" if body["seed"] % 7 == 0 and attempt == 0 else None)
    with ScriptedServer(answers(table), faults=faults) as server:
        file = problem_recipe(folder / "recipe.yaml", folder / "problems.jsonl", server.url)

        def at(limit):
            return load_recipe(file, [f"teachers.main.sampling.max_tokens={limit}"])

        for limit in (300, 400, 2000):
            build(at(limit), folder / "run", workers=1)
        yield server, at, folder / "run", file


@pytest.fixture
def copy(scene, tmp_path):
    return shutil.copytree(scene[2], tmp_path / "run")


def asks_nothing_and_says_the_same(scene, out):
    server, at, made, _ = scene
    before = server.stats().received
    assert audit(out).ok
    for limit in (300, 2000):  # at 300 the long answers, which ended, serve as well
        assert build(at(limit), out, workers=1).sent == 0
    assert server.stats().received == before
    assert published(out) == published(made)
    assert audit(out).ok


def test_after_a_compaction_nothing_is_asked_and_the_bytes_are_the_same(scene, copy):
    done = run("compact", copy, "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["dropped"]["reply, then a reply that ended"] >= 2 * PROMPTS // 5
    assert told["dropped"]["transient, then a reply that ended"] > 10
    assert told["after"]["replies"] == 2 * PROMPTS
    assert told["after"]["bytes"] < 0.7 * told["before"]["bytes"]
    asks_nothing_and_says_the_same(scene, copy)


def test_a_compaction_says_what_it_did(copy):
    done = run("compact", copy)
    assert done.returncode == 0, done.stderr
    assert "bytes before" in done.stdout
    assert "500 after" in done.stdout


@pytest.mark.parametrize("point", first(1, COMPACT_POINTS[::-1]))
def test_a_compaction_killed_at_any_point_leaves_a_whole_run(point, scene, copy):
    process = start("compact", copy, env={"TRACEMILL_CRASH": point})
    process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL, f"{point} was never passed"
    assert audit(copy).ok
    compact(copy)
    asks_nothing_and_says_the_same(scene, copy)
    assert [p.name for p in (copy / ".tracemill" / "journal").glob(".*")] == []


KILLED = """
import sys
from tracemill.upkeep import compact
print("begun", flush=True)
while True:
    compact(sys.argv[1])
"""


def killed_at_random(scene, copy, kills, seed):
    draw = random.Random(seed)
    for _ in range(kills):
        words = [sys.executable, "-c", KILLED, str(copy)]
        process = subprocess.Popen(
            words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
        )
        assert process.stdout.readline() == "begun\n"
        try:
            process.wait(draw.uniform(0, 0.1))
        except subprocess.TimeoutExpired:
            kill(process)
        else:
            pytest.fail(process.communicate()[1])
        assert audit(copy, quick=True).ok
        [check] = [c for c in audit(copy).checks if c.name.startswith("journal")]
        assert check.ok, check.problems
    asks_nothing_and_says_the_same(scene, copy)


def test_a_compaction_killed_at_random_moments_leaves_a_whole_run(scene, copy):
    killed_at_random(scene, copy, 3, seed=1)


@pytest.mark.storm
@pytest.mark.timeout(3600)
def test_a_compaction_killed_200_times_leaves_a_whole_run(scene, copy):
    killed_at_random(scene, copy, 200, seed=2)


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 8 MB."""
    place = tmp_path / "disk"
    place.mkdir()
    words = ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(place)]
    if os.geteuid() != 0 or subprocess.run(words, capture_output=True).returncode != 0:
        pytest.skip("a small file system needs the right to mount")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


@pytest.mark.parametrize("left", first(1, [8_000, 0, 40_000]))
def test_a_disk_that_is_full_leaves_the_journal_as_it_is(left, scene, small_disk):
    out = shutil.copytree(scene[2], small_disk / "run")
    filler = small_disk / "filler"
    filler.write_bytes(bytes(shutil.disk_usage(small_disk).free - left))
    refused = run("compact", out)
    assert refused.returncode == 6, refused.stderr
    assert "the disk is full" in refused.stderr or "cannot be written" in refused.stderr  # the log's index has no room
    assert "Traceback" not in refused.stderr
    assert [p.name for p in (out / ".tracemill" / "journal").glob(".*")] == []
    filler.unlink()
    compact(out)
    asks_nothing_and_says_the_same(scene, out)


def test_a_compaction_beside_a_build_is_refused_and_names_it(copy):
    with RunLock(copy / ".tracemill" / "lock"):
        refused = run("compact", copy)
    assert refused.returncode == 7
    assert "is being written by process" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_a_compaction_of_nothing_is_refused(tmp_path):
    refused = run("compact", tmp_path)
    assert refused.returncode == 2
    assert "holds no journal" in refused.stderr
    assert not list(Path(tmp_path).iterdir())
