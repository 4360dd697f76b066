"""Tests and answer in two sandboxes: the answer never meets the tests, nor what they expect.

The tests run in one sandbox. What they call by name is asked of the other, over two pipes, and comes back as plain
values. So an answer that ends its process, overloads `==`, patches the interpreter or searches memory for what is
expected gains nothing: it can only return values. The judge ends with a line that begins with a nonce, which the answer's
sandbox never holds.
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Literal

from tracemill.code_task import Language
from tracemill.sandbox import Job, Limits, Outcome, Sandbox

Status = Literal["passed", "failed", "limit", "invalid"]
SPOKEN: Mapping[Language, tuple[str, tuple[str, ...]]] = {
    "python": ("py", ("/usr/bin/python3", "-s")),
    "javascript": ("js", ("/usr/bin/node",)),
}
"""Languages in which tests can call functions: the ending of our programs, and what runs them."""
JUDGES_MORE = 2.0
"""Seconds that the judge may take beyond the answer's clock, to start and to end."""
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

    @property
    def passed(self) -> bool:
        return self.status == "passed"


@cache
def _inside(name: str) -> bytes:
    return (files("tracemill.verify.code") / "inside" / f"{name}.txt").read_text(encoding="utf-8").encode()


def spoken(language: Language) -> bool:
    """Whether tests that call functions can be run in a language here."""
    return language in SPOKEN and Path(SPOKEN[language][1][0]).exists()


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
    told = {"tests": tests, "entry": entry, "context": context, "answers": answers, "nonce": nonce}
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
        {**shared, f"judge.{ending}": _inside(f"judge.{ending}"), "tests.json": json.dumps(told).encode()},
        limits=replace(limits, wall=limits.wall + JUDGES_MORE, cpu=limits.cpu + 1),
        environment=HASH_SEED,
        links=(heard_by_judge, asks),
    )
    with ThreadPoolExecutor(1) as beside:
        played: Future[Outcome] = beside.submit(sandbox.run, answer)
        try:
            judged = sandbox.run(judge)
        finally:
            os.close(over)  # the judge has ended, and with it the answer's part
            wait([played])
            os.close(still)
        outcome = played.result()
    return _understood(judged, outcome, nonce)


def _understood(judged: Outcome, outcome: Outcome, nonce: str) -> Tested:
    record = None
    for line in judged.stdout.decode(errors="replace").splitlines():
        if line.startswith(nonce):
            with suppress(ValueError):
                record = json.loads(line.removeprefix(nonce))
    if outcome.limit is not None:
        return Tested("limit", f"the limit on {_NAMES[outcome.limit]} ended it", cpu=outcome.cpu)
    if not judged.ok or not isinstance(record, dict):
        said = judged.stderr.decode(errors="replace").strip().splitlines()[-1:] or [f"exit {judged.exit}"]
        return Tested("failed", f"the tests did not come to their end: {said[0][:200]}", cpu=outcome.cpu)
    if record["passed"]:
        return Tested("passed", "", int(record.get("steps", 0)), outcome.cpu)
    why = str(record["why"])
    if record["closed"]:
        ended = f"signal {outcome.signal}" if outcome.signal else f"exit code {outcome.exit}"
        why = f"its process ended before the tests did, with {ended}{_last(outcome)}"
    return Tested("invalid" if record["invalid"] else "failed", " ".join(why.split())[:400], cpu=outcome.cpu)


_NAMES = {
    "wall": "wall time",
    "cpu": "processor time",
    "memory": "memory",
    "output": "output",
    "file_size": "the size of a file",
}


def _last(outcome: Outcome) -> str:
    lines = outcome.stderr.decode(errors="replace").strip().splitlines()
    return f": {lines[-1][:200]}" if lines else ""


def _pipe() -> tuple[int, int]:
    """(the end to write to, the end to read from)."""
    reads, writes = os.pipe()
    return writes, reads


def _encoded(program: str) -> bytes:
    return program.encode(errors="replace")
