"""The inline trace: its two laws, and one example for each rule."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tracemill import think
from tracemill.errors import LossyConversion
from tracemill.testing.samples import texts

LAW = settings(max_examples=200, deadline=None)
TRACED = st.builds("{}<think>{}</think>{}".format, st.sampled_from(["", " ", "\n"]), texts(), texts())


@LAW
@given(text=texts() | TRACED | st.text())
@example("<think>\n</think>\n\n")
@example("<think>\nR\n</think>\nC")
@example("<think>\n\n</think>\n\n")
@example("<think>\n\n\n</think>\n\n\n")
@example("<think></think>")
@example("</think><think>")
def test_what_is_split_joins_to_the_same_text(text):
    assert think.join(*think.split(text)) == text


@LAW
@given(reasoning=texts() | st.text(), content=texts() | TRACED | st.text())
@example("", "")
@example("\n", "\n\n")
@example(" <think>\n", "<think>\n\n</think>\n\n")
def test_every_trace_without_a_closing_tag_and_every_content_come_back_from_the_frame(reasoning, content):
    reasoning = reasoning.replace("</think>", "")
    if "</think>" not in reasoning:
        assert think.split(think.join(reasoning, content, None)) == (reasoning, content, None)


@LAW
@given(
    reasoning=st.none() | texts(),
    content=texts() | TRACED,
    seam=st.none() | st.tuples(*[st.sampled_from(["", "\n", "\n\n", " ", "x"])] * 4),
)
def test_join_returns_what_split_reads_the_same_and_refuses_only_what_would_be_lost(reasoning, content, seam):
    before, opened, closing, after = seam or ("", "\n", "\n", "\n\n")
    framed = f"{before}<think>{opened}{reasoning}{closing}</think>{after}{content}"
    plain = content if reasoning is None else framed
    if think.split(plain) == (reasoning, content, seam):
        assert think.join(reasoning, content, seam) == plain
    else:
        with pytest.raises(LossyConversion):
            think.join(reasoning, content, seam)


def test_the_frame_is_written_as_stated():
    assert think.join("R", "C", None) == "<think>\nR\n</think>\n\nC"


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        pytest.param("<think>\nR\n</think>\n\nC", ("R", "C", None), id="the canonical frame has no seam"),
        pytest.param("<think>\n\n</think>\n\nC", ("", "C", None), id="two newlines frame an empty trace"),
        pytest.param("<think></think>C", ("", "C", ("", "", "", "")), id="an empty trace is a string, not None"),
        pytest.param("<think>\n</think>\n\nC", ("", "C", ("", "\n", "", "\n\n")), id="one newline is not a frame"),
        pytest.param("<think> \n </think>C", ("", "C", ("", " \n ", "", "")), id="blank traces follow the opening tag"),
        pytest.param(
            " <think>\nR\n</think>\n\nC", ("R", "C", (" ", "\n", "\n", "\n\n")), id="leading white space is a seam"
        ),
        pytest.param("<think>R</think>\nC", ("R", "C", ("", "", "", "\n")), id="other white space is a seam"),
        pytest.param(
            "<think>\n R \n</think>\n\n C ",
            (" R ", " C ", None),
            id="white space inside the frame belongs to the parts",
        ),
        pytest.param(
            "<think>\nR\n</think>\n\nuse </think> and <think>x</think>",
            ("R", "use </think> and <think>x</think>", None),
            id="the first closing tag ends the trace and later tags stay",
        ),
        pytest.param(
            "<think>\na <think> b\n</think>\n\nC</think>", ("a <think> b", "C</think>", None), id="nested tags stay"
        ),
        pytest.param("<think>\nR", (None, "<think>\nR", None), id="an unclosed tag is no trace"),
        pytest.param("R\n</think>\n\nC", (None, "R\n</think>\n\nC", None), id="a missing opening tag is no trace"),
        pytest.param("Hi <think>R</think>", (None, "Hi <think>R</think>", None), id="a tag after words is no trace"),
        pytest.param("<Think>R</Think>", (None, "<Think>R</Think>", None), id="other spellings are no tags"),
        pytest.param("", (None, "", None), id="an empty text has no trace"),
    ],
)
def test_split_keeps_its_rules(text, parts):
    assert think.split(text) == parts
    assert think.join(*parts) == text


@pytest.mark.parametrize(
    ("parts", "field"),
    [
        pytest.param(("a </think> b", "C", None), "reasoning", id="a closing tag in the trace"),
        pytest.param((None, "<think>R</think>C", None), "content", id="content that reads as a trace"),
        pytest.param((None, "C", ("", "", "", "")), "seam", id="a seam without a trace"),
        pytest.param(("R", "C", ("", "\n", "\n", "\n\n")), "seam", id="a seam that is the canonical frame"),
        pytest.param(("R", "C", ("", "x", "", "")), "seam", id="a seam that is not white space"),
        pytest.param(("R", " C", ("", "", "", "\n")), "seam", id="content that would flow into the seam"),
    ],
)
def test_join_names_the_field_it_would_damage(parts, field):
    with pytest.raises(LossyConversion) as caught:
        think.join(*parts)
    assert caught.value.field == field


@pytest.mark.parametrize(
    ("reply", "parts"),
    [
        pytest.param("<think>\nR\n</think>\n\nC\n", ("R", "C"), id="outer white space goes"),
        pytest.param("\nR\n</think>\n\nC", ("R", "C"), id="a missing opening tag starts inside the trace"),
        pytest.param("</think>\n\nC", ("", "C"), id="a lone closing tag ends an empty trace"),
        pytest.param("R</think>C</think>", ("R", "C</think>"), id="the first closing tag ends the trace"),
        pytest.param(" <think>\nR, cut ", (None, "<think>\nR, cut"), id="an unclosed tag is no trace"),
        pytest.param(" C ", (None, "C"), id="no tags, no trace"),
    ],
)
def test_a_raw_reply_is_split_with_mercy(reply, parts):
    assert think.reply_split(reply) == parts


@pytest.mark.parametrize("piece", ["<think>", "</think>", "<think></think>", "</think><think>", "<", "\n", " <think> "])
def test_two_megabytes_of_tags_are_split_and_joined(piece):
    text = "<think>" + piece * (2_000_000 // len(piece))
    assert think.join(*think.split(text)) == text
    assert text.rstrip().endswith(think.reply_split(text)[1])
