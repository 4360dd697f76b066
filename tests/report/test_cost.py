"""What a run cost: told by status and the report as it was paid, and by the card as a function of the replies alone."""

from __future__ import annotations

import json
import re

import pytest

from campaign import answers, problem_recipe, published, run, write_problems
from tracemill.exchange.importing import import_answers
from tracemill.mill import build
from tracemill.recipe_file import load_recipe
from tracemill.report.status import status
from tracemill.testing import Answer, Faults, ScriptedServer

PROMPTS, SAMPLES = 40, 2
PRICE = "teachers.main.price={prompt: 2, completion: 10}"


@pytest.fixture(scope="module")
def problems(tmp_path_factory):
    folder = tmp_path_factory.mktemp("problems")
    table = write_problems(folder / "problems.jsonl", PROMPTS)
    for place, text in enumerate(sorted(table)):
        if place % 4 == 0:
            table[text][1] = Answer("It is \\boxed{-1}.", "A long way to a wrong answer.")
    return folder / "problems.jsonl", table


def recipe_for(folder, path, url, *sets):
    return load_recipe(problem_recipe(folder / "recipe.yaml", path, url), [PRICE, *sets])


def took(out):
    """The card's table of what it took, as cells."""
    card = (out / "README.md").read_text(encoding="utf-8")
    section = re.search(r"^## What it took\n(.*?)^## ", card, re.MULTILINE | re.DOTALL)[1]
    return [
        [cell.strip() for cell in line.strip("|").split("|")] for line in section.splitlines() if line.startswith("| ")
    ]


def test_report_status_and_final_line_tell_what_was_paid(problems, tmp_path):
    path, table = problems
    out = tmp_path / "run"
    with ScriptedServer(answers(table), faults=Faults(rates={"error_500": 0.2}, seed=3)) as server:
        recipe = recipe_for(tmp_path, path, server.url)
        report = build(recipe, out, workers=1)
        received, spent = server.stats().received, report.spent["main"]
        assert spent.requests == received > spent.replies == PROMPTS * SAMPLES
        assert spent.cost == pytest.approx((2 * spent.prompt_tokens + 10 * spent.completion_tokens) / 1e6)
        told = report.to_json()
        assert told["spent"]["cost_per_row"] == pytest.approx(spent.cost / report.rows)
        assert told["teachers"]["main"]["tokens_per_row"] == pytest.approx(spent.tokens / report.rows)
        assert build(recipe, out, workers=1).spent == report.spent, "asking nothing costs nothing"
    found = status(out)
    assert found.spent == report.spent
    assert found.to_json()["spent"] == told["spent"]
    line = f"{spent.requests:,} requests, {spent.prompt_tokens:,} + {spent.completion_tokens:,} tokens"
    assert line in found.to_text()
    assert "for each kept row" in found.to_text()
    shown = run("status", out, "--json")
    assert json.loads(shown.stdout)["teachers"]["main"]["replies"] == PROMPTS * SAMPLES
    final = run("build", tmp_path / "recipe.yaml", "--set", PRICE, "--out", out)
    assert line in final.stdout


def test_the_card_tells_the_same_however_often_the_run_was_stopped_or_refused(problems, tmp_path):
    path, table = problems
    with ScriptedServer(answers(table)) as server:
        build(recipe_for(tmp_path, path, server.url), tmp_path / "straight", workers=1)
    faults = Faults(rates={"error_500": 0.2}, seed=4)
    with ScriptedServer(answers(table), faults=faults) as server:
        for allowed in (10, 40):
            done = run(
                "build", tmp_path / "recipe.yaml", "--out", tmp_path / "halting", "--set", PRICE,
                "--set", f"teachers.main.url={server.url}", "--set", f"budget.requests={allowed}",
            )  # fmt: skip
            assert done.returncode == 5
        report = build(recipe_for(tmp_path, path, server.url), tmp_path / "halting", workers=2)
        assert report.spent["main"].requests > PROMPTS * SAMPLES
    assert published(tmp_path / "halting") == published(tmp_path / "straight")


