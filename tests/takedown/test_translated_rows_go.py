"""A row that is taken down takes its translations along; a dataset on the Hub is left as it is."""

from __future__ import annotations

import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest

import tracemill as tm
from rows import rows, write_lines
from tracemill import identity
from tracemill.errors import UsageError
from tracemill.takedown.copy import prompt_hash_of
from tracemill.testing import ScriptedServer
from tracemill.testing.translator import Pretender


@pytest.fixture(scope="module")
def translated(tmp_path_factory):
    """A run over six rows, in English, French and Japanese."""
    folder = tmp_path_factory.mktemp("translated")
    write_lines(folder / "rows.jsonl", rows("math", 6))
    with ScriptedServer(Pretender()) as server:
        recipe = tm.Recipe(
            name="multi",
            license="CC-BY-4.0",
            prompts=(tm.Rows(rows=str(folder / "rows.jsonl"), name="rows"),),
            teachers={"small": tm.Teacher(url=server.url, model="small-model")},
            translate=tm.Translate(to=("fr", "ja"), routes={"default": ("small",)}),
        )
        tm.translate(None, None, folder / "run", recipe=recipe, workers=1)
    return folder / "run"


def by_parent(place):
    """The languages that each row of the data is there in, by the uuid of the original."""
    found = {}
    for file in sorted((place / "data").glob("*.parquet")):
        for r in pq.read_table(file, columns=["uuid", "parent_uuid", "language"]).to_pylist():
            found.setdefault(r["parent_uuid"] or r["uuid"], set()).add(r["language"])
    return found


def test_translations_go_with_the_row_that_they_translate(translated, tmp_path):
    place = Path(shutil.copytree(translated, tmp_path / "run"))
    first, second, *others = by_parent(place)
    [child] = [
        r["uuid"]
        for r in pq.read_table(place / "data").to_pylist()
        if (r["parent_uuid"], r["language"]) == (second, "fr")
    ]
    report = tm.remove(place, uuids=[first, child])
    assert report.removed == {"data/math": 1, "data/multilingual_fr": 2, "data/multilingual_ja": 1}
    assert report.absent == ()
    assert by_parent(place) == {second: {"en", "ja"}, **{other: {"en", "fr", "ja"} for other in others}}
    assert tm.audit(place).ok
    gone = identity.translation_uuid(first, "ja")
    assert tm.explain(place, gone).place == "removed"
    hashed = tm.explain(place, others[0]).prompt_hash
    assert sum(tm.remove(place, prompt_hashes=[hashed]).removed.values()) == 3
    assert tm.audit(place).ok


def test_of_a_copy_translations_go_as_well(translated, tmp_path):
    shutil.copytree(translated / "data", tmp_path / "theirs" / "data")
    first, second, *others = by_parent(tmp_path / "theirs")
    hashed = prompt_hash_of(next(r for r in tm.open(tmp_path / "theirs") if r["uuid"] == second))
    report = tm.remove(tmp_path / "theirs", uuids=[first], prompt_hashes=[hashed], out=tmp_path / "out")
    assert report.removed == {"data/math": 2, "data/multilingual_fr": 2, "data/multilingual_ja": 2}
    assert by_parent(tmp_path / "out") == {other: {"en", "fr", "ja"} for other in others}


def test_a_dataset_on_the_hub_is_never_changed():
    with pytest.raises(UsageError, match=r"someone/maths is taken for a dataset on the Hub.*--out"):
        tm.remove("someone/maths", uuids=["6f1f2c3d-0000-4000-8000-000000000001"])


def test_of_one_file_whose_name_tells_no_language_translations_go_as_well(translated, tmp_path):
    held = [{name: value for name, value in r.items() if name != "split"} for r in tm.open(translated / "data")]
    assert {r["language"] for r in held} == {"en", "fr", "ja"}
    file = write_lines(tmp_path / "train.jsonl", held)
    asked = next(r for r in held if r["language"] == "en")
    report = tm.remove(file, prompt_hashes=[prompt_hash_of(asked)], out=tmp_path / "out")
    assert report.removed == {"data/train": 3}
    gone = {asked["uuid"], *(identity.translation_uuid(asked["uuid"], language) for language in ("fr", "ja"))}
    assert {r["uuid"] for r in tm.open(tmp_path / "out")} == {r["uuid"] for r in held} - gone


def test_a_translation_into_english_goes_with_its_source(tmp_path):
    source, child, other = (
        {**r, "language": code} for r, code in zip(rows("chat", 3), ("de", "en", "en"), strict=True)
    )
    child["uuid"] = identity.translation_uuid(source["uuid"], "en")
    file = write_lines(tmp_path / "train.jsonl", [source, child, other])
    report = tm.remove(file, uuids=[source["uuid"]], out=tmp_path / "out")
    assert report.removed == {"data/train": 2}
    assert [r["uuid"] for r in tm.open(tmp_path / "out")] == [other["uuid"]]
