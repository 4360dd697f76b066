"""An endpoint that misbehaves: the dataset is the clean run's wherever answers come in the end."""

from __future__ import annotations

import pytest

from campaign import answers, first, problem_recipe, published, run, write_problems
from tracemill.errors import EndpointError
from tracemill.mill import build
from tracemill.recipe_file import load_recipe
from tracemill.report.audit import audit
from tracemill.storage.parquet import read_batches
from tracemill.testing import Answer, Faults, ScriptedServer

PROMPTS = 80


@pytest.fixture(scope="module")
def problems(tmp_path_factory):
    folder = tmp_path_factory.mktemp("problems")
    return folder / "problems.jsonl", write_problems(folder / "problems.jsonl", PROMPTS)


@pytest.fixture(scope="module")
def clean(problems, tmp_path_factory):
    path, table = problems
    folder = tmp_path_factory.mktemp("clean")
    with ScriptedServer(answers(table)) as server:
        build(load_recipe(problem_recipe(folder / "recipe.yaml", path, server.url)), folder / "run", workers=1)
    return published(folder / "run")


def recipe_for(tmp_path, path, url, *sets):
    return load_recipe(problem_recipe(tmp_path / "recipe.yaml", path, url), sets)


@pytest.mark.parametrize(
    "fault",
    [
        "throttle",
        "throttle_date",
        "throttle_bare",
        "error_500",
        "error_502",
        "error_503",
        "error_504",
        "reset",
        "partial",
        "malformed",
        "html",
        "error_object",
        "no_choices",
    ],
)
def test_a_fault_that_passes_leaves_no_trace_in_the_data(fault, problems, clean, tmp_path):
    path, table = problems
    with ScriptedServer(
        answers(table), faults=Faults(rates={fault: {"throttle_date": 0.05}.get(fault, 0.1)}, seed=1, retry_after=0.1)
    ) as server:
        report = build(recipe_for(tmp_path, path, server.url), tmp_path / "run", workers=2)
        assert server.stats().received > 2 * PROMPTS, "no fault was met"
    assert published(tmp_path / "run") == clean
    assert report.sent == server.stats().received


def test_a_request_that_hangs_is_given_up_at_its_deadline_and_sent_again(problems, clean, tmp_path):
    path, table = problems
    with ScriptedServer(answers(table), faults=Faults(rates={"hang": 0.05}, seed=1, hang_seconds=30)) as server:
        build(recipe_for(tmp_path, path, server.url, "teachers.main.timeout=1"), tmp_path / "run", workers=1)
        assert server.stats().aborted > 0
    assert published(tmp_path / "run") == clean


def test_a_refusal_of_one_row_is_recorded_and_never_retried(problems, tmp_path):
    path, table = problems
    unlucky = list(table)[3]

    def fault(body, attempt):
        return "bad_request" if unlucky in body["messages"][-1]["content"] else None

    with ScriptedServer(answers(table), faults=Faults(script=fault)) as server:
        recipe = recipe_for(tmp_path, path, server.url)
        report = build(recipe, tmp_path / "run", workers=1)
        assert server.stats().received == 2 * PROMPTS
        assert build(recipe, tmp_path / "run", workers=1).sent == 0
    assert report.lost["respond: refused"] == 2
    rows = [r for b in read_batches(tmp_path / "run/failed/failed-00000-of-00001.parquet") for r in b.to_pylist()]
    assert [(r["error_class"], r["attempts"]) for r in rows] == [("refused", 1)] * 2
    assert all("400" in r["evidence"] for r in rows)
    assert audit(tmp_path / "run").ok


def test_rows_that_failed_in_passing_are_asked_for_by_the_next_build(problems, clean, tmp_path):
    path, table = problems
    unlucky = set(list(table)[:5])
    down = True

    def fault(body, attempt):
        return "error_500" if down and any(u in body["messages"][-1]["content"] for u in unlucky) else None

    with ScriptedServer(answers(table), faults=Faults(script=fault)) as server:
        recipe = recipe_for(tmp_path, path, server.url, "teachers.main.attempts=2")
        first = build(recipe, tmp_path / "run", workers=1)
        assert first.lost["respond: transient"] == 10
        assert audit(tmp_path / "run").ok
        down = False
        assert build(recipe, tmp_path / "run", workers=1).sent == 10
    assert published(tmp_path / "run") == clean
    assert audit(tmp_path / "run").ok


@pytest.mark.parametrize(("fault", "said"), [("unauthorized", "401"), ("model_missing", "404")])
def test_a_wrong_account_or_address_stops_the_run_at_once(fault, said, problems, clean, tmp_path):
    path, table = problems
    with ScriptedServer(answers(table), faults=Faults(rates={fault: 1.0})) as server:
        problem_recipe(tmp_path / "recipe.yaml", path, server.url)
        stopped = run("build", tmp_path / "recipe.yaml", "--out", tmp_path / "run")
        assert server.stats().received < 2 * PROMPTS
    assert stopped.returncode == 5
    assert said in stopped.stderr
    assert "Traceback" not in stopped.stderr
    with ScriptedServer(answers(table)) as server:
        build(recipe_for(tmp_path, path, server.url), tmp_path / "run")
    assert published(tmp_path / "run") == clean


def test_a_dead_endpoint_stops_the_run_and_nothing_is_published(problems, tmp_path):
    path, table = problems
    with ScriptedServer(answers(table)) as server:
        recipe = recipe_for(tmp_path, path, server.url, "teachers.main.attempts=2")
    with pytest.raises(EndpointError, match=r"has not answered for .* no connection"):
        build(recipe, tmp_path / "run", workers=1, wait_for_endpoint=2)
    assert not (tmp_path / "run" / "manifest.json").exists()


@pytest.mark.parametrize("field", first(2, ["inline_no_open", "thinking", "reasoning_content", "reasoning", "inline"]))
def test_the_trace_is_found_wherever_the_server_puts_it(field, problems, clean, tmp_path):
    path, table = problems
    moved = {q: [Answer(a.content, a.reasoning, reasoning_field=field) for a in known] for q, known in table.items()}
    with ScriptedServer(answers(moved)) as server:
        build(recipe_for(tmp_path, path, server.url), tmp_path / "run", workers=1)
    data = {p: h for p, h in published(tmp_path / "run").items() if p.startswith("data/")}
    assert data == {p: h for p, h in clean.items() if p.startswith("data/")}
