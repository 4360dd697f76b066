"""How many answers a second are compared: the checker that a run uses, against math-verify alone."""

from __future__ import annotations

import asyncio
import gzip
import json
import logging
import time
from collections.abc import Sequence
from multiprocessing import get_context
from pathlib import Path

from bench.processes import ROOT
from bench.result import Figures, Line, Measure, Result, compared, load
from tracemill.verify.answers import same_answer_fast
from tracemill.verify.math_checker import MathChecker
from tracemill.verify.math_worker import compare

RECORDED = ROOT.parent / "shared" / "data" / "gsm8k" / "model_solutions.jsonl.gz"
TEACHERS = ("6b_finetuning", "6b_verification", "175b_finetuning", "175b_verification")
GOLDEN = ROOT / "tests" / "golden" / "math_answers.json"

COLUMNS = ("MathChecker.same", "math-verify alone")
MEASURES = (
    Measure("rate", "decisions/s", headline=True),
    Measure("ms", "ms for each pair", 3),
)
Pair = tuple[str, str]


def measure(quick: bool, pairs: int, recorded: Path = RECORDED, most: int | None = None) -> Result:
    """Recorded answers where they are there, and the pairs of our own tests that need algebra.

    Args:
        most: Pairs of each set; by default all, or of the recorded ones an eighth if it is to be quick.
    """
    before = load()
    sets: dict[str, list[Pair]] = {}
    remarks = []
    if recorded.exists():
        sets["GSM8K"] = _recorded(recorded)[:: 8 if quick else 1]
    else:
        remarks.append("GSM8K's recorded answers are not beside the project, so they were not measured.")
    sets["algebra"] = [pair for pair in _golden() if same_answer_fast(*pair) is None]
    lines: list[Line] = []
    shares: dict[str, float] = {}
    for name, whole in sets.items():
        answers = whole[:most]
        runs: dict[str, list[Figures]] = {column: [] for column in COLUMNS}
        judged: dict[str, list[bool]] = {}
        for number in range(pairs):
            for column in COLUMNS if number % 2 == 0 else reversed(COLUMNS):
                if column == COLUMNS[0]:
                    seconds, judged[column] = asyncio.run(_checked(answers))
                else:
                    with get_context("spawn").Pool(1) as fresh:
                        seconds, judged[column] = fresh.apply(_alone, (answers,))
                runs[column].append({"rate": len(answers) / seconds, "ms": 1000 * seconds / len(answers)})
        lines += compared(runs, MEASURES, f"{name}: ")
        shares[name] = 100 * sum(same_answer_fast(*pair) is not None for pair in answers) / len(answers)
        ours, alone = (judged[column] for column in COLUMNS)
        other = sum(a != b for a, b in zip(ours, alone, strict=True))
        remarks.append(
            f"{name}: {len(answers):,} pairs; the fast path decided {shares[name]:.2f} % of them; "
            f"{sum(ours):,} are equal; math-verify alone judges {other} otherwise."
        )
    return Result(
        name="verify",
        about=(
            "Pairs of expected and found answers. Tracemill decides plain numbers and equal texts itself and asks a child "
            "process for the rest. The baseline is math-verify for every pair, without pipe or clock, by the same `compare` "
            "that the child runs. Both start afresh in each run, and starting does not count. GSM8K: four recorded model "
            "answers to each of 931 problems. Algebra: the pairs of `tests/golden/math_answers.json` that the fast path "
            "leaves to math-verify."
        ),
        columns=list(COLUMNS),
        lines=lines,
        settings={"fast_path_percent": {name: round(share, 2) for name, share in shares.items()}},
        pairs=pairs,
        quick=quick,
        noise={"load_before": before, "load_after": load()},
        remarks=remarks,
    )


async def _checked(answers: Sequence[Pair]) -> tuple[float, list[bool]]:
    """Seconds and judgements of the checker, one pair after another; its child is started before."""
    async with MathChecker(seconds=60) as checker:
        await checker.same("x^2+2x+1", "(x+1)^2")
        begun = time.perf_counter()
        judged = [(await checker.same(*pair)).equal for pair in answers]
        return time.perf_counter() - begun, judged


def _alone(answers: Sequence[Pair]) -> tuple[float, list[bool]]:
    """Seconds and judgements of math-verify for every pair. Run it in a process of its own: sympy remembers much."""
    logging.disable(logging.WARNING)  # math-verify warns for each pair that it has no clock; the checker holds one
    compare("x^2+2x+1", "(x+1)^2")
    begun = time.perf_counter()
    judged = [compare(*pair)[0] for pair in answers]
    return time.perf_counter() - begun, judged


def _recorded(path: Path) -> list[Pair]:
    """(expected, found) of every recorded solution: what stands after the last "A:"."""
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    return [(_after(row["ground_truth"]), _after(row[name]["solution"])) for row in rows for name in TEACHERS]


def _after(solution: str) -> str:
    return solution.rpartition("A:")[2].strip()


def _golden() -> list[Pair]:
    return [(case["expected"], case["found"]) for case in json.loads(GOLDEN.read_text(encoding="utf-8"))]
