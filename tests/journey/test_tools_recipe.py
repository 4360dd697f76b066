"""The shipped recipe `tools` on its own prompts: errands whose tools are executed and requests whose tools are played by a
model, with planted faults. The ledger is the plan, and the rows are v1's to the letter.
"""

from __future__ import annotations

import json
from collections import Counter
from importlib.resources import files

import pyarrow.parquet as pq
import pytest
import yaml
from test_categories import call_of, is_plain

from campaign import read_jsonl_gz, shared, write_jsonl
from tracemill.engines.inline import InlineEngine
from tracemill.exercises import make, recognise
from tracemill.gather.files import read_prompts
from tracemill.gather.inputs import input_files
from tracemill.mill import build
from tracemill.recipe_file import recipe_from
from tracemill.record import Prompt, ToolCall
from tracemill.report.audit import audit
from tracemill.respond.answer import Questions
from tracemill.respond.templates import load_templates
from tracemill.testing import Answer, ScriptedServer

TREE = yaml.safe_load((files("tracemill") / "recipes" / "tools.yaml").read_text(encoding="utf-8"))
SET = shared("bfcl", "single_turn.jsonl.gz")
PLAYS = "You play the tools of a program."
"""What whoever plays the tools is told first."""
SHAPES = ("simple_python", "parallel", "multiple", "irrelevance")
FAULTY = 3
"""Every so manieth prompt is answered badly, in one of `KINDS` in turn."""
KINDS = ("no_call", "empty", "truncated", "trace_missing", "circles", "no_json")
FAMILIES = {"tools_turns": "turns", "tools_title": "steps", "tools_returns": "parallel", "tools_none": "none"}
"""Exercises at the library's desk whose episode is more than one call and its result."""
V1 = ["uuid", "license", "generator", "version", "category", "reasoning", "messages", "metadata"]
CALL = "struct<id: string, type: string, function: struct<name: string, arguments: string>>"
MESSAGES = f"list<element: struct<role: string, content: string, tool_calls: list<element: {CALL}>>>"
"""The columns of NVIDIA's Nemotron Post-Training Dataset v1, as its files have them."""
pytestmark = pytest.mark.skipif(not SET.exists(), reason="the real set is not beside the project")


def recipe_over(folder, url, executed, played, layout="full"):
    rows = [row for row in read_jsonl_gz(SET) if is_plain(row)]
    of_shape = [[row for row in rows if row["category"] == shape] for shape in SHAPES]
    rows = [row for of_each in zip(*of_shape, strict=False) for row in of_each][:played]
    assert len(rows) == played
    library, bfcl = TREE["prompts"]
    bfcl = bfcl | {"path": str(write_jsonl(folder / "bfcl.jsonl", rows))}
    teachers = {name: teacher | {"url": url} for name, teacher in TREE["teachers"].items()}
    own = {"prompts": [library | {"count": executed}, bfcl], "teachers": teachers, "publish": {"layout": layout}}
    own["verify"] = TREE["verify"] | {"duplicates": False}
    return recipe_from(TREE | own, "tools.yaml over a sample")


def prompts_of(recipe, limit):
    library, bfcl = recipe.prompts
    made = list(make(library.count, library.seed, library.categories))
    made += [prompt for file in input_files(bfcl) for prompt in read_prompts(bfcl, file)]
    assert all(isinstance(prompt, Prompt) for prompt in made)
    return made[:limit]


