"""No text makes splitting, masking or the gates slow: four times the text takes no more than a few times as long."""

from __future__ import annotations

import time

import pytest

from tracemill.segments import Rules, check_all, check_message, join, mask, sentences, split

pytestmark = pytest.mark.storm
"""By the clock, which a busy machine bends."""

UNITS = [
    "`", "``` ", "$", "$a ", "$$", "\\(", "\\[", "\\[\n", "\\begin{align}\n", "{", "[\n", '{"a":', '{"', "<", "<a ", "<!--",
    "&", "a.", "a_", "aA", "a-", "a/", "a@", "http://", "a(", "|\n", "|--|\n", "\t", "> ", "- ", "1. ", "#", "{{", "%(", "\\",
    "\\a{", "\\text{", "```md\n", "1,", "1 000 ", "⟦1", "⟦1⟧", "〘a〙", "_", "\r", " ", "x=", "x = 1;", "if a == b", "'", '"',
    "! ", "!", "。", "C:\\", "--a-", "0x", "a", "\x00", "(A)", "](", "<<", "`\n", "#a\n", "a, b, ", "XL ", "a b c ",
]  # fmt: skip
SHORT, LONG = 5_000, 20_000
SQUARE = 11.0
"""Four times the text: linear work takes 4 times as long, quadratic 16; caches and a busy machine blur both."""


def work(text: str, comments: bool) -> None:
    segments = split(text, comments=comments)
    assert join(segments) == text
    masked = mask(text)
    assert masked.unmask(masked.text) == text
    check_all(masked, masked.text, Rules())
    sentences(text)
    check_message(text, text)


def seconds(unit: str, length: int) -> float:
    text = (unit * (length // len(unit) + 1))[:length]
    code = f"```py\n{text}\n```"
    start = time.process_time()
    work(text, False)
    split(code, comments=True)
    return time.process_time() - start


@pytest.mark.parametrize("unit", UNITS)
def test_time_is_linear(unit):
    long = seconds(unit, LONG)
    if long < 0.15:
        return
    short = min(seconds(unit, SHORT) for _ in range(2))
    assert min(long, seconds(unit, LONG)) < SQUARE * short, f"{short:.2f} s, then {long:.2f} s"


@pytest.mark.storm
@pytest.mark.parametrize("unit", UNITS)
def test_a_megabyte_takes_seconds(unit):
    assert seconds(unit, 1_000_000) < 60
