"""Programs that read and write lines: what comes out is in its place, or it is a failure that says why."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tracemill.errors import UsageError
from tracemill.translators import CommandTranslator, Failure, Program, TranslatorError
from tracemill.translators.translator import REASONS

PROGRAM = str(Path(__file__).with_name("line_program.py"))
LINES = [f"line {chr(97 + n % 26)}{chr(97 + n // 26)}" for n in range(60)]


def program(how: str, **more) -> Program:
    return Program((sys.executable, PROGRAM, how), **more)


def translated(how: str, said: list[str], **more) -> list[str | Failure]:
    async def work():
        translator = CommandTranslator({("en", "xx"): [program(how, **more)]})
        try:
            return await translator.translate(said, "en", "xx")
        finally:
            await translator.close()

    return asyncio.run(work())


@pytest.mark.parametrize(
    "more", [{}, {"apart": True}, {"markers": 0}, {"markers": 1, "apart": True}, {"lines": 7}], ids=str
)
@pytest.mark.parametrize("how", ["fine", "at_end", "loud"])
def test_each_line_comes_out_in_its_place(how, more):
    life = "batch" if how == "at_end" else "run"
    assert translated(how, LINES, life=life, **more) == [line.upper() for line in LINES]


@pytest.mark.parametrize(
    ("how", "life", "reason", "detail"),
    [
        ("drops", "batch", "misaligned", "3 lines went in, 2 came out"),
        ("merges", "batch", "misaligned", "3 lines went in, 2 came out"),
        ("splits", "batch", "misaligned", "3 lines went in, 4 came out"),
        ("splits", "run", "misaligned", "came out in its place"),
        ("swaps", "batch", "misaligned", "came out in its place"),
        ("dies", "run", "died", "exit 1: I cannot read this"),
        ("killed", "batch", "died", "exit -9"),
        ("garbles", "run", "not_text", "xff"),
        ("babbles", "run", "too_long", "100,000"),
        ("floods", "batch", "misaligned", "more than"),
    ],
)
def test_only_the_line_that_spoils_a_batch_is_lost(how, life, reason, detail):
    lines = [LINES[0], "a bad line", *LINES[1:3]]
    told = translated(how, lines, life=life, markers=2 if how == "swaps" else 8)
    lost = told.pop(1)
    assert isinstance(lost, Failure)
    assert lost.reason == reason
    assert detail in lost.detail
    assert lost.reason in REASONS
    assert told == [line.upper() for line in LINES[:3]]


def test_a_program_that_hangs_is_ended_and_the_others_are_done():
    begun = time.monotonic()
    told = translated("hangs", ["one", "bad", "three"], seconds=1.5)
    assert told[0] == "ONE"
    assert isinstance(told[1], Failure)
    assert told[1].reason == "timeout"
    assert told[2] == "THREE"
    assert time.monotonic() - begun < 20


def test_one_that_holds_its_output_back_is_told_what_to_set():
    [told] = translated("at_end", ["one"], seconds=1)
    assert isinstance(told, Failure)
    assert 'its life is "batch"' in told.detail


def test_without_markers_a_count_that_is_right_would_be_believed():
    """Why there are markers: this program drops and doubles, and every line but one is in the wrong place."""
    lines = ["a", "bad", "b", "c"]
    told = translated("swaps", lines, markers=0)
    assert told[2] == "BAD"
    lost = translated("swaps", lines, markers=1)
    assert isinstance(lost[1], Failure)
    assert [lost[0], *lost[2:]] == ["A", "B", "C"]


def test_a_program_that_cannot_keep_numbers_fails_until_markers_are_off():
    told = translated("numbers_in_words", ["a"])
    assert isinstance(told[0], Failure)
    assert told[0].reason == "misaligned"
    assert translated("numbers_in_words", ["a"], markers=0) == ["A"]


def test_the_program_is_started_once():
    told = translated("numbered", LINES * 2, lines=10)
    assert len({str(line).split()[0] for line in told}) == 1


def test_lines_without_words_are_handed_back_and_texts_of_many_lines_refused():
    told = translated("fine", ["", "  ", "a\nb", "a\rb", "ok\u2028", "c"])
    assert told == ["", "  ", Failure("not_one_line"), Failure("not_one_line"), "OK\u2028", "C"]


def test_no_key_reaches_a_program(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    [names] = translated("environment", ["who"])
    assert isinstance(names, str)
    assert "PATH" in names.split(",")
    assert "OPENAI_API_KEY" not in names


def test_many_callers_share_one_program():
    async def work():
        translator = CommandTranslator({("en", "xx"): [program("at_end", life="batch")]})
        begun = time.monotonic()
        told = await asyncio.gather(*(translator.translate([line], "en", "xx") for line in LINES))
        alone = time.monotonic() - begun
        await translator.close()
        return told, alone

    told, seconds = asyncio.run(work())
    assert told == [[line.upper()] for line in LINES]
    assert seconds < 10, "two starts, not sixty"


def test_a_chain_passes_failures_on():
    async def work():
        translator = CommandTranslator({("en", "xx"): [program("dies", seconds=5), program("fine")]})
        try:
            return await translator.translate(["a", "bad", "c"], "en", "xx")
        finally:
            await translator.close()

    first, lost, last = asyncio.run(work())
    assert (first, last) == ("A", "C")
    assert isinstance(lost, Failure)


def test_a_program_that_is_not_there_is_an_error_and_so_are_languages_it_has_not():
    async def ask(translator, target):
        try:
            await translator.translate(["a"], "en", target)
        finally:
            await translator.close()

    with pytest.raises(TranslatorError, match="'no-such-program' is not on the path"):
        asyncio.run(ask(CommandTranslator({("en", "xx"): [Program(("no-such-program",))]}), "xx"))
    with pytest.raises(TranslatorError, match="does not translate en to yy; it does en to xx"):
        asyncio.run(ask(CommandTranslator({("en", "xx"): [program("fine")]}), "yy"))
    with pytest.raises(UsageError, match="no command"):
        CommandTranslator({("en", "xx"): []})


def test_whoever_stops_waiting_leaves_no_process_behind():
    async def work():
        translator = CommandTranslator({("en", "xx"): [program("hangs")]})
        waiting = asyncio.ensure_future(translator.translate(["bad"], "en", "xx"))
        await asyncio.sleep(0.5)
        [batcher] = translator._batchers.values()
        pid = batcher._process._running.pid
        os.kill(pid, 0)
        await translator.close()
        with pytest.raises(TranslatorError, match="closed"):
            await waiting
        await translator.close()
        return pid

    pid = asyncio.run(work())
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_one_who_gives_up_takes_nothing_from_the_others():
    async def work():
        translator = CommandTranslator({("en", "xx"): [program("fine")]})
        first = asyncio.ensure_future(translator.translate(LINES, "en", "xx"))
        second = asyncio.ensure_future(translator.translate(LINES, "en", "xx"))
        await asyncio.sleep(0)
        first.cancel()
        told = await second
        await translator.close()
        return told

    assert asyncio.run(work()) == [line.upper() for line in LINES]


@settings(max_examples=6, deadline=None)
@given(st.lists(st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=30), max_size=40))
def test_any_text_of_one_line_comes_out_where_it_went_in(lines):
    told = translated("fine", lines)
    assert [isinstance(each, Failure) for each in told] == [False] * len(lines)
    assert told == [line.upper() if line.strip() else line for line in lines]
