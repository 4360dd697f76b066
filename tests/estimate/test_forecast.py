"""`tracemill plan`: what a run will take, counted, estimated or measured on a pilot; and nothing guessed, nor asked twice."""

from __future__ import annotations

import json

import pytest

from campaign import answers, problem_recipe, published, run, write_problems
from tracemill.errors import BudgetSpent, RecipeError, UsageError
from tracemill.estimate.forecast import forecast
from tracemill.gather.drawn import draw
from tracemill.gather.spool import open_spool
from tracemill.mill import build
from tracemill.recipe_file import load_recipe
from tracemill.report.audit import audit
from tracemill.testing import Answer, ScriptedServer

PROMPTS, SAMPLES, PILOT = 120, 2, 25
CALLS = PROMPTS * SAMPLES
PRICE = "teachers.main.price={prompt: 2, completion: 10}"


@pytest.fixture(scope="module")
def problems(tmp_path_factory):
    folder = tmp_path_factory.mktemp("problems")
    table = write_problems(folder / "problems.jsonl", PROMPTS)
    for place, (text, (first, _)) in enumerate(sorted(table.items())):
        words = " ".join(["word"] * (place % 40))
        bad = Answer("It is \\boxed{-1}.", words) if place % 5 == 0 else None
        table[text] = [Answer(first.content, words), bad or Answer(first.content, f"{words} again")]
    return folder / "problems.jsonl", table


@pytest.fixture
def scene(problems, tmp_path):
    path, table = problems
    with ScriptedServer(answers(table), latency=0.02) as server:
        file = problem_recipe(tmp_path / "recipe.yaml", path, server.url)
        yield server, tmp_path, lambda *sets: load_recipe(file, [PRICE, *sets])


def test_without_a_run_everything_that_can_be_counted_is_and_nobody_is_asked(scene):
    server, folder, recipe = scene
    before = sorted(folder.rglob("*"))
    found = forecast(recipe())
    assert (found.prompts, found.samples, found.to_ask) == (PROMPTS, CALLS, CALLS)
    assert found.reply_limit == CALLS * 16_384
    assert found.cost_limit == pytest.approx((2 * found.prompt_tokens.high + 10 * found.reply_limit) / 1e6)
    assert (found.reply_tokens, found.cost, found.seconds, found.disk) == (None, None, None, None)
    assert any("--pilot 20" in line for line in found.missing)
    assert any("--latency" in line for line in found.missing)
    assert server.stats().received == 0
    assert sorted(folder.rglob("*")) == before, "nothing is left behind"


def test_what_is_not_told_is_named_and_what_is_told_is_used(scene):
    _, _, recipe = scene
    unpriced = recipe().model_copy(
        update={"teachers": {"main": recipe().teachers["main"].model_copy(update={"price": None})}}
    )
    found = forecast(unpriced)
    assert found.cost_limit is None
    assert any("set teachers.main.price" in line for line in found.missing)
    told = forecast(recipe(), latency=4, reply_tokens=1000)
    assert told.missing == []
    assert told.reply_tokens.likely == 1000 * CALLS
    assert told.cost.likely == pytest.approx((2 * told.prompt_tokens.likely + 10 * 1000 * CALLS) / 1e6)
    assert told.seconds == pytest.approx(CALLS * 4 / 16 + 4)
    assert told.disk.low < told.disk.likely < told.disk.high


def test_the_journal_of_a_run_is_counted_and_tells_how_replies_are(scene):
    server, folder, recipe = scene
    out = folder / "run"
    with pytest.raises(BudgetSpent):
        build(recipe("budget.requests=100"), out, workers=1)
    found = forecast(recipe(), out)
    assert found.to_ask == CALLS - 100
    assert found.samples == CALLS
    assert found.spent["main"].replies == 100
    assert found.missing == []
    build(recipe(), out, workers=1)
    spent = sum(event.event == "received" for event in server.log)
    assert spent == CALLS
    done = forecast(recipe(), out)
    paid = done.spent["main"]
    left = (
        paid.prompt_tokens - found.spent["main"].prompt_tokens,
        paid.completion_tokens - found.spent["main"].completion_tokens,
    )
    assert found.prompt_tokens.low <= left[0] <= found.prompt_tokens.high
    assert found.reply_tokens.low <= left[1] <= found.reply_tokens.high
    assert (done.to_ask, done.cost.likely, done.seconds) == (0, 0, 0)
    more = forecast(recipe("respond.samples=3"), out)
    assert more.to_ask == PROMPTS
    assert server.stats().received == CALLS


def test_a_pilot_is_paid_for_once_and_says_what_the_whole_will_take(scene):
    server, folder, recipe = scene
    out = folder / "run"
    first = forecast(recipe(), out, pilot=PILOT, workers=2).pilot
    assert (first.prompts, first.of, first.samples, first.sent) == (PILOT, PROMPTS, PILOT * SAMPLES, PILOT * SAMPLES)
    assert server.stats().received == PILOT * SAMPLES
    again = forecast(recipe(), out, pilot=PILOT, workers=1)
    assert again.pilot.sent == 0
    assert again.pilot.whole == first.whole
    assert again.to_ask == CALLS - PILOT * SAMPLES
    report = build(recipe(), out, workers=2)
    assert report.sent == CALLS - PILOT * SAMPLES, "no reply of the pilot is asked again"
    assert server.stats().received == CALLS
    account = report.spent["main"]
    for name, truth in (
        ("rows", report.rows),
        ("prompt_tokens", account.prompt_tokens),
        ("completion_tokens", account.completion_tokens),
        ("cost", account.cost),
    ):
        assert first.whole[name].low <= truth <= first.whole[name].high, name
    assert first.accepted.low <= report.rows / CALLS <= first.accepted.high
    assert first.cost_per_row.low <= account.cost / report.rows <= first.cost_per_row.high
    assert "verify_math: wrong_answer" in first.lost
    assert first.latency.value >= 0.02
    assert audit(out).ok
    build(recipe(), folder / "straight", workers=1)
    assert published(out) == published(folder / "straight")


