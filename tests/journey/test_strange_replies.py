"""Whatever an endpoint says, a run goes on, accounts for every row, and is cured by the edit that cures it."""

from __future__ import annotations

from contextlib import suppress

import pytest

from campaign import answers, problem_recipe, run, write_jsonl, write_problems
from tracemill.errors import DiskError, EndpointError
from tracemill.mill import build
from tracemill.recipe_file import load_recipe
from tracemill.report.audit import audit
from tracemill.storage.fs import Fs
from tracemill.storage.parquet import read_batches
from tracemill.testing import Answer, Faults, ScriptedServer, from_table

PROMPTS = 12


def nested(depth):
    value: list = []
    for _ in range(depth):
        value = [value]
    return value


STRANGE = {
    "the closing tag inside a trace": Answer("\\boxed{1}", "we close </think> here"),
    "the same, cut": Answer("\\boxed{1}", "we close </think> here", finish_reason="length"),
    "two traces, one empty": Answer("<think></think>\n<think>b</think>\\boxed{1}", None),
    "a blank trace beside an inline one": Answer("<think>a</think>\\boxed{1}", " "),
    "an end by a filter": Answer("\\boxed{1}", "I thought.", finish_reason="content_filter"),
    "arguments nested without end": Answer(
        "\\boxed{1}",
        "I thought.",
        tool_calls=[{"id": None, "type": "function", "function": {"name": None, "arguments": nested(300)}}],
    ),
    "an empty box": Answer("\\boxed{}", "I thought."),
    "control characters": Answer("\x1b[2J\\boxed{1}", "\x07"),
}


@pytest.fixture
def scene(tmp_path):
    table = write_problems(tmp_path / "p.jsonl", PROMPTS)

    def recipe(url, *sets):
        return load_recipe(problem_recipe(tmp_path / "r.yaml", tmp_path / "p.jsonl", url), sets)

    return table, recipe, tmp_path / "run"


@pytest.mark.parametrize("mode", ["on", "off"])
@pytest.mark.parametrize("strange", STRANGE.values(), ids=STRANGE)
def test_a_strange_reply_costs_its_row_and_nothing_else(strange, mode, scene):
    table, recipe, out = scene
    first = next(iter(table))
    table[first] = [strange]
    with ScriptedServer(answers(table)) as server:
        report = build(recipe(server.url, f"respond.reasoning={mode}"), out, workers=1)
    assert report.rows + sum(report.lost.values()) == 2 * PROMPTS
    assert report.rows >= PROMPTS - 1, report.lost
    assert audit(out).ok


def test_a_refusal_is_asked_about_again_when_the_way_to_the_teacher_changes(scene):
    """A server that refuses `seed` is cured by `send_seed: false`; nothing else is asked again."""
    table, recipe, out = scene
    with ScriptedServer(
        answers(table), faults=Faults(script=lambda b, n: "bad_request" if "seed" in b else None)
    ) as server:
        with pytest.raises(EndpointError):
            build(recipe(server.url), out, workers=1)
        received = server.stats().received
        with pytest.raises(EndpointError):
            build(recipe(server.url), out, workers=1)
        assert server.stats().received == received, "the same refusal was asked for again"
        report = build(recipe(server.url, "teachers.main.send_seed=false"), out, workers=1)
    assert report.sent == 2 * PROMPTS
    assert not [k for k in report.lost if "refused" in k]
    assert audit(out).ok


def test_pages_from_a_wrong_address_are_asked_again_at_the_right_one(scene):
    table, recipe, out = scene
    with ScriptedServer(answers(table), faults=Faults(rates={"html": 1.0})) as wrong, pytest.raises(EndpointError):
        build(recipe(wrong.url), out, workers=1)
    with ScriptedServer(answers(table)) as server:
        report = build(recipe(server.url), out, workers=1)
    assert report.sent >= 2 * PROMPTS
    assert not [k for k in report.lost if "malformed" in k]
    assert audit(out).ok


def test_a_prompt_that_a_gateway_denies_fails_alone_and_is_asked_again_next_time(scene):
    table, recipe, out = scene
    unlucky = list(table)[4]

    def deny(body, attempt):
        return "forbidden" if unlucky in body["messages"][-1]["content"] else None

    with ScriptedServer(answers(table), faults=Faults(script=deny)) as server:
        report = build(recipe(server.url), out, workers=1)
        assert report.lost["respond: denied"] == 2
        assert audit(out).ok
        assert build(recipe(server.url), out, workers=1).sent == 2
        assert audit(out).ok


