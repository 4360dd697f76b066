"""Code without tree-sitter, as in a core install: Python is still parsed, and its tests are still run."""

import json
import subprocess
import sys

import pytest
from code_corpora import sandboxed

from tracemill.verify.code.syntax import syntax_error

TEXTS = (
    "def f(x):\n    return x + 1\n",
    "def f(x)\n    return x\n",
    "x = (1,\n",
    "  y = 2\nz = 3\n",
    "print('\\d')\n",
    "(" * 500 + ")" * 500,
    "a\0b",
)
PROGRAM = """
import json, sys
sys.modules["tree_sitter"] = None
import warnings
warnings.simplefilter("error")
from tracemill.errors import MissingExtra
from tracemill.verify.code.mutants import mutants
from tracemill.verify.code.syntax import syntax_error
told = json.loads(sys.stdin.read())
try:
    other = syntax_error("int x;", "c")
except MissingExtra as error:
    other = str(error)
print(json.dumps([[syntax_error(text, "python") for text in told], mutants("x = 1", "python"), other]))
"""
STEP = """
import asyncio, sys
sys.modules["tree_sitter"] = None
from tracemill.code_task import CodeTask
from tracemill.record import Message, Sample
from tracemill.verify.code.step import CodeAnswer, CodeChecker
task = CodeTask(tests="assert double(4) == 8\\nassert double(0) == 0", solution="def double(n):\\n    return 2 * n\\n")
for body in ("return n + n", "return n * n", "retrun n"):
    said = f"```python\\ndef double(n):\\n    {body}\\n```"
    sample = Sample("u", "code", "off", (Message("user", "?"), Message("assistant", said)), expected=task.text())
    print(asyncio.run(CodeAnswer(CodeChecker(), "annotate")(sample)).verdicts[-1].evidence.partition(":")[0])
"""


def ran(program, told=""):
    done = subprocess.run([sys.executable, "-c", program], input=told, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_python_is_parsed_by_its_own_parser_and_other_languages_name_the_extra():
    found, made, other = json.loads(ran(PROGRAM, json.dumps(TEXTS)))
    assert [why is None for why in found] == [True, False, False, False, True, False, False]
    assert found[1] == syntax_error(TEXTS[1], "python")
    assert made == []
    assert "tracemill[code]" in other


@pytest.mark.parametrize("text", TEXTS[:3])
def test_both_parsers_agree_but_for_indentation(text):
    found, _, _ = json.loads(ran(PROGRAM, json.dumps([text])))
    assert (found[0] is None) == (syntax_error(text, "python") is None)


def test_tests_are_run_all_the_same():
    sandboxed()
    assert ran(STEP).split("\n")[:3] == ["passes its tests", "test_failed", "syntax_error"]
