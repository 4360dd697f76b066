"""The shipped recipe `nemotron-v1` on real prompts of all five categories, answered from the sets' own answers with planted
faults of each kind: the ledger is the plan, by category and reason.
"""

from __future__ import annotations

import json
from collections import Counter
from importlib.resources import files

import pytest
import yaml
from test_categories import FRAMED, call_of, is_plain

from campaign import read_jsonl_gz, shared, write_jsonl
from tracemill.code_task import read_task
from tracemill.engines.inline import InlineEngine
from tracemill.gather.files import read_prompts
from tracemill.gather.inputs import input_files
from tracemill.mill import build
from tracemill.recipe_file import recipe_from
from tracemill.record import CATEGORIES, Prompt, ToolCall
from tracemill.report.audit import audit
from tracemill.respond.answer import Questions
from tracemill.respond.templates import load_templates
from tracemill.sandbox import find_sandbox
from tracemill.storage.parquet import read_batches
from tracemill.testing import Answer, ScriptedServer

SHIPPED = files("tracemill") / "recipes" / "nemotron-v1.yaml"
TREE = yaml.safe_load(SHIPPED.read_text(encoding="utf-8"))
SETS = {
    "math": ("svamp", "gsm8k"),
    "code": ("humaneval", "mbpp"),
    "stem": ("theoremqa", "mmlu", "exams"),
    "chat": ("oasst", "mt_bench"),
    "tool_calling": ("bfcl",),
}
"""The recipe's corpora by category, small ones first."""
PATHS = {source["preset"]: shared(*source["path"].split("/")[1:]) for source in TREE["prompts"]}
FAULTY = 3
"""Every so manieth prompt of a category is answered badly, in one of `KINDS` in turn."""
KINDS = ("wrong", "empty", "truncated", "trace_missing")
CHAT = "Yes. Here is what you asked for, in full."
SPOILED = ("no_code", "syntax_error", "test_failed")
pytestmark = pytest.mark.skipif(
    not all(path.exists() for path in PATHS.values()), reason="the real sets are not beside the project"
)


