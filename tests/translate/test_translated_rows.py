"""Rows into other languages, through a real server and a real run."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pyarrow.parquet as pq
import pytest

import tracemill
from tracemill import identity
from tracemill.testing import ScriptedServer, ShuffledEngine
from tracemill.testing.translator import Faulty, Pretender

from scenes import made_rows, recipe, write_rows  # isort: skip


def rows_of(out: Path, directory: str = "data") -> list[dict]:
    return [row for file in sorted((out / directory).glob("*.parquet")) for row in pq.read_table(file).to_pylist()]


@pytest.fixture(scope="module")
def translated(tmp_path_factory):
    """A run over 12 rows into two languages by a translator that makes no mistakes, and what it was asked."""
    folder = tmp_path_factory.mktemp("translated")
    source = write_rows(folder / "rows.jsonl", made_rows(12))
    pretender = Pretender()
    with ScriptedServer(pretender) as server:
        report = tracemill.translate(None, None, folder / "run", recipe=recipe(source, server.url), workers=1)
    return report, folder / "run", pretender


def test_every_row_is_there_in_every_language_and_the_originals_too(translated):
    report, out, _ = translated
    rows = rows_of(out)
    assert Counter(row["language"] for row in rows) == {"en": 12, "fr": 12, "ja": 12}
    assert report.rows == {"fr": 12, "ja": 12}
    assert tracemill.audit(out).ok


def test_a_translated_row_names_its_parent_its_domain_and_its_split(translated):
    _, out, _ = translated
    parents = {row["uuid"]: row for row in rows_of(out) if row["language"] == "en"}
    children = [row for row in rows_of(out) if row["language"] != "en"]
    assert len(children) == 24
    for child in children:
        parent = parents[child["parent_uuid"]]
        assert child["uuid"] == identity.translation_uuid(parent["uuid"], child["language"])
        assert (child["category"], child["domain"]) == (f"multilingual_{child['language']}", parent["category"])
        assert (child["generator"], child["license"]) == (parent["generator"], parent["license"])
        assert [v["step"] for v in child["verdicts"]] == ["translate", "verify_math"]
    assert {file.name.split("-")[0] for file in (out / "data").iterdir()} == {
        "math",
        "multilingual_fr",
        "multilingual_ja",
    }


def test_traces_code_formulas_and_boxes_are_byte_for_byte_those_of_the_original(translated):
    _, out, _ = translated
    parents = {row["uuid"]: row["messages"][1]["content"] for row in rows_of(out) if row["language"] == "en"}
    for child in rows_of(out):
        if child["language"] == "en":
            continue
        mine, theirs = child["messages"][1]["content"], parents[child["parent_uuid"]]
        assert mine.partition("</think>")[0] == theirs.partition("</think>")[0]
        assert mine.partition("</think>")[2] != theirs.partition("</think>")[2]
        for kept in (theirs[theirs.index("```") : theirs.rindex("```")], theirs[theirs.index("\\boxed") :], "$x = "):
            assert kept in mine


def test_no_model_sees_a_trace_a_fence_or_a_formula(translated):
    *_, pretender = translated
    seen = " ".join(text for _, text in pretender.texts)
    assert "step by step" in seen
    assert not [word for word in ("Let me see", "print(", "$x", "boxed", "<think>") if word in seen]


def test_a_line_that_all_rows_have_is_asked_once_in_each_language(translated):
    report, _, pretender = translated
    assert pretender.texts["French", "Let us work this out step by step."] == 1
    assert set(pretender.texts.values()) == {1}
    assert report.to_json()["calls_saved"] >= 2 * 11
    assert report.replies == sum(pretender.texts.values()) == report.sent


def test_the_same_command_again_asks_nothing(translated):
    _, out, _ = translated
    plan = tracemill.load_recipe(out / ".tracemill" / "recipe.yaml")
    assert tracemill.translate(None, None, out, recipe=plan, workers=1).sent == 0


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("no_brackets", "brackets"),
        ("broken_placeholder", "placeholders"),
        ("changed_number", "numbers"),
        ("wrong_language", "language"),
        ("copied", "copied"),
    ],
)
def test_a_model_that_always_fails_loses_its_rows_with_the_gate_and_the_segment(kind, reason, tmp_path):
    source = write_rows(tmp_path / "rows.jsonl", made_rows(3))
    with ScriptedServer(Pretender(always=kind)) as server:
        wanted = recipe(source, server.url, ("fr",))
        report = tracemill.translate(None, None, tmp_path / "run", recipe=wanted, workers=1)
    lost = rows_of(tmp_path / "run", "rejected")
    assert report.rows == {"fr": 0}
    assert {row["stage"] for row in lost} == {"translate"}
    assert reason in {row["reason"] for row in lost}
    assert all("segment" in row["evidence"] and "source:" in row["evidence"] for row in lost)
    assert report.refused["fr"][reason] >= 5
    assert tracemill.audit(tmp_path / "run").ok


def test_what_fails_once_is_asked_again_and_no_row_is_lost(tmp_path):
    source = write_rows(tmp_path / "rows.jsonl", made_rows(30))
    pretender = Pretender(Faulty(no_brackets=0.05, broken_placeholder=0.03, changed_number=0.03, wrong_language=0.02))
    with ScriptedServer(pretender) as server:
        report = tracemill.translate(None, None, tmp_path / "run", recipe=recipe(source, server.url), workers=1)
    assert report.rows == {"fr": 30, "ja": 30}
    assert pretender.planned["no_brackets"] > 3
    told = report.to_json()
    assert 1.0 < told["attempts_per_segment"] < 1.2
    assert (
        sum(report.refused["fr"].values()) + sum(report.refused["ja"].values()) >= sum(pretender.planned.values()) * 0.9
    )


def test_rows_do_not_depend_on_who_works_them_in_which_order(translated, tmp_path):
    _, out, _ = translated
    before = {file.name: file.read_bytes() for file in (out / "data").iterdir()}
    source = write_rows(tmp_path / "rows.jsonl", made_rows(12))
    with ScriptedServer(Pretender()) as server:
        wanted = recipe(source, server.url)
        tracemill.translate(None, None, tmp_path / "run", recipe=wanted, engine=ShuffledEngine(3))
    assert {file.name: file.read_bytes() for file in (tmp_path / "run" / "data").iterdir()} == before
