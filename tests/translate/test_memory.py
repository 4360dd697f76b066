"""What is known already is not asked: files by people, replies of earlier runs, and requests of other processes."""

from __future__ import annotations

import json
import subprocess
import sys

import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tracemill
from campaign import first
from tracemill.errors import RecipeError
from tracemill.storage.claims import Claims
from tracemill.testing import ScriptedServer
from tracemill.testing.translator import Pretender
from tracemill.translation.exchange import NOT_XML, Pair, read_pairs, write_pairs

from scenes import made_rows, recipe, write_rows  # isort: skip

LINE = "Let us work this out step by step."
PEOPLE = "Résolvons ceci étape par étape."
TEXTS = st.text(st.characters(exclude_categories=("Cs",)), min_size=1).filter(
    lambda t: t.strip() and not NOT_XML.search(t)
)


@given(pairs=st.lists(st.builds(Pair, st.just("en"), st.sampled_from(["fr", "ja"]), TEXTS, TEXTS, TEXTS), max_size=5))
@pytest.mark.parametrize("name", ["a.tmx", "a.xlf", "a.jsonl"])
def test_pairs_come_back_from_every_form_as_they_were(name, pairs):
    back = read_pairs(name, write_pairs(name, pairs))
    assert sorted((p.target_language, p.source, p.target) for p in back) == sorted(
        (p.target_language, p.source, p.target) for p in pairs
    )


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("a.tmx", b'<!DOCTYPE t [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><tmx><body>&b;</body></tmx>', "entities"),
        ("a.tmx", b'<!DOCTYPE t [<!ENTITY x SYSTEM "file:///etc/passwd">]><tmx>&x;</tmx>', "entities"),
        ("a.xlf", b"<xliff><file>", "no XML"),
        ("a.jsonl", b'{"source": 3}\n', "line 1"),
        ("a.txt", b"", "ending"),
    ],
)
def test_a_file_that_is_no_memory_is_refused_with_its_place(name, data, said):
    with pytest.raises(ValueError, match=said):
        read_pairs(name, data)


@pytest.mark.parametrize("name", first(1, ["people.tmx", "people.xlf", "people.jsonl"]))
def test_what_people_translated_is_used_before_any_model_is_asked(name, tmp_path):
    source = write_rows(tmp_path / "rows.jsonl", made_rows(4))
    memory = tmp_path / name
    memory.write_bytes(write_pairs(name, [Pair("en", "fr", LINE, PEOPLE)]))
    pretender = Pretender()
    with ScriptedServer(pretender) as server:
        wanted = recipe(source, server.url, ("fr",), memory=(str(memory),))
        report = tracemill.translate(None, None, tmp_path / "run", recipe=wanted, workers=1)
    rows = pq.read_table(tmp_path / "run" / "data" / "multilingual_fr-00000-of-00001.parquet").to_pylist()
    assert all(PEOPLE in row["messages"][1]["content"] for row in rows)
    assert ("French", LINE) not in pretender.texts
    assert report.remembered == {"fr": 4}
    memory.unlink()
    assert tracemill.audit(tmp_path / "run").ok, "the run keeps its own copy"


def test_what_people_translated_must_pass_the_gates(tmp_path):
    source = write_rows(tmp_path / "rows.jsonl", made_rows(2))
    memory = tmp_path / "people.jsonl"
    memory.write_bytes(write_pairs(memory.name, [Pair("en", "fr", LINE, "Faisons 97 choses.")]))
    pretender = Pretender()
    with ScriptedServer(pretender) as server:
        wanted = recipe(source, server.url, ("fr",), memory=(str(memory),))
        report = tracemill.translate(None, None, tmp_path / "run", recipe=wanted, workers=1)
    assert (report.remembered, report.rows) == ({"fr": 0}, {"fr": 2})
    assert pretender.texts["French", LINE] == 1


def test_a_memory_that_is_not_there_is_told_before_anything_is_asked(tmp_path):
    source = write_rows(tmp_path / "rows.jsonl", made_rows(1))
    with ScriptedServer(Pretender()) as server:
        wanted = recipe(source, server.url, ("fr",), memory=(str(tmp_path / "none.tmx"),))
        with pytest.raises(RecipeError, match=r"translate\.memory.*none\.tmx"):
            tracemill.translate(None, None, tmp_path / "run", recipe=wanted, workers=1)
        assert server.stats().received == 0


