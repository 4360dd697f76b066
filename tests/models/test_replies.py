"""Reading a reply: the trace is found wherever a server puts it, and nothing else is taken for one."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tracemill.models.replies import Unreadable, parted

TEXT = {"type": "text", "text": "It is 4."}


def said(message: dict) -> tuple[str | None, str, str | None]:
    found = parted({"role": "assistant", **message})
    return found.reasoning, found.content, found.where


@pytest.mark.parametrize("name", ["reasoning_content", "reasoning", "thinking"])
def test_a_trace_in_a_field_of_its_own(name):
    assert said({"content": " It is 4.\n", name: "\nI add. "}) == ("I add.", "It is 4.", name)


@pytest.mark.parametrize(
    ("message", "found"),
    [
        pytest.param(
            {"content": "It is 4.", "reasoning": None, "reasoning_content": "I add."},
            ("I add.", "It is 4.", "reasoning_content"),
            id="one field of two is empty",
        ),
        pytest.param(
            {"content": "<think>I add.</think>It is 4.", "reasoning": " \n"},
            ("I add.", "It is 4.", "content: <think>"),
            id="a blank field beside an inline trace",
        ),
        pytest.param(
            {"content": "The </think>\ntag.", "reasoning": "I add."},
            ("I add.", "The </think>\ntag.", "reasoning"),
            id="with a field, the text stays as it is",
        ),
        pytest.param(
            {"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "I add."}]}, TEXT]},
            ("I add.", "It is 4.", "parts of the content"),
            id="Mistral's parts",
        ),
        pytest.param(
            {"content": [{"type": "reasoning", "reasoning": "I add."}, {"type": "output_text", "text": "It is 4."}]},
            ("I add.", "It is 4.", "parts of the content"),
            id="other parts",
        ),
        pytest.param(
            {"content": [{"type": "thinking", "thinking": "I "}, {"type": "thinking", "thinking": "add."}, TEXT]},
            ("I add.", "It is 4.", "parts of the content"),
            id="several parts",
        ),
        pytest.param(
            {"content": [{"type": "text", "text": "<think>I add.</think>"}, TEXT]},
            ("I add.", "It is 4.", "content: <think>"),
            id="tags in parts",
        ),
        pytest.param(
            {"content": [{"type": "image_url", "image_url": "x"}, None, 5, {"type": "text"}, TEXT]},
            (None, "It is 4.", None),
            id="parts that are no text",
        ),
        pytest.param(
            {"content": "It is 4.", "reasoning_details": [{"type": "reasoning.text", "text": "I add."}]},
            ("I add.", "It is 4.", "reasoning_details"),
            id="OpenRouter's details",
        ),
        pytest.param(
            {"content": "It is 4.", "reasoning_details": [{"type": "reasoning.encrypted", "data": "x"}]},
            (None, "It is 4.", None),
            id="an encrypted thought is none",
        ),
        pytest.param(
            {"content": "It is 4.", "reasoning": {"content": "I add."}},
            ("I add.", "It is 4.", "reasoning"),
            id="a mapping",
        ),
        pytest.param({"content": "It is 4.", "reasoning": 5}, (None, "It is 4.", None), id="a number is no trace"),
        pytest.param({"content": "It is 4.", "reasoning": [[]]}, (None, "It is 4.", None), id="nor is a list of lists"),
        pytest.param({"content": None, "reasoning": "It is 4."}, ("It is 4.", "", "reasoning"), id="no content at all"),
        pytest.param({"content": "<think></think>4"}, (None, "4", "content: <think>"), id="an empty trace is none"),
        pytest.param({}, (None, "", None), id="nothing"),
    ],
)
def test_a_trace_elsewhere(message, found):
    assert said(message) == found


@pytest.mark.parametrize("content", [5, True, {"text": "x"}])
def test_a_content_that_is_neither_text_nor_parts_is_unreadable(content):
    with pytest.raises(Unreadable, match="not text"):
        said({"content": content})


FIELDS = ("content", "reasoning", "reasoning_content", "thinking", "reasoning_details", "type", "text", "summary")
SCALARS = (
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.sampled_from(["thinking", "text", "reasoning"])
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(FIELDS), inner), max_leaves=12
)


@settings(max_examples=300, deadline=None)
@given(message=st.dictionaries(st.sampled_from(FIELDS), VALUES), first=st.none() | st.sampled_from(FIELDS))
def test_any_message_is_read_or_unreadable(message, first):
    with contextlib.suppress(Unreadable):
        found = parted(message, first)
        assert found.content == found.content.strip()
        assert found.reasoning is None or found.reasoning == found.reasoning.strip() != ""