def planned(prompt, number):
    """(kind of the answer, why it is refused or None)."""
    kind = KINDS[number // FAULTY % len(KINDS)] if number % FAULTY == 0 else "right"
    wanted = prompt.check["calls"]
    match kind:
        case "no_call" if wanted:
            return kind, "verify_tools: missing_call"
        case "empty" | "truncated" | "trace_missing":
            return kind, f"complete: {kind}"
        case "circles" if wanted:
            return kind, "respond: too_many_steps"
        case "no_json" if wanted and "world" not in prompt.check:
            return kind, "respond: no_tool_result"
    return "right", None


def in_world(body):
    """What a right clerk does next at the library's desk."""
    worked = recognise(body["messages"]).worked()
    calls = [ToolCall(f"c{n}", c.name, json.dumps(dict(c.arguments))) for n, c in enumerate(worked.calls)]
    return worked.ending, tuple(calls)


def in_play(prompt, number, body):
    """All wanted calls at once, or for every other prompt one after the other; then what they brought."""
    wanted = [call_of(want, prompt.tools) for want in prompt.check["calls"]]
    wanted = [ToolCall(f"c{place}", call.name, call.arguments) for place, call in enumerate(wanted)]
    done = sum(turn["role"] == "tool" for turn in body["messages"])
    if not wanted:
        return "None of these tools helps with that.", ()
    if done == len(wanted):
        return "The tools have told it.", ()
    return "", tuple(wanted[done:] if number % 2 else wanted[done : done + 1])


def first_asked(messages):
    return next(turn["content"] for turn in messages if turn["role"] == "user")


def say(body, table, mute):
    asked = first_asked(body["messages"])
    if asked.startswith(PLAYS):
        call = json.loads(asked.splitlines()[4])["call"]
        return Answer(
            "Better not." if (call["name"], call["arguments"]) in mute else json.dumps({"made": call["name"]})
        )
    prompt, number, kind, _ = table[asked, json.dumps(body["tools"])]
    content, calls = in_world(body) if "world" in prompt.check else in_play(prompt, number, body)
    trace = None if kind == "trace_missing" else f"I have read {len(body['messages'])} turns."
    match kind:
        case "no_call":
            content, calls = "I have done that for you.", ()
        case "empty":
            content, calls = "", ()
        case "circles":
            again = calls[0] if calls else made_in(body["messages"])[0]
            content, calls = "", (ToolCall("again", again.name, again.arguments),)
    return Answer(content, trace, "length" if kind == "truncated" else "stop", tool_calls=calls)


def made_in(messages):
    told = [call["function"] for turn in messages for call in turn.get("tool_calls") or ()]
    return [ToolCall("", call["name"], call["arguments"]) for call in told]


@pytest.mark.parametrize(
    ("executed", "played"), [(28, 16), pytest.param(120, 80, marks=pytest.mark.storm)], ids=["some", "all 200"]
)
def test_executed_and_played_episodes_end_as_planned_and_lie_as_v1_has_them(executed, played, tmp_path):
    table, mute, lost, right = {}, set(), Counter(), Counter()
    with ScriptedServer(lambda body: say(body, table, mute), models=[TREE["teachers"]["qwen3"]["model"]]) as server:
        recipe = recipe_over(tmp_path, server.url, executed, played)
        questions = Questions(recipe, load_templates(recipe))
        for number, prompt in enumerate(prompts_of(recipe, executed + played)):
            (question,) = questions.of(prompt)
            key = (first_asked(question.request.messages), json.dumps(prompt.tools))
            *_, kind, why = table.setdefault(key, (prompt, number, *planned(prompt, number)))
            if kind == "no_json":
                first = call_of(prompt.check["calls"][0], prompt.tools)
                mute.add((first.name, first.arguments))
            lost.update([why] if why else [])
            right.update([] if why else [shape_of(prompt, table[key][1])])
        report = build(recipe, tmp_path / "run", limit=executed + played, engine=InlineEngine())
        again = recipe_over(tmp_path, server.url, executed, played, layout="v1")
        assert build(again, tmp_path / "run", limit=executed + played, engine=InlineEngine()).sent == 0
        assert not server.errors
    assert report.lost == lost
    assert {shape for _, shape in right} == {"single", "parallel", "steps", "turns", "none"}
    assert len(lost) == len(KINDS)
    assert report.rows == right.total()
    assert audit(tmp_path / "run").ok
    (file,) = (tmp_path / "run" / "data").glob("tool_calling-*.parquet")
    check_schema(pq.read_schema(file))
    rows = pq.read_table(file).to_pylist()
    assert Counter(check_row(row) for row in rows) == right


def shape_of(prompt, number):
    """(who makes the calls, how they lie in turns) of the episode that a right answer makes of a prompt."""
    if "world" in prompt.check:
        family = prompt.metadata["family"]
        return "executed", FAMILIES.get(family, "single")
    wanted = len(prompt.check["calls"])
    return "played", "none" if not wanted else "single" if wanted == 1 else "parallel" if number % 2 else "steps"


def check_schema(schema):
    assert schema.names == V1
    assert str(schema.field("messages").type) == MESSAGES
    assert {str(schema.field(name).type) for name in V1 if name != "messages"} == {"string"}


def check_row(row):
    """A row is v1's: its `metadata` holds the tools, arguments are JSON texts, every call has its result."""
    told = json.loads(row["metadata"])
    names = {tool["function"]["name"]: tool for tool in told["tools"]}
    assert all(set(tool) == {"type", "function"} and tool["type"] == "function" for tool in told["tools"])
    calls = [call for turn in row["messages"] for call in turn["tool_calls"]]
    assert all(call["type"] == "function" and call["id"] and call["function"]["name"] in names for call in calls)
    assert all(isinstance(json.loads(call["function"]["arguments"]), dict) for call in calls)
    results = [turn["content"] for turn in row["messages"] if turn["role"] == "tool"]
    assert told.get("tool_call_ids", []) == [call["id"] for call in calls]
    assert len(results) == len(calls)
    said = [turn for turn in row["messages"] if turn["role"] == "assistant"]
    assert all(turn["content"].startswith("<think>\n") for turn in said)
    assert not said[-1]["tool_calls"]
    calling = [len(turn["tool_calls"]) for turn in said if turn["tool_calls"]]
    shapes = {
        "turns": sum(turn["role"] == "user" for turn in row["messages"]) > 1,
        "none": not calling,
        "parallel": max(calling, default=0) > 1,
        "steps": len(calling) > 1,
    }
    return "executed" if "family" in told else "played", next((name for name, so in shapes.items() if so), "single")
