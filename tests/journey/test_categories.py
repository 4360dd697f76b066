"""Stem, tool calls and chat from real prompts, answered from the sets' own answers with planted faults: the ledger finds
each fault for its reason, and nothing else.
"""

from __future__ import annotations

import json
import re
from collections import Counter

import pytest

from campaign import read_jsonl_gz, shared, write_jsonl
from tracemill.engines.inline import InlineEngine
from tracemill.gather.files import read_prompts
from tracemill.gather.inputs import input_files
from tracemill.mill import build
from tracemill.recipe_file import recipe_from
from tracemill.record import Prompt, ToolCall
from tracemill.report.audit import audit
from tracemill.respond.answer import Questions
from tracemill.respond.templates import load_templates
from tracemill.storage.parquet import read_batches
from tracemill.testing import Answer, ScriptedServer

SETS = {
    "mmlu": ("mmlu_stem/mmlu_stem.jsonl.gz", 60),
    "exams": ("exams_multilingual/exams.jsonl.gz", 60),
    "aqua": ("aqua_rat/aqua.jsonl.gz", 40),
    "theoremqa": ("theoremqa/theoremqa.jsonl.gz", 80),
    "bfcl": ("bfcl/single_turn.jsonl.gz", 80),
    "oasst": ("oasst_sample/oasst_en_100_trees.jsonl.gz", 30),
}
"""Real corpora by preset, and how many of their rows are taken, spread over the file."""
FRAMED = re.compile(r"^(case-[0-9a-f]{24})\n(.*)\n\1$", re.MULTILINE)
FAULTY = 4
"""Every so manieth prompt is answered wrongly."""
pytestmark = pytest.mark.skipif(not shared("bfcl").exists(), reason="the real sets are not beside the project")


