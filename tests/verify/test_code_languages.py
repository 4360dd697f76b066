"""Each language that runs: right programs pass, three broken versions of each run and fail."""

from __future__ import annotations

import pytest

from tracemill.code_task import Case, CodeTask
from tracemill.sandbox import Limits
from tracemill.verify.code.duet import spoken
from tracemill.verify.code.languages import toolchain
from tracemill.verify.code.mutants import mutants
from tracemill.verify.code.verifier import Verifier, whole
from verify.code_corpora import sandboxed
from verify.code_programs import CASES, PROGRAMS, SHAPES, SHAPES_TESTS

LIMITS = Limits(wall=60, cpu=20)
QUICK = Limits(wall=10, cpu=2)
NOT_RUN = ("does not compile", "ended its compiler")


@pytest.fixture(scope="module")
def verifier():
    return Verifier(LIMITS, sandboxed())


def task_of(problem, language):
    if toolchain(language) is None:
        pytest.skip(f"{'' if language == 'java' else 'tool: '}{language} cannot be compiled or run on this machine")
    return CodeTask(language=language, cases=CASES[problem], solution=PROGRAMS[problem, language])


def shapes():
    if not spoken("typescript"):
        pytest.skip("tool: esbuild is not installed")
    return CodeTask(language="typescript", tests=SHAPES_TESTS, solution=SHAPES)


def fails_where_it_runs(verifier, task):
    """Evidence of three broken versions that were compiled, ran and failed."""
    quick, found = Verifier(QUICK, verifier.standing), []
    for broken in mutants(task.solution, task.language):
        got = quick.tested(task, broken)
        if not got.passed and not any(text in got.evidence for text in NOT_RUN):
            found.append((got.reason, got.evidence))
        if len(found) == 3:
            break
    return found


@pytest.mark.storm
@pytest.mark.parametrize(("problem", "language"), PROGRAMS)
def test_a_right_program_passes_and_three_broken_ones_fail(verifier, problem, language):
    task = task_of(problem, language)
    assert verifier.tested(task, task.solution).passed
    assert verifier.validity(task).passed
    assert len(fails_where_it_runs(verifier, task)) == 3


def test_functions_in_typescript_are_called_by_tests_in_typescript(verifier):
    task = shapes()
    assert verifier.tested(task, task.solution).passed
    assert len(fails_where_it_runs(verifier, task)) == 3


@pytest.mark.storm
def test_the_tests_in_typescript_are_tests(verifier):
    assert verifier.validity(shapes()).passed


def test_typescript_that_is_none_is_told_and_bad_tests_are_bad_tests(verifier):
    task = shapes()
    found = verifier.tested(task, task.solution.replace("{", "", 1))
    assert found.reason == "test_failed"
    assert "does not compile" in found.evidence
    wrong = CodeTask(language="typescript", tests="area({ kind: 'box' ;", solution=SHAPES)
    assert verifier.validity(wrong).evidence.startswith(
        "the right solution does not pass: the tests: it does not compile"
    )
    unasked = CodeTask(language="typescript", tests="import { x } from 'leftpad';\narea(x);", solution=SHAPES)
    assert verifier.tested(unasked, SHAPES).reason == "test_invalid"


def test_types_that_do_not_fit_are_no_failure(verifier):
    """They are taken off, as Node itself does it: what counts is what the program does."""
    task = shapes()
    loose = task.solution.replace("let best: Named | undefined", "let best: string")
    assert verifier.tested(task, whole(task, loose)).passed


TALKS = """package main
import "fmt"
func main() {
	kept := 5
	fmt.Sprint(kept)
	answer := "yes"
	fmt.Println(answer)
}
"""


@pytest.mark.storm
def test_versions_that_do_not_compile_say_nothing_of_the_tests(verifier):
    """In Go a value that nobody uses does not compile: such a version fails any tests."""
    if toolchain("go") is None:
        pytest.skip("tool: go is not installed")
    found = verifier.validity(CodeTask(language="go", cases=(Case("", "yes"),), solution=TALKS))
    assert (found.reason, found.evidence) == ("test_invalid", "1 of 2 broken versions of the right solution pass")
    alone = TALKS.replace("kept := 5", "").replace("fmt.Sprint(kept)", "")
    assert verifier.validity(CodeTask(language="go", cases=(Case("", "yes"),), solution=alone)).passed


def test_a_compiler_that_is_too_slow_is_a_limit_and_no_error(verifier, monkeypatch):
    if toolchain("c") is None:
        pytest.skip("tool: gcc is not installed")
    from tracemill.verify.code import languages

    monkeypatch.setattr(languages, "BUILDING", Limits(wall=0.02))
    task = CodeTask(language="c", cases=CASES["paths"], solution=PROGRAMS["paths", "c"])
    found = verifier.tested(task, task.solution)
    assert (found.reason, found.evidence) == ("limit_exceeded", "the limit on wall time ended its compiler")
