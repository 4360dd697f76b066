"""Damaged files, odd rows and foreign forms: restore says what it met, and neither dies of it nor keeps silent."""

from __future__ import annotations

import json
import subprocess
import sys
from hashlib import sha256

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import tracemill as tm
from rows import rows, write_lines
from tracemill.errors import DataError, UsageError
from tracemill.schema import V1_SCHEMA

FLIPS = """
import sys
from pathlib import Path
import tracemill as tm
from tracemill.errors import TracemillError
from tracemill.reading.raw import raw_rows
from tracemill.reading.pieces import pieces
from tracemill.reading.shards import find
place = Path(sys.argv[1])
whole = (place / "whole.arrow").read_bytes()
file, broken = place / "flipped.arrow", 0
lines = place / "rows.jsonl"
gone = ["00000000-0000-4000-8000-000000000000"]
for number, at in enumerate(range(40, len(whole), len(whole) // 200)):
    spoiled = bytearray(whole)
    spoiled[at] ^= 1 << number % 8
    file.write_bytes(spoiled)
    calls = [lambda: [list(raw_rows(piece)) for shard in find(file) for piece in pieces(shard)]]
    if number % 20 == 0:
        calls.append(lambda: tm.restore(file, {"lmsys": place / "source.jsonl"}, place / f"data-{number}"))
        calls.append(lambda: tm.restore(place / "rows.jsonl", {"lmsys": file}, place / f"source-{number}"))
        calls.append(lambda: tm.remove(file, uuids=gone, out=place / f"removed-{number}"))
    for call in calls:
        try:
            call()
        except TracemillError as exc:
            assert exc.exit_code != 70, exc
            broken += 1
print(broken)
"""


def withheld(count):
    held = rows("chat", count)
    for number, r in enumerate(held):
        r["messages"][0]["content"] = ""
        r["metadata"] = json.dumps({"conversation_id": f"c{number}"})
    return held


@pytest.fixture
def lmsys(tmp_path):
    said = [
        {"conversation_id": f"c{n}", "conversation": [{"role": "user", "content": f"Hello {n}?"}]} for n in range(9)
    ]
    return {"lmsys": write_lines(tmp_path / "source.jsonl", said)}


def test_no_flipped_bit_of_an_arrow_file_ends_the_process(tmp_path, lmsys):
    held = withheld(9)
    full = [{**r, "messages": [{"tool_calls": [], **turn} for turn in r["messages"]]} for r in held]
    table = pa.Table.from_pylist(full, schema=V1_SCHEMA)
    with pa.OSFile(str(tmp_path / "whole.arrow"), "wb") as file, pa.ipc.new_stream(file, table.schema) as stream:
        stream.write_table(table)
    write_lines(tmp_path / "rows.jsonl", held)
    done = subprocess.run([sys.executable, "-c", FLIPS, str(tmp_path)], capture_output=True, text=True)
    assert (done.returncode, done.stderr[-2000:]) == (0, "")
    assert int(done.stdout) > 25


@pytest.mark.parametrize("index", ["²", "9" * 5000, "٣", "-1", 10**30, True, 1.0, None])
def test_a_row_with_an_odd_index_costs_that_row_alone(index, tmp_path, lmsys):
    held = withheld(2)
    held[0]["metadata"] = json.dumps({"dataset": "taco", "split": "train", "index": index})
    write_lines(tmp_path / "rows.jsonl", held)
    report = tm.restore(tmp_path / "rows.jsonl", lmsys, tmp_path / "out")
    assert report.withheld == {"": {"missing": 1}, "lmsys": {"restored": 1}}
    masked = [{"dataset": "dapo17k", "_hf_placeholder": {"row": index}}]
    report = tm.restore(write_lines(tmp_path / "rl.jsonl", masked), lmsys, tmp_path / "rl")
    assert report.withheld == {"": {"missing": 1}}


def llama(count):
    return [{"input": [{"role": "user", "content": f"Ask {n}"}], "output": f"Yes {n}."} for n in range(count)]


@pytest.mark.parametrize("form", ["llama.jsonl", "llama.parquet", "text.jsonl", "text.parquet", "struct.parquet"])
def test_rows_in_another_form_are_refused_with_what_there_is(form, tmp_path, lmsys):
    held = llama(3) if form.startswith("llama") else withheld(3)
    for r in held if form.startswith("text") else ():
        r["messages"] = json.dumps(r["messages"])
    for r in held if form.startswith("struct") else ():
        r["metadata"] = {"conversation_id": "c0"}
    if form.endswith("jsonl"):
        write_lines(tmp_path / form, held)
    else:
        pq.write_table(pa.Table.from_pylist(held), tmp_path / form)
    assert len(list(tm.open(tmp_path / form))) == 3
    there = {"llama": "input.*output", "text.": "messages", "struc": "metadata as struct"}[form[:5]]
    with pytest.raises(UsageError, match=f"{form}: restore works on rows with `messages`.*this file holds.*{there}"):
        tm.restore(tmp_path / form, lmsys, tmp_path / "out")
    assert [*(tmp_path / "out").iterdir()] == []


