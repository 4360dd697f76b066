"""How many answers a second are tested: in two sandboxes, as a run does it, against the same program in a bare process."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from bench.result import Figures, Line, Measure, Result, compared, load
from tracemill.code_task import Case, CodeTask
from tracemill.sandbox import Job, find_sandbox
from tracemill.verify.code.duet import spoken
from tracemill.verify.code.verifier import Verifier

COLUMNS = ("in the sandbox", "a bare process")
MEASURES = (
    Measure("rate", "answers/s", headline=True),
    Measure("ms", "ms for each answer of one worker", 1),
)
RIGHT = {
    "python": "def double(n):\n    return 2 * n\n",
    "javascript": "function double(n) { return 2 * n; }\n",
}
TESTS = {
    "python": "assert double(2) == 4\nassert double([1]) == [1, 1]\nassert double('a') == 'aa'\n",
    "javascript": "for (const n of [1, 2, 3]) { if (double(n) !== 2 * n) throw 'wrong'; }\n",
}
COMMANDS = {"python": ("/usr/bin/python3", "-s", "-"), "javascript": ("/usr/bin/node", "-")}


def measure(quick: bool, pairs: int, answers: int | None = None) -> Result:
    """Answers tested by as many threads as there are processors.

    Args:
        answers: In each run of a column.

    Raises:
        RuntimeError: there is no sandbox here.
    """
    before = load()
    standing = find_sandbox()
    if standing.sandbox is None:
        raise RuntimeError(standing.missing)
    count = answers or (10 if quick else 40)
    verifier = Verifier(standing=standing)
    echo = CodeTask(cases=(Case("20\n", "40\n"),))
    told = "print(2 * int(input()))\n"
    kinds: dict[str, tuple[Callable[[], bool], Callable[[], bool]]] = {
        "Python, stdin to stdout": (
            lambda: verifier.tested(echo, told).passed,
            lambda: _bare(("/usr/bin/python3", "-s", "-c", told), "20\n", b"40\n"),
        )
    }
    for language in RIGHT:
        if spoken(language):
            kinds[f"{language}, tests that call functions"] = _functions(verifier, language)
    lines: list[Line] = []
    for name, columns in kinds.items():
        runs: dict[str, list[Figures]] = {column: [] for column in COLUMNS}
        for number in range(pairs):
            order = list(zip(COLUMNS, columns, strict=True))
            for column, once in order if number % 2 == 0 else reversed(order):
                runs[column].append(_timed(once, count))
        lines += compared(runs, MEASURES, f"{name}: ")
    began = time.perf_counter()
    held = len(standing.sandbox.probe())
    empty = _timed(lambda: standing.sandbox.run(Job(("/usr/bin/true",))).ok, count)  # type: ignore[union-attr]
    return Result(
        name="code",
        about=(
            "Answers with their tests, as many at once as there are processors. Where tests call functions the answer is in one "
            "sandbox and the tests in another, so two interpreters start for each; the baseline runs both in one process without "
            "any protection."
        ),
        columns=list(COLUMNS),
        lines=lines,
        settings={"answers": count, "threads": _workers()},
        pairs=pairs,
        quick=quick,
        noise={"load_before": before, "load_after": load()},
        remarks=[
            f"All {held} probes took {time.perf_counter() - began:.1f} s; an empty sandbox starts and ends "
            f"{empty['rate']:.0f} times a second."
        ],
    )


def _functions(verifier: Verifier, language: str) -> tuple[Callable[[], bool], Callable[[], bool]]:
    right, tests = RIGHT[language], TESTS[language]
    task = CodeTask(language=language, tests=tests, entry="double")  # type: ignore[arg-type]
    return (
        lambda: verifier.tested(task, right).passed,
        lambda: _bare(COMMANDS[language], right + tests, b""),
    )


def _bare(command: tuple[str, ...], stdin: str, stdout: bytes) -> bool:
    ran = subprocess.run(command, input=stdin.encode(), capture_output=True, check=False)
    return ran.returncode == 0 and ran.stdout == stdout


def _timed(once: Callable[[], bool], count: int) -> dict[str, float | None]:
    begun = time.perf_counter()
    with ThreadPoolExecutor(_workers()) as pool:
        if not all(pool.map(lambda _: once(), range(count))):
            raise RuntimeError("a right answer did not pass")
    seconds = time.perf_counter() - begun
    return {"rate": count / seconds, "ms": 1000 * seconds * _workers() / count}


def _workers() -> int:
    return os.cpu_count() or 1