def sampled(folder, each):
    """The recipe's own sources, over `each` rows of every category, spread over the files."""
    sources = {source["preset"]: dict(source) for source in TREE["prompts"]}
    for presets in SETS.values():
        wanted = each
        for place, preset in enumerate(presets):
            rows = read_jsonl_gz(PATHS[preset])
            rows = [row for row in rows if is_plain(row)] if preset == "bfcl" else rows
            most = min(len(rows), wanted // (len(presets) - place))
            wanted -= most
            file = write_jsonl(folder / f"{preset}.jsonl", rows[:: max(1, len(rows) // most)][:most])
            sources[preset]["path"] = str(file)
        assert wanted == 0
    return list(sources.values())


def recipe_over(folder, url, each):
    tree = TREE | {"prompts": sampled(folder, each), "verify": TREE["verify"] | {"duplicates": False}}
    tree["teachers"] = {name: teacher | {"url": url} for name, teacher in TREE["teachers"].items()}
    return recipe_from(tree, "nemotron-v1.yaml over samples")


def program(prompt, spoiled):
    """An answer in code, and the verdict that it must get."""
    task = read_task(prompt.expected)
    code = f"{task.context}{task.solution}"
    if spoiled == "no_code":
        return "A loop over all items would do, with a counter beside it."
    if spoiled == "syntax_error":
        code = f"{code}\ndef (:\n"
    if spoiled == "test_failed":
        code = f"{code}\nraise SystemExit(3)\n"
    return f"This does it.\n\n```python\n{code}\n```"


def right(prompt):
    """An answer that must pass."""
    match prompt.category:
        case "chat":
            return Answer(CHAT)
        case "code":
            return Answer(program(prompt, None))
        case "tool_calling":
            calls = [call_of(want, prompt.tools) for want in prompt.check["calls"]]
            calls = tuple(ToolCall(f"c{i}", call.name, call.arguments) for i, call in enumerate(calls))
            return Answer("" if calls else "None of these tools helps with that.", tool_calls=calls)
        case _:
            if "choices" in prompt.check:
                return Answer(f"I weigh them.\n\nThe answer is ({prompt.expected}).")
            return Answer(f"So the answer is \\boxed{{{prompt.expected}}}.")


def wrong(prompt, number):
    """An answer that must be refused, and why; of code, the verdict that it must get."""
    match prompt.category:
        case "chat":
            return Answer("I would rather talk about something else today."), "judge: judged_bad"
        case "code":
            spoiled = SPOILED[number // (FAULTY * len(KINDS)) % len(SPOILED)]
            return Answer(program(prompt, spoiled)), spoiled
        case "tool_calling":
            if prompt.check["calls"]:
                return Answer("That is done, I have called it."), "verify_tools: missing_call"
            call = ToolCall("c0", "no_such_tool", "{}")
            return Answer("", tool_calls=(call,)), "sound: tool_invalid"
        case "math":
            return Answer("So the answer is \\boxed{-987654.25}."), "verify_math: wrong_answer"
        case _:
            if "choices" in prompt.check:
                other = next(letter for letter in prompt.check["choices"] if letter != prompt.expected)
                return Answer(f"The answer is ({other})."), "verify_choices: wrong_choice"
            if prompt.expected in ("True", "False"):
                return Answer(f"The answer is {prompt.expected == 'False'}."), "verify_units: wrong_answer"
            # No rule can compare a number with a list or an option; that is left to the judge.
            listed = prompt.expected.startswith(("[", "("))
            return Answer("The answer is -987654.25."), "judge: judged_bad" if listed else "verify_units: wrong_answer"


def planned(prompt, number):
    """(answer, why it is refused or None, verdict on its code or None)."""
    kind = KINDS[number // FAULTY % len(KINDS)] if number % FAULTY == 0 else "right"
    answer, why = wrong(prompt, number) if kind == "wrong" else (right(prompt), None)
    verdict = (why or "passed") if prompt.category == "code" else None
    why = None if verdict else why
    trace = None if kind == "trace_missing" else "I think about it for a while."
    if kind in ("empty", "truncated", "trace_missing"):
        why, verdict = f"complete: {kind}", None
    content, calls = ("", ()) if kind == "empty" else (answer.content, answer.tool_calls)
    return Answer(content, trace, "length" if kind == "truncated" else "stop", tool_calls=calls), why, verdict


def judged(text, good):
    nonce, data = FRAMED.search(text).groups()
    passes = json.loads(data)["answer"] in good
    return Answer(json.dumps({"case": nonce, "score": 5 if passes else 1, "why": "so"}))


def rows_in(folder):
    return [
        row for file in sorted(folder.glob("*.parquet")) for batch in read_batches(file) for row in batch.to_pylist()
    ]


@pytest.mark.parametrize("each", [12, pytest.param(300, marks=pytest.mark.storm)])
def test_the_ledger_is_the_plan_in_each_category(each, tmp_path):
    if find_sandbox().sandbox is None:
        pytest.skip(find_sandbox().missing)
    models = [teacher["model"] for teacher in TREE["teachers"].values()]
    with ScriptedServer(lambda body: say(body), models=sorted(set(models))) as server:
        recipe = recipe_over(tmp_path, server.url, each)
        questions = Questions(recipe, load_templates(recipe))
        table, lost, verdicts, asked = {}, Counter(), Counter(), Counter()
        for source in recipe.prompts:
            for prompt in (made for file in input_files(source) for made in read_prompts(source, file)):
                assert isinstance(prompt, Prompt), prompt
                (question,) = questions.of(prompt)
                key = (question.request.messages[-1]["content"], json.dumps(question.request.tools))
                table.setdefault(key, planned(prompt, asked[prompt.category]))
                asked[prompt.category] += 1
                _, why, verdict = table[key]
                lost.update([(prompt.category, why)] if why else [])
                verdicts.update([verdict] if verdict else [])
        good = {answer.content for answer, why, _ in table.values() if why is None} - {""}

        def say(body):
            text = body["messages"][-1]["content"]
            return judged(text, good) if FRAMED.search(text) else table[text, json.dumps(body.get("tools", ()))][0]

        report = build(recipe, tmp_path / "run", engine=InlineEngine())
        assert not server.errors
    assert asked == dict.fromkeys(CATEGORIES, each)
    found = Counter(
        (row["category"], f"{row['stage']}: {row['reason']}") for row in rows_in(tmp_path / "run" / "rejected")
    )
    assert found == lost
    assert report.rows == sum(asked.values()) - sum(lost.values())
    told = Counter()
    for row in rows_in(tmp_path / "run" / "data"):
        for verdict in row["verdicts"]:
            if verdict["step"] == "verify_code":
                told["passed" if verdict["passed"] else verdict["evidence"].partition(":")[0]] += 1
    invalid = told.pop("test_invalid", 0)
    assert invalid <= each * 0.15
    assert sum((verdicts - told).values()) == invalid
    assert not told - verdicts
    assert audit(tmp_path / "run").ok
