"""Real sets of other kinds, turned into our layouts: opened, counted and validated, with the findings that were looked at."""

from __future__ import annotations

import json
import uuid

import pytest

import tracemill as tm
from campaign import read_jsonl_gz, shared
from rows import write_lines, write_v1
from tracemill.inspect.validate import validate


def message(role, content, calls=()):
    turn = {"role": role, "content": content}
    made = [
        {"id": f"call_{n}", "type": "function", "function": {"name": name, "arguments": arguments}}
        for n, (name, arguments) in enumerate(calls)
    ]
    return {**turn, "tool_calls": made} if made else turn


def bfcl():
    for item in read_jsonl_gz(shared("bfcl", "single_turn.jsonl.gz")):
        calls = []
        for truth in item["ground_truth"] or []:
            for name, allowed in truth.items():
                calls.append((name, json.dumps(accepted(allowed))))
        said = message("assistant", "" if calls else "None of the tools can do this.", calls)
        yield "tool_calling", [*item["question"][0], said], item["function"]


def accepted(allowed):
    """The first accepted value of each parameter; "" is one that may be left out."""
    firsts = {key: values[0] for key, values in allowed.items() if values and values[0] != ""}
    return {key: nested(first) for key, first in firsts.items()}


def nested(value):
    if isinstance(value, list):
        return [nested(held) for held in value]
    return accepted(value) if isinstance(value, dict) and all(isinstance(v, list) for v in value.values()) else value


def nemo_gym_examples():
    for item in read_jsonl_gz(shared("nemo_gym_examples", "rollouts.jsonl.gz")):
        asked = item["row"]["responses_create_params"]
        given = asked.get("input", [])
        turns = [*([{"role": "user", "content": given}] if isinstance(given, str) else given)]
        turns += item["row"].get("response", {}).get("output", [])
        yield "chat", together(held for turn in turns if (held := response_item(turn))), asked.get("tools") or []


def together(turns):
    """What an assistant says and calls without being interrupted is one turn."""
    made = []
    for turn in turns:
        if turn["role"] == "assistant" and made and made[-1]["role"] == "assistant":
            made[-1]["content"] += turn["content"]
            made[-1].setdefault("tool_calls", []).extend(turn.get("tool_calls", []))
        else:
            made.append(turn)
    return made


def response_item(turn):
    """A part of a conversation as the Responses API writes it; None for what is no message."""
    match turn.get("type"):
        case "function_call":
            return message("assistant", "", [(turn["name"], turn["arguments"])])
        case "function_call_output":
            return message("tool", turn["output"])
        case "reasoning":
            return None
    content = turn.get("content")
    parts = content if isinstance(content, list) else [{"text": content}]
    return message(turn["role"], "".join(part.get("text") or "" for part in parts))


def gsm8k():
    for item in read_jsonl_gz(shared("gsm8k", "test.jsonl.gz")):
        yield "math", [message("user", item["question"]), message("assistant", item["answer"])], []


def oasst_sample():
    for tree in read_jsonl_gz(shared("oasst_sample", "oasst_en_100_trees.jsonl.gz")):
        turns, node = [], tree["prompt"]
        while node:
            turns.append(message("user" if node["role"] == "prompter" else "assistant", node["text"]))
            node = next(iter(node.get("replies", [])), None)
        yield "chat", turns, []


def tau_bench():
    for item in read_jsonl_gz(shared("tau_bench", "gpt4o_airline_trajectories.jsonl.gz")):
        turns = []
        for turn in item["messages"]:
            calls = [(c["function"]["name"], c["function"]["arguments"]) for c in turn.get("tool_calls") or []]
            turns.append(message(turn["role"], turn["content"] or "", calls))
        yield "tool_calling", turns, []


def mt_bench():
    asked = {(q["question_id"], q["lang"]): q["turns"] for q in read_jsonl_gz(shared("mt_bench", "questions.jsonl.gz"))}
    for item in read_jsonl_gz(shared("mt_bench", "answers_gpt35_turbo.jsonl.gz")):
        questions = asked.get((item["question_id"], item["lang"]), [])
        pairs = zip(questions, item["turns"], strict=False)
        turns = [turn for q, a in pairs for turn in (message("user", q), message("assistant", a))]
        if turns:
            yield "chat", turns, []


SETS = {"bfcl": bfcl, "nemo_gym_examples": nemo_gym_examples, "gsm8k": gsm8k, "oasst_sample": oasst_sample,
        "tau_bench": tau_bench, "mt_bench": mt_bench}  # fmt: skip
FOUND = {
    # 27 tools of Java and JavaScript whose types are not those of JSON, one truth without a required parameter
    "bfcl": {"call_arguments_differ": 28, "prompt_duplicate": 159},
    # tasks without a reply yet; five replies that hold a trace
    "nemo_gym_examples": {"user_missing": 2, "assistant_missing": 38, "think_in_off": 5, "prompt_duplicate": 25},
    "gsm8k": {},
    # conversations that end with a question
    "oasst_sample": {"assistant_missing": 30},
    # the simulated user has the last word, and the tools were not recorded
    "tau_bench": {"assistant_missing": 148, "tools_missing": 135, "prompt_duplicate": 5},
    "mt_bench": {},
}
"""Errors and warnings, looked at."""


def laid_out(name):
    """A set as rows of v1; tools stand in the metadata."""
    for number, (category, turns, tools) in enumerate(SETS[name]()):
        yield {
            "uuid": str(uuid.uuid5(uuid.NAMESPACE_OID, f"{name} {number}")),
            "license": "apache-2.0",
            "generator": name,
            "version": "1",
            "category": category,
            "reasoning": "off",
            "messages": turns,
            "metadata": json.dumps({"tools": tools} if tools else {}),
        }


def findings(report):
    return {f.name: f.count for f in report.findings if f.level != "note"}


@pytest.mark.parametrize("name", SETS)
def test_a_real_set_is_opened_counted_and_validated(name, tmp_path):
    if not shared(name).is_dir():
        pytest.skip(f"{name} is not beside the project")
    held = list(laid_out(name))
    texts = sum(len(turn["content"]) for row in held for turn in row["messages"])
    lines = write_lines(tmp_path / "lines" / "train.jsonl", held)
    parquet = write_v1(tmp_path / "v1" / "train.parquet", held)
    for path in (lines, parquet):
        assert [(r["uuid"], len(r["messages"])) for r in tm.open(path)] == [
            (r["uuid"], len(r["messages"])) for r in held
        ]
        counted = tm.stats(path, workers=0)
        assert (counted.total.rows, counted.bad, counted.total.characters) == (len(held), 0, texts)
        report = validate(path, workers=0)
        assert report.rows == len(held)
        assert findings(report) == FOUND[name]
