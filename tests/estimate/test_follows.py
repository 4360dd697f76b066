"""What follows from answers: later turns, tools and users that are played, verdicts. The forecast against what is then asked."""

from __future__ import annotations

import json
from collections import Counter

import pytest

import tracemill as tm
from campaign import write_jsonl
from tracemill.engines.inline import InlineEngine
from tracemill.estimate.forecast import forecast
from tracemill.estimate.tokens import Range
from tracemill.mill import build
from tracemill.recipe_file import recipe_from
from tracemill.record import ToolCall
from tracemill.testing import Answer, ScriptedServer
from tracemill.testing.answers import last_user_text

TOOL = {
    "name": "look",
    "description": "Look a word up.",
    "parameters": {"type": "object", "properties": {"word": {"type": "string"}}},
}
PLAYS_TOOLS, PLAYS_USER = "You play the tools", "You play the user"


def by_part(found):
    parts = Counter()
    for lot in found.lots:
        parts[lot.teacher, lot.part] = lot.calls
    return parts


def test_verdicts_planted_answers_and_scripted_turns_are_in_the_forecast(tmp_path):
    recipe = tm.Recipe(
        name="judged",
        license="CC0-1.0",
        prompts=(tm.GeneratedPrompts(generate="exercises", count=36, categories=("chat", "stem", "tool_calling")),),
        teachers={name: tm.Teacher(url="builtin", model=name) for name in ("teacher", "judge")},
        judge={"teacher": "judge", "categories": ["chat", "stem"], "rubrics": {"chat": "exercises"}, "canaries": 7},
    )
    found = forecast(recipe, reply_tokens=60)
    parts = by_part(found)
    assert (found.to_ask, found.missing) == (36, [])
    assert parts["judge", "canaries"].low == parts["judge", "canaries"].high == 7
    assert parts["judge", "judge"].likely == 12
    report = build(recipe, tmp_path / "run", engine=InlineEngine())
    asked = {name: account.requests for name, account in report.spent.items()}
    judged, answered = asked["judge"] - 7, asked["teacher"] - 36
    assert parts["judge", "judge"].low <= judged <= parts["judge", "judge"].high
    assert parts["teacher", "turns"].low <= answered <= parts["teacher", "turns"].high
    assert abs(parts["teacher", "turns"].likely - answered) <= 0.2 * answered
    assert found.calls.low <= report.sent <= found.calls.high
    done = forecast(recipe, tmp_path / "run")
    assert (done.to_ask, done.calls.low, done.calls.likely) == (0, 0, 0)
    assert "verdicts on planted answers: 7 to judge" in found.to_text()
    assert found.to_json()["calls"]["likely"] == pytest.approx(found.calls.likely)


def test_what_is_still_to_be_judged_is_told_when_a_recipe_gets_a_judge(tmp_path):
    tree = {
        "name": "later",
        "license": "CC0-1.0",
        "prompts": {"generate": "exercises", "count": 20, "categories": ["chat"]},
        "teachers": {"teacher": {"url": "builtin", "model": "m"}},
    }
    build(recipe_from(tree, "the test's recipe"), tmp_path / "run", engine=InlineEngine())
    tree["teachers"]["judge"] = {"url": "builtin", "model": "m"}
    tree["judge"] = {"teacher": "judge", "categories": ["chat"], "rubrics": {"chat": "exercises"}}
    judged = recipe_from(tree, "the test's recipe")
    found = by_part(forecast(judged, tmp_path / "run"))
    assert found["teacher", "answers"].high == 0
    assert not [line for line in forecast(judged, tmp_path / "run").basis if line.startswith("replies are as")]
    sent = build(judged, tmp_path / "run", engine=InlineEngine()).sent
    assert found["judge", "canaries"].likely == 10
    assert found["judge", "judge"].likely <= sent - 10 <= found["judge", "judge"].high


def test_a_pilot_of_all_prompts_counts_the_verdicts_too(tmp_path):
    tree = {
        "name": "piloted",
        "license": "CC0-1.0",
        "prompts": {"generate": "exercises", "count": 24, "categories": ["chat"]},
        "teachers": {
            "teacher": {"url": "builtin", "model": "m", "slips": {"wrong": 0.3}},
            "judge": {"url": "builtin", "model": "j"},
        },
        "judge": {"teacher": "judge", "categories": ["chat"], "rubrics": {"chat": "exercises"}},
    }
    recipe = recipe_from(tree, "the test's recipe")
    found = forecast(recipe, tmp_path / "run", pilot=100, workers=1)
    report = build(recipe, tmp_path / "run", engine=InlineEngine())
    assert report.sent == 0
    asked = sum(account.replies for account in report.spent.values())
    assert found.pilot.whole["calls"].value == asked - 10
    assert found.pilot.lost["judge: judged_bad"].value > 0


def say(body):
    text = last_user_text(body)
    if text.startswith(PLAYS_TOOLS):
        return Answer('{"found": true}')
    if text.startswith(PLAYS_USER):
        return Answer('{"message": "And then?", "done": false}')
    done = sum(turn["role"] == "tool" for turn in body["messages"])
    if body.get("tools") and done < int(body["messages"][0]["content"].split()[-1]):
        return Answer("", tool_calls=(ToolCall(f"c{done}", "look", '{"word": "x"}'),))
    return Answer(f"So it goes on, {len(body['messages'])}.")