def test_the_card_counts_rejected_rows_too_and_what_a_kept_one_takes(problems, tmp_path):
    path, table = problems
    out = tmp_path / "run"
    with ScriptedServer(answers(table)) as server:
        report = build(recipe_for(tmp_path, path, server.url), out, workers=1)
    head, _, row = took(out)
    spent = report.spent["main"]
    assert report.rows < PROMPTS * SAMPLES
    assert head == [
        "model",
        "rows answered",
        "kept",
        "prompt tokens",
        "reply tokens",
        "tokens for a kept row",
        "cost",
        "cost of a kept row",
    ]
    cells = dict(zip(head, row, strict=True))
    assert cells["rows answered"] == str(PROMPTS * SAMPLES)
    assert cells["kept"] == str(report.rows)
    assert cells["prompt tokens"] == f"{spent.prompt_tokens:,}"
    assert float(cells["cost"]) == pytest.approx(spent.cost)
    assert float(cells["cost of a kept row"]) == pytest.approx(spent.cost / report.rows, rel=1e-3)


def test_another_price_makes_another_card_and_asks_nothing(problems, tmp_path):
    path, table = problems
    out = tmp_path / "run"
    with ScriptedServer(answers(table)) as server:
        first = build(recipe_for(tmp_path, path, server.url), out, workers=1)
        before = took(out)[-1]
        data = {name: digest for name, digest in published(out).items() if name != "README.md"}
        dearer = recipe_for(tmp_path, path, server.url, "teachers.main.price={prompt: 4, completion: 20}")
        second = build(dearer, out, workers=1)
        assert second.sent == 0
        assert second.manifest == first.manifest + 1
        assert build(dearer, out, workers=1).manifest == second.manifest
    assert float(took(out)[-1][-2]) == pytest.approx(2 * float(before[-2]))
    assert {name: digest for name, digest in published(out).items() if name != "README.md"} == data


def test_without_a_price_there_are_tokens_alone(problems, tmp_path):
    path, table = problems
    with ScriptedServer(answers(table)) as server:
        report = build(
            load_recipe(problem_recipe(tmp_path / "recipe.yaml", path, server.url)), tmp_path / "run", workers=1
        )
    assert report.spent["main"].cost is None
    assert report.to_json()["spent"]["cost_per_row"] is None
    assert took(tmp_path / "run")[0][-1] == "tokens for a kept row"
    assert "cost" not in status(tmp_path / "run").to_text()


def test_one_model_at_two_prices_has_no_price_in_the_card(problems, tmp_path):
    path, table = problems
    with ScriptedServer(answers(table)) as server:
        other = f"teachers.other={{url: '{server.url}', model: scripted, price: {{prompt: 1, completion: 1}}}}"
        report = build(recipe_for(tmp_path, path, server.url, other), tmp_path / "run", workers=1)
    assert set(report.spent) == {"main", "other"}
    assert None not in [account.cost for account in report.spent.values()]
    assert "cost" not in took(tmp_path / "run")[0]
    assert "main: " in status(tmp_path / "run").to_text()


def test_what_was_bought_elsewhere_is_not_what_this_run_paid(problems, tmp_path):
    path, table = problems
    with ScriptedServer(answers(table)) as server:
        recipe = recipe_for(tmp_path, path, server.url)
        build(recipe, tmp_path / "first", workers=1)
        bodies = server.requests[:30]
    known = answers(table)
    pairs = []
    for body in bodies:
        said = known(body)
        message = {"role": "assistant", "content": said.content, "reasoning_content": said.reasoning}
        reply = {"model": "scripted", "choices": [{"message": message, "finish_reason": "stop"}]}
        reply["usage"] = {"prompt_tokens": 1000, "completion_tokens": 1000, "total_tokens": 2000}
        pairs.append(json.dumps({"request": body, "response": reply}))
    (tmp_path / "pairs.jsonl").write_text("\n".join(pairs))
    assert import_answers(recipe, tmp_path / "run", [tmp_path / "pairs.jsonl"]).imported == 30
    with ScriptedServer(answers(table)) as server:
        limited = recipe_for(tmp_path, path, server.url, f"budget.requests={PROMPTS * SAMPLES - 30}")
        report = build(limited, tmp_path / "run", workers=1)
    assert report.spent["main"].requests == PROMPTS * SAMPLES - 30
    assert report.spent["main"].tokens < 30 * 2000
