"""The inline trace: its two laws, and one example for each rule; and the marks by which raw replies are parted."""

from __future__ import annotations

import time

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from tracemill import think
from tracemill.errors import LossyConversion
from tracemill.testing.samples import texts

LAW = settings(max_examples=max(60, settings.default.max_examples), deadline=None)
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


@pytest.mark.parametrize(
    ("reply", "parts"),
    [
        pytest.param("I add.</think>It is 4.", ("I add.", "It is 4.", "</think> alone"), id="no line ends at the tag"),
        pytest.param("[THINK]R[/THINK]C", ("R", "C", "[THINK]"), id="Magistral"),
        pytest.param("R[/THINK]C", ("R", "C", "[/THINK] alone"), id="Magistral, begun in the prompt"),
        pytest.param(
            "[THINK]R[/THINK]Write </think>\nthere.", ("R", "Write </think>\nthere.", "[THINK]"), id="one kind"
        ),
        pytest.param("◁think▷R◁/think▷C", ("R", "C", "◁think▷"), id="Kimi"),
        pytest.param(
            "<|channel|>analysis<|message|>R<|end|><|start|>assistant<|channel|>final<|message|>C<|return|>",
            ("R", "C", "harmony"),
            id="harmony",
        ),
        pytest.param(
            "<|start|>assistant<|channel|>analysis<|message|>R<|end|><|start|>assistant<|channel|>commentary<|message|>P"
            "<|end|><|start|>assistant<|channel|>final<|message|>C",
            ("R", "P\n\nC", "harmony"),
            id="harmony with a preamble",
        ),
        pytest.param("<|channel|>final<|message|>C", ("", "C", "harmony"), id="harmony without a thought"),
        pytest.param("analysisR.assistantfinalC", ("R.", "C", "harmony without its marks"), id="harmony, unmarked"),
        pytest.param(
            "Here is my thought process: R\nHere is my response: C", ("R", "C", "Granite's sentences"), id="Granite"
        ),
        pytest.param("<think>Say `</think>` now.\n</think>\nC", ("Say `</think>` now.", "C", "<think>"), id="quoted"),
        pytest.param("Use <think> tags.\n</think>\nC", ("Use <think> tags.", "C", "</think> alone"), id="a word of it"),
    ],
)
def test_the_marks_of_each_family_part_a_reply(reply, parts):
    found = think.reply_parts(reply)
    assert (found.reasoning, found.content, found.mark) == parts


@pytest.mark.parametrize(
    "answer",
    [
        "Close it with `</think>`.",
        'Close it with "</think>".',
        "The </think> tag ends a thought.",
        "It ends with </think>, and then the answer comes.",
        "For example <think>a</think> is a thought.",
        "```\nfirst\n</think>\n```\nIt is 4.",
        "```html\n<think>\na\n</think>\n```",
        "The mark [THINK] opens it and [/THINK] closes it.",
        "analysis of the text",
        "Here is my response: 4",
        "Write <|channel|>analysis<|message|> first.",
    ],
)
def test_a_tag_that_is_only_spoken_of_is_left_where_it_stands(answer):
    assert think.reply_parts(answer) == think.Parts(None, answer)
    assert not think.holds_trace(answer)


@pytest.mark.parametrize(
    "answer",
    [
        "<think>I add, and then",
        "[THINK]cut",
        "◁think▷cut",
        "<|channel|>commentary to=functions.f<|message|>{}",
        "<|channel|>analysis<|message|>cut",
        "<|channel|>analysis<|message|>a<|end|>stray<|channel|>final<|message|>b",
        "A second thought.\n</think>\nC",
    ],
)
def test_what_is_left_of_a_trace_is_seen(answer):
    assert think.holds_trace(answer)


PLAIN = st.text(st.sampled_from([*"abc 4.,\n", "é", "`", "<", ">", "/", "|", "解"]), max_size=40)
FORMS = [
    "<think>\n{r}\n</think>\n\n{c}",
    "<think>{r}</think>{c}",
    "{r}\n</think>\n\n{c}",
    "[THINK]{r}[/THINK]{c}",
    "◁think▷{r}◁/think▷{c}",
    "<|channel|>analysis<|message|>{r}<|end|><|start|>assistant<|channel|>final<|message|>{c}",
]


@LAW
@given(reasoning=PLAIN, content=PLAIN, form=st.sampled_from(FORMS))
def test_a_trace_and_an_answer_without_marks_come_back_from_each_form(reasoning, content, form):
    assume("<|" not in reasoning + content and "```" not in reasoning)
    found = think.reply_split(form.format(r=reasoning, c=content))
    assert found == (reasoning.strip(), content.strip())


@LAW
@given(text=texts() | TRACED | st.text())
def test_no_reply_loses_a_word(text):
    found = think.reply_parts(text)
    if found.mark is None:
        assert (found.reasoning, found.content) == (None, text.strip())
    else:
        assert found.content == "" or found.content in text
        assert found.reasoning == "" or found.reasoning in text


@pytest.mark.parametrize(
    "piece",
    [
        *("[THINK]", "[/THINK]", "◁/think▷", "`</think>`", " </think> a", "```", "<|channel|>", "<|end|>"),
        *("<|channel|>analysis<|message|>", "analysis", "assistantfinal", "Here is my thought process:"),
    ],
)
@pytest.mark.parametrize(
    "head", ["", "<think>", "<|channel|>final<|message|>", "analysis", "Here is my thought process:"]
)
def test_two_megabytes_of_marks_are_read_in_a_moment(head, piece):
    text = head + piece * (2_000_000 // len(piece))
    begun = time.process_time()
    think.reply_parts(text)
    think.holds_trace(text)
    assert time.process_time() - begun < 5