def test_lines_that_are_no_rows_are_counted_and_told(tmp_path, lmsys):
    held = [json.dumps(r) for r in withheld(6)]
    lines = ["{broken", *held[:3], "", "[1]", *held[3:], '{"input": "x"}']
    write_lines(tmp_path / "rows.jsonl", lines)
    report = tm.restore(tmp_path / "rows.jsonl", lmsys, tmp_path / "out")
    assert (report.rows, report.kept, report.unreadable) == (6, 6, 3)
    assert [told.partition(": ")[0] for told in report.unreadable_at] == [f"rows.jsonl:line {n}" for n in (1, 6, 10)]
    assert "left out: 3 lines" in report.to_text()
    assert "rows.jsonl:line 6: the line is JSON, but no object" in report.to_text()
    recorded = json.loads((tmp_path / "out" / "restored.json").read_text())
    assert (recorded["unreadable"], recorded["unreadable_at"]) == (3, report.unreadable_at)
    assert tm.restore(tmp_path / "rows.jsonl", lmsys, tmp_path / "out") == report


def test_a_broken_line_of_a_list_of_uuids_is_told(tmp_path):
    math = rows("math", 3)
    write_lines(tmp_path / "math.jsonl", math)
    listed = [json.dumps({"uuid": r["uuid"]}) for r in math]
    write_lines(tmp_path / "list.jsonl", [listed[0], '{"uuid": "3f', listed[1], '{"uuid": 3}', listed[2]])
    report = tm.restore(tmp_path / "list.jsonl", {"mine": tmp_path / "math.jsonl"}, tmp_path / "out")
    assert (report.kept, report.unreadable, report.ok) == (3, 2, False)
    assert [told.partition(": ")[0] for told in report.unreadable_at] == ["list.jsonl:line 2", "list.jsonl:line 4"]


@pytest.mark.parametrize("spoil", ["gone", "cut", "flipped"])
def test_a_restored_file_that_changed_is_not_vouched_for(spoil, tmp_path, lmsys):
    for split in ("chat", "math"):
        write_lines(tmp_path / "v1" / f"{split}.jsonl", withheld(4))
    tm.restore(tmp_path / "v1", lmsys, tmp_path / "out")
    assert tm.validate(tmp_path / "out", workers=0).finding("file_differs") is None
    file = tmp_path / "out" / "data" / "math.jsonl"
    told = {f["path"]: f for f in json.loads((tmp_path / "out" / "restored.json").read_text())["files"]}
    assert sorted(told) == ["data/chat.jsonl", "data/math.jsonl", "restored-keys.parquet"]
    held = file.read_bytes()
    assert told["data/math.jsonl"]["bytes"] == len(held)
    assert told["data/math.jsonl"]["sha256"] == sha256(held).hexdigest()
    if spoil == "gone":
        file.unlink()
    else:
        file.write_bytes(held[:-1] if spoil == "cut" else held.replace(b"Hello 2", b"Hello 7"))
    if spoil != "flipped":
        with pytest.raises(DataError, match=r"math.jsonl: it .*restored.json says .* bytes"):
            tm.restore(tmp_path / "v1", lmsys, tmp_path / "out")
    finding = tm.validate(tmp_path / "out", workers=0).finding("file_differs")
    assert finding is not None
    assert (finding.count, finding.examples[0]["place"], finding.over) == (1, "data/math.jsonl", True)


def test_nothing_is_written_into_what_is_read(tmp_path, lmsys):
    write_lines(tmp_path / "v1" / "chat.jsonl", withheld(2))
    recipe = tm.Recipe.model_validate({"name": "a", "license": "cc-by-4.0", "prompts": [{"rows": "-", "name": "n"}]})
    for out in (tmp_path / "v1", tmp_path / "v1" / "deep" / "out"):
        with pytest.raises(UsageError, match="v1, which is read"):
            tm.restore(tmp_path / "v1", lmsys, out)
        with pytest.raises(UsageError, match="v1, which is read"):
            tm.refine(tmp_path / "v1", recipe, out)
        with pytest.raises(UsageError, match="v1, which is read"):
            tm.remove(tmp_path / "v1", uuids=[rows("chat", 1)[0]["uuid"]], out=out)
    with pytest.raises(UsageError, match="v1, which is read"):
        tm.restore(tmp_path / "source.jsonl", {"mine": tmp_path / "v1"}, tmp_path / "v1" / "out")
    assert [p.name for p in (tmp_path / "v1").iterdir()] == ["chat.jsonl"]
