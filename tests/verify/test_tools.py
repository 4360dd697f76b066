"""Tool calls: ten ways to break one, BFCL's ground truths, tau-bench's trajectories with rewards, and a world replayed."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from dataclasses import replace

import pytest

from campaign import read_jsonl_gz, shared
from tracemill.record import Message, Sample, ToolCall
from tracemill.step import Drop
from tracemill.tool_schemas import tools_in
from tracemill.verify.tool_arguments import bad_schema, misfit
from tracemill.verify.tool_matches import accepted
from tracemill.verify.tools import ToolUse, refused, with_results
from tracemill.worlds import WORLDS, replay

LIBRARY = WORLDS["library"]


def look(sample, **settings):
    got = asyncio.run(ToolUse(**settings)(sample))
    return got.reason if isinstance(got, Drop) else "kept"


def real(*path):
    file = shared(*path)
    if not file.exists():
        pytest.skip(f"{path[-1]} is not beside the project")
    return read_jsonl_gz(file)


def episode(calls, seed=3, last="Done.", **check):
    """A conversation in the library's world whose results the world itself gives."""
    results = replay(LIBRARY, LIBRARY.start(seed), calls).results
    turns = [Message("system", LIBRARY.about), Message("user", "I am M2, and I want that book on clouds.")]
    for i, ((name, arguments), result) in enumerate(zip(calls, results, strict=True)):
        turns.append(Message("assistant", "", tool_calls=(ToolCall(f"c{i}", name, arguments),)))
        turns.append(Message("tool", result, tool_call_id=f"c{i}"))
    turns.append(Message("assistant", last))
    world = {"name": "library", "seed": seed, "calls": [list(call) for call in calls]}
    return Sample("u", "tool_calling", "on", tuple(turns), tools=LIBRARY.tools, check={"world": world, **check})


def borrowing():
    """Calls of several steps: the fee is seen, paid, and the book lent."""
    state = LIBRARY.start(3)
    fee = state["members"]["M2"]["fee_cents"]
    free = next(key for key, book in sorted(state["books"].items()) if book["lent_to"] is None)
    pay = [("pay_fee", json.dumps({"member_id": "M2", "amount_cents": fee}))] if fee else []
    return [
        ("get_member", '{"member_id": "M2"}'),
        *pay,
        ("search_books", '{"subject": "science"}'),
        ("lend_book", json.dumps({"member_id": "M2", "book_id": free})),
    ]


GOOD = episode(borrowing())
TURNS = GOOD.messages


def with_call(**changes):
    """The episode with its first call changed."""
    call = replace(TURNS[2].tool_calls[0], **changes)
    return replace(GOOD, messages=(*TURNS[:2], replace(TURNS[2], tool_calls=(call,)), *TURNS[3:]))


