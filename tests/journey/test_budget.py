"""What a run may spend: each limit stops it, cleanly and told by its key, and a raised one lets it go on as if never stopped."""

from __future__ import annotations

import socket
import time

import orjson
import pytest

from campaign import answers, first, problem_recipe, published, run, unexplained, write_problems
from tracemill.errors import BudgetSpent, EndpointError
from tracemill.mill import build
from tracemill.models import budget
from tracemill.models.budget import total
from tracemill.recipe_file import load_recipe
from tracemill.report.audit import audit
from tracemill.testing import Faults, ScriptedServer
from tracemill.testing.connection import Response

PROMPTS, SAMPLES = 100, 2
CALLS = PROMPTS * SAMPLES
IN_FLIGHT = 8
PRICE = "teachers.main.price={prompt: 2, completion: 10}"


@pytest.fixture(scope="module")
def problems(tmp_path_factory):
    folder = tmp_path_factory.mktemp("problems")
    return folder / "problems.jsonl", write_problems(folder / "problems.jsonl", PROMPTS)


@pytest.fixture(scope="module")
def unlimited(problems, tmp_path_factory):
    """(what an unlimited run publishes, what it has paid)."""
    path, table = problems
    folder = tmp_path_factory.mktemp("unlimited")
    with ScriptedServer(answers(table)) as server:
        recipe = load_recipe(problem_recipe(folder / "recipe.yaml", path, server.url), [PRICE])
        build(recipe, folder / "run", workers=1)
    return published(folder / "run"), paid(folder / "run", recipe)


def paid(out, recipe):
    return total(budget.paid(out / ".tracemill" / "journal", recipe))


def recipe_for(folder, path, url, *sets):
    file = problem_recipe(folder / "recipe.yaml", path, url, teachers__main__concurrency=IN_FLIGHT)
    return load_recipe(file, [PRICE, *sets])


@pytest.mark.parametrize("workers", first(1, [4, 1]))
def test_never_more_requests_than_allowed_however_many_processes(workers, problems, unlimited, tmp_path):
    path, table = problems
    out = tmp_path / "run"
    with ScriptedServer(answers(table), latency=0.005) as server:
        for allowed in (1, 38, 120):
            with pytest.raises(BudgetSpent, match=f"{allowed} of {allowed} requests.*raise budget.requests"):
                build(recipe_for(tmp_path, path, server.url, f"budget.requests={allowed}"), out, workers=workers)
            assert server.stats().received == allowed
            assert paid(out, recipe_for(tmp_path, path, server.url)).replies == allowed, "all in flight is stored"
        build(recipe_for(tmp_path, path, server.url, f"budget.requests={CALLS}"), out, workers=workers)
        assert server.stats().received == CALLS, "nothing was asked twice"
        assert unexplained(server.log, []) == []
    assert published(out) == unlimited[0]
    assert audit(out).ok


@pytest.mark.parametrize("limit", ["tokens", "cost"])
def test_tokens_and_cost_go_beyond_by_no_more_than_what_was_in_flight(limit, problems, unlimited, tmp_path):
    path, table = problems
    out, whole = tmp_path / "run", unlimited[1]
    allowed = getattr(whole, limit) / 2
    mean = getattr(whole, limit) / CALLS
    with ScriptedServer(answers(table), latency=0.01) as server:
        sets = f"budget.{limit}={int(allowed) if limit == 'tokens' else allowed}"
        with pytest.raises(BudgetSpent, match=f"--set budget.{limit}=") as stopped:
            build(recipe_for(tmp_path, path, server.url, sets), out, workers=2)
        recipe = recipe_for(tmp_path, path, server.url)
        spent = paid(out, recipe)
        assert stopped.value.exit_code == 5
        figure = f"{spent.tokens:,}" if limit == "tokens" else budget.money(spent.cost)
        assert f"the budget is spent: {figure} of " in str(stopped.value), "what came after it stopped is in the figure"
        assert spent.replies == server.stats().received
        assert abs(getattr(spent, limit) - allowed) <= IN_FLIGHT * mean
        with pytest.raises(BudgetSpent):
            build(recipe_for(tmp_path, path, server.url, sets), out, workers=2)
        again = paid(out, recipe)
        assert getattr(again, limit) <= allowed + mean, "what earlier calls spent counts from the first request on"
        build(recipe, out, workers=2)
        assert server.stats().received == CALLS
    assert published(out) == unlimited[0]
    assert paid(out, recipe) == whole


