"""CSV: fields of many lines, and records that cannot be read, which cost one line each."""

from __future__ import annotations

import csv
import gzip
import io
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tracemill.gather import files, lines
from tracemill.gather.files import read_prompts
from tracemill.gather.inputs import input_files
from tracemill.recipe import Fields, PromptFiles
from tracemill.record import BadLine, Prompt


def source(path: Path | str, **more: object) -> PromptFiles:
    return PromptFiles.model_validate({"path": str(path), "name": "corpus", **more})


def read(path: Path | str, **more: object) -> list[Prompt | BadLine]:
    of = source(path, **more)
    return [item for file in input_files(of) for item in read_prompts(of, file)]


def asked(items: list[Prompt | BadLine]) -> list[str]:
    return [item.messages[-1].content for item in items if isinstance(item, Prompt)]


def dropped(items: list[Prompt | BadLine]) -> list[tuple[str, str]]:
    return [(item.where, item.reason) for item in items if isinstance(item, BadLine)]


def written(path: Path, data: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def to_csv(rows: list[list[str]]) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue().encode()


@settings(max_examples=60, deadline=None)
@given(texts=st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1), max_size=6))
def test_csv_fields_come_back_with_quotes_commas_and_newlines(tmp_path_factory, texts):
    texts = [text for text in texts if text.strip()]
    path = tmp_path_factory.mktemp("csv") / "a.csv"
    items = read(written(path, to_csv([["id", "prompt"], *(["x", text] for text in texts)])), fields={"id": "id"})
    assert asked(items) == texts
    assert dropped(items) == []


def test_csv_is_read_with_a_bom_old_line_ends_and_blank_lines(tmp_path):
    assert asked(read(written(tmp_path / "a.csv", b"\xef\xbb\xbfprompt,b\rone,1\r\rtwo,2"))) == ["one", "two"]


def test_csv_rows_that_do_not_fit_are_told_and_the_others_read(tmp_path):
    data = b'prompt,answer\none,1\n"two",2,3\nthree\n"fo"ur,4\nf\xff,5\n"",6\nseven,7\n'
    items = read(written(tmp_path / "a.csv", data), fields={"expected": "answer"})
    assert asked(items) == ["one", "seven"]
    assert dropped(items) == [
        ("a.csv:3", "wrong_type"),
        ("a.csv:4", "missing_field"),
        ("a.csv:5", "not_csv"),
        ("a.csv:6", "bad_utf8"),
        ("a.csv:7", "empty_prompt"),
    ]


def every_line(items: list[Prompt | BadLine]) -> list[int]:
    """The number of each line that ended as a row or a bad line."""
    wheres = [item.source_id if isinstance(item, Prompt) else item.where for item in items]
    return [int(where.rpartition(":")[2]) for where in wheres]


@pytest.mark.parametrize("after", [b"", b'"two\nlines"\nlast\n'], ids=["to the end", "to the next quote"])
def test_a_csv_quote_that_is_never_closed_costs_one_line(tmp_path, after):
    rows = [b"question %d?\n" % n for n in range(1999)]
    rows[2] = b'"question 2?\n'
    items = read(written(tmp_path / "a.csv", b"prompt\n" + b"".join(rows) + after))
    assert dropped(items) == [("a.csv:4", "not_csv")]
    assert asked(items)[:1998] == [f"question {n}?" for n in range(1999) if n != 2]
    assert asked(items)[1998:] == (["two\nlines", "last"] if after else [])
    assert every_line(items)[:1999] == list(range(2, 2001))


def test_a_csv_quote_that_a_later_one_contradicts_costs_one_line(tmp_path):
    data = b'prompt,b\n"one,1\ntwo,2\n"three",3\n"fo\nur",4\n'
    items = read(written(tmp_path / "a.csv", data))
    assert asked(items) == ["two", "three", "fo\nur"]
    assert dropped(items) == [("a.csv:2", "not_csv")]
    assert "one,1" in items[0].evidence


@pytest.mark.parametrize("count", [1, 2, 999])
def test_a_csv_field_may_hold_many_lines(tmp_path, count):
    text = "\n".join(f"line {n}" for n in range(count))
    items = read(written(tmp_path / "a.csv", to_csv([["prompt"], [text], ["next"]])))
    assert asked(items) == [text, "next"]
    assert every_line(items) == [count + 1, count + 2]


