"""Garbage and loops: found wherever they stand, and only where there are any."""

from __future__ import annotations

import asyncio
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracemill.record import Message, Sample
from tracemill.step import Drop
from tracemill.verify.sound import GARBAGE, LOOP_SHARE, SHORTEST, Sound, looping

WORDS = [a + b + c for a in "bdfgklmnprst" for b in "aeiou" for c in ("n", "r", "st", "lm")]


def prose(words: int, seed: int = 0) -> str:
    """Words in no order that comes again."""
    drawn = random.Random(seed)
    return " ".join(drawn.choice(WORDS) for _ in range(words))


def judged(content: str, trace: str = "Two and two.") -> Sample | Drop:
    turns = (Message("user", "What is 2 + 2?"), Message("assistant", content, reasoning=trace))
    return asyncio.run(Sound()(Sample("u", "math", "on", turns)))


@given(
    filled=st.floats(0.4, 1.0),
    starts=st.floats(0.0, 1.0),
    period=st.integers(4, 40),
    words=st.integers(800, 3000),
    seed=st.integers(0, 1000),
)
def test_a_loop_that_fills_two_fifths_of_a_text_is_found_wherever_it_stands(filled, starts, period, words, seed):
    inside = int(words * filled)
    before = int((words - inside) * starts)
    said = prose(period, seed + 1)
    loop = " ".join([said] * (inside // period))
    text = f"{prose(before, seed)} {loop} {prose(words - inside - before, seed + 2)}"
    assert len(text) >= SHORTEST
    assert looping(text) > LOOP_SHARE
    got = judged("Four.", trace=text)
    assert isinstance(got, Drop)
    assert got.reason == "degenerate"


@given(words=st.integers(1, 3000), seed=st.integers(0, 1000))
def test_prose_is_no_loop(words, seed):
    assert looping(prose(words, seed)) == 0.0


def test_a_text_without_spaces_loops_too():
    text = "".join(chr(0x4E00 + random.Random(7).randrange(4000)) for _ in range(50)) + "我不知道答案是什么" * 300
    assert looping(text) > LOOP_SHARE


@pytest.mark.parametrize("bad", ["\ufffd", "\x07", "\ue123"])
def test_garbage_is_refused_above_its_share_and_not_below(bad):
    clean = prose(300)
    few, many = int(GARBAGE * len(clean) / 2), int(GARBAGE * len(clean) * 2)
    assert isinstance(judged(clean + bad * few), Sample)
    got = judged(clean + bad * many)
    assert isinstance(got, Drop)
    assert got.reason == "bad_text"
    assert str(many) in got.evidence
