"""Hostile lines cost themselves and nothing else: each has a reason, and the good rows between them are all there."""

from __future__ import annotations

import gzip
import json
import os
import time
from collections import Counter
from random import Random

import pytest
import zstandard

import tracemill
from rows import rows
from tracemill.inspect.checks import CHECKS
from tracemill.inspect.validate import validate
from tracemill.reading.json_lines import MAX_LINE, REASONS


def dumped(row):
    return json.dumps(row).encode()


def changed(row, **values):
    return dumped({**row, **values})


def turned(row, **values):
    turns = [dict(turn) for turn in row["messages"]]
    turns[0].update(values)
    return changed(row, messages=turns)


HOSTILE = {
    "not_json": [
        lambda r, d: dumped(r)[: d.randrange(5, 60)],
        lambda r, d: b"\x00" * 40,
        lambda r, d: b"{'uuid': 1}",
        lambda r, d: dumped(r) + b"}",
        lambda r, d: b'{"uuid": NaN, "messages": []}',
        lambda r, d: b"[" * 5000,
    ],
    "bad_utf8": [
        lambda r, d: dumped(r).replace(b"The answer", b"The \xff\xfe answer", 1),
        lambda r, d: d.randbytes(30).replace(b"\n", b"") + b"\xff",
    ],
    "bad_text": [
        lambda r, d: dumped(r).replace(b"The answer", b"The \\ud800 answer", 1),
    ],
    "too_deep": [
        lambda r, d: changed(r, metadata={"a": json.loads("[" * 100 + "]" * 100)}),
    ],
    "not_object": [
        lambda r, d: b"[1, 2]",
        lambda r, d: b'"text"',
        lambda r, d: b"null",
        lambda r, d: b"7",
    ],
    "messages_missing": [
        lambda r, d: b"{}",
        lambda r, d: dumped({"uuid": "x", "text": "no turns"}),
        lambda r, d: changed(r, messages=None),
    ],
    "messages_wrong_type": [
        lambda r, d: changed(r, messages=5),
        lambda r, d: changed(r, messages={"role": "user"}),
        lambda r, d: changed(r, messages="[{'role': 'user'}]"),
    ],
    "message_not_object": [
        lambda r, d: changed(r, messages=["user", "assistant"]),
        lambda r, d: changed(r, messages=[None]),
    ],
    "role_wrong_type": [
        lambda r, d: turned(r, role=1),
        lambda r, d: turned(r, role=["user"]),
    ],
    "content_wrong_type": [
        lambda r, d: turned(r, content=4),
        lambda r, d: turned(r, content={"text": "a"}),
        lambda r, d: turned(r, content=[{"type": "image"}]),
    ],
    "reasoning_wrong_type": [
        lambda r, d: turned(r, reasoning_content=["a"]),
    ],
    "calls_wrong_type": [
        lambda r, d: turned(r, tool_calls="call"),
        lambda r, d: turned(r, tool_calls=[1]),
    ],
    "label_wrong_type": [
        lambda r, d: changed(r, uuid=7),
        lambda r, d: changed(r, license=["mit"]),
        lambda r, d: changed(r, category={}),
    ],
    "tools_wrong_type": [
        lambda r, d: changed(r, tools=3),
    ],
    "metadata_wrong_type": [
        lambda r, d: changed(r, metadata=[1]),
    ],
    "role_unknown": [
        lambda r, d: turned(r, role="bot"),
        lambda r, d: turned(r, role=None),
    ],
    "prompt_empty": [
        lambda r, d: turned(r, content=None),
        lambda r, d: turned(r, content=" \n"),
    ],
    "messages_empty": [
        lambda r, d: changed(r, messages=[]),
    ],
    "metadata_not_json": [
        lambda r, d: changed(r, metadata="}{"),
    ],
    "text_damaged": [
        lambda r, d: turned(r, content="a NUL \x00 in it"),
        lambda r, d: turned(r, content="lost \ufffd it"),
    ],
}  # fmt: skip
"""By reason, ways to make a line that has it."""