def test_time_stops_a_run_whose_requests_only_wait(problems, unlimited, tmp_path):
    path, table = problems
    out = tmp_path / "run"
    faults = Faults(rates={"throttle": 1.0}, seed=1, retry_after=60)
    with ScriptedServer(answers(table), faults=faults) as server:
        began = time.monotonic()
        with pytest.raises(BudgetSpent, match=r"all of 0.02 minutes.*raise budget.minutes"):
            build(recipe_for(tmp_path, path, server.url, "budget.minutes=0.02"), out, workers=2)
        assert 1.2 <= time.monotonic() - began < 10
    with ScriptedServer(answers(table), latency=0.4) as server:
        with pytest.raises(BudgetSpent):
            build(recipe_for(tmp_path, path, server.url, "budget.minutes=0.07"), out, workers=2)
        asked = server.stats().received
        recipe = recipe_for(tmp_path, path, server.url)
        assert 0 < asked < CALLS
        assert paid(out, recipe).replies == asked
        build(recipe, out, workers=2)
        assert server.stats().received == CALLS
    assert published(out) == unlimited[0]


def test_slow_replies_are_waited_for_when_the_budget_is_spent(problems, tmp_path, monkeypatch):
    monkeypatch.setattr("tracemill.engines.local.GRACE", 0.2)
    path, table = problems
    with ScriptedServer(answers(table), latency=2.0) as server:
        with pytest.raises(BudgetSpent):
            build(recipe_for(tmp_path, path, server.url, "budget.requests=5"), tmp_path / "run", workers=1)
        recipe = recipe_for(tmp_path, path, server.url)
        assert paid(tmp_path / "run", recipe).replies == server.stats().received == 5


def test_failed_attempts_count_as_requests(problems, tmp_path):
    path, table = problems
    out = tmp_path / "run"
    with ScriptedServer(answers(table), faults=Faults(rates={"error_500": 0.3}, seed=2)) as server:
        with pytest.raises(BudgetSpent):
            build(recipe_for(tmp_path, path, server.url, "budget.requests=60"), out, workers=2)
        spent = paid(out, recipe_for(tmp_path, path, server.url))
        assert server.stats().received == spent.requests == 60
        assert spent.replies < 60


@pytest.mark.parametrize("limit", ["requests=1", "requests=3"])
def test_a_request_that_reaches_nobody_is_not_spent(limit, problems, tmp_path):
    path, table = problems
    out = tmp_path / "run"
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # taken, and nobody listens
        recipe = recipe_for(tmp_path, path, f"http://127.0.0.1:{nobody.getsockname()[1]}/v1", f"budget.{limit}")
        with pytest.raises(EndpointError, match="has not answered for"):
            build(recipe, out, workers=2, wait_for_endpoint=0.5)
    assert paid(out, recipe).requests == 0
    with ScriptedServer(answers(table)) as server:
        allowed = int(limit[-1])
        recipe = recipe_for(tmp_path, path, server.url, f"budget.{limit}")
        with pytest.raises(BudgetSpent, match=f"{allowed} of {allowed} requests"):
            build(recipe, out, workers=2)
        assert server.stats().received == paid(out, recipe).requests == allowed


def test_a_limit_on_tokens_cannot_be_held_where_nobody_counts_them(problems, tmp_path):
    path, table = problems
    known = answers(table)

    def untold(body):
        answer = known(body)
        message = {"role": "assistant", "content": answer.content, "reasoning_content": answer.reasoning}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        return Response(200, orjson.dumps({"model": "scripted", "choices": [choice]}))

    with ScriptedServer(untold) as server:
        with pytest.raises(
            EndpointError, match=r"none of .* replies says how many tokens .*budget.tokens cannot be held"
        ):
            build(recipe_for(tmp_path, path, server.url, "budget.tokens=100000"), tmp_path / "run", workers=1)
        recipe = recipe_for(tmp_path, path, server.url)
        spent = paid(tmp_path / "run", recipe)
        assert spent.uncounted == spent.replies == server.stats().received < CALLS


def test_the_command_exits_5_names_the_key_and_leaves_no_traceback(problems, tmp_path):
    path, table = problems
    with ScriptedServer(answers(table)) as server:
        file = problem_recipe(tmp_path / "recipe.yaml", path, server.url)
        words = ("build", file, "--out", tmp_path / "run", "--workers", 2)
        done = run(*words, "--set", "budget.requests=30")
        assert done.returncode == 5
        assert "30 of 30 requests" in done.stderr
        assert "--set budget.requests=" in done.stderr
        assert "Traceback" not in done.stderr
        assert server.stats().received == 30
        assert run(*words).returncode == 0
        assert server.stats().received == CALLS
