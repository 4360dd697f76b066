"""Segments go together by line, paragraph or message, and the numbered form comes back in its order."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from test_splitting import ANY

from tracemill.segments import Problem, batches, mask, numbered, parse_numbered, split

TEXT = "# Title here\n\nFirst line\nSecond line\n\n- an item\n```\ncode\n```\nLast line\n"


def grouped(granularity, text=TEXT, **limits):
    segments = split(text)
    return [[segments[place].text for place in places] for places in batches(segments, granularity, **limits)]


def test_a_line_a_paragraph_and_a_message_are_grouped():
    title, first, second, item, last = "Title here", "First line", "Second line", "an item", "Last line"
    assert grouped("line") == [[title], [first], [second], [item], [last]]
    assert grouped("paragraph") == [[title], [first, second], [item], [last]]
    assert grouped("message") == [[title, first, second, item, last]]


def test_a_group_ends_before_it_is_too_large():
    assert grouped("message", most=2) == [["Title here", "First line"], ["Second line", "an item"], ["Last line"]]
    assert grouped("message", most_characters=21) == [
        ["Title here", "First line"],
        ["Second line", "an item"],
        ["Last line"],
    ]
    assert grouped("message", most_characters=1) == grouped("line")


@settings(max_examples=100, deadline=None)
@given(st.lists(ANY, max_size=6))
def test_the_numbered_form_comes_back(texts):
    masked = [mask(text).text for text in texts]
    assert parse_numbered(numbered(masked), len(masked)) == [text.strip() for text in masked]


def test_a_reply_in_another_order_and_with_talk_around_it_is_read():
    reply = "Voici:\n2. 〘deux〙\n１） 〘un〙\n\n3: 〘 trois 〙 fin"
    assert parse_numbered(reply, 3) == ["un", "deux", "trois"]


def test_a_missing_or_doubled_segment_is_a_problem_in_its_place():
    first, second, third = parse_numbered("1 〘un〙\n2 〘deux〙\n2 〘zwei〙\n4 〘quatre〙", 3)
    assert first == "un"
    assert isinstance(second, Problem)
    assert isinstance(third, Problem)
    assert (second.detail, third.detail) == ("segment 2 of 3 comes twice", "segment 3 of 3 is missing")
