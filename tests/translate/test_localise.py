"""Rows for readers elsewhere: words change, numbers do not, the answer is checked again, and nothing is adapted by half."""

from __future__ import annotations

import json
import re

import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tracemill
from campaign import shared
from tracemill.languages import language
from tracemill.recipe import Localise
from tracemill.record import Message, Sample
from tracemill.segments.numbers import DIGIT
from tracemill.step import Drop
from tracemill.testing import Answer, ScriptedServer
from tracemill.testing.translator import Pretender
from tracemill.translation.localise import Adapting, _sound, adapted

from scenes import real_rows, recipe, row, write_rows  # isort: skip

EN = language("en")


def table(text, code="fr", **settings):
    return Adapting(Localise(**settings), None, None, EN, language(code)).by_files(text, "a-row")


def sample(prompt, answer="The answer is \\boxed{5}.", trace=None):
    messages = (Message("user", prompt), Message("assistant", answer, trace))
    return Sample("u", "math", "on", messages, "a-teacher", "CC0-1.0")


def of(prompt, code="fr", **settings):
    """The prompt as it is after adapting."""
    told = table(prompt, code, **settings)
    return adapted(sample(prompt), told).messages[0].content if told else prompt


def test_names_money_and_measures_become_those_of_the_readers():
    text = of("Natalia paid $5.50 per clip, 2 miles from home. Ken saved 40 dollars. Natalia's clips cost a dollar.")
    assert not re.search(r"Natalia|Ken\b|\$|dollar|mile", text)
    assert "€5.50 per clip, 2 kilometers from home." in text
    names = set(re.findall(r"[A-ZÀ-Ý][a-zà-ÿ]+(?='s| paid| saved)", text))
    french = language("fr").culture
    assert len(names & set(french.she)) == len(names & set(french.he)) == 1


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("A rope of 2 feet is cut into pieces of 6 inches.", "feet"),  # 12 inches are a foot, 12 centimeters no meter
        ("He has 4 quarters and $2.", "$2"),
        ("She rests her feet after 3 feet.", "feet"),
        ("Wei has 3 pens.", "Wei"),  # no listed name
        ("The track is 5 yards and 3 meters long.", "yards"),
    ],
)
def test_what_cannot_be_adapted_safely_stays(text, left):
    assert left in of(text)


def test_amounts_with_cents_stay_where_a_currency_has_none():
    assert of("Tom pays $5.", "ja", names=False) == "Tom pays ¥5."
    assert of("Tom pays $5.25.", "ja", names=False) == "Tom pays $5.25."


def test_each_part_can_be_left_out():
    text = "Tom pays $5 for 2 miles."
    assert of(text, names=False, money=False) == "Tom pays $5 for 2 kilometers."
    assert of(text, names=False, units=False) == "Tom pays €5 for 2 miles."


def test_the_trace_is_adapted_by_the_same_table_and_code_is_not():
    whole = sample("Tom pays $5.", "Tom paid.\n\n```python\ntom = 5\n```", "Tom has $5, so Tom...")
    got = adapted(whole, {"Tom": "Théo", "$": "€"})
    assert got.messages[1].reasoning == "Théo has €5, so Théo..."
    assert got.messages[1].content == "Théo paid.\n\n```python\ntom = 5\n```"
    assert got.verdicts[-1].evidence == "Tom -> Théo; $ -> €"
    half = adapted(sample("Tom pays.", "```python\nprint('Tom')\n```"), {"Tom": "Théo"})
    assert isinstance(half, Drop)
    assert "Tom is left" in half.evidence


def test_a_name_is_no_part_of_another_word():
    got = adapted(sample("Don't ask Don, don’t. Don’t! Don’s hat."), {"Don": "Mathieu"})
    assert got.messages[0].content == "Don't ask Mathieu, don’t. Don’t! Mathieu’s hat."


@pytest.mark.parametrize(
    "text", ["Max profit", "in Madison", "in Jackson", "in San Jose", "Alex has her pen", "Sam says she"]
)
def test_what_is_a_word_or_a_town_or_a_name_of_anybody_is_no_name(text):
    assert table(text) == {}


def test_no_name_is_one_of_women_and_of_men():
    culture = EN.culture
    assert not set(culture.she) & set(culture.he)


def test_a_word_that_stays_in_code_is_found_behind_one_that_was_put_there():
    told = {"Anna": "Marie", "Marie": "Zoe"}
    half = adapted(sample("Anna and Marie.", "It is `Marie` and `Anna`."), told)
    assert isinstance(half, Drop)
    assert half.evidence == "Marie is left inside a formula, code or an address"
    assert adapted(sample("Anna and Marie."), told).messages[0].content == "Marie and Zoe."