def test_failed_rows_are_the_same_bytes_when_they_are_worked_again(scene):
    """Evidence longer than what the journal keeps, and an endpoint that was down for two builds."""
    table, recipe, out = scene
    unlucky = list(table)[4]

    def fault(body, attempt):
        return "error_500" if unlucky in body["messages"][-1]["content"] else None

    with ScriptedServer(answers(table), faults=Faults(script=fault)) as server:
        for _ in range(2):
            build(recipe(server.url, "teachers.main.attempts=2"), out, workers=1)
            assert audit(out).ok
    (path,) = (out / "failed").glob("*.parquet")
    rows = [r for b in read_batches(path) for r in b.to_pylist()]
    assert {r["attempts"] for r in rows} == {4}


@pytest.mark.parametrize(
    ("most", "workers"), [(6, 2), *(pytest.param(*both, marks=pytest.mark.storm) for both in ((1, 4), (5, 4)))]
)
def test_concurrency_is_over_all_workers(most, workers, tmp_path):
    table = write_problems(tmp_path / "p.jsonl", 2500)
    with ScriptedServer(answers(table), latency=0.005, keep=False) as server:
        sets = [f"teachers.main.concurrency={most}", "respond.samples=1"]
        recipe = load_recipe(problem_recipe(tmp_path / "r.yaml", tmp_path / "p.jsonl", server.url), sets)
        build(recipe, tmp_path / "run", workers=workers, limit=2500 if most > 1 else 300)
        assert server.stats().peak_in_flight <= most


def test_one_sample_is_no_majority(scene):
    table, recipe, out = scene
    with ScriptedServer(answers(table)) as server:
        report = build(recipe(server.url, "prompts.fields.expected=null", "respond.samples=1"), out, workers=1)
    assert report.rows == 0
    assert report.lost == {"verify_math: low_agreement": PROMPTS}


def test_a_check_that_ran_out_of_time_once_is_not_tried_again(tmp_path):
    """The wall clock may be too short for any symbolic check; the audit agrees all the same."""
    problems = {f"Simplify problem {n}.": [Answer(f"\\boxed{{\\sqrt{{{n}}}+{n}}}", "I think.")] for n in range(2, 8)}
    rows = [
        {"question": q, "answer": f"{n}+\\sqrt{{{n}}}", "id": str(n)}
        for n, q in zip(range(2, 8), problems, strict=True)
    ]
    path = write_jsonl(tmp_path / "p.jsonl", rows)
    with ScriptedServer(from_table(problems)) as server:
        sets = ["verify.math.wall_clock=0.02", "respond.samples=1"]
        build(load_recipe(problem_recipe(tmp_path / "r.yaml", path, server.url), sets), tmp_path / "run", workers=1)
        assert audit(tmp_path / "run").ok
        longer = load_recipe(tmp_path / "r.yaml", ["verify.math.wall_clock=20", "respond.samples=1"])
        report = build(longer, tmp_path / "run", workers=1)
    assert report.rows == 6
    assert report.sent == 0


class StatusRefused(Fs):
    """A disk on which nothing but the status cannot be written, from the tenth time on."""

    times = 0

    def replace(self, path, data, durable=True):
        if path.name == "status.json":
            self.times += 1
            if self.times > 3:
                raise DiskError("the disk is full at status.json")
        super().replace(path, data, durable)


@pytest.mark.timeout(60)
def test_a_disk_that_refuses_the_parent_stops_the_run_and_starts_no_new_worker(scene):
    table, recipe, out = scene
    with ScriptedServer(answers(table), latency=1.0) as server:
        with suppress(DiskError):
            build(recipe(server.url), out, workers=2, fs=StatusRefused())
        stored = server.stats().sent
        assert build(recipe(server.url), out, workers=1).sent <= 2 * PROMPTS - stored
    assert audit(out).ok


@pytest.mark.parametrize("secret", ['sk-"q\\uote"/x', "abc/DEF+base64key=="])
def test_a_secret_is_masked_however_json_spells_it(secret, scene, tmp_path):
    table, _, out = scene

    def echo(body):
        return Answer(answers(table)(body).content, f"Bearer {secret}")

    with ScriptedServer(echo) as server:
        file = problem_recipe(
            tmp_path / "r.yaml", tmp_path / "p.jsonl", server.url, teachers__main__api_key="${env:CANARY}"
        )
        done = run("build", file, "--out", out, env={"CANARY": secret})
    assert done.returncode == 0, done.stderr
    rows = [r for p in out.rglob("*.parquet") for b in read_batches(p) for r in b.to_pylist()]
    texts = [m["content"] for r in rows for m in r["messages"]]
    assert any("***" in text for text in texts)
    assert not any(secret in text for text in texts)