def write_hostile(path, good, hostile, seed=0):
    """Hostile lines among good ones; returns how many there are of each reason."""
    draw = Random(seed)
    held = rows("chat", 500, seed=seed)
    texts = [dumped(row) for row in held]
    reasons = list(HOSTILE)
    planted = Counter()
    order = [True] * hostile + [False] * good
    draw.shuffle(order)
    with path.open("wb") as file:
        for number, bad in enumerate(order):
            if bad:
                reason = reasons[draw.randrange(len(reasons))]
                ways = HOSTILE[reason]
                line = ways[draw.randrange(len(ways))](held[number % 500], draw)
                assert b"\n" not in line
                planted[reason] += 1
            else:
                line = texts[number % 500].replace(b'"uuid": "', b'"uuid": "%07d' % number, 1)
            file.write(line + b"\n")
    return planted


def classified(report):
    return {f.name: f.count for f in report.findings if f.name in HOSTILE}


def test_each_hostile_line_has_its_reason(tmp_path):
    planted = write_hostile(tmp_path / "chat.jsonl", 4500, 500)
    report = validate(tmp_path / "chat.jsonl", workers=0)
    assert len(planted) >= 15
    assert classified(report) == planted
    assert report.rows + report.bad == 5000
    assert {f.name for f in report.findings} <= {*HOSTILE, "prompt_duplicate", "no_train_split", "uuid_duplicate"}


def test_what_can_be_wrong_with_a_line_is_in_the_vocabulary():
    assert set(HOSTILE) <= set(CHECKS)
    assert set(REASONS) - {"unreadable", "too_long"} <= set(HOSTILE)


def test_a_line_that_would_fill_the_memory_is_a_bad_line(tmp_path):
    path = tmp_path / "chat.jsonl"
    good = dumped(rows("chat", 1)[0])
    path.write_bytes(good + b"\n" + b'{"a": "' + b"x" * (MAX_LINE + 10) + b'"}\n' + good.replace(b"1", b"2") + b"\n")
    report = validate(path, workers=0)
    assert (report.rows, report.finding("too_long").count) == (2, 1)
    assert report.finding("too_long").examples[0]["place"] == f"chat.jsonl:byte {len(good) + 1}"


@pytest.mark.parametrize("pack", [gzip.compress, zstandard.compress], ids=["gz", "zst"])
def test_compressed_lines_that_were_cut_keep_what_came_before(pack, tmp_path):
    packed = pack(b"".join(dumped(row) + b"\n" for row in rows("chat", 4000)))
    suffix = "gz" if pack is gzip.compress else "zst"
    path = tmp_path / f"chat.jsonl.{suffix}"
    path.write_bytes(packed[: len(packed) // 2])
    report = validate(path, workers=0)
    assert 0 < report.rows < 4000
    assert report.finding("file_unreadable").count == 1
    assert "cut short" in report.finding("file_unreadable").examples[0]["evidence"]
    with pytest.raises(tracemill.DataError, match=r"chat\.jsonl.*after line"):
        list(tracemill.open(path))


def test_opening_skips_what_is_no_row_and_counts_it(tmp_path):
    planted = write_hostile(tmp_path / "chat.jsonl", 900, 100)
    opened = tracemill.open(tmp_path / "chat.jsonl")
    read = sum(1 for _ in opened)
    left_out = {name: count for name, count in planted.items() if name in REASONS}
    assert opened.skipped == left_out
    assert read == 1000 - sum(left_out.values())


@pytest.mark.storm
def test_a_hundred_thousand_hostile_lines_among_a_million(tmp_path):
    planted = write_hostile(tmp_path / "chat.jsonl", 900_000, 100_000, seed=1)
    begun, before = time.perf_counter(), os.times()
    report = validate(tmp_path / "chat.jsonl")
    took, after = time.perf_counter() - begun, os.times()
    cpu = sum(after[:4]) - sum(before[:4])
    print(f"1,000,000 lines: {1_000_000 / took:,.0f} a second in {took:.1f} s, {1_000_000 / cpu:,.0f} a CPU second")
    assert len(planted) >= 15
    assert classified(report) == planted
    assert report.rows + report.bad == 1_000_000
