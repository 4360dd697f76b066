"""The flat view: the columns that the articles read, taken from where they really lie."""

from __future__ import annotations

import json

import pytest

import tracemill as tm
from rows import row, rows, write_lines, write_v1, write_v2
from tracemill.errors import UsageError


def flat_of(tmp_path, *held, name="math.jsonl"):
    return list(tm.open(write_lines(tmp_path / name, list(held))).flat())


def test_a_row_of_v2_has_what_the_article_reads(tmp_path):
    held = rows("multilingual_fr", 5)
    write_v2(tmp_path / "data" / "multilingual_fr-00000-of-00001.parquet", held)
    line = next(iter(tm.open(tmp_path).flat()))
    assert line["language"] == "fr"
    assert line["prompt"] == held[0]["messages"][0]["content"]
    assert line["response"].startswith("Pour résoudre")
    assert line["reasoning_chain"].startswith("We are told")
    assert "<think>" not in line["response"] + line["reasoning_chain"]


def test_a_trace_beside_the_content_is_the_reasoning_chain(tmp_path):
    r = row("chat", 1)
    r["messages"][1] = {"role": "assistant", "content": "<think> is a tag.", "reasoning_content": "Why."}
    [line] = flat_of(tmp_path, r)
    assert (line["reasoning_chain"], line["response"]) == ("Why.", "<think> is a tag.")


def test_no_trace_is_null_and_an_empty_one_is_empty(tmp_path):
    off, empty = row("chat", 1), row("chat", 2)
    empty["messages"][1]["content"] = "<think>\n\n</think>\n\nYes."
    assert [line["reasoning_chain"] for line in flat_of(tmp_path, off, empty)] == [None, ""]


def test_of_a_conversation_the_first_question_and_the_last_answer_count(tmp_path):
    r = row("chat", 1)
    r["messages"] = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "One?"},
        {"role": "assistant", "content": "1"},
        {"role": "user", "content": "Two?"},
        {"role": "assistant", "content": "2"},
    ]
    [line] = flat_of(tmp_path, r)
    assert (line["system"], line["prompt"], line["response"], line["turns"]) == ("Be brief.", "One?", "2", 5)


def test_rows_without_question_or_answer_have_empty_texts(tmp_path):
    r = row("chat", 1)
    r["messages"] = []
    [line] = flat_of(tmp_path, r)
    assert (line["prompt"], line["response"], line["reasoning_chain"], line["turns"]) == ("", "", None, 0)


def test_difficulty_and_topic_come_from_the_column_or_the_metadata(tmp_path):
    metadata = json.dumps({"difficulty": 3, "subject": "optics", "expected_answer": "4"})
    lines = flat_of(tmp_path, {**row("math", 1), "metadata": metadata}, {**row("math", 2), "difficulty": "hard"})
    assert [(v["difficulty"], v["topic"], v["expected_answer"]) for v in lines] == [
        ("3", "optics", "4"),
        ("hard", None, None),
    ]


def test_only_the_columns_that_are_asked_for_come_and_others_are_refused(tmp_path):
    write_v1(tmp_path / "data" / "math.parquet", rows("math", 10))
    flat = tm.open(tmp_path).flat(["language", "prompt"])
    assert flat.columns == ["language", "prompt"]
    assert [table.column_names for table in flat.batches(10)] == [["language", "prompt"]]
    assert len(flat) == 10
    with pytest.raises(UsageError, match=r"no column 'promt'.*Did you mean 'prompt'"):
        tm.open(tmp_path).flat(["promt"])


def test_rows_one_by_one_and_in_batches_are_the_same(tmp_path):
    write_v1(tmp_path / "data" / "math.parquet", rows("math", 40), group=7)
    write_v1(tmp_path / "data" / "tool-00000-of-00001.parquet", rows("tool_calling", 20))
    flat = tm.open(tmp_path).flat()
    lines = list(flat)
    assert [line for table in flat.batches(13) for line in table.to_pylist()] == lines
    assert [flat[number] for number in range(len(flat))] == lines
    kept = tm.open(tmp_path).filter(lambda r: True).flat()
    assert list(kept) == lines


def test_a_split_of_the_flat_view_is_flat(tmp_path):
    write_v1(tmp_path / "data" / "math.parquet", rows("math", 4))
    write_v1(tmp_path / "data" / "chat.parquet", rows("chat", 3))
    flat = tm.open(tmp_path).flat()
    assert len(flat["chat"]) == 3
    assert len(flat["train"]) == 7
