"""Whether a program passes its tests, whether the tests are worth anything, and whether it is faster than another."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from tracemill.code_task import CodeTask, Language
from tracemill.sandbox import Limits, Outcome, Sandbox, SandboxBroken, Standing, find_sandbox
from tracemill.verify.code import duet, plain
from tracemill.verify.code.duet import Tested
from tracemill.verify.code.languages import building, lacking, running, toolchain
from tracemill.verify.code.mutants import hollow, mutants
from tracemill.verify.code.syntax import syntax_error

Reason = Literal[
    "passed", "no_code", "syntax_error", "test_failed", "limit_exceeded", "test_invalid", "unverified", "not_faster"
]
BROKEN_MUST_FAIL = 2
"""Mutants, beside the hollow ones, that must run and fail the tests, or as many as run."""
BROKEN_TRIED = 12
"""Of them, at most: some behave as the original does."""
MUTANT = Limits(wall=10, cpu=2)
"""A mutant may loop for ever, which is failing as well; a slow start on a busy machine is none."""
MORE_CPU, CPU_NOISE = 1.2, 0.1
"""An answer that says it took fewer steps must not take more than 1.2 times the processor time, and 0.1 s, of what it is
compared with: the steps are counted beside it, the time is measured from outside."""
ANSWER = Limits(wall=30, cpu=10)
"""Of one run of an answer. The clock is generous, so that a busy machine fails nobody; processor time is what counts."""
COUNTED = 20
"""Counting steps takes up to about this many times as long."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found out about an answer."""

    reason: Reason
    evidence: str = ""

    @property
    def passed(self) -> bool:
        return self.reason == "passed"


