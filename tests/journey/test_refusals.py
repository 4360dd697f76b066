"""Each operation on the disk is refused once: the run ends with one clear line, and the next one comes to the same bytes."""

from __future__ import annotations

import json
import os
import random
import resource
import shutil
import subprocess

import pytest

from campaign import command, published, run
from tracemill.engines.inline import InlineEngine
from tracemill.errors import DiskError
from tracemill.exchange.exporting import export_requests
from tracemill.mill import build
from tracemill.recipe import Recipe
from tracemill.report.audit import audit
from tracemill.storage import fs
from tracemill.upkeep import compact

pytestmark = pytest.mark.filterwarnings(
    "ignore:Exception ignored in. <_io.FileIO:pytest.PytestUnraisableExceptionWarning"
)
"""A publication that is cut short leaves it to Python to close its half files."""

ERRORS = ("EIO", "ENOSPC", "EMFILE", "EACCES", "EROFS", "EDQUOT")
TREE = {
    "name": "refused",
    "license": "CC0-1.0",
    "prompts": {"generate": "word_problems", "count": 100},
    "teachers": {"careful": {"url": "builtin", "model": "builtin-careful"}},
    "respond": {"reasoning": "on", "samples": 2},
}
RECIPE = Recipe.model_validate(TREE)
BOUGHT = Recipe.model_validate({**TREE, "teachers": {"main": {"url": "http://127.0.0.1:9/v1", "model": "m"}}})


def work(out):
    """A whole run in this process, so that every operation of it is counted."""
    return build(RECIPE, out, engine=InlineEngine())


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    out = tmp_path_factory.mktemp("undisturbed")
    work(out / "run")
    return published(out / "run")


@pytest.fixture
def refuse(monkeypatch):
    """Has the n-th operation from now on refused; 0 for none. Returns how many there were before."""

    def ask(number, error="EIO"):
        before = fs._passes.pop("fault", 0)
        if number is None:
            monkeypatch.delenv("TRACEMILL_FAULT", raising=False)
        else:
            monkeypatch.setenv("TRACEMILL_FAULT", f"{number}:{error}")
        return before

    return ask


def operations(refuse, call):
    refuse(0)
    call()
    return refuse(None)


def half_files(out):
    return [p for p in out.rglob(".*") if p.name.endswith(".tmp") or p.name.startswith(".put-")]


def refused_at(numbers, refuse, undisturbed, tmp_path):
    for number in numbers:
        out, error = tmp_path / f"{number}", ERRORS[number % len(ERRORS)]
        refuse(number, error)
        with pytest.raises(DiskError) as caught:
            work(out)
        assert refuse(None) >= number
        assert str(tmp_path) in str(caught.value), f"{number}: {caught.value}"
        assert len(str(caught.value).splitlines()) == 1
        work(out)
        assert published(out) == undisturbed, number
        assert half_files(out) == []


def test_a_refused_operation_is_told_and_the_next_run_comes_to_the_same_bytes(refuse, undisturbed, tmp_path):
    count = operations(refuse, lambda: work(tmp_path / "count"))
    assert count > 100
    numbers = [1, 2, count, *random.Random(4).sample(range(3, count), 7)]
    refused_at(numbers, refuse, undisturbed, tmp_path)


@pytest.mark.storm
@pytest.mark.timeout(3600)
def test_every_operation_may_be_refused(refuse, undisturbed, tmp_path):
    count = operations(refuse, lambda: work(tmp_path / "count"))
    refused_at(range(1, count + 1), refuse, undisturbed, tmp_path)


@pytest.mark.parametrize("number", [3, 30])
def test_a_refusal_in_any_process_of_a_run_ends_it_with_exit_code_6(number, undisturbed, tmp_path):
    """Parent and workers count each for itself."""
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(json.dumps(TREE))
    words = ("build", recipe, "--out", tmp_path / "run", "--workers", 1)
    done = run(*words, env={"TRACEMILL_FAULT": f"{number}:{ERRORS[number % len(ERRORS)]}"})
    assert done.returncode == 6, done.stderr
    assert "Traceback" not in done.stderr
    assert "defect" not in done.stderr
    assert run(*words).returncode == 0
    assert published(tmp_path / "run") == undisturbed
    assert audit(tmp_path / "run").ok


