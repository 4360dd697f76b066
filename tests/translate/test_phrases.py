"""The generator's own sentences in five languages: all of them, through every gate, and as the memory of a build."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from importlib.resources import files
from random import Random

import pyarrow.parquet as pq
import pytest

import tracemill
from tracemill.languages import language
from tracemill.models.builtin import _ENDINGS, _INTROS, _LEADS
from tracemill.recipe import Gates, GeneratedPrompts, Recipe, Teacher, Translate
from tracemill.segments.masks import mask
from tracemill.translation.gates import SegmentGates
from tracemill.translation.phrasebook import CUT, built_in
from tracemill.translation.rules import rules_between
from tracemill.word_problems import DIFFICULTIES, FAMILIES

CODES = ("fr", "es", "de", "it", "ja")


def said(seed: int, rounds: int) -> list[str]:
    """Lines as the generator and the built-in teacher say them: every telling, and answers with every lead and ending."""
    rng, out = Random(seed), [*filter(None, _INTROS)]
    out.append((files("tracemill.respond") / "prompts" / "math.txt").read_text().splitlines()[0])
    for family in FAMILIES.values():
        for level in DIFFICULTIES:
            for telling in family.tellings[level] * rounds:
                params = family.draw(rng, level)
                out.append(telling.render(params))
                solved = family.solve(params)
                leads = rng.choice(_LEADS)
                out += [rng.choice(leads) + step for step in solved.steps]
                out += [" ".join(solved.steps[-2:]), rng.choice(_ENDINGS).format(solved.answer)]
    return out


@pytest.fixture(scope="module")
def lines():
    return said(1, 1)


@pytest.mark.parametrize("code", CODES)
def test_every_line_of_ours_is_known_in_every_language(lines, code):
    unknown = [line for line in lines if built_in().find(line, "en", code) is None]
    assert unknown == []


def test_the_sentences_of_the_book_are_those_that_are_said(lines):
    """A sentence that nobody says any more would stay in six files."""
    from tracemill.translation.phrasebook import _read

    met = {found.key for line in lines for part in CUT.split(line) if (found := _read(built_in(), part)) is not None}
    assert {sentence.key for sentence in built_in().sentences} - met == set()


@pytest.mark.parametrize("code", CODES)
def test_every_sentence_passes_the_gates(lines, code):
    source, target = language("en"), language(code)
    settings = Gates(address=True)
    among = (source, *map(language, CODES), target)
    gates = SegmentGates(settings, source, target, among, {}, rules_between(source, target, settings))
    refused = []
    for line in lines[:: 1 if code == "fr" else 3]:
        got = gates.judge_own(mask(line), built_in().find(line, "en", code) or "")
        if not isinstance(got, str):
            refused.append((got.reason, got.detail, line))
    assert refused == []


@pytest.mark.parametrize(
    ("code", "line", "wanted"),
    [
        ("fr", "Elena buys 4 oranges for $1.25 each.", "Elena achète 4 oranges à 1,25\u00a0$ chacune."),
        ("fr", "How many oranges does Ivan get?", "Combien d'oranges Ivan reçoit-il ?"),
        ("fr", "First: The oranges cost 4 × 1.25 = 5 dollars.", "D'abord : les oranges coûtent 4 × 1,25 = 5 dollars."),
        ("de", "A pack of 12 apples costs $3.", "Eine Packung mit 12 Äpfeln kostet 3\u00a0$."),
        ("de", "A town had 12,400 inhabitants.", "Eine Stadt hatte 12.400 Einwohner."),
        ("es", "Ravi and Irene share 9 pens in the ratio 2:1.", "Ravi e Irene se reparten 9 bolígrafos en la proporción 2:1."),
        ("es", "From 10:05 am to 1:20 pm it is 3 × 60 + 15 = 195 minutes.",
         "Desde las 10:05 de la mañana hasta la 1:20 de la tarde pasan 3 × 60 + 15 = 195 minutos."),
        ("it", "One backpack costs $9, and Hugo buys 2 of them.", "Uno zaino costa 9\u00a0$, e Hugo ne compra 2."),
        ("it", "The oranges cost 2 × 3 = 6 dollars.", "Le arance costano 2 × 3 = 6 dollari."),
        ("it", "Paula wants to buy an umbrella that normally costs $7.",
         "Paula vuole comprare un ombrello che normalmente costa 7\u00a0$."),
        ("ja", "Emma has 12 books.", "エマさんは本を12冊持っています。"),
        ("ja", "So the final answer is \\boxed{12.50}.", "したがって最後の答えは\\boxed{12.50}です。"),
        ("de", "The answer is \\boxed{\\frac{3}{4}}.", "Die Antwort ist \\boxed{\\frac{3}{4}}."),
    ],
)  # fmt: skip
def test_words_agree_and_numbers_are_written_as_the_language_does(code, line, wanted):
    assert built_in().find(line, "en", code) == wanted


@pytest.mark.parametrize(
    "line", ["Emma buys 4 drones for $1 each.", "Good morning.", "", "Emma buys 4 pens for $1 each. Why?"]
)
def test_a_line_that_is_not_ours_is_not_known(line):
    assert built_in().find(line, "en", "fr") is None
    assert built_in().find("Emma has 12 books.", "en", "ko") is None
    assert built_in().find("Emma has 12 books.", "fr", "de") is None


def test_a_build_without_any_model_puts_its_math_into_five_languages(tmp_path):
    recipe = Recipe(
        name="five",
        license="CC0-1.0",
        prompts=(
            GeneratedPrompts(generate="word_problems", count=30),
            GeneratedPrompts(generate="exercises", name="exercises", count=9, categories=("stem", "chat")),
        ),
        teachers={"careful": Teacher(url="builtin", model="builtin-careful", slips={"wrong": 0.2})},
        translate=Translate(to=CODES, categories=("math",), memory=("builtin",)),
    )
    report = tracemill.build(recipe, tmp_path / "run", workers=1)
    kept = report.splits["math"]
    assert 10 < kept < 30, "the teacher slips"
    assert {name: rows for name, rows in report.splits.items() if name.startswith("multilingual")} == {
        f"multilingual_{code}": kept for code in CODES
    }
    assert report.splits["stem"] > 0
    rows = [row for file in (tmp_path / "run" / "data").glob("*.parquet") for row in pq.read_table(file).to_pylist()]
    parents = {row["uuid"]: row for row in rows if row["parent_uuid"] is None}
    for row in (row for row in rows if row["parent_uuid"]):
        parent = parents[row["parent_uuid"]]
        trace = row["messages"][-1]["content"].partition("</think>")[0]
        assert trace == parent["messages"][-1]["content"].partition("</think>")[0]
        assert "verify_math" in str(row["verdicts"])
    life = tracemill.explain(tmp_path / "run", next(row["uuid"] for row in rows if row["language"] == "ja"))
    assert (life.place, life.attempts) == ("multilingual_ja", [])
    card = (tmp_path / "run" / "README.md").read_text(encoding="utf-8")
    assert "No model was asked" in card
    assert Counter(line.split(" | ")[0] for line in card.splitlines() if " | math | " in line)["| ja"] == 1
    assert tracemill.audit(tmp_path / "run").ok
    assert tracemill.build(recipe, tmp_path / "run", workers=1).sent == 0


def test_without_a_model_a_row_that_no_memory_has_is_dropped_for_that(tmp_path):
    recipe = Recipe(
        name="five",
        license="CC0-1.0",
        prompts=(GeneratedPrompts(generate="exercises", name="exercises", count=3, categories=("stem",)),),
        teachers={"careful": Teacher(url="builtin", model="builtin-careful")},
        translate=Translate(to=("fr",), memory=("builtin",)),
    )
    report = tracemill.build(recipe, tmp_path / "run", workers=1)
    assert report.splits == {"stem": 3}
    assert report.lost == {"translate: memory": 3}


def test_somebody_must_translate():
    with pytest.raises(ValueError, match="nobody translates"):
        Translate(to=("fr",))


@pytest.mark.storm
def test_the_demo_shows_every_language_within_a_minute(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "tracemill", "demo", "--out", "demo", "--progress", "none"],
        cwd=tmp_path, capture_output=True, text=True, timeout=150, check=True,
    )  # fmt: skip
    for code in CODES:
        assert f"multilingual_{code}" in done.stdout
        assert any(line.startswith(f"{code} ") and " math " in line for line in done.stdout.splitlines())
    assert "lid.176.ftz" in done.stdout
    assert tracemill.audit(tmp_path / "demo").ok
