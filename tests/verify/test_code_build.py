"""A build of prompts that ask for code: planted faults of each kind end where they belong, and nothing is paid twice."""

from __future__ import annotations

import json
from collections import Counter

import pyarrow.parquet as pq
import pytest

from campaign import answers
from tracemill.gather.files import read_prompts
from tracemill.mill import build
from tracemill.recipe import PromptFiles
from tracemill.recipe_file import recipe_from
from tracemill.record import BadLine
from tracemill.report.audit import audit
from tracemill.testing import Answer, ScriptedServer
from verify.code_corpora import sandboxed

TICKS = "`" * 3
WRITTEN = {
    "right": ("def f0(n):\n    return 2 * n", None),
    "right_but_odd": ("import sys\nprint('noise')\ndef f1(n):\n    return n + n", None),
    "wrong": ("def f2(n):\n    return n + 2", "test_failed"),
    "cheat": ("import os\ndef f3(n):\n    os._exit(0)", "test_failed"),
    "endless": ("def f4(n):\n    while True: pass", "limit_exceeded"),
    "broken": ("def f5(n)\n    return 2 * n", "syntax_error"),
    "silent": (None, "no_code"),
    "weak_tests": ("def f7(n):\n    return 2 * n", "test_invalid"),
}


def problems(folder):
    """The corpus, as MBPP's rows are, and a table of answers."""
    table = {}
    with (folder / "tasks.jsonl").open("w") as file:
        for number, (kind, (code, _)) in enumerate(WRITTEN.items()):
            tests = [f"assert f{number}({n}) == {2 * n}" for n in (2, 5)] if kind != "weak_tests" else ["f7(2)"]
            row = {
                "text": f"Task {number}: write a function f{number} that doubles a number.",
                "test_list": tests,
                "test_setup_code": "",
                "code": f"def f{number}(n):\r\n    return n * 2" if kind in ("right", "weak_tests") else None,
                "task_id": number,
            }
            file.write(json.dumps(row) + "\n")
            said = "I have none." if code is None else f"Here:\n\n{TICKS}python\n{code}\n{TICKS}\n"
            table[row["text"]] = [Answer(said, f"I think about task {number}.")]
    return table


def recipe(folder, url, policy):
    tree = {
        "name": "doubles",
        "license": "CC0-1.0",
        "prompts": {
            "name": "tasks",
            "path": str(folder / "tasks.jsonl"),
            "category": "code",
            "fields": {"prompt": "text", "id": "task_id"},
            "code": {"tests": "test_list", "setup": "test_setup_code", "solution": "code"},
        },
        "teachers": {"main": {"url": url, "model": "scripted"}},
        "verify": {"code": {"policy": policy, "cpu_seconds": 1}},
    }
    return recipe_from(tree, "recipe.yaml")


def rows(out, directory):
    return [row for path in sorted((out / directory).glob("*.parquet")) for row in pq.read_table(path).to_pylist()]


def test_each_fault_is_found_and_a_policy_is_changed_for_nothing(tmp_path):
    sandboxed()
    table = problems(tmp_path)
    with ScriptedServer(answers(table)) as server:
        build(recipe(tmp_path, server.url, "require"), tmp_path / "run", workers=1)
        dropped = rows(tmp_path / "run", "rejected")
        assert Counter(row["reason"] for row in dropped) == Counter(r for _, r in WRITTEN.values() if r)
        assert {row["stage"] for row in dropped} == {"verify_code"}
        assert len(rows(tmp_path / "run", "data")) == 2
        assert audit(tmp_path / "run").ok
        asked = len(server.requests)
        report = build(recipe(tmp_path, server.url, "annotate"), tmp_path / "run", workers=1)
        assert report.sent == 0
        assert len(server.requests) == asked
    kept = rows(tmp_path / "run", "data")
    assert len(kept) == len(WRITTEN)
    said = {row["source_id"]: row["verdicts"][-1] for row in kept}
    for number, (_, reason) in enumerate(WRITTEN.values()):
        verdict = said[str(number)]
        assert verdict["step"] == "verify_code"
        assert verdict["passed"] is (reason is None)
        assert reason is None or verdict["evidence"].startswith(reason)
    assert audit(tmp_path / "run").ok


@pytest.mark.parametrize(
    ("row", "code", "reason"),
    [
        ({"p": "x", "t": 5}, {"tests": "t"}, "wrong_type"),
        ({"p": "x", "c": [{"stdin": "1"}]}, {"cases": "c"}, "wrong_type"),
        ({"p": "x", "t": "assert f(1)"}, {"tests": "t", "kind": "optimise"}, "missing_field"),
    ],
)
def test_a_row_whose_tests_are_none_is_a_bad_line(tmp_path, row, code, reason):
    (tmp_path / "x.jsonl").write_text(json.dumps(row))
    source = PromptFiles(path=str(tmp_path / "x.jsonl"), category="code", fields={"prompt": "p"}, code=code)
    (bad,) = read_prompts(source, tmp_path / "x.jsonl")
    assert isinstance(bad, BadLine)
    assert bad.reason == reason


def test_cases_of_both_spellings_are_read(tmp_path):
    rows = [
        {"p": "x", "c": [{"stdin": "1", "stdout": "2"}]},
        {"p": "x", "c": [{"input": "1", "output": "2"}]},
        {"p": "x"},
    ]
    (tmp_path / "x.jsonl").write_text("\n".join(map(json.dumps, rows)))
    code = {"cases": "c", "language": "cpp"}
    source = PromptFiles(path=str(tmp_path / "x.jsonl"), category="code", fields={"prompt": "p"}, code=code)
    first, second, third = read_prompts(source, tmp_path / "x.jsonl")
    assert (
        first.expected == second.expected == ('{"cases":[{"stdin":"1","stdout":"2"}],"kind":"solve","language":"cpp"}')
    )
    assert third.expected == '{"kind":"solve","language":"cpp"}'
