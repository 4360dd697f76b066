"""Translating back: fluent lines that say something else are found, and others are not lost."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

import tracemill
from tracemill.models.wire import Failure, Reply
from tracemill.record import Usage
from tracemill.segments.masks import mask
from tracemill.testing import ScriptedServer
from tracemill.testing.translator import Faulty, Pretender, pretend
from tracemill.translation.back import closeness
from tracemill.translation.ladder import Tried
from tracemill.translation.stage import Translator, setup

from scenes import made_rows, recipe, write_rows  # isort: skip

LINE = "The farmer packs 12 apples into each of the boxes before he drives to the market."


def with_back(source, url, to=("fr",), **back):
    return recipe(source, url, to, back={"teacher": "large", **back})


def check(pretender, tmp_path, text, **back):
    """What translating `text` back says of it as a translation of `LINE`, and what it took."""

    async def door(request):
        return Reply(request.key, pretender(request.body()).content, None, "stop")

    stage = Translator(setup(with_back(tmp_path, "http://127.0.0.1:1/v1", **back)), door)
    tried = Tried()
    return asyncio.run(stage.climb("fr").back(mask(LINE), text, tried)), tried


def test_fluent_lines_that_say_something_else_are_asked_again_and_no_row_is_lost(tmp_path):
    source = write_rows(tmp_path / "rows.jsonl", made_rows(16))
    pretender = Pretender(Faulty(fluent=0.15, no_brackets=0.03))
    with ScriptedServer(pretender) as server:
        report = tracemill.translate(None, None, tmp_path / "run", recipe=with_back(source, server.url), workers=1)
    assert pretender.planned["fluent"] > 2
    assert report.refused["fr"]["back"] > 2
    assert report.rows == {"fr": 16}
    assert tracemill.audit(tmp_path / "run").ok


def test_without_it_they_stay(tmp_path):
    source = write_rows(tmp_path / "rows.jsonl", made_rows(4))
    with ScriptedServer(Pretender(always="fluent")) as server:
        left = tracemill.translate(None, None, tmp_path / "one", recipe=recipe(source, server.url, ("fr",)), workers=1)
        lost = tracemill.translate(None, None, tmp_path / "two", recipe=with_back(source, server.url), workers=1)
    assert left.rows == {"fr": 4}
    assert lost.rows == {"fr": 0}
    assert lost.reasons["fr"] == {"translate: back": 4}


@pytest.mark.parametrize(("bad", "passes"), [(0, True), (1, True), (2, False)])
def test_a_bad_way_back_is_tried_again_before_a_line_is_refused(bad, passes, tmp_path):
    pretender = Pretender()
    left = [bad]

    async def door(request):
        said = pretender(request.body()).content
        if "into English" in str(request.messages) and left[0]:
            left[0] -= 1
            said = said.strip("〘〙")
        return Reply(request.key, said, None, "stop", usage=Usage(7, 3))

    stage = Translator(setup(with_back(tmp_path, "http://127.0.0.1:1/v1")), door)
    climb = stage.climb("fr")
    tried = Tried()
    pretender(
        {"model": "", "messages": list(climb.prompt.messages(LINE, climb.source, climb.target))}
    )  # it remembers it
    got = asyncio.run(climb.back(mask(LINE), pretend(LINE, "French"), tried))
    assert (got is None) is passes
    assert tried.asked == min(bad + 1, 2)
    assert tried.tokens == Counter({"prompt tokens large": 7 * tried.asked, "completion tokens large": 3 * tried.asked})


@pytest.mark.parametrize(
    "text",
    [
        "She bought 5 shorts at $7 each so 5*7=$<<5*7=35>>35",
        "Find the median of two sorted arrays with O(1) space and O(n) time.",
    ],
)
def test_what_is_masked_in_a_source_is_masked_in_its_translation_and_nothing_else(text, tmp_path):
    sent = []

    async def door(request):
        sent.append(request.messages[-1]["content"].partition("\nText:\n")[2])
        return Reply(request.key, f"〘{mask(text).text}〙", None, "stop")

    stage = Translator(setup(with_back(tmp_path, "http://127.0.0.1:1/v1", ("ja",))), door)
    there = pretend(mask(text).text, "Japanese")
    assert asyncio.run(stage.climb("ja").back(mask(text), mask(text).unmask(there), Tried())) is None
    assert sent == [there]


def test_no_two_lines_that_are_compared_become_one():
    pretender = Pretender()
    climb = Translator(setup(with_back(".", "http://127.0.0.1:1/v1", ("es",))), None).climb("es")
    one, two = "Everest", "Calculations"
    assert pretend(one, "Spanish") == pretend(two, "Spanish")

    def said(text, *pair):
        return pretender({"model": "", "messages": list(climb.prompt.messages(text, *pair))}).content.strip("〘〙")

    lines = [said(text, climb.source, climb.target) for text in (one, two, two)]
    assert lines[0] != lines[1] == lines[2]
    assert said(lines[0], climb.target, climb.source) == one
    assert said(lines[1], climb.target, climb.source) == two


def test_what_came_back_is_told(tmp_path):
    refused, tried = check(Pretender(), tmp_path, "La pluie tombe toujours sur 12 petites maisons.")
    assert refused.reason == "back"
    assert "of it came back, not 0.3" in refused.detail
    assert tried.asked == 2


def test_a_word_or_two_are_not_compared(tmp_path):
    refused, tried = check(Pretender(), tmp_path, "Rien de tel.", letters=200)
    assert (refused, tried.asked) == (None, 0)


def test_an_endpoint_that_fails_is_no_refusal(tmp_path):
    async def door(request):
        return Failure(request.key, "timeout", "it took too long")

    stage = Translator(setup(with_back(tmp_path, "http://127.0.0.1:1/v1")), door)
    got = asyncio.run(stage.climb("fr").back(mask(LINE), "Rien.", Tried()))
    assert isinstance(got, Failure)


def test_a_teacher_that_is_not_there_is_told_when_the_recipe_is_read(tmp_path):
    with pytest.raises(ValueError, match="no teacher 'nobody'"):
        recipe(tmp_path, "http://127.0.0.1:1/v1", ("fr",), back={"teacher": "nobody"})


def test_who_translates_back_answers_no_prompt(tmp_path):
    told = {"routes": {"default": ("small",)}, "back": {"teacher": "large"}}
    assert recipe(tmp_path, "http://127.0.0.1:1/v1", ("fr",), **told).answering == {}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("The house is white.", "The house was white."),
        ("How many apples does she have now?", "What number of apples has she got at this time?"),
        ("A train leaves at noon.", "Rain falls on small houses."),
    ],
)
def test_closeness_is_chrf(one, other):
    sacrebleu = pytest.importorskip("sacrebleu")
    wanted = sacrebleu.metrics.CHRF(lowercase=True).sentence_score(other, [one]).score
    assert 100 * closeness(one, other) == pytest.approx(wanted, abs=1e-6)


@given(st.text(), st.text())
def test_closeness_lies_between_nothing_and_all(one, other):
    assert 0 <= closeness(one, other) <= 1
    assert closeness(one, one) == pytest.approx(1)
