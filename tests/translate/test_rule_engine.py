"""A real translation program behind the door: Apertium, where it is installed."""

from __future__ import annotations

import pyarrow.parquet as pq
import pytest

import tracemill
from tracemill.errors import RecipeError
from tracemill.recipe import Recipe, Rows, Teacher, Translate
from tracemill.translators import TranslatorError
from tracemill.translators.apertium import modes, route

from scenes import made_rows, write_rows  # isort: skip


def installed(source: str, target: str) -> bool:
    try:
        return route(modes(), source, target) is not None
    except TranslatorError:
        return False


def by_rules(rows, *to: str) -> Recipe:
    return Recipe(
        name="rules",
        license="CC0-1.0",
        prompts=(Rows(rows=str(rows)),),
        teachers={"rules": Teacher(url="apertium", model="apertium-3")},
        translate=Translate(to=to, routes={"default": ("rules",)}),
    )


@pytest.mark.skipif(not installed("en", "es"), reason="Apertium with the pair English to Spanish is not installed")
def test_real_spanish_keeps_traces_code_and_boxes(tmp_path):
    source = write_rows(tmp_path / "rows.jsonl", made_rows(6))
    report = tracemill.translate(None, None, tmp_path / "run", recipe=by_rules(source, "es"), workers=1)
    assert report.rows["es"] >= 5
    rows = pq.read_table(tmp_path / "run" / "data" / "multilingual_es-00000-of-00001.parquet").to_pylist()
    for row in rows:
        answer = row["messages"][1]["content"]
        assert "La respuesta es \\boxed{" in answer
        assert "```python\nprint(" in answer
        assert answer.startswith("<think>\nLet me see, row")
    assert tracemill.audit(tmp_path / "run").ok


@pytest.mark.skipif(not installed("en", "es"), reason="Apertium is not installed")
def test_a_language_that_no_chain_of_modes_leads_to_is_told(tmp_path):
    source = write_rows(tmp_path / "rows.jsonl", made_rows(1))
    with pytest.raises(RecipeError, match="no modes of Apertium lead from en to ja"):
        tracemill.translate(None, None, tmp_path / "run", recipe=by_rules(source, "ja"), workers=1)
