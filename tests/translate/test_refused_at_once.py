"""What a user asks for that cannot be is told before anything is read or paid for."""

from __future__ import annotations

import pytest

import tracemill
from tracemill.errors import RecipeError, UsageError
from tracemill.multilingual.pairs import check_file
from tracemill.multilingual.pilot import pilot
from tracemill.multilingual.report import TranslationReport
from tracemill.multilingual.run import recipe_for

from scenes import made_rows, recipe, write_rows  # isort: skip

NOBODY = "http://127.0.0.1:1/v1"


@pytest.mark.parametrize(
    ("to", "error", "said"),
    [
        ("fr,fr", RecipeError, "--to: .*'fr' is given twice"),
        ("en", RecipeError, "--to: .*'en' is the source's own language"),
        ("", UsageError, "--to names no language"),
        (" , ", UsageError, "--to names no language"),
        ([], UsageError, "--to names no language"),
    ],
)
def test_languages_that_cannot_be(to, error, said, tmp_path):
    with pytest.raises(error, match=said):
        tracemill.translate(None, to, tmp_path / "run", recipe=recipe(tmp_path / "rows.jsonl", NOBODY))
    assert not (tmp_path / "run").exists()


def test_languages_that_can_be(tmp_path):
    wanted = recipe_for(recipe(tmp_path, NOBODY), None, " fr , de,")
    assert wanted.translate.to == ("fr", "de")
    assert recipe_for(wanted, None, None) == wanted


def test_a_run_does_not_read_what_it_will_replace(tmp_path):
    run = tmp_path / "run"
    (run / "data").mkdir(parents=True)
    rows = write_rows(run / "data" / "rows.jsonl", made_rows(1))
    for data in (run, run / "data", rows):
        with pytest.raises(UsageError, match="lies in --out"):
            tracemill.translate(data, "fr", run, recipe=recipe(rows, NOBODY))
        with pytest.raises(UsageError, match="lies in --out"):
            pilot(recipe(data, NOBODY), run, 1)
    assert [file.name for file in run.iterdir()] == ["data"]


@pytest.mark.parametrize(
    ("name", "said"), [("pairs.doc", r"none of \.tmx"), ("none/pairs.tmx", "no directory"), ("a.tmx", "is a directory")]
)
def test_a_file_that_pairs_cannot_be_written_to(name, said, tmp_path):
    (tmp_path / "a.tmx").mkdir()
    with pytest.raises(UsageError, match=said):
        check_file(tmp_path / name)


@pytest.mark.parametrize("name", ["pairs.tmx", "pairs.XLF", "pairs.jsonl"])
def test_a_file_that_pairs_can_be_written_to(name, tmp_path):
    check_file(tmp_path / name)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("replies", "saved", "rate"), [(6, 2, 0.25), (60, 0, 0.0)])
def test_calls_that_earlier_rows_took_are_not_calls_saved_below_nothing(replies, saved, rate, tmp_path):
    told = TranslationReport(tmp_path, {"ko": 2}, [], {}, {}, {"ko": 8}, {"ko": 8}, {"ko": 0}, replies, {})
    assert (told.to_json()["calls_saved"], told.hit_rate) == (saved, rate)
