"""BFCL's conversations of several turns: each ground truth is a list of calls, written as Python, over eight programming
interfaces whose tools are declared beside it. Nothing is run: a call is read from its syntax tree."""

from __future__ import annotations

import ast
import asyncio
import json
from collections import Counter
from dataclasses import replace

import pytest

from campaign import read_jsonl_gz, shared
from tracemill.record import Message, Sample, ToolCall
from tracemill.step import Drop
from tracemill.tool_schemas import tools_in
from tracemill.verify.tool_arguments import bad_schema
from tracemill.verify.tools import ToolUse

DECLARED_AS = {
    "GorillaFileSystem": "gorilla_file_system",
    "MathAPI": "math_api",
    "MessageAPI": "message_api",
    "TicketAPI": "ticket_api",
    "TradingBot": "trading_bot",
    "TravelAPI": "travel_booking",
    "TwitterAPI": "posting_api",
    "VehicleControlAPI": "vehicle_control",
}
"""The file of documents in which each class of the set has its tools."""
THEIR_MISTAKES = dict.fromkeys(
    ("multi_turn_base_173", "multi_turn_miss_func_173", "multi_turn_miss_param_173"),
    "a ticket's number, which the tool declares as an integer, is the text 'ticket_001'",
)
"""Ground truths that their own schema refuses, each read: one conversation in three forms, 3 calls of 2,301."""


def real(name):
    path = shared("bfcl", name)
    if not path.exists():
        pytest.skip("BFCL is not beside the project")
    return read_jsonl_gz(path)


def declared():
    """Tools by the class that has them, and the parameters of each in order."""
    by_file: dict[str, list] = {}
    for told in real("multi_turn_function_docs.jsonl.gz"):
        by_file.setdefault(told["api"], []).append({key: told[key] for key in ("name", "description", "parameters")})
    return {name: by_file[file] for name, file in DECLARED_AS.items()}


def read_call(text, parameters, number):
    """One call, as it would be sent; positions are named by the order in which the tool declares its parameters."""
    node = ast.parse(text, mode="eval").body
    assert isinstance(node, ast.Call)
    names = list(parameters[node.func.id])
    assert len(node.args) <= len(names)
    given = dict(zip(names, map(ast.literal_eval, node.args), strict=False))
    given |= {word.arg: ast.literal_eval(word.value) for word in node.keywords}
    return ToolCall(f"c{number}", node.func.id, json.dumps(given))


def conversation(row, tools):
    """A row as an episode that goes as its truth says: one call in a turn, each with a result, and a last word for each
    turn of the user's."""
    own = [tool for name in row["involved_classes"] for tool in tools[name]]
    parameters = {tool["name"]: tool["parameters"]["properties"] for tool in own}
    turns, wanted = [], []
    for said, calls in zip(row["question"], row["ground_truth"], strict=True):
        turns.append(Message("user", said[0]["content"] if said else "You have got further tools now."))
        for text in calls:
            call = read_call(text, parameters, len(wanted))
            wanted.append({"name": call.name, "arguments": {k: [v] for k, v in json.loads(call.arguments).items()}})
            turns.append(Message("assistant", "", tool_calls=(call,)))
            turns.append(Message("tool", "{}", tool_call_id=call.id))
        turns.append(Message("assistant", "Done." if calls else "I cannot do that with what I have."))
    return Sample(row["id"], "tool_calling", "off", tuple(turns), tools=tuple(tools_in(own)), check={"calls": wanted})


def looked_at(samples):
    async def all_of():
        return [await ToolUse()(sample) for sample in samples]

    return {sample.uuid: got for sample, got in zip(samples, asyncio.run(all_of()), strict=True)}


@pytest.fixture(scope="module")
def episodes():
    tools = declared()
    return [conversation(row, tools) for row in real("multi_turn.jsonl.gz")]


def test_the_tools_of_eight_interfaces_are_declared():
    for name, tools in declared().items():
        there = tools_in(tools)
        assert len(there) == len(tools) >= 8, name
        assert [bad_schema(tool["function"]["parameters"]) for tool in there] == [None] * len(there)


def test_ground_truths_of_several_turns_validate(episodes):
    assert len(episodes) == 390
    assert sum(len(sample.check["calls"]) for sample in episodes) == 2_301
    refused = {name: got.evidence for name, got in looked_at(episodes).items() if isinstance(got, Drop)}
    assert refused.keys() == THEIR_MISTAKES.keys(), refused


def spoilings(sample):
    """(kind, the conversation with one thing wrong)."""
    turns = sample.messages
    at = next(i for i, turn in enumerate(turns) if turn.tool_calls)
    call = turns[at].tool_calls[0]
    given = json.loads(call.arguments)

    def instead(name, arguments):
        other = replace(turns[at], tool_calls=(ToolCall(call.id, name, json.dumps(arguments)),))
        return replace(sample, messages=(*turns[:at], other, *turns[at + 1 :]))

    yield "left out", replace(sample, messages=(*turns[:at], *turns[at + 2 :]))
    yield "an argument too many", instead(call.name, {**given, "no_such_parameter": 1})
    yield "of another interface", instead(f"{call.name}_at_once", given)
    twice = (turns[at], turns[at + 1])
    again = [replace(turn, tool_calls=tuple(replace(c, id="again") for c in turn.tool_calls)) for turn in twice]
    again[1] = replace(again[1], tool_call_id="again")
    yield "made twice", replace(sample, messages=(*turns[: at + 2], *again, *turns[at + 2 :]))
    for name, value in given.items():
        if isinstance(value, str):
            yield "another text", instead(call.name, {**given, name: f"{value}x"})
            yield "no text", instead(call.name, {**given, name: [value, 1]})
            break


def test_what_is_wrong_in_a_conversation_of_several_turns_is_found(episodes):
    found = Counter()
    for sample in [each for each in episodes if each.uuid not in THEIR_MISTAKES][::10]:
        for kind, spoilt in spoilings(sample):
            got = asyncio.run(ToolUse()(spoilt))
            assert isinstance(got, Drop), (sample.uuid, kind)
            found[kind, got.reason] += 1
    reasons = {kind: {r for k, r in found if k == kind} for kind, _ in found}
    assert reasons == {
        "left out": {"wrong_call"},
        "an argument too many": {"bad_arguments"},
        "of another interface": {"unknown_tool"},
        "made twice": {"wrong_call"},
        "another text": {"wrong_call"},
        "no text": {"bad_arguments"},
    }
    assert min(found.values()) >= 3
