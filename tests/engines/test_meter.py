"""Rates, the time that is left and the cost in the end, from numbers as an engine gives them."""

from __future__ import annotations

import json

import pytest

from tracemill.engines.messages import Progress, span
from tracemill.engines.meter import WINDOW, Meter


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


def seen(rows, **stats):
    return Progress(3, 1, dict(stats), {"kept": rows})


def test_rates_are_those_of_the_last_minute():
    clock = Clock()
    meter = Meter(10_000, clock=clock)
    for second in range(1, 301):
        clock.now += 1
        rows = second * 10 if second <= 200 else 2000 + (second - 200) * 2  # it became slower
        found = meter.read(seen(rows, completion_tokens=rows * 100, prompt_tokens=rows * 10))
    assert found.rows_per_second == pytest.approx(2, rel=0.02)
    assert found.tokens_per_second == pytest.approx(220, rel=0.02)
    assert found.eta == pytest.approx((10_000 - 2200) / 2, rel=0.02)
    assert len(meter._seen) <= WINDOW + 3


def test_what_is_in_flight_takes_its_slow_tail_and_no_more():
    clock = Clock()
    meter = Meter(1000, clock=clock)
    clock.now += 10
    assert meter.read(seen(100, in_flight=50, p95=8.0)).eta == pytest.approx(850 / 10 + 8)
    clock.now += 50
    assert meter.read(seen(960, in_flight=40, p95=8.0)).eta == 8.0, "all that is left is in flight"
    clock.now += 8
    assert meter.read(seen(1000)).eta == 0


def test_nothing_is_foretold_from_nothing():
    clock = Clock()
    meter = Meter(100, clock=clock)
    clock.now += 5
    first = meter.read(seen(0, in_flight=16))
    assert (first.eta, first.cost_projected, first.rows_per_second) == (None, None, 0)


def test_the_cost_in_the_end_counts_what_earlier_calls_paid_and_how_many_replies_a_row_takes():
    clock = Clock()
    meter = Meter(200, cost_before=3.0, clock=clock)
    clock.now += 10
    found = meter.read(seen(100, replies=110, served=10, cost=11.0))  # 1.2 replies a row, 0.1 each
    assert found.cost_projected == pytest.approx(3 + 11 + 100 * 1.2 * 0.1)
    assert "spent 14" in " ".join(found.lines())


def test_progress_survives_json():
    clock = Clock()
    clock.now += 10
    progress = Meter(50, 1.5, clock=clock).read(seen(20, in_flight=3, limit=8, p50=0.5, p95=2.0, down=1, down_for=35.0))
    told = json.loads(json.dumps({"state": "running", **progress.to_json()}))
    assert Progress.from_json(told) == progress
    assert Progress.from_json(told).lines() == progress.lines()


def test_a_person_reads_what_matters():
    fates = {"kept": 90, "wrong_answer": 8, "empty": 2, "failed: timeout": 1}
    stats = {"in_flight": 12, "limit": 16, "throttled": 3, "retried": 2, "p50": 2.5, "p95": 75.0, "served": 7}
    stats |= {"down": 1, "down_for": 95.0, "waiting": 40, "cost": 0.25}
    text = "\n".join(Progress(4, 1, stats, fates, samples=200, eta=130, cost_projected=0.5).lines())
    for part in (
        "101/200 rows (50%)",
        "2 min 10 s left",
        "kept 90 (89%)",
        "dropped 11: wrong_answer 8, empty 2, failed: timeout 1",
        "in flight 12/16",
        "95 % below 1 min 15 s",
        "throttled 3",
        "retried 2",
        "1 endpoint has not answered for 1 min 35 s",
        "40 requests wait",
        "7 from the journal",
        "spent 0.25, about 0.5 when done",
    ):
        assert part in text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (0.354, "0.35 s"),
        (9.96, "10 s"),
        (59.4, "59 s"),
        (200, "3 min 20 s"),
        (7500, "2 h 5 min"),
        (273_600, "3 d 4 h"),
    ],
)
def test_times_are_short(seconds, text):
    assert span(seconds) == text
