"""What is paid for is paid for once: edits to a recipe ask only for what they change."""

from __future__ import annotations

import dataclasses

import pytest

from campaign import answers, first, problem_recipe, published, write_problems
from tracemill.mill import build
from tracemill.recipe_file import load_recipe
from tracemill.testing import ScriptedServer, ShuffledEngine

PROMPTS = 60


@pytest.fixture
def scene(tmp_path):
    table = write_problems(tmp_path / "problems.jsonl", PROMPTS)
    with ScriptedServer(answers(table)) as server:
        file = problem_recipe(tmp_path / "recipe.yaml", tmp_path / "problems.jsonl", server.url)
        yield server, tmp_path / "run", lambda *sets: load_recipe(file, sets)


FREE_EDITS = {
    "a verifier": "verify.math.majority=0.9",
    "a filter": "verify.duplicates=false",
    "the layout": "publish.layout=v1",
    "another layout": "publish.layout=v3",
    "the row groups": "publish.row_group_rows=1000",
    "the licence": "license=MIT",
    "the version": "version='2'",
    "the contact": "contact=rows@example.org",
    "how often it may be asked anew": "respond.ask_anew=0",
    "a lower limit": "teachers.main.sampling.max_tokens=5000",
    "the pace": "teachers.main.concurrency=3",
    "a header": "teachers.main.headers.x-team=mill",
    "whether the seed is sent": "teachers.main.send_seed=false",
}


@pytest.mark.parametrize("edit", first(4, [*FREE_EDITS.values()]), ids=FREE_EDITS)
def test_an_edit_that_changes_no_question_asks_nothing(edit, scene):
    server, out, recipe = scene
    assert build(recipe(), out, workers=1).sent == 2 * PROMPTS
    received = server.stats().received
    assert build(recipe(edit), out, workers=1).sent == 0
    assert server.stats().received == received


def test_another_endpoint_is_asked_nothing_that_the_first_has_answered(scene):
    _, out, recipe = scene
    build(recipe(), out, workers=1)
    before = published(out)
    with ScriptedServer(lambda body: 1 / 0) as other:
        report = build(recipe(f"teachers.main.url={other.url}"), out, workers=1)
        assert other.stats().received == 0
    assert report.sent == 0
    assert published(out) == before


@pytest.mark.parametrize(
    "edit",
    first(
        1,
        [
            "seed=1",
            "teachers.main.model=other",
            "teachers.main.sampling.temperature=0.1",
            "teachers.main.extra_body.a=1",
        ],
    ),
)
def test_an_edit_that_changes_every_question_asks_all_of_them(edit, scene):
    _, out, recipe = scene
    build(recipe(), out, workers=1)
    assert build(recipe(edit), out, workers=1).sent == 2 * PROMPTS


def test_more_samples_ask_only_for_the_new_ones(scene):
    _, out, recipe = scene
    build(recipe(), out, workers=1)
    assert build(recipe("respond.samples=3"), out, workers=1).sent == PROMPTS
    assert build(recipe("respond.samples=1"), out, workers=1).sent == 0


def test_a_limit_is_a_part_of_the_whole(scene):
    _, out, recipe = scene
    assert build(recipe(), out, workers=1, limit=20).sent == 40
    assert build(recipe(), out, workers=1).sent == 2 * PROMPTS - 40


def test_only_cut_answers_are_asked_again_with_a_higher_limit_and_none_with_a_lower(tmp_path):
    """Every fifth problem needs 500 tokens; the others end by themselves at 20."""
    table = write_problems(tmp_path / "problems.jsonl", PROMPTS)
    for number, (text, known) in enumerate(table.items()):
        if number % 5 == 0:
            table[text] = [dataclasses.replace(a, reasoning="word " * 500) for a in known]
    with ScriptedServer(answers(table)) as server:
        file = problem_recipe(tmp_path / "recipe.yaml", tmp_path / "problems.jsonl", server.url)

        def sent(limit):
            recipe = load_recipe(file, [f"teachers.main.sampling.max_tokens={limit}"])
            report = build(recipe, tmp_path / "run", workers=1)
            return report.sent, report.lost.get("complete: truncated", 0)

        assert sent(100) == (2 * PROMPTS, 2 * PROMPTS // 5)
        assert sent(200) == (2 * PROMPTS // 5, 2 * PROMPTS // 5)
        assert sent(1000) == (2 * PROMPTS // 5, 0)
        assert sent(100)[0] == 0
        assert sent(1000) == (0, 0)


def test_bytes_do_not_depend_on_workers_engine_order_or_limits_in_flight(tmp_path):
    table = write_problems(tmp_path / "problems.jsonl", 1200)
    with ScriptedServer(answers(table)) as server:
        recipe = load_recipe(problem_recipe(tmp_path / "recipe.yaml", tmp_path / "problems.jsonl", server.url))
        build(recipe, tmp_path / "one", workers=1)
        build(recipe, tmp_path / "three", workers=3)
        build(recipe, tmp_path / "shuffled", engine=ShuffledEngine(5))
    assert published(tmp_path / "one") == published(tmp_path / "three") == published(tmp_path / "shuffled")
    assert len(list((tmp_path / "one" / ".tracemill" / "units").glob("*/*.json"))) >= 3


def test_a_finished_run_is_left_as_it_is(scene):
    _, out, recipe = scene
    first = build(recipe(), out, workers=1)
    stamps = {p: p.stat().st_mtime_ns for p in out.rglob("*.parquet")}
    second = build(recipe(), out, workers=1)
    assert second.manifest == first.manifest == 1
    assert {p: p.stat().st_mtime_ns for p in out.rglob("*.parquet")} == stamps
