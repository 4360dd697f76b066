"""Translation as a stage of a build, with the words of a glossary, a language from a file, and models by language."""

from __future__ import annotations

from collections import Counter

import pyarrow.parquet as pq
import pytest

import tracemill
from tracemill.errors import RecipeError
from tracemill.languages import language
from tracemill.recipe import GeneratedPrompts, Recipe, Teacher, Translate
from tracemill.testing import ScriptedServer
from tracemill.testing.translator import Pretender

from scenes import made_rows, recipe, row, write_rows  # isort: skip


def columns(out, *names):
    tables = [pq.read_table(file, columns=list(names)).to_pylist() for file in sorted((out / "data").glob("*.parquet"))]
    return [tuple(one[name] for name in names) for table in tables for one in table]


def test_a_build_translates_what_it_keeps_and_no_translator_answers_a_prompt(tmp_path):
    pretender = Pretender()
    with ScriptedServer(pretender) as server:
        wanted = Recipe(
            name="both",
            license="CC0-1.0",
            prompts=(GeneratedPrompts(generate="word_problems", count=12),),
            teachers={
                "careful": Teacher(url="builtin", model="builtin-careful", slips={"wrong": 0.3}),
                "small": Teacher(url=server.url, model="small-model"),
            },
            translate=Translate(to=("fr",), routes={"default": ("small",)}),
        )
        report = tracemill.build(wanted, tmp_path / "run", workers=1)
    rows = columns(tmp_path / "run", "language", "generator", "domain")
    kept = report.splits["math"]
    assert 0 < kept < 12, "the teacher slips"
    assert Counter(rows) == {("en", "builtin-careful", "math"): kept, ("fr", "builtin-careful", "math"): kept}
    assert tracemill.audit(tmp_path / "run").ok
    assert tracemill.build(wanted, tmp_path / "run", workers=1).sent == 0


def test_each_language_is_asked_of_its_own_route(tmp_path):
    source = write_rows(tmp_path / "rows.jsonl", made_rows(3))
    with ScriptedServer(Pretender()) as server:
        wanted = recipe(source, server.url, ("fr", "de"), routes={"default": ("small",), "de": ("large",)})
        tracemill.translate(None, None, tmp_path / "run", recipe=wanted, workers=1)
        asked = Counter((body["model"], "into German" in str(body["messages"])) for body in server.requests)
    assert set(asked) == {("small-model", False), ("large-model", True)}


def test_a_word_of_the_glossary_goes_along_and_must_be_used(tmp_path):
    source = write_rows(
        tmp_path / "rows.jsonl", [row(1, "How many apples does the farmer have in all his boxes?", "Many of them.")]
    )
    with ScriptedServer(Pretender()) as server:
        wanted = recipe(source, server.url, ("fr",), glossary={"fr": {"farmer": "cultivateur"}})
        report = tracemill.translate(None, None, tmp_path / "run", recipe=wanted, workers=1)
        assert any('Translate "farmer" as "cultivateur".' in str(body["messages"]) for body in server.requests)
    assert report.reasons["fr"] == {"translate: glossary": 1}


def test_a_language_comes_from_a_file_of_the_users_own_which_may_go_afterwards(tmp_path):
    own = language("fr").model_copy(update={"code": "frp", "name": "French", "own_name": "Arpitan"})
    file = tmp_path / "frp.yaml"
    file.write_text(own.model_dump_json(by_alias=True, exclude_none=True), encoding="utf-8")
    source = write_rows(tmp_path / "rows.jsonl", made_rows(2))
    with ScriptedServer(Pretender()) as server:
        wanted = recipe(source, server.url, (str(file),), gates={"language": False})
        report = tracemill.translate(None, None, tmp_path / "run", recipe=wanted, workers=1)
    file.unlink()
    assert report.rows == {"frp": 2}
    assert {language for (language,) in columns(tmp_path / "run", "language")} == {"en", "frp"}
    assert tracemill.audit(tmp_path / "run").ok


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"routes": {"default": ("nobody",)}}, "no teacher 'nobody'"),
        ({"routes": {"de": ("small",)}}, "no model translates into 'fr'"),
        ({"to": ("fr", "fr")}, "twice"),
        ({"to": ("en",)}, "source"),
    ],
)
def test_what_cannot_be_translated_is_told_when_the_recipe_is_read(more, said, tmp_path):
    told = {"to": ("fr",), "routes": {"default": ("small",)}, **more}
    with pytest.raises(ValueError, match=said):
        recipe(tmp_path, "http://127.0.0.1:1/v1", **told)


def test_a_language_or_a_prompt_that_nobody_knows_is_told_before_anything_is_asked(tmp_path):
    source = write_rows(tmp_path / "rows.jsonl", made_rows(1))
    for told, said in (({"to": ("xx",)}, "no language"), ({"prompt": "nemotron-v3"}, "nemotron-v2")):
        wanted = recipe(source, "http://127.0.0.1:1/v1", **{"to": ("fr",), **told})
        with pytest.raises(RecipeError, match=said):
            tracemill.translate(None, None, tmp_path / "run", recipe=wanted, workers=1)
