"""Right answers in thirty written forms each, and near misses: how many are told apart, at which tolerance."""

from __future__ import annotations

import json
from itertools import product
from pathlib import Path

import pytest

from tracemill.verify.units import TOLERANCE, same_quantity

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "written_answers.json"
CASES = json.loads(GOLDEN.read_text(encoding="utf-8"))["cases"]
"""Counted and measured numbers alternate, so that each half has both."""
GRID = (0.0, 0.001, 0.003, 0.01, 0.03, 0.1)


def mistakes(cases, tolerance):
    """(right forms that were not seen, wrong ones that were let through)."""
    missed, false = [], []
    for case in cases:
        for kind, wrong in (("right", missed), ("wrong", false)):
            for language, text in case[kind]:
                same = same_quantity(case["expected"], text, language, tolerance).same is True
                if same != (kind == "right"):
                    wrong.append((case["expected"], language, text))
    return missed, false


def test_there_are_thirty_forms_of_each_in_six_languages():
    for case in CASES:
        assert len({tuple(form) for form in case["right"]}) >= 30, case["expected"]
        assert len(case["wrong"]) >= 7
        assert {language for language, _ in case["right"]} == {"en", "de", "fr", "es", "it", "ja"}


@pytest.mark.parametrize("half", [0, 1])
def test_the_tolerance_of_one_half_holds_on_the_other(half):
    chosen_on, measured_on = CASES[half::2], CASES[1 - half :: 2]
    errors = {tolerance: sum(map(len, mistakes(chosen_on, tolerance))) for tolerance in GRID}
    assert errors[TOLERANCE] == min(errors.values()) < errors[0.0], errors
    assert mistakes(measured_on, TOLERANCE) == ([], [])  # precision and recall 1


@pytest.mark.parametrize("case", CASES, ids=[case["expected"] for case in CASES])
def test_no_other_answer_is_the_answer(case):
    others = [other["expected"] for other in CASES if other is not case]
    taken = [(o, lang) for o, lang in product(others, ["en", "de"]) if same_quantity(case["expected"], o, lang).same]
    assert taken == []
