"""The benchmarks still run, and docs/benchmarks.md says what bench/results holds."""

from __future__ import annotations

import json
import re
import socket
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from bench import (  # noqa: E402
    ask,
    code,
    consume,
    identify,
    journal,
    publish,
    tables,
    translate_speed,
    translate_yield,
    validate,
    verify,
)
from bench.result import RESULTS, Measure, compared, read_result  # noqa: E402

from tracemill.sandbox import find_sandbox  # noqa: E402


@pytest.mark.parametrize("name", tables.NAMES)
def test_a_result_says_what_is_needed_to_judge_it(name):
    text = (RESULTS / f"{name}.json").read_text(encoding="utf-8")
    result = read_result(RESULTS / f"{name}.json")
    assert result.name == name
    assert not result.quick
    assert result.pairs >= 3
    assert result.cores >= 1
    assert re.fullmatch(r"\d+\.\d+\.\d+", result.python)
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", result.date)
    assert {*result.noise} == {"load_before", "load_after"}
    assert socket.gethostname() not in text
    assert not re.search(r'"/\w', text), "a path of the machine"
    assert result.sentences(), "a speed is shown by a ratio"
    assert result.to_json() == text


def test_the_page_is_fresh():
    page = tables.PAGE.read_text(encoding="utf-8")
    assert page == tables.page(page), "run: python -m bench.tables"


def test_a_page_without_a_table_is_refused():
    with pytest.raises(ValueError, match="'ask'"):
        tables.page("# Benchmarks\n")


def test_a_ratio_is_taken_within_pairs_and_its_median_shown():
    runs = {"ours": [{"rate": 10.0}, {"rate": 90.0}, {"rate": 40.0}], "theirs": [{"rate": 20.0}] * 2 + [{"rate": 10.0}]}
    (line,) = compared(runs, [Measure("rate", "rows/s", headline=True)])
    assert line.medians == [40.0, 20.0]
    assert line.ratios[0] is None
    assert (line.ratios[1].median, line.ratios[1].least, line.ratios[1].most) == (4.0, 0.5, 4.5)


def test_a_figure_that_nobody_could_read_is_no_ratio():
    (line,) = compared({"ours": [{"memory": None}], "theirs": [{"memory": 3.0}]}, [Measure("memory", "MB")])
    assert (line.medians, line.ratios) == ([None, 3.0], [None, None])


def test_code_is_measured_where_there_is_a_sandbox():
    standing = find_sandbox()
    if standing.sandbox is None:
        pytest.skip(standing.missing)
    result = code.measure(True, 1, answers=2)
    assert all(all(line.medians) for line in result.lines)
    assert "probes took" in result.remarks[0]


def test_verify_says_so_when_the_recorded_answers_are_not_there(tmp_path):
    result = verify.measure(True, 1, recorded=tmp_path / "absent", most=3)
    assert any("not beside the project" in remark for remark in result.remarks)
    assert [line.text for line in result.lines] == ["algebra: decisions/s", "algebra: ms for each pair"]


def long(name, small):
    return pytest.param(small, id=name, marks=pytest.mark.storm)


@pytest.mark.parametrize(
    "small",
    [
        pytest.param(lambda: journal.measure(True, 1, count=256), id="journal"),
        pytest.param(lambda: consume.measure(True, 1, rows=60), id="consume"),
        pytest.param(lambda: translate_speed.measure(True, 1, count=4), id="translate_speed"),
        long("ask", lambda: ask.measure(True, 1, count=40)),
        long("publish", lambda: publish.measure(True, 1, count=60)),
        long("validate", lambda: validate.measure(True, 1, rows=60)),
        long("identify", lambda: identify.measure(True, 1, most=3)),
        long("translate_yield", lambda: translate_yield.measure(True, 1, count=4)),
    ],
)
def test_a_benchmark_runs_and_can_be_read_back(small, tmp_path):
    result = small()
    file = tmp_path / "result.json"
    file.write_text(result.to_json(), encoding="utf-8")
    assert read_result(file) == result
    assert len(result.table()) == 2 + len(result.lines)
    assert all(line.medians[0] is not None for line in result.lines if "memory" not in line.text)
    assert json.loads(result.to_json())["noise"]["load_before"]