BROKEN = {
    "an unknown tool": (with_call(name="get_membr"), "unknown_tool"),
    "arguments that are no JSON": (with_call(arguments='{"member_id": '), "bad_arguments"),
    "arguments that are no object": (with_call(arguments='["M2"]'), "bad_arguments"),
    "a missing argument": (with_call(arguments="{}"), "bad_arguments"),
    "an argument of another type": (with_call(arguments='{"member_id": 2}'), "bad_arguments"),
    "an argument that is not declared": (with_call(arguments='{"member_id": "M2", "pin": 1}'), "bad_arguments"),
    "a result for another id": (
        replace(GOOD, messages=(*TURNS[:3], replace(TURNS[3], tool_call_id="c9"), *TURNS[4:])),
        "bad_ids",
    ),
    "a call without a result": (replace(GOOD, messages=(*TURNS[:3], *TURNS[4:])), "bad_ids"),
    "a result without a call": (replace(GOOD, messages=(*TURNS[:2], *TURNS[3:])), "bad_ids"),
    "two calls with one id": (
        replace(GOOD, messages=(*TURNS[:2], replace(TURNS[2], tool_calls=TURNS[2].tool_calls * 2), *TURNS[3:])),
        "bad_ids",
    ),
    "a user who calls": (
        replace(GOOD, messages=(TURNS[0], replace(TURNS[1], tool_calls=TURNS[2].tool_calls), TURNS[3], TURNS[-1])),
        "bad_roles",
    ),
    "a tool that speaks last": (replace(GOOD, messages=TURNS[:-1]), "bad_roles"),
    "two assistants in a row": (replace(GOOD, messages=(*TURNS, TURNS[-1])), "bad_roles"),
    "a system turn in between": (replace(GOOD, messages=(*TURNS[:4], TURNS[0], *TURNS[4:])), "bad_roles"),
    "a result that the world does not give": (
        replace(GOOD, messages=(*TURNS[:3], replace(TURNS[3], content='{"fee_cents": 0}'), *TURNS[4:])),
        "wrong_result",
    ),
    "a step left out": (
        replace(episode(borrowing()[:-1]), check=GOOD.check),
        "wrong_state",
    ),
    "a call where no tool fits": (replace(GOOD, check={"calls": []}), "needless_call"),
    "no call where one is wanted": (
        replace(
            GOOD,
            messages=(TURNS[1], TURNS[-1]),
            check={"calls": [{"name": "get_member", "arguments": {"member_id": ["M2"]}}]},
        ),
        "missing_call",
    ),
    "a call with another value": (
        replace(
            episode([("get_member", '{"member_id": "M1"}')]),
            check={"calls": [{"name": "get_member", "arguments": {"member_id": ["M2"]}}]},
        ),
        "wrong_call",
    ),
    "another last word": (replace(GOOD, expected="M2 has 2 books"), "wrong_answer"),
    "a tool whose schema is none": (
        replace(
            GOOD,
            tools=({"type": "function", "function": {"name": "f", "parameters": {"type": "object", "required": "x"}}},),
        ),
        "bad_schema",
    ),
}


def test_a_good_episode_is_kept_with_what_was_looked_at():
    kept = asyncio.run(ToolUse()(GOOD))
    assert isinstance(kept, Sample)
    assert kept.verdicts[0].evidence.endswith("calls of 6 tools, as world want")
    assert look(replace(GOOD, expected="done")) == "kept"


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_call_is_caught(kind):
    sample, reason = BROKEN[kind]
    assert look(sample) == reason


def test_each_kind_is_caught_in_real_calls():
    """Ten kinds of broken call, each made of 100 of BFCL's ground truths: all are caught, and each for its reason."""
    breaks = {
        "unknown_tool": [lambda n, a: (f"{n}_x", a), lambda n, a: (n.swapcase(), a), lambda n, a: ("", a)],
        "bad_arguments": [
            lambda n, a: (n, json.dumps(a)[:-1]),
            lambda n, a: (n, json.dumps([a])),
            lambda n, a: (n, "null"),
            lambda n, a: (n, json.dumps({**a, "no_such_parameter": 1})),
            lambda n, a: (n, json.dumps({k: {"a": [None]} for k in a})),
            lambda n, a: (n, "{'single': 'quotes'}"),
            lambda n, a: (n, json.dumps({k: v for k, v in a.items() if k not in list(a)[:1]} | {"x y": 0})),
        ],
    }
    tried = Counter()
    for row in real("bfcl", "single_turn.jsonl.gz")[:120]:
        if row["category"] != "simple_python":
            continue
        tools = tools_in(row["function"])
        call = accepted(row["ground_truth"][0])
        arguments = chosen(call, tools)
        for reason, kinds in breaks.items():
            for number, make in enumerate(kinds):
                name, text = make(call["name"], arguments)
                sample = sample_of(row, tools, [ToolCall("c0", name, text)], check=False)
                assert look(sample) == reason, (row["id"], number, name, text)
                tried[reason, number] += 1
    assert len(tried) == 10
    assert min(tried.values()) >= 100


def sample_of(row, tools, calls, check=True):
    turns = (Message("user", "?"), Message("assistant", "" if calls else "No tool fits.", tool_calls=tuple(calls)))
    wanted = {"calls": [accepted(told) for told in row["ground_truth"] or []]} if check else {}
    return Sample("u", "tool_calling", "on", turns, tools=tuple(tools), check=wanted)