@dataclass(frozen=True, slots=True)
class Verifier:
    """Runs tests. Blocks, for as long as the limits say; threads may call it at once.

    Args:
        limits: Of one run of a program.
        standing: The sandbox; None: that of this machine, which is looked for when first needed.
    """

    limits: Limits = ANSWER
    standing: Standing | None = None

    def tested(self, task: CodeTask, program: str) -> Finding:
        """Run a whole program against the tests of its task; what they are worth is not asked, see `validity`."""
        sandbox, why = self._sandbox(task)
        if sandbox is None:
            return Finding("unverified", why)
        try:
            return _finding(self._ran(sandbox, task, program, self.limits))
        except SandboxBroken as exc:
            return Finding("unverified", f"the sandbox failed: {exc}")

    def validity(self, task: CodeTask) -> Finding:
        """Whether the tests tell right from wrong: the right solution passes, broken versions of it do not. Without a
        solution they are taken as they are. `limit_exceeded`: a limit ended a compiler, so it is not known.
        """
        if not task.solution:
            return Finding("passed", "no right solution is known, so the tests were not tested")
        sandbox, why = self._sandbox(task)
        if sandbox is None:
            return Finding("unverified", why)
        try:
            return self._valid(sandbox, task)
        except SandboxBroken as exc:
            return Finding("unverified", f"the sandbox failed: {exc}")

    def _valid(self, sandbox: Sandbox, task: CodeTask) -> Finding:
        right = whole(task, task.solution)
        found = self._ran(sandbox, task, right, self.limits)
        if found.unbuilt:
            return Finding("limit_exceeded", f"the right solution: {found.why}")
        if not found.passed:
            return Finding("test_invalid", f"the right solution does not pass: {found.why}")
        for broken in hollow(task, right, called(task, right)):
            found = self._ran(sandbox, task, broken, MUTANT)
            if found.unbuilt:
                return Finding("limit_exceeded", f"a program that does nothing: {found.why}")
            if found.passed:
                return Finding("test_invalid", "a program that does nothing passes")
        failed = ran = 0
        unbuilt: Tested | None = None
        for broken in mutants(right, task.language)[:BROKEN_TRIED]:
            found = self._ran(sandbox, task, broken, MUTANT)
            ran += found.began
            failed += found.began and not found.passed
            if failed == BROKEN_MUST_FAIL:
                break
            unbuilt = found if found.unbuilt else unbuilt
        if failed < BROKEN_MUST_FAIL and unbuilt is not None:  # it might have failed, or passed
            return Finding("limit_exceeded", f"a broken version of the right solution: {unbuilt.why}")
        if failed < min(BROKEN_MUST_FAIL, ran):
            return Finding("test_invalid", f"{ran - failed} of {ran} broken versions of the right solution pass")
        return Finding("passed", f"the right solution passes, {failed + 1} broken versions of it fail")

    def faster(self, task: CodeTask, program: str) -> Finding:
        """Whether a program that passes takes fewer steps than the task's baseline."""
        sandbox, why = self._sandbox(task)
        if sandbox is None:
            return Finding("unverified", why)
        if task.language != "python" or not task.tests:
            return Finding("unverified", "steps are counted for Python functions only")
        if trick := plain.beyond_plain(program):
            return Finding("not_faster", f"steps cannot be counted in a program with {trick}")
        limits = replace(self.limits, wall=self.limits.wall * COUNTED, cpu=self.limits.cpu * COUNTED)
        try:
            slow = self._ran(sandbox, task, whole(task, task.baseline), limits, count=True)
            fast = self._ran(sandbox, task, program, limits, count=True)
            if not slow.passed:
                return Finding("test_invalid", f"the baseline does not pass: {slow.why}")
            if not fast.passed:
                return _finding(fast)
            steps = f"{fast.steps:,} steps against {slow.steps:,}"
            if fast.steps >= slow.steps:
                return Finding("not_faster", steps)
            cpu = [self._ran(sandbox, task, each, self.limits).cpu for each in (program, whole(task, task.baseline))]
        except SandboxBroken as exc:
            return Finding("unverified", f"the sandbox failed: {exc}")
        if cpu[0] > cpu[1] * MORE_CPU + CPU_NOISE:
            return Finding("not_faster", f"{steps}, but {cpu[0]:.2f} s of processor time against {cpu[1]:.2f}")
        return Finding("passed", steps)

    def _sandbox(self, task: CodeTask) -> tuple[Sandbox | None, str]:
        """Where a task's programs can be run, or why nowhere."""
        if task.tests and task.language not in duet.SPOKEN:
            return None, f"tests that call functions are run for {', '.join(duet.SPOKEN)} only, not for {task.language}"
        if toolchain(task.language) is None:
            return None, f"{task.language} is not run here: {lacking(task.language)}"
        standing = self.standing or find_sandbox()
        return standing.sandbox, standing.missing

    def _ran(self, sandbox: Sandbox, task: CodeTask, program: str, limits: Limits, count: bool = False) -> Tested:
        if not task.tests:
            return self._cases(sandbox, task, program, limits)
        tests, runs = task.tests, program
        if task.language == "typescript":
            tests_made, made = (_made(sandbox, task.language, text) or b"" for text in (tests, program))
            if isinstance(tests_made, Tested):
                return replace(tests_made, status="invalid", why=f"the tests: {tests_made.why}")
            if isinstance(made, Tested):
                return made
            tests, runs = (text.decode(errors="replace") for text in (tests_made, made))
        found = duet.play(
            sandbox,
            task.language,
            runs,
            tests,
            limits,
            entry=task.entry if "check" in task.tests and task.language == "python" else "",
            context=task.context if task.language == "python" else "",
            answers=called(task, runs),
            count=count,
        )
        return self._cases(sandbox, task, program, limits) if found.passed and task.cases else found

    def _cases(self, sandbox: Sandbox, task: CodeTask, program: str, limits: Limits) -> Tested:
        """Each case in a sandbox of its own."""
        binary = _made(sandbox, task.language, program)
        if isinstance(binary, Tested):
            return binary
        cpu = 0.0
        for number, case in enumerate(task.cases, 1):
            ran = sandbox.run(running(task.language, program, binary, case.stdin, limits))
            cpu += ran.cpu
            if ran.limit is not None:
                return Tested("limit", f"case {number}: the limit on {duet.NAMES[ran.limit]} ended it", cpu=cpu)
            if ran.exit != 0:
                return Tested("failed", f"case {number}: {_ending(ran)}", cpu=cpu)
            said = ran.stdout.decode(errors="replace")
            if not same_output(case.stdout, said):
                return Tested("failed", f"case {number}: {_difference(case.stdout, said)}", cpu=cpu)
        return Tested("passed", cpu=cpu)


