"""What rows say beyond their question: JSON arrays, traces in the history, carried columns, languages."""

from __future__ import annotations

import datetime
import gzip
import re
from decimal import Decimal
from pathlib import Path

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from tracemill import think
from tracemill.errors import RecipeError
from tracemill.gather import files
from tracemill.gather.files import read_prompts
from tracemill.gather.inputs import input_files
from tracemill.metadata import METADATA_TEXT
from tracemill.publish.dataset import split_of
from tracemill.recipe import LANGUAGE, RESERVED_METADATA, PromptFiles, Recipe
from tracemill.recipe_file import recipe_from
from tracemill.record import BadLine, Prompt, Sample
from tracemill.schema import from_row, to_row


def source(path: Path | str, **more: object) -> PromptFiles:
    return PromptFiles.model_validate({"path": str(path), "name": "corpus", **more})


def read(path: Path | str, **more: object) -> list[Prompt | BadLine]:
    of = source(path, **more)
    return [item for file in input_files(of) for item in read_prompts(of, file)]


def asked(items: list[Prompt | BadLine]) -> list[str]:
    return [item.messages[-1].content for item in items if isinstance(item, Prompt)]


def dropped(items: list[Prompt | BadLine]) -> list[tuple[str, str]]:
    return [(item.where, item.reason) for item in items if isinstance(item, BadLine)]


def jsonl(*rows: object) -> bytes:
    return b"".join(orjson.dumps(row) + b"\n" for row in rows)


