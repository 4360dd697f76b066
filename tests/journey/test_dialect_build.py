"""A build in the wrong dialect drops what disobeyed, and says so; the right one asks for that again and for nothing else."""

from __future__ import annotations

from campaign import problem_recipe, write_problems
from tracemill.engines.inline import InlineEngine
from tracemill.mill import build
from tracemill.recipe_file import load_recipe
from tracemill.report.audit import audit
from tracemill.storage.parquet import read_batches
from tracemill.testing import Emulated, ScriptedServer, from_table
from tracemill.testing.answers import last_user_text
from tracemill.testing.emulated import EmulatedAnswers

PROMPTS = 10


class Solving(EmulatedAnswers):
    """An emulated model that knows the answers."""

    def __init__(self, kind, family, table):
        super().__init__(kind, {})
        self.family, self.known = family, from_table(table)

    def __call__(self, body):
        said = self.known(body)
        self.models = {body["model"]: Emulated(self.family, trace=said.reasoning, answer=said.content)}
        assert last_user_text(body)
        return super().__call__(body)


def rows(out, part):
    return [r for p in sorted((out / part).glob("*.parquet")) for b in read_batches(p) for r in b.to_pylist()]


def test_the_wrong_dialect_costs_the_mode_that_disobeyed_and_the_right_one_cures_it(tmp_path):
    table = write_problems(tmp_path / "p.jsonl", PROMPTS)
    out = tmp_path / "run"

    def recipe(url, *sets):
        file = problem_recipe(tmp_path / "r.yaml", tmp_path / "p.jsonl", url)
        return load_recipe(file, ["respond.reasoning=both", "respond.samples=1", *sets])

    with ScriptedServer(Solving("ollama", "qwen3", table), models=["scripted"]) as server:
        first = build(recipe(server.url, "teachers.main.server=vllm"), out, engine=InlineEngine())
        assert first.lost == {"complete: trace_leaked": PROMPTS}
        assert first.rows == PROMPTS
        assert {r["reason"] for r in rows(out, "rejected")} == {"trace_leaked"}
        assert audit(out).ok
        cured = build(
            recipe(server.url, "teachers.main.family=qwen3", "teachers.main.server=ollama"), out, engine=InlineEngine()
        )
    assert cured.rows == 2 * PROMPTS
    assert cured.sent == 2 * PROMPTS, "on is asked for in other words too"
    kept = rows(out, "data")
    assert {("<think>" in r["messages"][-1]["content"], r["reasoning"]) for r in kept} == {(True, "on"), (False, "off")}
    assert audit(out).ok


def test_a_switch_in_words_is_sent_and_stands_in_no_row(tmp_path):
    table = write_problems(tmp_path / "p.jsonl", PROMPTS)
    with ScriptedServer(Solving("vllm", "nemotron-v1", table), models=["scripted"]) as server:
        sets = ["respond.reasoning=both", "respond.samples=1", "teachers.main.family=nemotron-v1"]
        file = problem_recipe(tmp_path / "r.yaml", tmp_path / "p.jsonl", server.url)
        report = build(load_recipe(file, sets), tmp_path / "run", engine=InlineEngine())
        heads = {body["messages"][0]["content"] for body in server.requests}
    assert heads == {"detailed thinking on", "detailed thinking off"}
    assert (report.rows, report.lost) == (2 * PROMPTS, {})
    assert {m["role"] for r in rows(tmp_path / "run", "data") for m in r["messages"]} == {"user", "assistant"}
    assert audit(tmp_path / "run").ok
