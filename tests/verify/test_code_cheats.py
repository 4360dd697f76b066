"""No answer passes its tests without being right, whatever it does to the process that it runs in."""

from __future__ import annotations

import pytest

from tracemill.code_task import CodeTask
from tracemill.sandbox import Limits
from tracemill.verify.code.duet import spoken
from tracemill.verify.code.verifier import Verifier
from verify.code_cheats import JAVASCRIPT, PYTHON
from verify.code_corpora import sandboxed

TASK = CodeTask(tests="assert square(2) == 4\nassert [square(n) for n in (3, 5)] == [9, 25]\nassert not square(0)")
BY_TRUTH = CodeTask(tests="assert all(map(lambda n: square(n) == n * n, range(2, 9)))")
JS_TASK = CodeTask(
    language="javascript",
    entry="square",
    tests="const _ = require('lodash');\nfor (const n of [2, 3, 5]) { if (!_.isEqual(square(n), n * n)) throw 'wrong'; }",
)
LIMITS = Limits(wall=6, cpu=1)


@pytest.fixture(scope="module")
def verifier():
    return Verifier(LIMITS, sandboxed())


def test_the_right_answer_passes(verifier):
    right = "def square(n):\n    return n * n\n"
    assert verifier.tested(TASK, right).passed
    assert verifier.tested(BY_TRUTH, right).passed
    assert verifier.tested(TASK, "import sys\nprint('noise')\n" + right + "\nsys.stderr.write('more')").passed


@pytest.mark.parametrize("name", PYTHON)
def test_a_cheat_in_python_does_not_pass(verifier, name):
    found = verifier.tested(TASK, PYTHON[name])
    assert found.reason in ("test_failed", "limit_exceeded"), found
    assert found.evidence


@pytest.mark.parametrize("name", ["stop_iteration", "equal_to_all", "exit_by_exception", "an_endless_generator"])
def test_nor_where_the_tests_are_easily_led(verifier, name):
    assert verifier.tested(BY_TRUTH, PYTHON[name]).reason in ("test_failed", "limit_exceeded")


@pytest.mark.parametrize("name", JAVASCRIPT)
def test_a_cheat_in_javascript_does_not_pass(verifier, name):
    if not spoken("javascript"):
        pytest.skip("tool: node is not installed")
    found = verifier.tested(JS_TASK, JAVASCRIPT[name])
    assert found.reason in ("test_failed", "limit_exceeded"), found


def test_the_right_answer_in_javascript_passes(verifier):
    if not spoken("javascript"):
        pytest.skip("tool: node is not installed")
    for right in ("function square(n) { return n * n; }", "const square = (n) => n ** 2;", "var square = n => n * n"):
        found = verifier.tested(JS_TASK, right)
        assert found.passed, found


def test_tests_that_write_the_last_line_themselves_are_read_with_care(verifier):
    for line in ("", "1", "1 0 0 1 zz", "1 0 0 " + "9" * 5000 + " ", "7 7 7 7 7"):
        broken = CodeTask(tests=f"import __main__\nsquare(2)\nprint(__main__.nonce + {line!r})\nassert square(2) == 5")
        assert verifier.tested(broken, "def square(n): return n * n").reason == "test_failed"


def test_how_a_process_ended_is_told_the_same_each_time(verifier):
    gone = {verifier.tested(TASK, PYTHON["exit_hard_in_function"]).evidence for _ in range(5)}
    assert gone == {"its process ended before the tests did, with exit code 0"}


def test_there_are_enough():
    assert len(PYTHON) + len(JAVASCRIPT) >= 50
