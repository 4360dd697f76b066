"""Intervals: exact where the textbook is, and holding the truth about as often as they say."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracemill.estimate.intervals import Interval, Ratio, ratio, share, t_percentile


@pytest.mark.parametrize(
    ("degrees", "value"), [(1, 12.706), (4, 2.776), (10, 2.228), (11, 2.201), (20, 2.086), (60, 2.000), (1000, 1.962)]
)
def test_students_t_is_that_of_the_tables(degrees, value):
    assert t_percentile(degrees) == pytest.approx(value, abs=0.001)


def test_a_mean_has_the_textbooks_interval():
    found = ratio([2, 4, 4, 4, 5, 5, 7, 9], [1] * 8)  # mean 5, standard deviation 2.138
    assert found.value == 5
    assert found.high - 5 == pytest.approx(2.365 * 2.13809 / 8**0.5, rel=1e-4)
    assert 5 - found.low == pytest.approx(found.high - 5)


def test_a_share_has_wilsons_interval():
    found = share([1] * 8 + [0] * 2, [1] * 10)
    assert (found.low, found.high) == (pytest.approx(0.490, abs=0.001), pytest.approx(0.943, abs=0.001))
    none = share([0] * 20, [1] * 20)
    assert (none.value, none.low) == (0, 0)
    assert none.high == pytest.approx(0.161, abs=0.001), "where none was seen, there may still be some"


def test_samples_of_one_prompt_that_agree_are_no_further_evidence():
    alike = share([8] * 8 + [0] * 2, [8] * 10)
    assert (alike.low, alike.high) == pytest.approx((0.490, 0.943), abs=0.03)
    apart = share([6, 7, 6, 7, 6, 6, 7, 6, 7, 6], [8] * 10)
    assert apart.high - apart.low < (alike.high - alike.low) / 2


def test_one_prompt_tells_no_interval_and_none_tells_nothing():
    assert ratio([3], [2]) == Interval(1.5)
    assert ratio([], []) is None
    assert ratio([5.0], [0.0]) is None, "no kept row: no cost of one"
    assert share([], []) is None


def test_all_prompts_leave_nothing_uncertain():
    found = ratio([1, 2, 9], [1, 1, 1], whole=3)
    assert (found.low, found.value, found.high) == (4, 4, 4)


@given(st.lists(st.tuples(st.floats(0, 1e6), st.integers(1, 50)), min_size=1, max_size=30))
def test_a_ratio_lies_in_its_interval(pairs):
    found = ratio([a for a, _ in pairs], [float(b) for _, b in pairs])
    assert found.value == pytest.approx(sum(a for a, _ in pairs) / sum(b for _, b in pairs))
    if len(pairs) > 1:
        assert 0 <= found.low <= found.value <= found.high


@given(st.lists(st.tuples(st.integers(0, 8), st.integers(0, 8)), min_size=1, max_size=30))
def test_a_share_and_its_interval_are_shares(pairs):
    found = share([a for a, _ in pairs], [a + b for a, b in pairs])
    if found is not None:
        assert 0 <= found.low <= found.value <= found.high <= 1


def test_intervals_hold_the_truth_about_as_often_as_they_say():
    """Lengths of replies are skewed, and alike within a prompt: a lognormal with prompts 0.7 apart, samples 0.4."""
    rng = random.Random(7)
    truth = 2.718281828 ** (0.7**2 / 2 + 0.4**2 / 2)
    held = 0
    for _ in range(1000):
        seen = Ratio()
        for _ in range(40):
            prompt = rng.gauss(0, 0.7)
            seen.add(sum(2.718281828 ** (prompt + rng.gauss(0, 0.4)) for _ in range(4)), 4)
        found = seen.interval()
        held += found.low <= truth <= found.high
    assert 890 <= held <= 980


def test_shares_hold_the_truth_about_as_often_as_they_say():
    rng = random.Random(8)
    held = 0
    for _ in range(1000):
        prompts = [rng.betavariate(4, 1) for _ in range(30)]  # some prompts are hard: 0.8 on average
        found = share([sum(rng.random() < p for _ in range(4)) for p in prompts], [4] * 30)
        held += found.low <= 0.8 <= found.high
    assert 900 <= held <= 985
