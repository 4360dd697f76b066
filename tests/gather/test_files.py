"""Prompts from files: every format and compression, every reason to drop a line, and the reading that goes on."""

from __future__ import annotations

import gzip
import re
from collections import Counter
from decimal import Decimal
from pathlib import Path

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from tracemill.errors import RecipeError
from tracemill.gather import files, lines
from tracemill.gather.files import REASONS, read_prompts
from tracemill.gather.inputs import input_files
from tracemill.recipe import PromptFiles
from tracemill.record import BadLine, Message, Prompt

GSM8K = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "gsm8k" / "train.jsonl.gz"


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


QUESTIONS = [{"prompt": f"question {number}?"} for number in range(1000)]
TEXTS = [row["prompt"] for row in QUESTIONS]


def written(path: Path, data: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz", "a.jsonl.zst", "a.ndjson", "a.json", "a.txt", "a"])
@pytest.mark.parametrize("packed", [bytes, gzip.compress, zstandard.compress], ids=["plain", "gzip", "zstd"])
def test_compression_is_told_by_the_content_whatever_the_name(tmp_path, name, packed):
    assert asked(read(written(tmp_path / name, packed(jsonl(*QUESTIONS))))) == TEXTS


@pytest.mark.parametrize("packed", [gzip.compress, zstandard.compress])
def test_several_compressed_parts_one_after_another_are_one_file(tmp_path, packed):
    data = packed(jsonl(*QUESTIONS[:10])) + packed(jsonl(*QUESTIONS[10:]))
    assert asked(read(written(tmp_path / "a.jsonl", data))) == TEXTS


@pytest.mark.parametrize("packed", [gzip.compress, zstandard.compress], ids=["gzip", "zstd"])
@pytest.mark.parametrize("share", [0.5, 0.99])
def test_a_compressed_file_that_was_cut_short_is_read_up_to_there_and_told(tmp_path, packed, share):
    data = packed(b"".join(orjson.dumps({"prompt": f"{n * n * n}"}) + b"\n" for n in range(50_000)))
    items = read(written(tmp_path / "a.jsonl", data[: int(len(data) * share)]))
    count = len(asked(items))
    assert asked(items) == [f"{n * n * n}" for n in range(count)]
    assert dropped(items) == [(f"a.jsonl:{count + 1}", "unreadable")]


@pytest.mark.parametrize("name", ["a.csv.gz", "a.jsonl.gz"])
def test_a_damaged_middle_of_a_compressed_file_is_told(tmp_path, name):
    data = bytearray(gzip.compress(b"prompt\n" + b"".join(b"q%d\n" % (n * n) for n in range(50_000))))
    data[len(data) // 2] ^= 0xFF
    assert dropped(read(written(tmp_path / name, bytes(data))))[-1][1] == "unreadable"


@pytest.mark.parametrize(
    "data",
    [
        b"\xef\xbb\xbf" + jsonl(*QUESTIONS[:3]),
        jsonl(*QUESTIONS[:3]).replace(b"\n", b"\r\n"),
        b"\n\n" + jsonl(*QUESTIONS[:3]).replace(b"\n", b"\n  \n\t\r\n"),
        jsonl(*QUESTIONS[:3]).removesuffix(b"\n"),
    ],
    ids=["a BOM", "CRLF", "blank lines", "no last newline"],
)
def test_how_lines_end_and_begin_does_not_matter(tmp_path, data):
    assert read(written(tmp_path / "a.jsonl", data))[0].messages == (Message("user", "question 0?"),)
    assert asked(read(tmp_path / "a.jsonl")) == TEXTS[:3]
    assert dropped(read(tmp_path / "a.jsonl")) == []


def test_blank_lines_count_as_lines(tmp_path):
    assert [p.source_id for p in read(written(tmp_path / "a.jsonl", b"\n" + jsonl(*QUESTIONS[:2])))] == [
        "a.jsonl:2",
        "a.jsonl:3",
    ]


def test_an_empty_file_holds_nothing(tmp_path):
    assert read(written(tmp_path / "a.jsonl", b"")) == []


def test_a_column_that_csv_lacks_is_named_with_those_that_are_there(tmp_path):
    [item] = read(written(tmp_path / "a.csv", b"question,answer\none,1\n"))
    assert item.evidence == "no 'prompt'; there is answer, question"


def test_parquet_rows_become_prompts(tmp_path):
    pq.write_table(pa.Table.from_pylist(QUESTIONS), tmp_path / "a.parquet")
    assert asked(read(tmp_path / "a.parquet")) == TEXTS


def test_parquet_messages_numbers_and_structs_are_read(tmp_path):
    turns = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "2 + 2?"}]
    row = {"prompt": turns, "gold": {"value": Decimal("4.50")}, "n": 7}
    pq.write_table(pa.Table.from_pylist([row]), tmp_path / "a.parquet")
    [item] = read(tmp_path / "a.parquet", fields={"expected": "gold.value", "id": "n"})
    assert [m.content for m in item.messages] == ["Be brief.", "2 + 2?"]
    assert (item.expected, item.source_id) == ("4.50", "7")