def test_replies_of_an_earlier_run_serve_a_new_one(tmp_path):
    source = write_rows(tmp_path / "rows.jsonl", made_rows(4))
    with ScriptedServer(Pretender()) as server:
        first = recipe(source, server.url, ("fr",))
        tracemill.translate(None, None, tmp_path / "first", recipe=first, workers=1)
        more = write_rows(tmp_path / "more.jsonl", made_rows(5))
        second = recipe(more, server.url, ("fr",), memory=(str(tmp_path / "first"),))
        before = server.stats().received
        report = tracemill.translate(None, None, tmp_path / "second", recipe=second, workers=1)
        asked = server.stats().received - before
    assert report.rows == {"fr": 5}
    assert report.sent == asked == 2, "the lines of the one new row that no other has, numbers in formulas apart"
    assert tracemill.audit(tmp_path / "second").ok


ASKS = """
import asyncio, sys, json
from pathlib import Path
from tracemill.models.door import Door
from tracemill.models.sharing import Sharing
from tracemill.models.teachers import open_pools
from tracemill.recipe import Recipe
from tracemill.storage.claims import Claims
from tracemill.storage.journal import Journal
from tracemill.translation.asking import Asking
from tracemill.translation.prompting import load_prompt
from tracemill.languages import language

async def main(folder, recipe):
    journal, pools = Journal(Path(folder)), open_pools(recipe)
    asking = Asking(Sharing(Door(journal, pools), Claims(Path(folder) / "claims")), recipe)
    prompt, en, fr = load_prompt("nemotron-v2"), language("en"), language("fr")
    texts = [f"Line {n} of a text that both processes need." for n in range(40)]
    await asyncio.gather(*(asking(asking.request("small", prompt, text, en, fr)) for text in texts))
    for pool in pools.values():
        await pool.shut()
    journal.close()

asyncio.run(main(sys.argv[1], Recipe.model_validate_json(sys.argv[2])))
"""


def test_two_processes_that_want_the_same_replies_at_once_ask_each_once(tmp_path):
    from tracemill.storage.journal import Journal

    pretender = Pretender()
    source = write_rows(tmp_path / "rows.jsonl", made_rows(1))
    Journal.create(tmp_path / "journal", 1)
    with ScriptedServer(pretender, latency=1.0) as server:
        told = json.dumps(recipe(source, server.url).model_dump(mode="json", exclude_none=True))
        both = [subprocess.Popen([sys.executable, "-c", ASKS, str(tmp_path / "journal"), told]) for _ in range(2)]
        assert [process.wait(timeout=120) for process in both] == [0, 0]
    assert len(pretender.texts) == 40
    assert set(pretender.texts.values()) == {1}


def test_a_claim_ends_with_its_process(tmp_path):
    claims, key = Claims(tmp_path / "claims"), "ab" * 32
    held = (
        "import sys; from pathlib import Path; from tracemill.storage.claims import Claims\n"
        f"c = Claims(Path({str(tmp_path / 'claims')!r})); print(c.take({key!r}), flush=True); sys.stdin.read()"
    )
    process = subprocess.Popen([sys.executable, "-c", held], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "True\n"
    assert claims.take("cd" * 32)
    assert not claims.take(key)
    process.kill()
    process.communicate()
    assert claims.take(key)
    claims.close()


def test_a_sample_to_look_at_comes_back_corrected_and_the_card_tells_the_agreement(tmp_path):
    from tracemill.multilingual.pairs import export

    source = write_rows(tmp_path / "rows.jsonl", made_rows(4))
    with ScriptedServer(Pretender()) as server:
        wanted = recipe(source, server.url, ("fr",))
        tracemill.translate(None, None, tmp_path / "run", recipe=wanted, workers=1)
        assert export(tmp_path / "run", tmp_path / "review.xlf", sample=6) == 6
        drawn = read_pairs("review.xlf", (tmp_path / "review.xlf").read_bytes())
        assert all(pair.machine == pair.target for pair in drawn)
        mended = [Pair("en", "fr", p.source, p.target + (" !" if n == 0 else ""), p.note, p.machine)
                  for n, p in enumerate(drawn)]  # fmt: skip
        (tmp_path / "review.xlf").write_bytes(write_pairs("review.xlf", mended))
        again = recipe(source, server.url, ("fr",), memory=(str(tmp_path / "review.xlf"),))
        before = server.stats().received
        report = tracemill.translate(None, None, tmp_path / "run", recipe=again, workers=1)
        assert server.stats().received == before
    assert report.remembered["fr"] >= 6
    rows = pq.read_table(tmp_path / "run" / "data" / "multilingual_fr-00000-of-00001.parquet").to_pylist()
    assert any(mended[0].target in m["content"] for row in rows for m in row["messages"])
    assert "segments looked at by people" in (tmp_path / "run" / "README.md").read_text()
    assert export(tmp_path / "run", tmp_path / "all.tmx") > 6
    life = tracemill.explain(tmp_path / "run", rows[0]["uuid"])
    assert life.attempts
    assert {attempt["outcome"] for attempt in life.attempts} == {"reply"}