def chosen(call, tools):
    """Arguments out of the accepted values: of each the first that its schema takes, and left out where that is best."""
    schema = next(t["function"]["parameters"] for t in tools if t["function"]["name"] == call["name"])
    out = {}
    for name, values in call["arguments"].items():
        given = [plain(v) for v in (values if isinstance(values, list) else [values]) if v != ""]
        one = {"type": "object", "properties": {name: schema["properties"].get(name, {})}}
        fitting = given if len(given) == 1 else [v for v in given if misfit(json.dumps({name: v}), one) is None]
        if given and (fitting or "" not in values) and not ("" in values and name not in schema.get("required", [])):
            out[name] = (fitting or given)[0]
    return out


def plain(value):
    """A value out of one that holds accepted values for its parts."""
    if isinstance(value, dict):
        lists = {k: [x for x in v if x != ""] if isinstance(v, list) else [v] for k, v in value.items()}
        return {k: plain(v[0]) for k, v in lists.items() if v}
    return [plain(each) for each in value] if isinstance(value, list) else value


VARIABLE, ENUM, TYPE, ABSENT = (
    "the name of a variable of the program stands for its value",
    "a value that the schema does not list",
    "a value of another type than the schema says",
    "a parameter that is required is left out, or one is named that is not there",
)
THEIR_MISTAKES = {
    **dict.fromkeys(
        "simple_java_26 simple_java_35 simple_java_45 simple_java_87 simple_java_88 simple_javascript_5 "
        "simple_javascript_11 simple_javascript_15 simple_javascript_19 simple_javascript_37 simple_javascript_39 "
        "parallel_multiple_21".split(),
        VARIABLE,
    ),
    **dict.fromkeys(
        "live_multiple_87-38-4 live_multiple_750-169-5 live_multiple_756-169-11 live_multiple_835-178-10 "
        "live_multiple_947-197-0 live_parallel_multiple_2-2-0".split(),
        ENUM,
    ),
    **dict.fromkeys(
        ["parallel_multiple_94", "live_multiple_552-153-1", "live_multiple_595-158-1", "live_multiple_735-167-6"], TYPE
    ),
    **dict.fromkeys(
        "live_simple_106-63-0 live_simple_112-68-0 live_multiple_507-149-4 live_multiple_862-181-3 "
        "live_multiple_964-207-0".split(),
        ABSENT,
    ),
}
"""Ground truths of BFCL that their own schema refuses, each read: 27 of 2,514."""


def test_ground_truths_of_bfcl_validate():
    """Each tool of 2,525 rows is a schema once it is mapped, and each known call fits its own, but for those above."""
    samples = []
    for row in real("bfcl", "single_turn.jsonl.gz"):
        tools = tools_in(row["function"])
        problems = [bad_schema(tool["function"]["parameters"]) for tool in tools]
        assert problems == [None] * len(problems), row["id"]
        calls = [accepted(told) for told in row["ground_truth"] or []]
        made = [ToolCall(f"c{i}", c["name"], json.dumps(chosen(c, tools))) for i, c in enumerate(calls)]
        if row["category"] == "live_relevance":
            continue  # a call is wanted there, and the set does not say which
        samples.append((row["id"], sample_of(row, tools, made)))

    async def judged():
        return {name: await ToolUse()(sample) for name, sample in samples}

    verdicts = asyncio.run(judged())
    refused_truths = {name: got.evidence for name, got in verdicts.items() if isinstance(got, Drop)}
    assert refused_truths.keys() == THEIR_MISTAKES.keys(), refused_truths
    assert len(verdicts) - len(refused_truths) == 2_487


def test_a_schema_has_one_validator():
    from tracemill.verify import tool_arguments

    tool_arguments._made.cache_clear()
    parameters = {"type": "dict", "properties": {"x": {"type": "float"}}, "required": ["x"]}
    for number in range(50):
        assert misfit(f'{{"x": {number}.5}}', dict(parameters)) is None
    assert tool_arguments._made.cache_info().misses == 1


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "object", "properties": {"x": {"$ref": "http://127.0.0.1:9/x.json"}}},
        {"type": "object", "properties": {"x": {"type": "string", "pattern": "(a+)+$"}}},
        {"type": "object", "properties": {"x": {"type": "string", "format": "idn-email"}}},
    ],
)
def test_a_hostile_schema_fetches_nothing_and_ends(schema):
    assert misfit(json.dumps({"x": "a" * 50 + "!"}), schema) is None


