"""The step: what is kept, dropped and told, by the policy of the recipe; and each answer is run once."""

from __future__ import annotations

import asyncio

import pytest

from tracemill.code_task import CodeTask
from tracemill.record import Message, Sample
from tracemill.sandbox import Standing
from tracemill.step import Drop
from tracemill.storage.verdicts import Verdicts
from tracemill.verify.code.step import CodeAnswer, CodeChecker
from tracemill.verify.code.verifier import Finding, Verifier
from verify.code_corpora import sandboxed

TICKS = "`" * 3
RIGHT = f"So:\n{TICKS}python\ndef double(n):\n    return 2 * n\n{TICKS}\n"
TASK = CodeTask(tests="assert double(2) == 4\nassert double(5) == 10", solution="def double(n):\n    return n + n")


class Counting(Verifier):
    """A verifier that runs nothing, and counts."""

    def __init__(self, finding=None):
        super().__init__(standing=Standing(None, "none", (), "none"))
        object.__setattr__(self, "asked", [])
        object.__setattr__(self, "finding", finding or Finding("passed"))

    def tested(self, task, program):
        self.asked.append(program)
        return self.finding

    def validity(self, task):
        self.asked.append("valid")
        return Finding("passed")


Counting.__slots__ = ()


def sample(content: str, expected: str | None = None) -> Sample:
    return Sample("u", "code", "off", (Message("user", "?"), Message("assistant", content)), expected=expected)


def said(step: CodeAnswer, *samples: Sample) -> list[Sample | Drop]:
    async def all_of():
        return await asyncio.gather(*map(step, samples))

    return asyncio.run(all_of())


@pytest.mark.parametrize(
    ("content", "task", "reason"),
    [
        ("no code at all", None, "no_code"),
        (RIGHT.replace("2 * n", "2 * ) n"), None, "syntax_error"),
        (RIGHT.replace("return", "retrun n"), TASK, "syntax_error"),
        ("no code", TASK, "no_code"),
        (RIGHT, "18", "test_invalid"),
        (RIGHT, None, None),
        (RIGHT, CodeTask(), None),
        ("words alone", CodeTask(kind="explain"), None),
        (RIGHT.replace("2 * n", "2 *"), CodeTask(kind="explain"), "syntax_error"),
    ],
)
def test_what_needs_no_sandbox(content, task, reason):
    expected = task if task is None or isinstance(task, str) else task.text()
    (required,) = said(CodeAnswer(CodeChecker(verifier=Counting()), "require"), sample(content, expected))
    (annotated,) = said(CodeAnswer(CodeChecker(verifier=Counting())), sample(content, expected))
    assert isinstance(annotated, Sample)
    assert annotated.verdicts[-1].step == "verify_code"
    assert annotated.verdicts[-1].passed is (reason is None)
    if reason is None:
        assert required == annotated
    else:
        assert required.reason == reason
        assert required.reason in CodeAnswer.drops
        assert annotated.verdicts[-1].evidence.startswith(f"{reason}: ")


def test_without_a_sandbox_a_row_is_unverified():
    checker = CodeChecker(verifier=Verifier(standing=Standing(None, "none", (), "bwrap is not installed")))
    (dropped,) = said(CodeAnswer(checker, "require"), sample(RIGHT, TASK.text()))
    assert dropped == Drop("unverified", "bwrap is not installed")


def test_an_answer_is_not_held_against_tests_that_could_not_be_tested():
    class Busy(Counting):
        def validity(self, task):
            return Finding("limit_exceeded", "its compiler")

    (dropped,) = said(CodeAnswer(CodeChecker(verifier=Busy()), "require"), sample(RIGHT, TASK.text()))
    assert dropped == Drop("unverified", "the tests could not be tested: its compiler")


def test_answers_are_run_for_real():
    checker = CodeChecker(verifier=Verifier(standing=sandboxed()))
    wrong = sample(RIGHT.replace("2 * n", "n + 2"), TASK.text())
    kept, dropped = said(CodeAnswer(checker, "require"), sample(RIGHT, TASK.text()), wrong)
    assert kept.verdicts[-1].passed
    assert dropped.reason == "test_failed"
    assert "assert double(5) == 10" in dropped.evidence


def test_tests_are_tested_once_for_all_samples(tmp_path):
    counting = Counting()
    step = CodeAnswer(CodeChecker(verifier=counting, verdicts=Verdicts(tmp_path / "v")))
    samples = [sample(RIGHT.replace("2", str(n)), TASK.text()) for n in range(5)]
    assert all(s.verdicts[-1].passed for s in said(step, *samples))
    assert counting.asked.count("valid") == 1
    assert len(counting.asked) == 6


def test_a_verdict_stands_whatever_a_second_run_would_say(tmp_path):
    asked = []
    for finding in (Finding("limit_exceeded", "slow"), Finding("passed")):
        verdicts = Verdicts(tmp_path / "verdicts")
        counting = Counting(finding)
        (got,) = said(
            CodeAnswer(CodeChecker(verifier=counting, verdicts=verdicts), "require"), sample(RIGHT, TASK.text())
        )
        verdicts.close()
        assert got == Drop("limit_exceeded", "slow")
        asked += counting.asked
    assert len(asked) == 2, "the tests and the answer, once each"


def test_what_could_not_be_run_is_tested_by_the_next_build_and_stands_for_an_audit(tmp_path):
    def told(finding, replaying=False):
        verdicts = Verdicts(tmp_path / "verdicts", replaying)
        step = CodeAnswer(CodeChecker(verifier=Counting(finding), verdicts=verdicts))
        (got,) = said(step, sample(RIGHT, TASK.text()))
        verdicts.close()
        return got.verdicts[-1].evidence.partition(":")[0]

    missing, wrong, right = (
        Finding("unverified", "no sandbox"),
        Finding("test_failed", "it fails"),
        Finding("passed", ""),
    )
    assert told(missing) == told(missing) == "unverified"
    assert told(wrong, replaying=True) == "unverified"
    assert told(wrong) == "test_failed"
    assert told(right) == told(right, replaying=True) == told(missing) == "test_failed"
