"""Is an answer whole? On and off obeyed, or the reason told."""

from __future__ import annotations

import asyncio

import pytest

from tracemill.record import Message, Sample
from tracemill.verify.complete import Complete


def judged(mode: str, content: str, trace: str | None = None, finish: str | None = "stop") -> tuple[str, str]:
    """The reason and the evidence, or "kept"."""
    turns = (Message("user", "2 + 2?"), Message("assistant", content, trace))
    sample = Sample("5f0e", "math", mode, turns, finish_reason=finish, license="MIT", requests=("k",))
    found = asyncio.run(Complete()(sample))
    if isinstance(found, Sample):
        assert found is sample
        return "kept", ""
    assert found.reason in Complete.drops
    return found.reason, found.evidence


@pytest.mark.parametrize(
    ("mode", "content", "trace", "reason"),
    [
        ("on", "4", "I add.", "kept"),
        ("on", "4", None, "trace_missing"),
        ("on", "", "I add.", "empty"),
        ("on", "<think>I add", None, "trace_ambiguous"),
        ("on", "[THINK]I add", None, "trace_ambiguous"),
        ("on", "<|channel|>analysis<|message|>I add", None, "trace_ambiguous"),
        ("on", "<think>b</think>4", "a", "trace_ambiguous"),
        ("on", "4", "I write </think> now", "trace_ambiguous"),
        ("on", "Close it with `</think>`.", "I add.", "kept"),
        ("off", "4", None, "kept"),
        ("off", "4", "I add.", "trace_leaked"),
        ("off", "", "It is 4.", "trace_leaked"),
        ("off", "", None, "empty"),
        ("off", "<think>I add", None, "trace_leaked"),
        ("off", "[THINK]I add", None, "trace_leaked"),
        ("off", "a\n</think>\n4", None, "trace_leaked"),
        ("off", "Close it with `</think>`.", None, "kept"),
        ("off", "For example <think>a</think> is a thought.", None, "kept"),
    ],
)
def test_a_trace_is_there_exactly_where_it_was_asked_for(mode, content, trace, reason):
    assert judged(mode, content, trace)[0] == reason


def test_an_answer_that_came_as_a_trace_is_told_as_that():
    assert judged("off", "", "It is 4.")[1].endswith("and nothing else: It is 4.")


@pytest.mark.parametrize(
    ("finish", "reason"), [("length", "truncated"), ("content_filter", "refused"), ("abort", "unfinished")]
)
def test_how_it_ended_comes_first(finish, reason):
    assert judged("on", "<think>I add", None, finish)[0] == reason


@pytest.mark.parametrize(
    ("content", "trace", "inside"),
    [("", "I add, and", True), ("<think>I add", None, True), ("It is", "I add.", False), ("It is", None, False)],
)
def test_an_answer_that_never_began_is_told_from_one_that_was_cut(content, trace, inside):
    assert ("inside its trace" in judged("on", content, trace, "length")[1]) is inside