def test_a_schema_nested_for_ever_is_none():
    schema = {"type": "object"}
    for _ in range(100):
        schema = {"type": "object", "properties": {"x": schema}}
    assert "deep" in bad_schema(schema)


WRITES = frozenset(
    "book_reservation cancel_reservation send_certificate update_reservation_baggages update_reservation_flights "
    "update_reservation_passengers".split()
)
"""tau-bench's airline tools that change its data."""


def trajectory(row):
    """A recorded conversation as a sample; its tools are those that it calls, with the arguments that it gives."""
    seen = {}
    turns = []
    for told in row["messages"]:
        calls = tuple(
            ToolCall(c["id"], c["function"]["name"], c["function"]["arguments"]) for c in told.get("tool_calls") or []
        )
        for call in calls:
            seen.setdefault(call.name, {}).update(dict.fromkeys(json.loads(call.arguments)))
        turns.append(
            Message(told["role"], told.get("content") or "", tool_calls=calls, tool_call_id=told.get("tool_call_id"))
        )
    if "###STOP###" in turns[-1].content or "###TRANSFER###" in turns[-1].content:
        turns.pop()  # the simulated user's sign that the talk is over; without it, it was cut
    elif "transfer_to_human_agents" in [call.name for call in turns[-2].tool_calls]:
        turns.pop()  # the agent's last act
    tools = [
        {"name": name, "parameters": {"type": "object", "properties": {a: {} for a in told}}}
        for name, told in seen.items()
    ]
    wanted = [
        {"name": a["name"], "arguments": {k: [v] for k, v in a["kwargs"].items()}}
        for a in row["gold_actions"]
        if a["name"] in WRITES
    ]
    return Sample(
        row["id"],
        "tool_calling",
        "off",
        tuple(turns),
        tools=tuple(tools_in(tools)),
        check={"calls": wanted, "acts": [*WRITES]},
    )


NOT_IN_CALLS = "the agent believes a false claim of gold membership and names a wrong number; no call goes wrong"
READ_TRAJECTORIES = {
    "airline-44-1": NOT_IN_CALLS,
    "airline-44-3": NOT_IN_CALLS,
    "airline-5-1": "flights are named with fields that the data base ignores, so its end is right; the calls differ",
}
"""Every disagreement, read."""


def test_trajectories_with_rewards():
    """148 real conversations of gpt-4o as an airline's agent: our verdict, from the calls alone, against the reward, which
    compares the data base at the end and what the user was told."""
    table, disagree = Counter(), []
    for row in real("tau_bench", "gpt4o_airline_trajectories.jsonl.gz"):
        verdict, right = look(trajectory(row)) == "kept", row["reward"] == 1.0
        table[right, verdict] += 1
        if verdict != right:
            disagree.append(row["id"])
    assert sorted(disagree) == sorted(READ_TRAJECTORIES)
    assert table == {(True, True): 62, (True, False): 1, (False, True): 2, (False, False): 83}


def test_results_belong_to_calls_by_id_or_in_order():
    calls = (ToolCall("a", "f", "{}"), ToolCall("b", "g", "{}"))
    turns = [
        Message("assistant", "", tool_calls=calls),
        Message("tool", "2", tool_call_id="b"),
        Message("tool", "1", tool_call_id="a"),
    ]
    assert [(c.name, r) for c, r in with_results(turns)] == [("f", "1"), ("g", "2")]
    unnamed = [turns[0], Message("tool", "1"), Message("tool", "2")]
    assert [(c.name, r) for c, r in with_results(unnamed)] == [("f", "1"), ("g", "2")]
    assert refused('{"error": "no"}')
    assert refused("Error: no such user")
    assert not refused("[]")
    assert not refused(None)