def written(path: Path, data: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def recipe(prompts: dict) -> Recipe:
    teachers = {"main": {"url": "builtin", "model": "m"}}
    told = {"name": "small", "license": "MIT", "prompts": {"path": "a.jsonl", **prompts}, "teachers": teachers}
    return recipe_from(told, "r.yaml")


def refusal(prompts: dict) -> str:
    with pytest.raises(RecipeError) as caught:
        recipe(prompts)
    return str(caught.value)


ARRAY = b'\xef\xbb\xbf\n [\n {"prompt": "one"},\n 4,\n {"q": 1}, {"prompt": "two", "n": 123456789012345678901}]\n'


@pytest.mark.parametrize("packed", [bytes, gzip.compress, zstandard.compress], ids=["plain", "gzip", "zstd"])
def test_a_json_file_that_holds_an_array_is_read_object_by_object(tmp_path, packed):
    items = read(written(tmp_path / "a.json", packed(ARRAY)), fields={"metadata": ["n"]})
    assert asked(items) == ["one", "two"]
    assert dropped(items) == [("a.json:2", "not_object"), ("a.json:3", "missing_field")]
    assert (items[3].source_id, items[3].metadata) == ("a.json:4", {"n": "123456789012345678901"})


@pytest.mark.parametrize(
    ("data", "reason", "shown"),
    [
        (b'[\n{"prompt": "one"},\n{"prompt"\n', "not_json", "as a whole"),
        (b'[{"prompt": "\xff"}]', "bad_utf8", "as a whole"),
        (b"[" + b" " * 2000 + b"]", "too_long", "JSONL"),
        (b'[{"n": 123456789012345678901, "x": ' + b"[" * 70 + b"]" * 70 + b"}]", "too_deep", "64"),
        (b"[" * 900 + b"12345678901234567890" + b"]" * 900, "too_deep", "64"),
    ],
    ids=lambda value: repr(value)[:30],
)
def test_a_json_array_that_cannot_be_read_is_one_bad_line(tmp_path, monkeypatch, data, reason, shown):
    monkeypatch.setattr(files, "MAX_LINE", 1900)
    [item] = read(written(tmp_path / "a.json", data))
    assert (item.where, item.reason) == ("a.json:1", reason)
    assert shown in item.evidence


def test_a_json_array_in_a_file_cut_short_is_told(tmp_path):
    data = gzip.compress(orjson.dumps([{"prompt": f"{n * n * n}"} for n in range(50_000)]))
    assert dropped(read(written(tmp_path / "a.json.gz", data[:-50_000]))) == [("a.json.gz:1", "unreadable")]


TRACED = ["<think>x</think>\n\nyo", "<think>\nx\n</think>\n\nyo", " <think> </think>", "<think>open", "plain"]


@pytest.mark.parametrize("text", TRACED)
def test_a_trace_in_the_history_is_read_and_written_back_as_it_was(tmp_path, text):
    turns = [
        {"role": "user", "content": text},
        {"role": "assistant", "content": text},
        {"role": "user", "content": "q"},
    ]
    [item] = read(written(tmp_path / "a.jsonl", jsonl({"prompt": turns})))
    assert (item.messages[0].content, item.messages[0].reasoning) == (text, None)
    assert item.messages[1].reasoning == think.split(text)[0]
    row = to_row(Sample("u", "chat", "on", item.messages))
    assert [turn["content"] for turn in row["messages"]] == [text, text, "q"]
    assert from_row(row).messages == item.messages


def test_whatever_is_carried_along_can_be_written(tmp_path):
    moment = datetime.datetime(2024, 5, 6, tzinfo=datetime.timezone(datetime.timedelta(hours=5, minutes=30)))
    row = {"prompt": "q", "a": float("nan"), "b": [1.0, float("inf")], "c": Decimal("1.50"), "d": b"\xff", "e": moment}
    row |= {"f": datetime.timedelta(1), "g": {"x": None}, "h": [("k", 2)], "i": 2**64 - 1, "j": datetime.time(1)}
    kinds = {"h": pa.map_(pa.string(), pa.int64()), "i": pa.uint64()}
    columns = {name: pa.array([value], kinds.get(name)) for name, value in row.items()}
    pq.write_table(pa.table(columns), tmp_path / "a.parquet")
    [item] = read(tmp_path / "a.parquet", fields={"metadata": list("abcdefghij")})
    assert isinstance(item, Prompt)
    assert item.metadata["b"] == [1.0, None]
    assert (item.metadata["c"], item.metadata["h"]) == ("1.50", [["k", 2]])
    sample = Sample("u", "chat", "on", item.messages, metadata=item.metadata)
    assert from_row(to_row(sample)) == sample
    assert "a" not in item.metadata


@pytest.mark.parametrize(
    ("language", "split"), [("pt-BR", "multilingual_pt_br"), ("zh-Hans-CN", "multilingual_zh_hans_cn"), ("en", "chat")]
)
def test_a_row_of_any_language_has_a_split_that_can_be_a_file(tmp_path, language, split):
    fields = {"language": "l"}
    [item] = read(written(tmp_path / "a.jsonl", jsonl({"prompt": "q", "l": language})), fields=fields, category="chat")
    assert split_of(item.category, item.language) == split


@given(language=st.from_regex(LANGUAGE, fullmatch=True))
def test_every_split_is_one_that_datasets_accepts(language):
    assert re.fullmatch(r"[a-z0-9_]{2,80}", split_of("chat", language))


@pytest.mark.parametrize("language", ["", "EN", "english", "pt_BR", "../x", "de fr", "en\n", "en" + "-abcdefgh" * 20])
def test_a_language_that_is_no_code_is_refused(language):
    text = refusal({"language": language})
    assert "prompts.language:" in text
    assert "'pt-BR'" in text


@pytest.mark.parametrize("language", ["en", "yue", "pt-BR", "zh-Hans-CN", "de-1996"])
def test_a_language_code_is_taken(language):
    assert recipe({"language": language}).prompts[0].language == language


@pytest.mark.parametrize("name", ["tools", "tool_call_ids", "metadata_text"])
def test_a_metadata_key_that_rows_keep_for_themselves_is_refused(name):
    assert METADATA_TEXT in RESERVED_METADATA
    text = refusal({"fields": {"metadata": ["level", name]}})
    assert f"{name!r} cannot be carried along" in text
    assert "tools, tool_call_ids, metadata_text" in text
    assert recipe({"fields": {"metadata": ["level", f"a.{name}"]}})
