"""Tests and answer in two sandboxes: the answer never meets the tests, nor what they expect.

The tests run in one sandbox. What they call by name is asked of the other, over two pipes, and comes back as plain
values. So an answer that ends its process, overloads `==`, patches the interpreter or searches memory for what is
expected gains nothing: it can only return values. The judge ends with a line that begins with a nonce, which the answer's
sandbox never holds.
"""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files
from typing import Literal, NamedTuple

from tracemill.code_task import Language
from tracemill.sandbox import Job, Limits, Outcome, Sandbox
from tracemill.sandbox.job import Limited
from tracemill.verify.code.languages import toolchain

Status = Literal["passed", "failed", "limit", "invalid"]
SPOKEN: Mapping[Language, tuple[str, tuple[str, ...]]] = {
    "python": ("py", ("/usr/bin/python3", "-s", "-S")),
    "javascript": ("js", ("/usr/bin/node",)),
    "typescript": ("js", ("/usr/bin/node",)),
}
"""Languages in which tests can call functions: the ending of our programs, and what runs them. TypeScript comes as the
JavaScript that was made of it."""
JUDGES_MORE = 2.0
"""Seconds that the judge may take beyond the answer's clock, to start and to end."""
ENDING = 2.0
"""Seconds that an answer which closed its pipes has to end by itself, so that what is told of its end does not depend on how
quickly it was seen. One that goes on is ended."""
HASH_SEED = {"PYTHONHASHSEED": "0"}
"""The order of sets is the same in every run."""


@dataclass(frozen=True, slots=True)
class Tested:
    """What running tests came to."""

    status: Status
    why: str = ""
    steps: int = 0
    """Instructions of the interpreter that the answer told of; counted only where it was asked for."""
    cpu: float = 0.0
    """Seconds of processor time that its processes were seen to use, from outside."""
    began: bool = True
    """Whether the program was run; one that does not compile is not."""

    @property
    def passed(self) -> bool:
        return self.status == "passed"

    @property
    def unbuilt(self) -> bool:
        """Whether a limit ended its compiler: nothing is known of it."""
        return self.status == "limit" and not self.began


@cache
def _inside(name: str) -> bytes:
    return (files("tracemill.verify.code") / "inside" / f"{name}.txt").read_text(encoding="utf-8").encode()


def spoken(language: Language) -> bool:
    """Whether tests that call functions can be run in a language here."""
    return language in SPOKEN and toolchain(language) is not None


def play(
    sandbox: Sandbox,
    language: Language,
    program: str,
    tests: str,
    limits: Limits,
    *,
    entry: str = "",
    context: str = "",
    answers: tuple[str, ...] = (),
    count: bool = False,
) -> Tested:
    """Run tests against a program.

    Args:
        tests: Code that calls functions of the program by name.
        entry: The function to hand to the tests' `check`; "": there is no such.
        context: Code whose functions the tests may use too.
        answers: Names that the tests call of the program; for Python those that they use and do not define are added.
        count: Count the steps that the program takes (Python).

    Raises:
        SandboxBroken: nothing was run.
    """
    ending, command = SPOKEN[language]
    nonce = secrets.token_hex(16)
    told = {"tests": tests, "context": context, "entry": entry, "names": "\n".join((nonce, *answers))}
    shared = {f"values.{ending}": _inside(f"values.{ending}")}
    asks, heard_by_answer = _pipe()
    says, heard_by_judge = _pipe()
    over, still = _pipe()
    answer = Job(
        (*command, f"/box/candidate.{ending}", str(heard_by_answer), str(says), "steps" if count else "plain"),
        {**shared, f"candidate.{ending}": _inside(f"candidate.{ending}"), f"answer.{ending}": _encoded(program)},
        limits=limits,
        environment=HASH_SEED,
        links=(heard_by_answer, says),
        until=still,
    )
    judge = Job(
        (*command, f"/box/judge.{ending}", str(heard_by_judge), str(asks)),
        {**shared, f"judge.{ending}": _inside(f"judge.{ending}"), **_texts(told)},
        limits=replace(limits, wall=limits.wall + JUDGES_MORE, cpu=limits.cpu + 1),
        environment=HASH_SEED,
        links=(heard_by_judge, asks),
    )
    with ThreadPoolExecutor(1) as beside:
        played: Future[Outcome] = beside.submit(sandbox.run, answer)
        try:
            judged = sandbox.run(judge)
            found = _record(judged, nonce)
            if found is not None and found.closed:
                wait([played], ENDING)
        finally:
            os.close(over)  # the judge has ended, and with it the answer's part
            wait([played])
            os.close(still)
        outcome = played.result()
    return _understood(judged, found, outcome)


class _Record(NamedTuple):
    """The judge's last line, behind the nonce."""

    passed: bool
    invalid: bool
    closed: bool
    """The answer's process ended before the tests did."""
    steps: int
    why: str


def _record(judged: Outcome, nonce: str) -> _Record | None:
    for line in reversed(judged.stdout.decode(errors="replace").splitlines()):
        found = _FOUND.fullmatch(line.removeprefix(nonce)) if line.startswith(nonce) else None
        if found is not None:
            passed, invalid, closed = (found[i] == "1" for i in (1, 2, 3))
            return _Record(passed, invalid, closed, int(found[4]), bytes.fromhex(found[5]).decode(errors="replace"))
    return None


_FOUND = re.compile(r"([01]) ([01]) ([01]) (\d{1,18}) ((?:[0-9a-f]{2})*)")


def _understood(judged: Outcome, found: _Record | None, outcome: Outcome) -> Tested:
    if outcome.limit is not None:
        return Tested("limit", f"the limit on {NAMES[outcome.limit]} ended it", cpu=outcome.cpu)
    if not judged.ok or found is None:
        said = judged.stderr.decode(errors="replace").strip().splitlines()[-1:] or [f"exit {judged.exit}"]
        return Tested("failed", f"the tests did not come to their end: {said[0][:200]}", cpu=outcome.cpu)
    if found.passed:
        return Tested("passed", "", found.steps, outcome.cpu)
    why = found.why
    if found.closed:
        ended = f"signal {outcome.signal}" if outcome.signal else f"exit code {outcome.exit}"
        why = f"its process ended before the tests did, with {ended}{_last(outcome)}"
    return Tested("invalid" if found.invalid else "failed", " ".join(why.split())[:400], cpu=outcome.cpu)


NAMES: Mapping[Limited, str] = {
    "wall": "wall time",
    "cpu": "processor time",
    "memory": "memory",
    "output": "output",
    "file_size": "the size of a file",
}
"""What each limit is on, in words."""


def _last(outcome: Outcome) -> str:
    lines = outcome.stderr.decode(errors="replace").strip().splitlines()
    return f": {lines[-1][:200]}" if lines else ""


def _pipe() -> tuple[int, int]:
    """(the end to write to, the end to read from)."""
    reads, writes = os.pipe()
    return writes, reads


def _texts(told: Mapping[str, str]) -> dict[str, bytes]:
    return {f"{name}.txt": _encoded(text) for name, text in told.items()}


def _encoded(program: str) -> bytes:
    return program.encode(errors="replace")