def test_one_parquet_row_that_is_not_text_costs_no_other(tmp_path):
    raw = pa.array([b"one", b"t\xff", b"three"], pa.binary()).view(pa.string())
    pq.write_table(pa.table({"prompt": raw}), tmp_path / "a.parquet")
    items = read(tmp_path / "a.parquet")
    assert asked(items) == ["one", "three"]
    assert dropped(items) == [("a.parquet:2", "bad_utf8")]


def test_a_file_that_is_not_parquet_is_told(tmp_path):
    assert dropped(read(written(tmp_path / "a.parquet", b"PAR1 no"))) == [("a.parquet:1", "unreadable")]


def test_a_directory_is_read_in_the_order_of_its_names(tmp_path):
    for number, name in enumerate(["b.jsonl", "a/z.jsonl.gz", "a/b/c.csv", ".hid.jsonl", ".git/x.jsonl", "readme.md"]):
        written(tmp_path / name, b"prompt\nin csv\n" if name.endswith("csv") else jsonl(QUESTIONS[number]))
    items = read(tmp_path)
    assert [(p.source_id, p.messages[0].content) for p in items] == [
        ("a/b/c.csv:2", "in csv"),
        ("a/z.jsonl.gz:1", "question 1?"),
        ("b.jsonl:1", "question 0?"),
    ]


def test_a_glob_names_files_by_their_path_below_its_fixed_part(tmp_path):
    for name in ("x/train.jsonl", "y/train.jsonl", "y/test.jsonl"):
        written(tmp_path / "data" / name, jsonl(QUESTIONS[0]))
    ids = [p.source_id for p in read(tmp_path / "data" / "*" / "train.jsonl")]
    assert ids == ["x/train.jsonl:1", "y/train.jsonl:1"]


def test_a_relative_glob_tells_files_apart(tmp_path, monkeypatch):
    for name in ("x/train.jsonl", "y/train.jsonl"):
        written(tmp_path / name, jsonl(QUESTIONS[0]))
    monkeypatch.chdir(tmp_path)
    assert [p.source_id for p in read("**/train.jsonl")] == ["x/train.jsonl:1", "y/train.jsonl:1"]


def test_a_name_that_is_not_utf8_is_spelled_out(tmp_path):
    (tmp_path / "\udcff.jsonl").write_bytes(jsonl(QUESTIONS[0]))
    assert [p.source_id for p in read(tmp_path)] == ["\\xff.jsonl:1"]


