"""Apertium as Debian packages it, through the adapter: real translations, each in its place, whatever its neighbours."""

from __future__ import annotations

import asyncio
import shutil

import pytest

from campaign import read_jsonl_gz, shared
from tracemill.identify import identify
from tracemill.translators import Failure, TranslatorError, apertium
from tracemill.translators.apertium import modes, route

NEEDED = {"eng-spa", "eng-cat", "cat-fra", "cat-ita"}
THERE = frozenset(modes()) if shutil.which("apertium") else frozenset()
real = pytest.mark.skipif(not THERE >= NEEDED, reason=f"Apertium's modes {', '.join(sorted(NEEDED))} are not installed")


def run(lines, source, target):
    async def work():
        translator = apertium([(source, target)], sorted(THERE))
        try:
            return await translator.translate(lines, source, target)
        finally:
            await translator.close()

    return asyncio.run(work())


@pytest.mark.parametrize(
    ("source", "target", "way"),
    [
        ("en", "es", ("eng-spa",)),
        ("en", "fr", ("eng-cat", "cat-fra")),
        ("es", "fr", ("spa-eng", "eng-cat", "cat-fra")),
        ("en", "de", None),
        ("eng", "spa", ("eng-spa",)),
    ],
)
def test_the_shortest_way_is_found(source, target, way):
    assert route(["spa-eng", "eng-spa", "eng-cat", "cat-eng", "cat-fra"], source, target) == way


def test_where_no_mode_leads_is_an_error():
    with pytest.raises(TranslatorError, match="from en to ja; installed are eng-spa"):
        apertium([("en", "ja")], ["eng-spa"])


@real
@pytest.mark.parametrize(("target", "apples"), [("es", "manzanas"), ("it", "mele")])
def test_english_is_translated(target, apples):
    told = run(["Maria has three apples.", "", "The apples are red and the house is white."], "en", target)
    assert isinstance(told[0], str)
    assert apples in told[0]
    assert told[1] == ""
    assert identify(str(told[2]), ["en", "es", "fr", "it"]).language == target


@real
def test_what_it_says_of_a_line_does_not_depend_on_its_neighbours():
    lines = ["Tinc 27 pomes", "Corre molt"]
    together = run(lines, "ca", "fr")
    assert together[1:] == run(lines[1:], "ca", "fr")


@real
def test_it_breaks_what_is_no_prose():
    """Why spans are masked: a box is translated, while a placeholder in brackets survives."""
    [box, placeholder] = run(["The answer is \\boxed{5}.", "The answer is ⟦1⟧ and ⟦2⟧."], "en", "es")
    assert "\\boxed{5}" not in str(box)
    assert str(placeholder).count("⟦") == 2


@real
def test_real_problems_keep_their_order():
    file = shared("gsm8k", "train.jsonl.gz")
    if not file.exists():
        pytest.skip("GSM8K is not beside the project")
    lines = [line for row in read_jsonl_gz(file)[:30] for line in row["question"].split("\n") if line.strip()]
    told = run(lines, "en", "es")
    assert not [each for each in told if isinstance(each, Failure)]
    for line, translation in zip(lines, told, strict=True):
        numbers = sorted(word for word in line.split() if word.isdecimal())
        assert sorted(word for word in str(translation).split() if word.isdecimal()) == numbers
