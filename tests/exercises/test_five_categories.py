"""All five categories in one small build, offline: the ledger is the teacher's plan, whatever the number of workers."""

import hashlib
import re
from collections import Counter

import pyarrow.parquet as pq
import pytest

import tracemill as tm
from tracemill.record import CATEGORIES
from tracemill.sandbox import find_sandbox

SLIPS = {"wrong": 0.3}


def five(slips):
    return tm.Recipe(
        name="five",
        license="CC0-1.0",
        seed=3,
        prompts=(
            tm.GeneratedPrompts(generate="exercises", count=60, name="four", categories=("chat", "math", "stem")),
            tm.GeneratedPrompts(generate="exercises", count=30, name="tools", categories=("tool_calling",)),
            tm.GeneratedPrompts(generate="exercises", count=8, name="code", categories=("code",)),
        ),
        teachers={
            "careless": tm.Teacher(url="builtin", model="careless", slips=slips),
            "judge": tm.Teacher(url="builtin", model="judge"),
        },
        respond={"reasoning": "both"},
        judge={
            "teacher": "judge",
            "categories": ["chat", "code"],
            "rubrics": {"chat": "exercises", "code": "exercises"},
        },
        verify={"code": {"policy": "require"}},
    )


def bytes_of(out):
    names = sorted(path for folder in ("data", "rejected") for path in (out / folder).glob("*.parquet"))
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in [*names, out / "README.md"]}


def rows_of(folder):
    return pq.read_table(folder).to_pylist() if folder.exists() else []


@pytest.fixture(scope="module")
def careless(tmp_path_factory):
    out = tmp_path_factory.mktemp("five") / "run"
    return tm.build(five(SLIPS), out, workers=1)


def test_whoever_does_all_exercises_rightly_loses_no_row(tmp_path):
    report = tm.build(five({}), tmp_path / "run", workers=1)
    lost = {reason: count for reason, count in report.lost.items() if "duplicate" not in reason}
    if find_sandbox().sandbox is None:
        assert set(lost) == {"verify_code: unverified"}
    else:
        assert not lost
        assert set(report.splits) == set(CATEGORIES)
    assert tm.audit(tmp_path / "run").ok


def test_what_goes_wrong_is_found_in_every_category(careless):
    rejected = rows_of(careless.out / "rejected")
    by_category = Counter(row["category"] for row in rejected if row["reason"] not in ("duplicate", "unverified"))
    assert set(by_category) >= {"chat", "math", "stem", "tool_calling"}
    for category, count in by_category.items():
        asked = sum(row["category"] == category for row in (*rejected, *rows_of(careless.out / "data")))
        assert 0.1 * asked < count < 0.6 * asked, (category, count, asked)


def test_errands_of_several_steps_are_run_in_the_world(careless):
    rows = [row for row in rows_of(careless.out / "data") if row["category"] == "tool_calling"]
    roles = Counter(message["role"] for row in rows for message in row["messages"])
    assert roles["tool"] > 0
    assert max(sum(bool(message["tool_calls"]) for message in row["messages"]) for row in rows) == 2


def test_more_workers_make_the_same_bytes(careless, tmp_path):
    again = tm.build(five(SLIPS), tmp_path / "run", workers=3)
    assert bytes_of(again.out) == bytes_of(careless.out)


def test_the_card_tells_of_each_category(careless):
    card = (careless.out / "README.md").read_text()
    assert "| category | model | rows | reasoning on | reasoning off |" in card
    assert "| stage | reason | chat |" in card
    assert "Answers of chat and code that no rule could tell about were judged by judge" in card
    assert "| gold bad | fail | 0 |" in card
    assert re.search(r"\| gold good \| pass \| [1-9]\d* \| 0 \|", card)
