"""Tool episodes in the executable world: every request has its own key, every result is the world's, and nothing is asked
twice.
"""

from __future__ import annotations

import json
import random
import time
from collections import Counter

import pytest

from campaign import LATE, kill, published, run, start, unexplained, write_jsonl
from tracemill.engines.inline import InlineEngine
from tracemill.errors import RecipeError
from tracemill.layouts import from_layout, to_layout
from tracemill.mill import build
from tracemill.recipe_file import recipe_from
from tracemill.record import ToolCall
from tracemill.report.audit import audit
from tracemill.report.explain import explain
from tracemill.storage.parquet import read_batches
from tracemill.testing import Answer, Faults, ScriptedServer
from tracemill.testing.answers import wants_reasoning
from tracemill.worlds import WORLDS, replay

LIBRARY = WORLDS["library"]
KINDS = ("lend", "pay", "two", "none", "later", "circles", "wrong", "cut", "leaked")
"""Tasks; the teacher fails in the last four as they say: it never stops, lends another book, is cut off, thinks aloud."""
REASONS = {"circles": "too_many_steps", "wrong": "wrong_state", "cut": "truncated", "leaked": "trace_leaked"}


def call(number, name, **arguments):
    return ToolCall(f"c{number}", name, json.dumps(arguments))


def task(number):
    """A task for the library: what is asked, and the calls that lead where it should."""
    kind, seed = KINDS[number % len(KINDS)], number // len(KINDS)
    world = LIBRARY.start(seed)
    member = next(key for key, told in world["members"].items() if not told["fee_cents"])
    debtor = max(world["members"], key=lambda key: world["members"][key]["fee_cents"])
    first, second = [key for key, book in world["books"].items() if book["lent_to"] is None][:2]
    goal = {
        "pay": [("pay_fee", {"member_id": debtor, "amount_cents": world["members"][debtor]["fee_cents"]})],
        "two": [("lend_book", {"member_id": member, "book_id": book}) for book in (first, second)],
        "none": [],
        "later": [("lend_book", {"member_id": member, "book_id": book}) for book in (first, second)],
    }.get(kind, [("lend_book", {"member_id": member, "book_id": first})])
    ask = {
        "pay": f"{debtor} pays the whole fee.",
        "two": f"Lend {first} and {second} to {member} at once.",
        "none": "What is the capital of France?",
    }.get(kind, f"Lend {first} to {member}.")
    row = {
        "id": f"t{number}",
        "question": f"Task {number} ({kind}): {ask}",
        "world": {"name": "library", "seed": seed, "calls": [[name, json.dumps(told)] for name, told in goal]},
        "calls": [] if kind == "none" else None,
        "turns": [f"And now {second}."] if kind == "later" else None,
    }
    return row, goal


def teacher(body):
    """Looks before it acts, acts, and says so."""
    turns = body["messages"]
    asked = next(turn["content"] for turn in turns if turn["role"] == "user")
    number = int(asked.split()[1])
    kind, (_, goal) = KINDS[number % len(KINDS)], task(number)
    results = sum(turn["role"] == "tool" for turn in turns)
    trace = f"Step {len(turns)} of task {number}." if wants_reasoning(body) else None
    if kind == "none":
        return Answer("Paris, which no tool of mine can tell.", trace)
    if kind == "leaked" and results:
        return Answer("Now I lend it.", "Thinking aloud.", tool_calls=(call(results, goal[0][0], **goal[0][1]),))
    if kind == "cut" and results:
        return Answer("I was about to", trace, finish_reason="length")
    if results == 0 or kind == "circles":
        looks = [call(results, "get_member", member_id=goal[0][1]["member_id"])]
        return Answer("", trace, tool_calls=tuple(looks))
    acts = list(goal)
    if kind == "wrong":
        acts = [("lend_book", {**goal[0][1], "book_id": "B10" if goal[0][1]["book_id"] != "B10" else "B09"})]
    users = sum(turn["role"] == "user" for turn in turns)
    if kind == "later":
        acts = acts[:users]
    done = results - 1
    if done < len(acts):
        some = acts[done:] if kind == "two" else acts[done : done + 1]
        return Answer("", trace, tool_calls=tuple(call(results, name, **told) for name, told in some))
    return Answer("Done.", trace)


