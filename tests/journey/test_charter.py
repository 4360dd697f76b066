"""What a run is, is said once: a build that fails before it begins leaves the run what it was, templates included."""

from __future__ import annotations

import json

import pytest

from campaign import answers, problem_recipe, published, run, write_problems
from tracemill.errors import RecipeError
from tracemill.mill import build
from tracemill.recipe_file import load_recipe
from tracemill.report.audit import audit
from tracemill.report.explain import explain
from tracemill.report.status import status
from tracemill.testing import Answer, ScriptedServer


@pytest.fixture
def scene(tmp_path, monkeypatch):
    """(recipe file, server) of twelve problems, framed by a template that lies in the working directory."""
    monkeypatch.chdir(tmp_path)
    answer = answers(write_problems(tmp_path / "p.jsonl", 12))
    (tmp_path / "frame.txt").write_text("Please solve: {problem}")

    def framed(body):
        assert body["messages"][-1]["content"].startswith(("Please solve: ", "Solve, please: "))
        return answer(body)

    with ScriptedServer(framed) as server:
        yield problem_recipe(
            tmp_path / "r.yaml", tmp_path / "p.jsonl", server.url, respond__templates={"math": "frame.txt"}
        ), server  # fmt: skip


def test_a_build_that_cannot_begin_leaves_the_run_what_it_was(scene, tmp_path):
    file, _ = scene
    build(load_recipe(file), tmp_path / "run", workers=1)
    before = published(tmp_path / "run")
    for wrong in ("prompts.path=gone.jsonl", "prompts.fields.prompt=qestion", "respond.templates.math=gone.txt"):
        with pytest.raises(RecipeError):
            build(load_recipe(file, ["name=other", wrong]), tmp_path / "run", workers=1)
        assert json.loads((tmp_path / "run/.tracemill/plan.json").read_text())["recipe"]["name"] == "campaign"
        assert "name: campaign" in (tmp_path / "run/.tracemill/recipe.yaml").read_text()
        assert status(tmp_path / "run").state == "done"
        assert audit(tmp_path / "run").ok
    assert published(tmp_path / "run") == before


def test_the_run_keeps_its_templates_wherever_it_is_looked_at_from(scene, tmp_path, monkeypatch):
    file, server = scene
    build(load_recipe(file), tmp_path / "run", workers=1)
    (tmp_path / "frame.txt").unlink()
    (tmp_path / "run").rename(tmp_path / "moved")
    monkeypatch.chdir("/")
    assert audit(tmp_path / "moved").ok
    assert status(tmp_path / "moved").state == "done"
    assert server.stats().received == 24


def test_a_template_with_another_text_asks_anew_and_one_at_another_place_does_not(scene, tmp_path):
    file, server = scene
    build(load_recipe(file), tmp_path / "run", workers=1)
    asked = server.stats().received
    (tmp_path / "same.txt").write_text("Please solve: {problem}")
    assert build(load_recipe(file, ["respond.templates.math=same.txt"]), tmp_path / "run", workers=1).sent == 0
    assert audit(tmp_path / "run").ok
    (tmp_path / "frame.txt").write_text("Solve, please: {problem}")
    assert build(load_recipe(file), tmp_path / "run", workers=1).sent == asked
    assert audit(tmp_path / "run").ok


def test_a_damaged_copy_of_the_recipe_for_people_hinders_nothing(scene, tmp_path):
    file, _ = scene
    build(load_recipe(file), tmp_path / "run", workers=1)
    (tmp_path / "run/.tracemill/recipe.yaml").write_text("name: [")
    assert audit(tmp_path / "run").ok
    assert build(load_recipe(file), tmp_path / "run", workers=1).sent == 0
    assert "name: campaign" in (tmp_path / "run/.tracemill/recipe.yaml").read_text()


HOSTILE = "\x1b[2J\x1b]0;owned\x07\u202egnp\x9b31m\rover"


def test_nothing_that_data_or_servers_say_reaches_the_terminal_raw(tmp_path):
    row = {"q": f"What is 2 + 2? {HOSTILE}", "a": f"4{HOSTILE}", "id": f"id{HOSTILE}", "lic": f"MIT{HOSTILE}"}
    (tmp_path / "p.jsonl").write_text(json.dumps(row) + "\n" + json.dumps({**row, "q": HOSTILE * 2, "a": None}) + "\n")
    with ScriptedServer(lambda body: Answer(f"\\boxed{{5{HOSTILE}}}", f"I {HOSTILE}", finish_reason="stop")) as server:
        file = problem_recipe(
            tmp_path / "r.yaml", tmp_path / "p.jsonl", server.url,
            prompts__fields={"prompt": "q", "expected": "a", "id": "id", "license": "lic"},
        )  # fmt: skip
        built = run("build", file, "--out", tmp_path / "run")
    assert built.returncode == 0, built.stderr
    import pyarrow.parquet as pq

    ids = [r["uuid"] for p in (tmp_path / "run" / "rejected").glob("*.parquet") for r in pq.read_table(p).to_pylist()]
    assert len(ids) >= 2
    ids = ids[:2]
    for words in [("explain", i) for i in ids] + [("explain", i, "--json") for i in ids] + [("status",), ("audit",)]:
        done = run(words[0], tmp_path / "run", *words[1:])
        shown = done.stdout + done.stderr
        assert done.returncode == 0, shown
        assert not [c for c in shown if not c.isprintable() and c != "\n"]
    lives = [explain(tmp_path / "run", i).to_text() for i in ids]
    assert any("\\x1b[2J" in life for life in lives)
    assert not any("\x1b" in life for life in lives)


def test_an_error_of_the_endpoint_is_shown_escaped(tmp_path):
    from tracemill.cli.terminal import clean

    assert clean(f"teacher 'main' answers HTTP 401: {HOSTILE}\nCheck it").count("\n") == 1
    assert not [c for c in clean(HOSTILE) if not c.isprintable()]