def played_recipe(folder, url, **more):
    tools = [
        {
            "p": f"Look so often, errand {n}: {n % 3}",
            "t": json.dumps([TOOL]),
            "c": json.dumps([{"look": {"word": ["x"]}}] * (n % 3)),
        }
        for n in range(12)
    ]
    talks = [{"p": f"Tell me about number {n}."} for n in range(10)]
    tree = {
        "name": "played",
        "license": "CC0-1.0",
        "prompts": [
            {
                "name": "errands",
                "path": str(write_jsonl(folder / "errands.jsonl", tools)),
                "category": "tool_calling",
                "fields": {"prompt": "p", "tools": "t", "calls": "c"},
            },
            {
                "name": "talks",
                "path": str(write_jsonl(folder / "talks.jsonl", talks)),
                "category": "chat",
                "fields": {"prompt": "p"},
            },
        ],
        "teachers": {name: {"url": url, "model": name, "concurrency": 4} for name in ("main", "tools", "user")},
        "respond": {
            "reasoning": "off",
            "tools": {"simulated_by": "tools"},
            "user": {"played_by": "user", "turns": [2, 4]},
        },
        "verify": {"duplicates": False},
        **more,
    }
    return recipe_from(tree, "the test's recipe")


def test_played_tools_and_users_are_in_the_forecast_and_in_what_is_left(tmp_path):
    with ScriptedServer(say, models=["main", "tools", "user"]) as server:
        recipe = played_recipe(tmp_path, server.url)
        found = forecast(recipe, reply_tokens=20, latency=1)
        parts = by_part(found)
        assert server.stats().received == 0
        build(recipe, tmp_path / "run", limit=15, engine=InlineEngine())
        begun = server.stats().received
        left = forecast(recipe, tmp_path / "run", reply_tokens=20)
        build(recipe, tmp_path / "run", engine=InlineEngine())
        asked = Counter(body["model"] for body in server.requests)
    assert parts["main", "answers"].likely == 22
    assert parts["user", "user"].low <= asked["user"] <= parts["user", "user"].high
    assert asked["user"] == parts["user", "user"].likely
    assert asked["tools"] == parts["tools", "tools"].likely == 12
    turns = parts["main", "turns"]
    assert turns.low <= asked["main"] - 22 <= turns.high
    assert found.calls.low <= asked.total() <= found.calls.high
    assert left.calls.low <= asked.total() - begun <= left.calls.high
    assert left.calls.likely < found.calls.likely
    assert found.reply_tokens.likely == pytest.approx(20 * found.calls.likely)
    assert found.missing == ["what tokens cost: set teachers.main.price, teachers.tools.price, teachers.user.price"]
    assert "later turns of episodes" in found.to_text()


@pytest.mark.parametrize("most", [1, 2])
def test_tools_are_played_in_as_many_steps_as_there_may_be(tmp_path, most):
    with ScriptedServer(say, models=["main", "tools", "user"]) as server:
        tools = {"simulated_by": "tools", "most_steps": most}
        respond = {"reasoning": "off", "tools": tools, "user": {"played_by": "user", "turns": [2, 2]}}
        recipe = played_recipe(tmp_path, server.url, respond=respond)
        found = forecast(recipe)
        parts = by_part(found)
        build(recipe, tmp_path / "run", engine=InlineEngine())
        asked = Counter(body["model"] for body in server.requests)
    tools, turns = parts["tools", "tools"] or Range(), parts["main", "turns"] or Range()
    assert tools.low <= asked["tools"] <= tools.high
    assert turns.low <= asked["main"] - 22 <= turns.high
    assert found.calls.low <= asked.total() <= found.calls.high
    assert (asked["tools"], tools.high) == ((0, 0) if most == 1 else (8, 16))


def test_the_next_call_of_an_episode_counts_with_whom_it_asks(tmp_path):
    prices = {"main": {"prompt": 0, "completion": 1}, "other": {"prompt": 0, "completion": 100}}
    with ScriptedServer(say, models=["main", "tools", "user", "other"]) as server:
        recipe = played_recipe(tmp_path, server.url)
        build(recipe, tmp_path / "run", engine=InlineEngine())
        teachers = {
            name: {"url": server.url, "model": name, "concurrency": 4, "price": prices.get(name)}
            for name in ("main", "user")
        }
        teachers["tools"] = {"url": server.url, "model": "other", "concurrency": 4, "price": prices["other"]}
        changed = played_recipe(tmp_path, server.url, teachers=teachers)
        found = forecast(changed, tmp_path / "run")
        before = len(server.requests)
        build(changed, tmp_path / "run", engine=InlineEngine())
        asked = Counter(body["model"] for body in server.requests[before:])
    lots = {(lot.teacher, lot.part): lot for lot in found.lots}
    assert found.to_ask == lots["main", "answers"].to_ask == 8, "samples that lack something"
    assert lots["main", "answers"].calls.high == lots["main", "answers"].reply_limit == 0
    assert asked["main"] == 0
    tools = lots["tools", "tools"]
    assert tools.calls.low <= asked["other"] == tools.calls.likely <= tools.calls.high
    assert found.cost_limit * 1e6 >= 100 * tools.reply_limit > 0