def test_a_csv_record_that_is_too_large_or_meets_a_giant_line_costs_its_first_line(tmp_path, monkeypatch):
    monkeypatch.setattr(lines, "MAX_LINE", 1000)
    monkeypatch.setattr(files, "MAX_LINE", 1000)
    middle = [b"x" * 400 + b"\n"] * 3
    items = read(written(tmp_path / "a.csv", b"".join([b"prompt\n", b'"open\n', *middle, b'"open\n', b"y" * 5000])))
    assert dropped(items) == [("a.csv:2", "not_csv"), ("a.csv:6", "not_csv"), ("a.csv:7", "too_long")]
    assert every_line(items) == [2, 3, 4, 5, 6, 7]


def test_a_csv_file_cut_short_within_a_quote_tells_both(tmp_path):
    rows = b"".join(b"question %d,%d\n" % (n * n, n**3) for n in range(50_000))
    data = gzip.compress(b'prompt,b\none,1\n"two\n' + rows)
    items = read(written(tmp_path / "a.csv.gz", data[: len(data) // 2]))
    assert dropped(items) == [("a.csv.gz:3", "not_csv"), (f"a.csv.gz:{len(items) + 1}", "unreadable")]
    assert every_line(items) == list(range(2, len(items) + 2))


@settings(max_examples=200, deadline=None)
@given(rows=st.lists(st.text('",a', min_size=1, max_size=6), max_size=12))
def test_every_csv_line_ends_in_one_row_or_one_bad_line(tmp_path_factory, rows):
    data = "prompt\n" + "".join(f"{row}\n" for row in rows)
    numbers = every_line(read(written(tmp_path_factory.mktemp("csv") / "a.csv", data.encode())))
    assert numbers == sorted(set(numbers))
    assert set(numbers) <= set(range(2, len(rows) + 2))
    assert (not numbers and not rows) or numbers[-1] == len(rows) + 1, "a record is numbered by its last line"


def slow_rows(data: bytes, most_lines: int) -> list[tuple[int, object]]:
    """What each line of a CSV file comes to, worked out plainly: a record that fails costs its first line."""
    texts = data.decode().splitlines(keepends=True)
    out: list[tuple[int, object]] = []
    header = None
    at = 0
    while at < len(texts):
        for taken in range(1, most_lines + 1):
            try:
                row = next(csv.reader(texts[at : at + taken], strict=True), [])
                break
            except csv.Error as exc:
                why = str(exc)
                if "end of data" not in why or at + taken > len(texts):
                    row = None
                    break
        else:
            row = None
        if row is None:
            out.append((at + 1, "not_csv"))
            at += 1
            continue
        at += taken
        if row and header is None:
            header = row
        elif row:
            out.append((at, "wrong_type" if len(row) > len(header) else dict(zip(header, row, strict=False))))
    return out


@settings(max_examples=300, deadline=None)
@given(
    pieces=st.lists(st.sampled_from(['a","b\n', '"open\n', "x,y\n", '"\n', '"z"q\n', '""', '"', ",", "a", "\n"]), max_size=60),
    most_lines=st.integers(2, 9),
)  # fmt: skip
def test_records_that_fail_are_judged_as_if_each_were_read_anew(tmp_path_factory, pieces, most_lines):
    data = ("h,k\n" + "".join(pieces)).encode()
    path = tmp_path_factory.mktemp("csv") / "a.csv"
    path.write_bytes(data)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lines, "MAX_RECORD_LINES", most_lines)
        rows = [(n, row if isinstance(row, dict) else row[0]) for n, row in files._csv_rows(path, Fields())]
    assert rows == slow_rows(data, most_lines)


@pytest.mark.parametrize("line", ['a","b\n', '"never closed\n'])
def test_a_file_of_lines_that_each_open_a_quote_is_read_in_seconds(tmp_path, line):
    (tmp_path / "a.csv").write_text("h,k\n" + line * 20_000)
    began = time.monotonic()
    rows = list(files._csv_rows(tmp_path / "a.csv", Fields()))
    assert time.monotonic() - began < 5
    assert [number for number, _ in rows] == list(range(2, 20_002))
    assert {row[0] for _, row in rows} == {"not_csv"}