def recipe_over(folder, url):
    prompts = []
    for preset, (path, most) in SETS.items():
        rows = read_jsonl_gz(shared(*path.split("/")))
        if preset == "bfcl":
            rows = [row for row in rows if is_plain(row)]
        file = write_jsonl(folder / f"{preset}.jsonl", rows[:: max(1, len(rows) // most)][:most])
        prompts.append({"preset": preset, "path": str(file)})
    tree = {
        "name": "categories",
        "license": "CC-BY-SA-4.0",
        "prompts": prompts,
        "teachers": {"main": {"url": url, "model": "teacher"}, "second": {"url": url, "model": "judge"}},
        "respond": {"reasoning": "off", "ask_anew": 0},
        "verify": {"duplicates": False},
        "judge": {"teacher": "second", "categories": ["chat"]},
    }
    return recipe_from(tree, "the test's recipe")


def call_of(wanted, tools):
    """A call out of the accepted values, by what its schema takes."""
    schema = next(t["function"]["parameters"] for t in tools if t["function"]["name"] == wanted["name"])
    given = {name: [v for v in values if v != ""] for name, values in wanted["arguments"].items()}
    known = {n: v[0] for n, v in given.items() if v and n in schema["properties"] and not nested(v[0])}
    return ToolCall("c0", wanted["name"], json.dumps(known))


def is_plain(row):
    """Whether a row of BFCL wants calls whose values are plain, or none."""
    calls = row["ground_truth"] or []
    values = [v for call in calls for told in call.values() for accepted in told.values() for v in accepted]
    return row["category"] in ("simple_python", "parallel", "multiple", "irrelevance") and not any(map(nested, values))


def nested(value):
    return isinstance(value, dict) or (isinstance(value, list) and any(map(nested, value)))


def answered(prompt, faulty):
    """(the answer to a prompt, why it must be refused or None)."""
    wanted = prompt.check.get("calls")
    if prompt.category == "tool_calling":
        calls = [call_of(want, prompt.tools) for want in wanted or []]
        calls = [ToolCall(f"c{i}", call.name, call.arguments) for i, call in enumerate(calls)]
        if not faulty:
            return Answer("" if calls else "None of these tools helps with that.", tool_calls=tuple(calls)), None
        if not calls:
            function = prompt.tools[0]["function"]
            lacks = "sound: tool_invalid" if function["parameters"].get("required") else "verify_tools: needless_call"
            return Answer("", tool_calls=(ToolCall("c0", function["name"], "{}"),)), lacks
        kind = len(calls[0].name) % 3
        if kind == 0:
            return Answer("I would rather not call anything."), "verify_tools: missing_call"
        if kind == 1:
            return Answer(
                "", tool_calls=(ToolCall("c0", f"{calls[0].name}_x", calls[0].arguments),)
            ), "sound: tool_invalid"
        more = json.dumps({**json.loads(calls[0].arguments), "no_such_parameter": 1})
        return Answer("", tool_calls=(ToolCall("c0", calls[0].name, more),)), "verify_tools: bad_arguments"
    if prompt.category == "chat":
        return (
            (Answer("A poor answer, alas."), "judge: judged_bad")
            if faulty
            else (Answer("A full and true answer."), None)
        )
    if "choices" in prompt.check:
        others = [letter for letter in prompt.check["choices"] if letter != prompt.expected]
        if faulty and len(prompt.messages[-1].content) % 2:
            return Answer("It could be any of them, and I would not bet on one."), "verify_choices: no_choice"
        letter = others[0] if faulty else prompt.expected
        return Answer(
            f"I weigh them.\n\n**The answer is ({letter}).**"
        ), "verify_choices: wrong_choice" if faulty else None
    if not faulty:
        return Answer(f"So the answer is \\boxed{{{prompt.expected}}}."), None
    if prompt.expected in ("True", "False"):
        other = "False" if prompt.expected == "True" else "True"
        return Answer(f"The answer is {other}."), "verify_units: wrong_answer"
    try:
        number = float(prompt.expected)
    except ValueError:
        return Answer("That would take me too long to say, so I shall leave it open here."), "verify_units: no_answer"
    return Answer(f"The answer is {number * 3 + 7:g}."), "verify_units: wrong_answer"


def test_every_planted_fault_is_found_for_its_reason(tmp_path):
    with ScriptedServer(lambda body: say(body), models=["teacher", "judge"]) as server:
        recipe = recipe_over(tmp_path, server.url)
        questions = Questions(recipe, load_templates(recipe))
        table, planned, kept = {}, Counter(), Counter()
        for source in recipe.prompts:
            made = [p for file in input_files(source) for p in read_prompts(source, file) if isinstance(p, Prompt)]
            for number, prompt in enumerate(made):
                (question,) = questions.of(prompt)
                key = (question.request.messages[-1]["content"], json.dumps(question.request.tools))
                if key not in table:
                    table[key] = answered(prompt, number % FAULTY == 0)
                why = table[key][1]
                kept[prompt.category] += why is None
                if why is not None:
                    planned[why] += 1

        def say(body):
            text = body["messages"][-1]["content"]
            if body["model"] == "judge":
                nonce, data = FRAMED.search(text).groups()
                answer = json.loads(data)["answer"]
                good = answer == "A full and true answer." or len(answer) > 130 or answer.startswith("29 days")
                return Answer(
                    json.dumps({"case": nonce, "score": 5 if good and "score" not in answer else 1, "why": "so"})
                )
            return table[text, json.dumps(body.get("tools", ()))][0]

        report = build(recipe, tmp_path / "run", engine=InlineEngine())
        assert not server.errors
    assert min(planned.values()) >= 2
    assert len(planned) >= 8
    assert report.lost == planned
    assert report.rows == sum(kept.values())
    rows = [
        row
        for file in (tmp_path / "run" / "data").glob("*.parquet")
        for b in read_batches(file)
        for row in b.to_pylist()
    ]
    assert Counter(row["category"] if row["language"] == "en" else row["domain"] for row in rows) == kept
    assert {v["step"] for row in rows for v in row["verdicts"]} == {
        "verify_choices",
        "verify_units",
        "verify_tools",
        "judge",
    }
    assert audit(tmp_path / "run").ok
