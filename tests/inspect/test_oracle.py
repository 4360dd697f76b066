"""The checks that look at whole batches find what a plain loop over messages finds."""

from __future__ import annotations

import re
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from campaign import read_jsonl_gz, shared
from tracemill.identify.screen import COMMON, spoken
from tracemill.inspect import loops
from tracemill.inspect.block import SPARSE, Texts, joined
from tracemill.inspect.languages import LOOK, _open

SIGNS = st.sampled_from([
    *"aB.\n -*<`\\$é—ʼ界あ한ſKİ\0\ufffd", "</think>", "<think>", ". ", ".\n", ".  ", "\n- ", "\x0e", "The same line again.\n",
    "http://a.b c", "\\boxed{", " der die ", " für ", " the of ", " è«più»", " não ", "ahttp://x", "(el)", "de_la", "`la` ",
])  # fmt: skip
TEXT = st.lists(SIGNS, max_size=60).map("".join)
BATCH = st.lists(TEXT, max_size=8)


def texts_of(batch):
    return joined([text.encode() for text in batch])


@given(BATCH)
def test_characters_are_those_of_python(batch):
    texts = texts_of(batch)
    assert texts.characters().tolist() == [len(text) for text in batch]
    assert texts.ascii == "".join(batch).isascii()


@pytest.mark.parametrize("repeat", [1, 2 * SPARSE])
@given(BATCH, st.sampled_from([b"<", b"\\", b"\0", b"`", b"\xef"]))
@settings(max_examples=30)
def test_a_byte_is_found_wherever_it_stands_rare_or_not(repeat, batch, byte):
    texts = texts_of([text + "x" * repeat for text in batch])
    assert texts.places(byte).tolist() == [place for place, held in enumerate(texts.raw) if held == byte[0]]


@given(BATCH)
def test_tags_are_found_within_one_text(batch):
    texts = texts_of(batch)
    for tag in (b"<think>", b"</think>", "\ufffd".encode()):
        expected = [
            int(texts.ends[number]) + match.start()
            for number, text in enumerate(batch)
            for match in re.finditer(re.escape(tag), text.encode())
        ]
        assert texts.find(tag, texts.places(tag[:1])).tolist() == expected


def plain_starts(raw):
    """Where lines and sentences begin, byte by byte."""
    found = []
    for place in range(len(raw) - 17):
        if raw[place : place + 1] == b"\n":
            start = place + 1
        elif raw[place : place + 2] == b". ":
            start = place + 2
        else:
            continue
        if raw[start] > ord("-"):
            found.append(start)
    return found


@given(BATCH)
def test_lines_and_sentences_begin_where_a_loop_over_bytes_says(batch):
    texts = texts_of(batch)
    starts, keys = loops._starts(texts.data)
    assert starts.tolist() == plain_starts(texts.raw)
    by_words = {texts.raw[start : start + 16]: key for start, key in zip(starts.tolist(), keys.tolist(), strict=True)}
    assert keys.tolist() == [by_words[texts.raw[start : start + 16]] for start in starts.tolist()]
    assert len(set(keys.tolist())) == len(by_words)


def test_lines_and_sentences_that_lie_across_what_is_looked_at_in_one_go(monkeypatch):
    text = b"Wait. So it is.\nNo.  Yes.\n-no. It is so, that is what was said here. " * 9
    texts = joined([text])
    for scan in (1, 2, 3, 7, 64):
        monkeypatch.setattr(loops, "SCAN", scan)
        assert loops._starts(texts.data)[0].tolist() == plain_starts(text)


@given(st.lists(st.tuples(TEXT, st.integers(0, 40)), min_size=1, max_size=6))
def test_beginnings_that_recur_are_those_that_a_counter_finds(batch):
    texts = texts_of([text + "\nThe same line again." * times + " And so it ends here." for text, times in batch])
    chosen = np.arange(texts.count)
    found = loops._recurring(texts, chosen)
    starts = plain_starts(texts.raw)
    expected = set()
    for number in range(texts.count):
        own = [start for start in starts if texts.ends[number] <= start < texts.ends[number + 1]]
        if max(Counter(texts.raw[start : start + 16] for start in own).values(), default=0) >= loops.STARTS:
            expected.add(number)
    assert set(found) == expected


def missed(answers, claimed):
    """Texts that a plain reading finds to be in another language, and the first look lets go."""
    left = _open([answer.encode()[:LOOK] for answer in answers], claimed)
    return [
        (answer, language)
        for answer, language, looked_at in zip(answers, claimed, left, strict=True)
        if not looked_at
        and (seen := spoken(answer.encode()[:LOOK].decode(errors="ignore"), language)) is not None
        and seen != language
    ]


@given(
    st.lists(st.tuples(TEXT, st.sampled_from([*COMMON, "ja", "zh", "pl", ""])), min_size=1, max_size=6),
    st.integers(1, 9),
)
def test_the_first_look_at_languages_lets_nothing_go(pairs, times):
    assert missed([text * times for text, _ in pairs], [language for _, language in pairs]) == []


@pytest.mark.skipif(not shared("mt_bench").is_dir(), reason="MT-Bench answers are not beside the project")
def test_the_first_look_at_real_answers_lets_nothing_go_and_most_of_their_own_language():
    held = read_jsonl_gz(shared("mt_bench", "answers_gpt35_turbo.jsonl.gz"))
    answers = [answer["turns"][0] for answer in held]
    for language in COMMON:
        assert missed(answers, [language] * len(answers)) == []
    own = [answer["turns"][0].encode() for answer in held if answer["lang"] in COMMON]
    left = _open(own, [answer["lang"] for answer in held if answer["lang"] in COMMON])
    assert left.mean() < 0.05


def test_letters_beyond_ascii_of_common_words_begin_as_the_first_look_takes_them_to():
    words = {word for common in COMMON.values() for word in common.split()}
    assert {byte for word in words for byte in word.encode() if byte >= 0xC0} == {0xC3}
    assert max(len(word) for word in words) <= 8


def test_an_empty_batch_has_nothing_in_it():
    texts = joined([])
    assert isinstance(texts, Texts)
    assert (texts.characters().tolist(), texts.places(b"<").tolist(), texts.ascii) == ([], [], True)
    assert [held.tolist() for held in loops._starts(texts.data)] == [[], []]