def _made(sandbox: Sandbox, language: Language, program: str) -> bytes | Tested | None:
    """What a program was compiled to, or why it was not; None where nothing is compiled."""
    job = building(language, program)
    if job is None:
        return None
    built = sandbox.run(job)
    if built.ok:
        return built.stdout
    if built.limit is not None:
        return Tested("limit", f"the limit on {duet.NAMES[built.limit]} ended its compiler", began=False)
    return Tested("failed", f"it does not compile: {_first_error(built)}", began=False)


def whole(task: CodeTask, code: str) -> str:
    """The program that an answer's code makes with its task's context: behind it, alone, or as what it goes on with;
    the first that parses, else the code alone.
    """
    if not task.context.strip():
        return code
    parses = syntax_error(code, task.language) is None
    if parses and syntax_error(task.context, task.language) is None and _defines(code, task.entry):
        return f"{task.context}\n\n{code}"
    if parses and _defines(code, task.entry):
        return code
    going_on = task.context + code
    return going_on if syntax_error(going_on, task.language) is None else code


def _defines(code: str, entry: str) -> bool:
    return not entry or re.search(rf"(def|function|const|let|var|class)\s+{re.escape(entry)}\b", code) is not None


_DEFINED = re.compile(
    r"^(?:export\s+)?(?:async\s+)?(?:def|function\*?|class|const|let|var)\s+([A-Za-z_$][\w$]*)", re.MULTILINE
)


def called(task: CodeTask, program: str) -> tuple[str, ...]:
    """Names at the head of a program's lines that its tests speak of; the entry first."""
    words = set(re.findall(r"[A-Za-z_$][\w$]*", task.tests))
    names = [task.entry] if task.entry else []
    return tuple(dict.fromkeys(names + [name for name in _DEFINED.findall(program) if name in words]))


def same_output(expected: str, found: str) -> bool:
    """Whether two outputs say the same: equal words, where numbers with a point may differ by 1e-6, of one or of the
    number. White space between words, and at the ends, does not count.
    """
    ours, theirs = expected.split(), found.split()
    return len(ours) == len(theirs) and all(map(_same_word, ours, theirs))


_DECIMAL = re.compile(r"[+-]?\d+\.\d+(?:[eE][+-]?\d+)?")


def _same_word(expected: str, found: str) -> bool:
    if expected == found:
        return True
    if not _DECIMAL.fullmatch(expected) or not re.fullmatch(r"[+-]?\d+(?:\.\d*)?(?:[eE][+-]?\d+)?", found):
        return False
    a, b = float(expected), float(found)
    return abs(a - b) <= 1e-6 * max(1.0, abs(a))


def _difference(expected: str, found: str) -> str:
    pairs: Sequence[tuple[str, str]] = list(zip(expected.split(), found.split(), strict=False))
    at = next((i for i, (a, b) in enumerate(pairs) if not _same_word(a, b)), len(pairs))
    ours, theirs = expected.split()[at : at + 1], found.split()[at : at + 1]
    return (
        f"word {at + 1} is {theirs[0][:60]!r}"
        if ours and theirs
        else "the output is " + ("too short" if ours else "too long")
    )


def _ending(ran: Outcome) -> str:
    lines = ran.stderr.decode(errors="replace").strip().splitlines()
    ended = f"signal {ran.signal}" if ran.signal else f"exit code {ran.exit}"
    return f"it ended with {ended}" + (f": {lines[-1][:200]}" if lines else "")


def _first_error(built: Outcome) -> str:
    lines = built.stderr.decode(errors="replace").splitlines()
    told = next((line for line in lines if "error" in line), lines[0] if lines else f"exit code {built.exit}")
    return told.removeprefix("✘ [ERROR] ")[:200]


def _finding(found: Tested) -> Finding:
    reasons: dict[duet.Status, Reason] = {
        "passed": "passed",
        "failed": "test_failed",
        "limit": "limit_exceeded",
        "invalid": "test_invalid",
    }
    return Finding(reasons[found.status], found.why)