@pytest.mark.parametrize(
    "text",
    ["$7, which is US$5.", "5 USD and $7.", "5 dollars. DOLLARS!", "US $5 and $7", "C$5 and $7", "5 Canadian dollars."],
)
def test_money_that_would_be_of_two_countries_stays(text):
    assert table(text, names=False) == {}
    told = {word: "euros" if word == "dollars" else "€" for word in ("dollars", "$") if word in text}
    assert _sound(told, text, EN) == {}, "nor as a teacher says"


@given(st.text("Tom$ 5.,\n`\\()ab", max_size=60))
def test_no_digit_is_ever_changed(text):
    told = {"Tom": "Théo", "$": "€"}
    got = adapted(sample(text), told)
    if not isinstance(got, Drop):
        assert DIGIT.findall(got.messages[0].content) == DIGIT.findall(text)


def test_what_is_no_name_no_money_and_no_measure_stays_whatever_a_teacher_says(tmp_path):
    told = {
        "Wei": "Luc",
        "twice": "thrice",
        "Two": "Three",
        "feet": "meters",
        "more": "less",
        "May": "June",
        "dollars": "euros",
    }
    text = "Wei pays twice 5 dollars more in May. Two cuts of 2 feet are not 3 inches."
    source = write_rows(tmp_path / "rows.jsonl", [row(1, text, "It is \\boxed{10}.", expected_answer="10")])
    with ScriptedServer(Local(json.dumps(told))) as server:
        wanted = recipe(source, server.url, ("fr",), localise={"teacher": "large"}, gates={"copied": 1.0})
        tracemill.translate(None, None, tmp_path / "run", recipe=wanted, workers=1)
    (made,) = rows_of(tmp_path / "run")
    assert next(v["evidence"] for v in made["verdicts"] if v["step"] == "localise") == "Wei -> Luc; dollars -> euros"


def rows_of(out):
    files = sorted((out / "data").glob("multilingual_*.parquet"))
    return [row for file in files for row in pq.read_table(file).to_pylist()]


def test_real_rows_are_adapted_translated_and_checked_again(tmp_path):
    source = write_rows(tmp_path / "rows.jsonl", real_rows(12))
    with ScriptedServer(Pretender()) as server:
        wanted = recipe(source, server.url, ("fr",), localise={}, gates={"copied": 1.0})
        report = tracemill.translate(None, None, tmp_path / "run", recipe=wanted, workers=1)
        asked = "\n".join(str(body["messages"]) for body in server.requests)
    assert report.kept + sum(report.reasons.get("fr", {}).values()) == 12
    assert report.kept >= 6
    told = [v for row in rows_of(tmp_path / "run") for v in row["verdicts"] if v["step"] == "localise"]
    assert told
    assert all(v["passed"] for v in told)
    if shared("gsm8k", "train.jsonl.gz").exists():
        assert "Natalia" not in asked
        assert "€" in asked
    assert tracemill.audit(tmp_path / "run").ok


class Local(Pretender):
    """Says what is put for what, too."""

    def __init__(self, said):
        super().__init__()
        self.said = said

    def __call__(self, body):
        if "one JSON object" in str(body["messages"]):
            return Answer(self.said)
        return super().__call__(body)


@pytest.mark.parametrize(
    ("said", "lost"),
    [
        (json.dumps({"Wei": "Luc", "dollars": "euros", "Bo": "Zoé"}), None),
        ("{}", None),
        ("I would rather not.", "no table"),
        (json.dumps({"5 dollars": "6 euros"}), "more than words"),
        (json.dumps({"Wei": "Luc", "dollars": "Luc"}), "two become one"),
        (json.dumps({"Wei": ["Luc"]}), "no word for a word"),
        (json.dumps({"Wei": "<b>"}), "more than words"),
        (json.dumps({"Wei": "Bo"}), "two become one"),
    ],
)
def test_a_teacher_may_say_what_is_put_for_what_but_no_number(said, lost, tmp_path):
    told = row(
        1, "Wei pays Bo 5 dollars and pays once more. How much is that?", "It is \\boxed{10}.", expected_answer="10"
    )
    source = write_rows(tmp_path / "rows.jsonl", [told])
    with ScriptedServer(Local(said)) as server:
        wanted = recipe(source, server.url, ("fr",), localise={"teacher": "large"})
        report = tracemill.translate(None, None, tmp_path / "run", recipe=wanted, workers=1)
    if lost is None:
        assert report.rows == {"fr": 1}
        (made,) = rows_of(tmp_path / "run")
        assert any(v["step"] == "localise" for v in made["verdicts"]) == (said != "{}")
    else:
        assert report.reasons == {"fr": {"translate: localise": 1}}
        (refused,) = pq.read_table(next((tmp_path / "run" / "rejected").glob("*.parquet"))).to_pylist()
        assert lost in refused["evidence"]
