"""Code that is to be explained, or to be made faster: both kinds from a file of prompts to rows, with planted faults."""

from __future__ import annotations

import json
from collections import Counter

import pyarrow.parquet as pq
import pytest
from test_categories import FRAMED

from campaign import write_jsonl
from tracemill.engines.inline import InlineEngine
from tracemill.mill import build
from tracemill.recipe_file import recipe_from
from tracemill.report.audit import audit
from tracemill.sandbox import find_sandbox
from tracemill.testing import Answer, ScriptedServer
from tracemill.testing.answers import last_user_text

SLOW = "def count(n):\n    total = 0\n    for i in range(n):\n        total += i\n    return total\n"
FAST = "def count(n):\n    return n * (n - 1) // 2\n"
TESTS = "assert count(300) == 44850\nassert count(1) == 0"
FASTER = {
    "fast": (FAST, None),
    "same": (SLOW, "verify_code: not_faster"),
    "wrong": (FAST.replace("- 1", "+ 1"), "verify_code: test_failed"),
    "sneaky": (f"import sys\n{FAST}", "verify_code: not_faster"),
    "cut": (FAST.replace(":", ""), "verify_code: syntax_error"),
}
"""What the teacher answers where a faster program is asked for, and why it is refused."""
EXPLAINED = {
    "well": ("It adds up the whole numbers below n, so `count(4)` is 6.", None),
    "with code": (f"It adds up the numbers below n, as this does:\n\n```python\n{FAST}```", None),
    "badly": ("It counts the letters of n.", "judge: judged_bad"),
    "broken": (f"It adds up numbers:\n\n```python\n{FAST.replace(':', '')}```", "verify_code: syntax_error"),
    "silent": (":", "judge: says_nothing"),
}
"""The same where an explanation is asked for."""


def recipe_over(folder, url):
    faster = [
        {"ask": f"Faster, please ({kind}): {SLOW}", "slow": SLOW, "tests": TESTS, "right": FAST} for kind in FASTER
    ]
    explain = [{"ask": f"Explain ({kind}): {SLOW}"} for kind in EXPLAINED]
    about = {"category": "code", "fields": {"prompt": "ask"}}
    columns = {"kind": "optimise", "tests": "tests", "baseline": "slow", "solution": "right", "entry": None}
    prompts = [
        {"name": "faster", "path": str(write_jsonl(folder / "faster.jsonl", faster)), **about, "code": columns},
        {
            "name": "explain",
            "path": str(write_jsonl(folder / "explain.jsonl", explain)),
            **about,
            "code": {"kind": "explain"},
        },
    ]
    tree = {
        "name": "kinds",
        "license": "CC0-1.0",
        "prompts": prompts,
        "teachers": {"main": {"url": url, "model": "coder"}, "judge": {"url": url, "model": "judge"}},
        "respond": {"reasoning": "off"},
        "verify": {"code": {"policy": "require"}},
        "judge": {"teacher": "judge", "categories": ["code"]},
    }
    return recipe_from(tree, "the test's recipe")


def say(body):
    """The teacher, and a judge who finds only what adds up numbers, or is planted as good, to be good."""
    if body["model"] == "judge":
        nonce, data = FRAMED.search(body["messages"][0]["content"]).groups()
        answer = json.loads(data)["answer"]
        good = answer.startswith(("It adds up", "It returns the different", "It prints how many", "`i` is unsigned"))
        return Answer(json.dumps({"case": nonce, "score": 5 if good else 1, "why": "so"}))
    asked = last_user_text(body)
    kind = asked[asked.index("(") + 1 : asked.index(")")]
    return Answer(EXPLAINED[kind][0] if "Explain (" in asked else f"```python\n{FASTER[kind][0]}```")


@pytest.mark.skipif(find_sandbox().sandbox is None, reason=f"no sandbox: {find_sandbox().missing}")
def test_what_is_explained_is_judged_and_what_is_made_faster_is_counted(tmp_path):
    with ScriptedServer(say, models=["coder", "judge"]) as server:
        report = build(recipe_over(tmp_path, server.url), tmp_path / "run", engine=InlineEngine())
        judged = [body for body in server.requests if body["model"] == "judge"]
        assert not server.errors
    assert report.lost == Counter(why for _, why in (*FASTER.values(), *EXPLAINED.values()) if why)
    (file,) = (tmp_path / "run" / "data").glob("code-*.parquet")
    said = {row["source"]: row["verdicts"] for row in pq.read_table(file).to_pylist()}
    assert {name: [v["step"] for v in verdicts] for name, verdicts in said.items()} == {
        "faster": ["verify_code"],
        "explain": ["verify_code", "judge"],
    }
    assert "steps against" in said["faster"][-1]["evidence"]
    assert len(judged) == 3 + 10  # what parses and says something, and the canaries
    assert "| gold good | pass | 2 | 0 |" in (tmp_path / "run" / "README.md").read_text()
    assert audit(tmp_path / "run").ok