def recipe_for(folder, url, count=54, mode="on", **respond):
    rows = [task(number)[0] for number in range(count)]
    if mode == "on":
        rows = [row for row in rows if "(leaked)" not in row["question"]]
    prompts = write_jsonl(folder / f"tasks-{mode}.jsonl", rows)
    fields = {"prompt": "question", "id": "id", "world": "world", "calls": "calls", "turns": "turns"}
    tree = {
        "name": "desk",
        "license": "CC0-1.0",
        "prompts": {"path": str(prompts), "name": "desk", "category": "tool_calling", "fields": fields},
        "teachers": {"main": {"url": url, "model": "clerk", "server": "vllm"}},
        "respond": {"reasoning": mode, "tools": {"most_steps": 5}, **respond},
    }
    (folder / f"{mode}.yaml").write_text(json.dumps(tree))
    return recipe_from(tree, "the test's recipe")


def rows_of(out):
    for folder in ("data", "rejected", "failed"):
        for path in sorted((out / folder).glob("*.parquet")):
            for batch in read_batches(path):
                for row in batch.to_pylist():
                    yield row, "kept" if folder == "data" else row.get("reason") or row["error_class"]


@pytest.mark.parametrize("mode", ["on", "off"])
def test_episodes_end_as_their_tasks_do_and_replay_to_the_same_state(tmp_path, mode):
    with ScriptedServer(teacher) as server:
        recipe = recipe_for(tmp_path, server.url, mode=mode)
        first = build(recipe, tmp_path / "run", engine=InlineEngine())
        assert build(recipe, tmp_path / "run", engine=InlineEngine()).sent == 0
        bodies, stats = server.requests, server.stats()
    assert not server.errors
    assert audit(tmp_path / "run").ok
    assert first.sent == stats.distinct == stats.received

    ends = Counter()
    keys = set()
    for row, end in rows_of(tmp_path / "run"):
        kind = row["source_id"] and KINDS[int(row["source_id"][1:]) % len(KINDS)]
        assert end == REASONS.get(kind, "kept"), row["evidence"]
        ends[kind] += 1
        keys.update(row["requests"])
        if end == "kept":
            check_kept(row, kind, mode)
    two = next(row for row, _ in rows_of(tmp_path / "run") if row["source_id"] == f"t{KINDS.index('two')}")
    attempts = explain(tmp_path / "run", two["uuid"]).attempts
    assert [attempt["outcome"] for attempt in attempts] == ["reply"] * 3
    assert [attempt["key"] for attempt in attempts] == two["requests"]
    assert set(ends) == set(KINDS) - ({"leaked"} if mode == "on" else set())
    assert len(set(ends.values())) == 1
    assert len(keys) == first.sent
    check_sent(bodies, mode)


def check_kept(row, kind, mode):
    sample = from_layout(row, "v1")
    number = int(row["source_id"][1:])
    told, goal = task(number)
    roles = [message.role for message in sample.messages]
    assert roles[:2] == ["system", "user"]
    assert roles.count("user") == (2 if kind == "later" else 1)
    calls = [c for message in sample.messages for c in message.tool_calls]
    results = [message for message in sample.messages if message.role == "tool"]
    assert [c.id for c in calls] == [message.tool_call_id for message in results]
    world = LIBRARY.start(told["world"]["seed"])
    again = replay(LIBRARY, world, [(c.name, c.arguments) for c in calls])
    assert [message.content for message in results] == list(again.results)
    assert again.state == replay(LIBRARY, world, [(name, json.dumps(args)) for name, args in goal]).state
    said = [message for message in sample.messages if message.role == "assistant"]
    assert all((message.reasoning is not None) == (mode == "on") for message in said)
    assert len(row["requests"]) == len(said)
    if kind == "two":
        assert [len(message.tool_calls) for message in said] == [1, 2, 0]
    if kind == "none":
        assert not calls
    v1 = to_layout(sample, "v1")
    assert json.loads(v1["metadata"])["tools"] == [dict(tool) for tool in LIBRARY.tools]
    assert all(set(c) == {"id", "type", "function"} for turn in v1["messages"] for c in turn["tool_calls"])
    assert all(isinstance(c["function"]["arguments"], str) for turn in v1["messages"] for c in turn["tool_calls"])