@pytest.mark.parametrize("path", ["gone.jsonl", "gone/*.jsonl", "empty", "~nobody-of-this-name/a.jsonl", "a\0*"])
def test_a_path_that_leads_to_no_file_is_a_recipe_error(tmp_path, path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(RecipeError, match="'corpus'"):
        read(path if path.startswith("~") else f"{tmp_path}/{path}")


def test_fields_say_where_everything_is(tmp_path):
    row = {
        "q": {"text": "2 + 2?"},
        "a.b": "4",
        "key": 17,
        "terms": "MIT",
        "kind": "stem",
        "lang": "de",
        "level": {"n": 3},
        "other": 1,
    }
    fields = {
        "prompt": "q.text",
        "expected": "a.b",
        "id": "key",
        "license": "terms",
        "category": "kind",
        "language": "lang",
        "metadata": ["level.n", "gone"],
    }
    [item] = read(written(tmp_path / "a.jsonl", jsonl(row)), fields=fields, license="unknown")
    assert item == Prompt(
        category="stem",
        messages=(Message("user", "2 + 2?"),),
        expected="4",
        language="de",
        source="corpus",
        source_id="17",
        source_license="MIT",
        metadata={"level.n": 3},
    )


def test_what_a_row_does_not_say_comes_from_the_source(tmp_path):
    of_all = {"category": "chat", "language": "fr", "license": "MIT"}
    fields = {"id": "id", "license": "license", "language": "language"}
    [item] = read(written(tmp_path / "a.jsonl", jsonl({"prompt": "Bonjour"})), fields=fields, **of_all)
    assert (item.category, item.language, item.source_license) == ("chat", "fr", "MIT")
    assert (item.source_id, item.expected) == ("a.jsonl:1", None)


@pytest.mark.parametrize(
    ("answer", "expected"), [("so #### 5 and\n#### 10 ", "10"), ("####0", "0"), ("no mark", None), ("#### ", None)]
)
def test_the_expected_answer_is_what_follows_the_last_mark(tmp_path, answer, expected):
    data = written(tmp_path / "a.jsonl", jsonl({"prompt": "q", "answer": answer}))
    [item] = read(data, fields={"expected": "answer"}, expected_after="####")
    assert (item.expected if isinstance(item, Prompt) else None) == expected
    assert isinstance(item, Prompt) or item.reason == "missing_field"


@pytest.mark.parametrize(
    ("written_as", "expected"),
    [("5", "5"), ("-0.5", "-0.5"), ('"1/2"', "1/2"), (str(2**70), str(2**70)), (str(2**63 - 1), str(2**63 - 1))],
)
def test_a_number_as_expected_answer_keeps_its_digits(tmp_path, written_as, expected):
    line = f'{{"prompt": "q", "a": {written_as}}}\n'.encode()
    assert read(written(tmp_path / "a.jsonl", line), fields={"expected": "a"})[0].expected == expected


FIELDS = {"expected": "a", "category": "c", "language": "l"}
GOOD = {"prompt": "q", "a": "1", "c": "math", "l": "en"}
TURN = {"role": "user", "content": "q"}
BAD = [
    (b'{"prompt": "\xff"}', "bad_utf8", "\ufffd"),
    (b'{"prompt": "q"', "not_json", '{"prompt": "q"'),
    (b'{"prompt": NaN}', "not_json", "NaN"),
    (b"<html>", "not_json", "<html>"),
    (b'{"prompt": "q"}{"prompt": "r"}', "not_json", "r"),
    (b"[" * 100_000 + b"]" * 100_000, "not_json", "[["),
    (b'{"prompt": "q", "x": ' + b"[" * 70 + b"]" * 70 + b"}", "too_deep", "64"),
    (b"[1, 2]", "not_object", "[1, 2]"),
    (b'"text"', "not_object", '"text"'),
    (b"null", "not_object", "null"),
    ({}, "missing_field", "nothing"),
    ({"question": "q", "id": 1}, "missing_field", "id, question"),
    ({**GOOD, "prompt": None}, "missing_field", "prompt"),
    ({**GOOD, "a": None}, "missing_field", "'a'"),
    ({**GOOD, "a": " "}, "missing_field", "'a'"),
    ({**GOOD, "prompt": 4}, "wrong_type", "4"),
    ({**GOOD, "prompt": [4]}, "wrong_type", "4"),
    ({**GOOD, "prompt": [{"role": "user", "content": None}]}, "wrong_type", "None"),
    ({**GOOD, "prompt": [{"role": "tool", "content": "x"}, TURN]}, "wrong_type", "tool"),
    ({**GOOD, "prompt": ""}, "empty_prompt", "''"),
    ({**GOOD, "prompt": " \n"}, "empty_prompt", "\\n"),
    ({**GOOD, "prompt": []}, "empty_prompt", "[]"),
    ({**GOOD, "prompt": [TURN, {"role": "assistant", "content": "a"}]}, "empty_prompt", "assistant"),
    ({**GOOD, "prompt": "a\0b"}, "bad_text", "NUL"),
    (b'{"prompt": "\\ud800"}', "bad_text", "ud800"),
    ({**GOOD, "c": "maths"}, "unknown_category", "'maths'"),
    ({**GOOD, "c": None}, "unknown_category", "None"),
    ({**GOOD, "l": "a whole sentence"}, "unknown_language", "sentence"),
    ({**GOOD, "l": "../../etc"}, "unknown_language", "etc"),
    ({**GOOD, "l": "pt_BR"}, "unknown_language", "pt-BR"),
    ({**GOOD, "l": "en\n"}, "unknown_language", "en"),
    ({**GOOD, "l": "en" + "-abcdefgh" * 20}, "unknown_language", "en"),
]


@pytest.mark.parametrize(("row", "reason", "shown"), BAD, ids=lambda value: repr(value)[:40])
def test_a_bad_line_is_told_with_its_place_reason_and_an_excerpt(tmp_path, row, reason, shown):
    line = row + b"\n" if isinstance(row, bytes) else jsonl(row)
    path = written(tmp_path / "a.jsonl", jsonl(GOOD) + line + jsonl(GOOD))
    first, bad, last = read(path, fields=FIELDS)
    assert (first.messages, last.messages) == ((Message("user", "q"),),) * 2
    assert (bad.source, bad.where, bad.reason) == ("corpus", "a.jsonl:2", reason)
    assert shown in bad.evidence
    assert len(bad.evidence) <= 300


def test_a_hundred_bad_lines_cost_none_of_nine_hundred_good_ones(tmp_path):
    planned = [BAD[number % len(BAD)] for number in range(100)]
    data = b""
    for number, (row, _, _) in enumerate(planned):
        good = [{**GOOD, "prompt": f"question {number * 9 + place}"} for place in range(9)]
        data += jsonl(*good) + (row + b"\n" if isinstance(row, bytes) else jsonl(row))
    items = read(written(tmp_path / "a.jsonl", data), fields=FIELDS)
    assert asked(items) == [f"question {number}" for number in range(900)]
    assert dropped(items) == [(f"a.jsonl:{10 * n + 10}", reason) for n, (_, reason, _) in enumerate(planned)]
    assert {reason for _, reason in dropped(items)} <= REASONS


@pytest.mark.parametrize("name", ["a.jsonl", "a.csv"])
def test_a_giant_line_is_dropped_and_the_next_is_read(tmp_path, monkeypatch, name):
    monkeypatch.setattr(lines, "MAX_LINE", 1000)
    monkeypatch.setattr(files, "MAX_LINE", 1000)
    rows = [b"prompt\n", b"x" * 5000 + b"\n", b"next\n"]
    if name == "a.jsonl":
        rows = jsonl({"prompt": "first"}, {"prompt": "x" * 5000}, {"prompt": "next"}).splitlines(keepends=True)
    items = read(written(tmp_path / name, b"".join(rows)))
    assert asked(items)[-1] == "next"
    assert [reason for _, reason in dropped(items)] == ["too_long"]


def test_a_line_as_long_as_allowed_is_read(tmp_path, monkeypatch):
    line = jsonl({"prompt": "x" * 900})
    monkeypatch.setattr(files, "MAX_LINE", len(line) - 1)
    assert len(asked(read(written(tmp_path / "a.jsonl", line * 2)))) == 2


@settings(max_examples=200, deadline=None)
@given(data=st.binary(max_size=200), name=st.sampled_from(["a.jsonl", "a.csv", "a.parquet", "a.jsonl.gz"]))
def test_no_file_stops_the_reading(tmp_path_factory, data, name):
    for item in read(written(tmp_path_factory.mktemp("any") / name, data)):
        orjson.dumps(item.evidence if isinstance(item, BadLine) else item.messages[0].content)


@settings(max_examples=100, deadline=None)
@given(place=st.integers(0, 10**6), byte=st.integers(0, 255), kind=st.sampled_from(["gz", "zst", "csv", "parquet"]))
def test_no_changed_byte_stops_the_reading(tmp_path_factory, place, byte, kind):
    folder = tmp_path_factory.mktemp("flip")
    if kind == "parquet":
        pq.write_table(pa.Table.from_pylist(QUESTIONS[:50]), folder / "a.parquet", write_page_checksum=True)
        data = bytearray((folder / "a.parquet").read_bytes())
    else:
        plain = b"prompt\n" + b"".join(b'"%d",\n' % n for n in range(50)) if kind == "csv" else jsonl(*QUESTIONS[:50])
        data = bytearray({"gz": gzip.compress, "zst": zstandard.compress, "csv": bytes}[kind](plain))
    data[place % len(data)] = byte
    name = f"a.{kind}" if kind in ("csv", "parquet") else f"a.jsonl.{kind}"
    for item in read(written(folder / name, bytes(data))):
        orjson.dumps(item.evidence if isinstance(item, BadLine) else item.messages[0].content)


@pytest.mark.skipif(not GSM8K.exists(), reason="the GSM8K file lies beside the checkout, and is not there")
def test_every_problem_of_gsm8k_is_read_with_a_number_as_answer():
    fields = {"prompt": "question", "expected": "answer", "id": "id"}
    items = read(GSM8K, fields=fields, expected_after="####")
    assert len(items) == 5289
    assert Counter(type(item) for item in items) == {Prompt: 5289}
    assert [item.source_id for item in items if not re.fullmatch(r"-?[0-9,]+(\.[0-9]+)?", item.expected)] == []
    assert items[0].expected == "10"
