"""A text is found where it stands, whole or in part, in whatever form the data is; and nowhere else."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tracemalloc

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tracemill as tm
from rows import rows, write_lines, write_v1
from tracemill.errors import UsageError
from tracemill.search.needle import Needle
from tracemill.words import words_of

SAID = (
    "The harbour master counts nineteen grey boats before breakfast, writes each name into a ledger bound in red "
    "cloth, and then walks slowly back along the quay to ask the cook whether any of the crews has come ashore, "
    "because nobody else on the island remembers which of them had promised to carry the letters over to the mainland."
)
PART = (
    "walks slowly back along the quay to ask the cook whether any of the crews has come ashore, because nobody else on "
    "the island remembers"
)


@pytest.fixture
def data(tmp_path):
    """Rows of three splits; the text stands in an answer, in a trace, in a prompt, and in part in another prompt."""
    math, chat, tool = rows("math", 40), rows("chat", 40), rows("tool_calling", 5)
    math[7]["messages"][1]["content"] = f"<think>\nFirst. {SAID.upper()}\n</think>\n\nIt is 3."
    math[9]["messages"][1]["content"] = f"<think>\nIt is three.\n</think>\n\n{SAID.replace(' ', '  ')}!"
    chat[3]["messages"][0]["content"] = SAID.replace(",", " --")
    chat[4]["messages"][0]["content"] = f"Who is it that {PART}?"
    tool[2]["messages"][2]["content"] = json.dumps({"text": SAID})
    write_v1(tmp_path / "v1" / "data" / "math-00000-of-00001.parquet", math, group=7)
    write_v1(tmp_path / "v1" / "data" / "tool-00000-of-00001.parquet", tool)
    write_lines(tmp_path / "v1" / "data" / "chat.jsonl", chat)
    return tmp_path / "v1", {"trace": math[7], "answer": math[9], "prompt": chat[3], "part": chat[4], "tool": tool[2]}


def told(report):
    return [(m.uuid, m.where, m.whole) for m in report.texts[0].matches]


def test_a_text_is_found_wherever_it_stands(data):
    place, held = data
    report = tm.contains(place, SAID)
    assert told(report) == [
        (held["prompt"]["uuid"], "prompt", True),
        (held["part"]["uuid"], "prompt", False),
        (held["trace"]["uuid"], "trace", False),
        (held["answer"]["uuid"], "answer", True),
        (held["tool"]["uuid"], "tool", False),
    ]
    assert (report.rows, report.texts[0].rows, report.found) == (85, 5, True)
    shares = {m.where: m.share for m in report.texts[0].matches if m.uuid != held["part"]["uuid"]}
    assert shares == {"prompt": 1.0, "trace": 1.0, "answer": 1.0, "tool": 1.0}
    words = len(words_of(SAID))
    part = next(m for m in report.texts[0].matches if m.uuid == held["part"]["uuid"])
    assert part.share == round((len(words_of(PART)) - 12) / (words - 12), 4)


def test_the_share_decides_what_counts(data):
    place, held = data
    assert {uuid for uuid, _, _ in told(tm.contains(place, SAID, share=0.9))} == {
        held[name]["uuid"] for name in ("prompt", "trace", "answer", "tool")
    }
    assert len(told(tm.contains(place, SAID, share=0.001))) == 5


def test_a_short_text_must_stand_there_as_it_is(data):
    place, held = data
    assert len(told(tm.contains(place, "nineteen GREY boats"))) == 4
    assert told(tm.contains(place, "nineteen boats")) == []
    assert told(tm.contains(place, "is it that walks")) == [(held["part"]["uuid"], "prompt", False)]


def test_splits_and_limits_are_heeded_and_several_texts_are_sought_at_once(data):
    place, held = data
    assert told(tm.contains(place, SAID, split="math", limit=1)) == [(held["trace"]["uuid"], "trace", False)]
    report = tm.contains(place, [SAID, "no such words here"], split="math", limit=1)
    assert [(s.rows, len(s.matches)) for s in report.texts] == [(2, 1), (0, 0)]


def test_a_trace_beside_its_content_is_looked_through(tmp_path):
    turns = [{"role": "user", "content": "?"}, {"role": "assistant", "content": "Yes.", "reasoning_content": SAID}]
    write_lines(tmp_path / "chat.jsonl", [{"uuid": "a", "messages": turns}])
    assert told(tm.contains(tmp_path, SAID)) == [("a", "trace", True)]


def test_rows_without_turns_or_texts_are_passed_over(tmp_path):
    turns = [{"role": "user", "content": None}, {"role": "assistant", "content": SAID}]
    held = [{"uuid": "a", "messages": []}, {"uuid": "b", "messages": turns}, {"uuid": None, "messages": turns}]
    write_lines(tmp_path / "chat.jsonl", held)
    assert told(tm.contains(tmp_path, SAID)) == [("b", "answer", True), (None, "answer", True)]


@pytest.mark.parametrize(
    ("text", "row"),
    [
        ("彼女は毎朝早く起きて、庭の花に水をやります。", "昨日の話:彼女は毎朝早く起きて 庭の花に水をやります"),
        ("İstanbul'da ILIK bir sabah", "...İSTANBUL'DA ılık bir sabah".replace("ı", "i")),
        ("Straße und Öl für ΟΔΟΣ", "STRAẞE und öl — FÜR οδος!"),
        ("snake_case is_not split", "So snake_case is_not split."),
        ("हिन्दी में लिखा हुआ वाक्य", "यह हिन्दी में लिखा हुआ वाक्य है"),
    ],
)
def test_letters_of_any_script_are_words(text, row, tmp_path):
    held = rows("chat", 3)
    held[1]["messages"][0]["content"] = row
    write_v1(tmp_path / "chat.parquet", held)
    assert told(tm.contains(tmp_path, text)) == [(held[1]["uuid"], "prompt", words_of(text) == words_of(row))]


WORD = st.sampled_from("a b word Words ÉTÉ été x1 İz 日 本 語 snake_case über longer_than_forty_characters_" .split()).map(
    lambda word: word + "q" * 40 if word.startswith("longer") else word
)  # fmt: skip
BETWEEN = st.sampled_from([" ", "  ", ", ", "\n", " -- ", "'s ", "。", "**", "\t"])


@settings(max_examples=150, deadline=None)
@given(
    text=st.lists(st.tuples(WORD, BETWEEN), min_size=1, max_size=90),
    cut=st.tuples(st.integers(0, 60), st.integers(1, 90)),
    around=st.lists(st.tuples(WORD, BETWEEN), max_size=20),
    share=st.sampled_from([0.2, 0.5, 1.0]),
    upper=st.booleans(),
)
def test_what_holds_a_text_is_never_passed_over_by_its_expressions(text, cut, around, share, upper):
    spelled = "".join(word + between for word, between in text)
    piece = "".join(word + between for word, between in (*around, *text[cut[0] : cut[0] + cut[1]], *around))
    row = piece.upper() if upper and "İ" not in piece else piece
    needle = Needle(spelled, share)
    held, _ = needle.held_in(words_of(row))
    matched = any(pc.match_substring_regex(pa.array([row]), e)[0].as_py() for e in needle.expressions())
    assert matched or held < share


def test_of_a_long_text_enough_anchors_are_taken():
    text = " ".join(f"w{n}" for n in range(20_000))
    patterns = Needle(text, 0.2).expressions()
    assert len(patterns) == 1
    assert all(len(re.findall(r"\|", p)) < 64 for p in patterns)
    assert Needle(text, 0.2).held_in([f"w{n}" for n in range(5_000)])[0] == pytest.approx(0.25, abs=0.001)
    halves = [" ".join(f"w{n}" for n in range(start, start + 4100)) for start in range(0, 15_000, 1000)]
    found = pc.match_substring_regex(pa.array(halves), patterns[0])
    assert found.to_pylist() == [True] * len(halves)


def test_memory_does_not_grow_with_the_data(tmp_path):
    held = rows("math", 2000)
    write_v1(tmp_path / "one" / "math-00000-of-00001.parquet", held, group=500)
    for number in range(8):
        write_v1(tmp_path / "many" / f"math-{number:05d}-of-00008.parquet", held, group=500)
    peaks = []
    for place in ("one", "many"):
        tracemalloc.start()
        tm.contains(tmp_path / place, SAID)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 2 * peaks[0] + 1_000_000


def test_what_cannot_be_sought_is_refused(data):
    place, _ = data
    with pytest.raises(UsageError, match="no word"):
        tm.contains(place, "...")
    with pytest.raises(UsageError, match="share=0"):
        tm.contains(place, SAID, share=0)
    with pytest.raises(UsageError, match="nothing to look for"):
        tm.contains(place, [])


def test_the_command_exits_0_where_it_is_and_1_where_it_is_not(data, tmp_path):
    place, _ = data
    (tmp_path / "said.txt").write_text(SAID)
    command = [sys.executable, "-m", "tracemill", "contains", place]
    done = subprocess.run([*command, "--file", tmp_path / "said.txt", "--json"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["texts"][0]["rows"] == 5
    absent = subprocess.run([*command, "--text", "no such words"], capture_output=True, text=True)
    assert absent.returncode == 1
    assert "no row holds 20% or more of 3 words: no such words" in absent.stdout
    wrong = subprocess.run([*command, "--text", "x", "--share", "much"], capture_output=True, text=True)
    assert (wrong.returncode, wrong.stdout) == (2, "")