def check_sent(bodies, mode):
    """What a tool loop needs of its reasoning is sent back, where vLLM reads it, and nothing of earlier turns."""
    back = old = 0
    for body in bodies:
        assert len(body["tools"]) == len(LIBRARY.tools)
        last_user = max(i for i, turn in enumerate(body["messages"]) if turn["role"] == "user")
        for place, turn in enumerate(body["messages"]):
            assert "reasoning_content" not in turn
            if turn["role"] == "assistant":
                assert ("reasoning" in turn) == (mode == "on" and place > last_user)
                back += place > last_user
                old += place < last_user
    assert back > 50
    assert old > 5


@pytest.mark.parametrize(
    ("server_name", "field"),
    [
        ("vllm-old", "reasoning_content"),
        ("sglang", "reasoning_content"),
        ("openrouter", "reasoning"),
        (None, "reasoning_content"),
    ],
)
def test_a_trace_goes_back_in_the_field_that_its_server_reads(tmp_path, server_name, field):
    with ScriptedServer(teacher) as server:
        recipe = recipe_for(tmp_path, server.url, 2)
        told = recipe.model_dump(mode="json", exclude_unset=True)
        told["teachers"]["main"]["server"] = server_name
        build(recipe_from(told, "the test's recipe"), tmp_path / "run", engine=InlineEngine())
        bodies = server.requests
    sent = [turn for body in bodies for turn in body["messages"] if turn["role"] == "assistant"]
    assert len(sent) > 3
    assert all(turn[field].startswith("Step ") for turn in sent)
    assert {key for turn in sent for key in turn} == {"role", "content", "tool_calls", field}


def test_the_same_bytes_in_another_order_and_after_a_kill(tmp_path):
    with ScriptedServer(teacher, latency=0.01) as server:
        build(recipe_for(tmp_path, server.url, 150), tmp_path / "calm", workers=1)
    with ScriptedServer(teacher, latency=0.02, faults=Faults(rates={"slow": 0.3}, slow_factor=5)) as server:
        recipe_for(tmp_path, server.url, 150)
        deaths, rng = [], random.Random(5)
        for _ in range(3):
            process = start("build", tmp_path / "on.yaml", "--out", tmp_path / "run", "--workers", 2)
            before = server.stats().received
            while server.stats().received < before + 60 and process.poll() is None:
                time.sleep(0.01)
            time.sleep(rng.random() * 0.05)
            deaths.append(kill(process))
            time.sleep(LATE)
        done = run("build", tmp_path / "on.yaml", "--out", tmp_path / "run", "--workers", 2)
        assert done.returncode == 0, done.stderr
        assert unexplained(server.log, deaths, window=0.5) == []
        assert run("build", tmp_path / "on.yaml", "--out", tmp_path / "run", "--json").returncode == 0
    assert published(tmp_path / "run") == published(tmp_path / "calm")
    assert audit(tmp_path / "run").ok


def test_a_row_whose_world_nobody_knows_is_told_from_where_it_is(tmp_path):
    rows = [{"id": "a", "question": "Sail.", "world": {"name": "harbour"}}, task(0)[0]]
    tree = recipe_for(tmp_path, "http://localhost:1/v1", 1).model_dump(mode="json", exclude_unset=True)
    tree["prompts"][0]["path"] = str(write_jsonl(tmp_path / "two.jsonl", rows))
    with ScriptedServer(teacher) as server:
        tree["teachers"]["main"]["url"] = server.url
        build(recipe_from(tree, "the test's recipe"), tmp_path / "run", engine=InlineEngine())
    ends = {row["source_id"]: (end, row.get("evidence", "")) for row, end in rows_of(tmp_path / "run")}
    assert ends["t0"][0] == "kept"
    assert [told for end, told in ends.values() if end == "wrong_type" and "there is: library" in told]


def test_whoever_plays_the_tools_must_be_a_teacher(tmp_path):
    with pytest.raises(RecipeError, match=r"respond\.tools\.simulated_by: there is no teacher 'other'"):
        recipe_for(tmp_path, "http://localhost:1/v1", 1, tools={"simulated_by": "other"})