def test_every_operation_of_a_compaction_may_be_refused(refuse, undisturbed, tmp_path):
    work(tmp_path / "run")
    copies = (shutil.copytree(tmp_path / "run", tmp_path / f"{n}") for n in range(100))
    count = operations(refuse, lambda: compact(next(copies)))
    assert count > 5
    went_well = []
    for number in range(1, count + 1):
        out = next(copies)
        refuse(number, ERRORS[number % len(ERRORS)])
        try:
            compact(out)
        except DiskError:
            assert len(list(out.rglob(".000.sqlite.tmp*"))) <= 3
        else:
            went_well.append(number)
        refuse(None)
        assert work(out).sent == 0
        assert half_files(out) == []
        assert audit(out).ok
        assert published(out) == undisturbed
    assert len(went_well) <= 3, "only what takes away what is gone already may be refused unheard"


def test_every_operation_of_an_export_may_be_refused(refuse, tmp_path):
    def export(place):
        export_requests(BOUGHT, tmp_path / place, tmp_path / f"{place}.jsonl", limit=5)

    count = operations(refuse, lambda: export("whole"))
    for number in range(1, count + 1):
        refuse(number, ERRORS[number % len(ERRORS)])
        with pytest.raises(DiskError):
            export(f"{number}")
        refuse(None)
        assert half_files(tmp_path) == [] or number < count
        export(f"{number}")
        assert (tmp_path / f"{number}.jsonl").read_bytes() == (tmp_path / "whole.jsonl").read_bytes()


# limits of the system, where SQLite does its own writing


def limited(out, recipe, kind, most):
    """A build whose processes may not have larger files, or more of them open."""
    words = command("build", recipe, "--out", out, "--workers", 1)
    return subprocess.run(
        words, capture_output=True, text=True, timeout=120, preexec_fn=lambda: resource.setrlimit(kind, (most, most))
    )


def ends_in_order(out, recipe, kind, most, undisturbed):
    done = limited(out, recipe, kind, most)
    assert done.returncode in (0, 6), (most, done.returncode, done.stderr)
    assert "Traceback" not in done.stderr
    assert "defect" not in done.stderr
    assert done.returncode == 0 or len(done.stderr.strip().splitlines()[-1]) > 20
    again = run("build", recipe, "--out", out, "--workers", 1)
    assert again.returncode == 0, again.stderr
    assert published(out) == undisturbed
    return done.returncode


@pytest.fixture
def recipe(tmp_path):
    (tmp_path / "recipe.yaml").write_text(json.dumps(TREE))
    return tmp_path / "recipe.yaml"


def test_files_that_may_not_grow_end_a_run_in_order(recipe, undisturbed, tmp_path):
    sizes = (1000, 60_000)
    codes = [ends_in_order(tmp_path / f"{n}", recipe, resource.RLIMIT_FSIZE, n, undisturbed) for n in sizes]
    assert codes == [6, 6]


@pytest.mark.storm
@pytest.mark.timeout(3600)
def test_files_of_any_greatest_size_end_a_run_in_order(recipe, undisturbed, tmp_path):
    draw = random.Random(int(os.environ.get("SEED", "1")))
    sizes = [0, 1, 4096, 4097, *(int(10 ** draw.uniform(1, 6)) for _ in range(60))]
    codes = [ends_in_order(tmp_path / f"{n}", recipe, resource.RLIMIT_FSIZE, n, undisturbed) for n in sizes]
    assert 6 in codes


def test_few_open_files_end_a_run_in_order_or_are_enough(recipe, undisturbed, tmp_path):
    codes = [ends_in_order(tmp_path / f"{n}", recipe, resource.RLIMIT_NOFILE, n, undisturbed) for n in (9, 40)]
    assert codes == [6, 0]


@pytest.mark.storm
@pytest.mark.timeout(3600)
def test_any_number_of_open_files_ends_a_run_in_order(recipe, undisturbed, tmp_path):
    for number in range(8, 48):
        ends_in_order(tmp_path / f"{number}", recipe, resource.RLIMIT_NOFILE, number, undisturbed)