def test_a_pilot_of_all_prompts_is_exact(scene):
    _, folder, recipe = scene
    found = forecast(recipe(), folder / "run", pilot=10_000, workers=1)
    report = build(recipe(), folder / "run", workers=1)
    assert report.sent == 0
    assert found.to_ask == 0
    for name, truth in (("rows", report.rows), ("cost", report.spent["main"].cost), ("calls", CALLS)):
        assert found.pilot.whole[name].low == pytest.approx(truth)
        assert found.pilot.whole[name].high == pytest.approx(truth)


def test_the_journal_is_divided_for_the_whole_not_for_the_pilot(problems, tmp_path, monkeypatch):
    monkeypatch.setattr("tracemill.storage.journal.PROMPTS_PER_RANGE", 50)
    path, table = problems
    with ScriptedServer(answers(table)) as server:
        recipe = load_recipe(problem_recipe(tmp_path / "recipe.yaml", path, server.url))
        forecast(recipe, tmp_path / "run", pilot=3, workers=1)
    told = json.loads((tmp_path / "run" / ".tracemill" / "journal" / "journal.json").read_bytes())
    assert told["ranges"] == 4


def test_a_budget_holds_for_a_pilot_and_what_came_is_kept(scene):
    server, folder, recipe = scene
    out = folder / "run"
    with pytest.raises(BudgetSpent, match="20 of 20 requests"):
        forecast(recipe("budget.requests=20"), out, pilot=PILOT, workers=1)
    assert server.stats().received == 20
    assert forecast(recipe(), out, pilot=PILOT, workers=1).pilot.sent == PILOT * SAMPLES - 20
    build(recipe(), out, workers=1)
    assert server.stats().received == CALLS


def test_prompts_are_drawn_from_everywhere_and_more_of_them_hold_the_fewer(problems, tmp_path):
    path, _ = problems
    recipe = load_recipe(problem_recipe(tmp_path / "recipe.yaml", path, "http://127.0.0.1:1/v1"))
    spool = open_spool(tmp_path / "spool", recipe, None)
    few, many = draw(spool, 10, 0), draw(spool, 60, 0)
    assert {p.hash for p in few} < {p.hash for p in many}
    assert [p.hash for p in few] == sorted(p.hash for p in few)
    assert draw(spool, 10, 1) != few
    lines = [json.loads(line)["id"] for line in path.read_text().splitlines()]
    thirds = [lines.index(p.source_id) * 3 // len(lines) for p in many]
    assert min(map(thirds.count, (0, 1, 2))) >= 10, "not only the first ones"


def test_equal_prompts_are_drawn_once(problems, tmp_path):
    path, table = problems
    twice = tmp_path / "twice.jsonl"
    twice.write_bytes(path.read_bytes() * 2)
    with ScriptedServer(answers(table)) as server:
        recipe = load_recipe(problem_recipe(tmp_path / "recipe.yaml", twice, server.url))
        found = forecast(recipe, tmp_path / "run", pilot=10, workers=1)
        assert found.prompts == 2 * PROMPTS
        assert found.pilot.samples == 10 * SAMPLES
        build(recipe, tmp_path / "run", workers=1)
        assert server.stats().received == 2 * CALLS


def test_the_command_says_it_in_text_and_json(scene):
    server, folder, _ = scene
    file, out = folder / "recipe.yaml", folder / "run"
    words = ("plan", file, "--set", PRICE, "--out", out)
    text = run(*words, "--latency", "2s", "--reply-tokens", "500")
    assert text.returncode == 0
    assert "240 to ask" in text.stdout
    assert "money     about" in text.stdout
    done = run(*words, "--pilot", 5, "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["pilot"]["prompts"] == 5
    assert told["to_ask"] == CALLS - 10
    assert told["cost"]["low"] <= told["cost"]["likely"] <= told["cost"]["high"] <= told["cost_at_most"]
    refused = run("plan", file, "--pilot", 5)
    assert refused.returncode == 2
    assert "--pilot needs --out" in refused.stderr
    assert server.stats().received == 10


def test_wrong_words_and_wrong_inputs_are_told_like_everywhere(scene, tmp_path):
    _, folder, recipe = scene
    for wrong in ({"limit": 0}, {"latency": -1}, {"reply_tokens": 0}, {"pilot": 0, "out": folder / "run"}):
        with pytest.raises(UsageError, match="must be more than 0"):
            forecast(recipe(), **wrong)
    with pytest.raises(RecipeError, match="neither a file"):
        forecast(recipe("prompts.path=nowhere.jsonl"))
    done = run("plan", folder / "recipe.yaml", "--set", "prompts.path=nowhere.jsonl")
    assert done.returncode == 3
    assert "Traceback" not in done.stderr


def test_the_built_in_teacher_costs_neither_money_nor_time(tmp_path):
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(
        "{name: x, license: MIT, prompts: {generate: word_problems, count: 20}, teachers: {t: {url: builtin, model: m}}}"
    )
    found = forecast(load_recipe(recipe), tmp_path / "run", pilot=12)
    assert found.pilot.accepted.value == 1
    assert (found.cost, found.cost_limit, found.seconds, found.missing) == (None, None, None, [])
    assert found.pilot.cost is None
