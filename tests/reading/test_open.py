"""Opening data of any form: the same rows come out of each."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

import tracemill as tm
from rows import TOOLS, row, rows, write_lines, write_v1, write_v2
from tracemill.errors import DataError, UsageError
from tracemill.layouts import to_layout
from tracemill.schema import V1_SCHEMA


def said(dataset):
    return [(r["uuid"], [(t["role"], t["content"]) for t in r["messages"]]) for r in dataset]


def expected(held):
    return [(r["uuid"], [(t["role"], t["content"]) for t in r["messages"]]) for r in held]


def as_v1(held):
    return pa.Table.from_pylist(
        [{**r, "messages": [{"tool_calls": [], **t} for t in r["messages"]]} for r in held], schema=V1_SCHEMA
    )


def save_to_disk(path, held):
    datasets.Dataset(as_v1(held)).save_to_disk(path / "saved")


def lines(held):
    return b"".join(json.dumps(r).encode() + b"\n" for r in held)


def as_text(r):
    return {**r, "messages": json.dumps(r["messages"])}


FORMS = {
    "v1 parquet": lambda path, held: write_v1(path / "data" / "math-00000-of-00001.parquet", held, group=7),
    "v2 parquet": lambda path, held: write_v2(path / "data" / "math-00000-of-00001.parquet", held),
    "json lines": lambda path, held: write_lines(path / "math.jsonl", held),
    "gzip": lambda path, held: (path / "math.jsonl.gz").write_bytes(gzip.compress(lines(held))),
    "zstd": lambda path, held: (path / "math.jsonl.zst").write_bytes(zstandard.compress(lines(held))),
    "save_to_disk": save_to_disk,
    "arrow file": lambda path, held: write_arrow(path / "math.arrow", as_v1(held)),
    "llama": lambda path, held: write_lines(path / "SFT" / "math.jsonl", [llama(r) for r in held]),
    "messages as text": lambda path, held: write_lines(path / "math.jsonl", [as_text(r) for r in held]),
    "large strings": lambda path, held: pq.write_table(large(as_v1(held)), path / "math.parquet"),
}  # fmt: skip


def write_arrow(path, table):
    with pa.OSFile(str(path), "wb") as out, pa.ipc.new_file(out, table.schema) as writer:
        writer.write_table(table)


def large(table):
    fields = [pa.field(f.name, pa.large_string() if f.type == pa.string() else f.type) for f in table.schema]
    return table.cast(pa.schema(fields))


def llama(r):
    return {
        "uuid": r["uuid"],
        "input": [r["messages"][0]],
        "output": r["messages"][1]["content"],
        "category": "math",
        "license": "cc-by-4.0",
        "reasoning": "on",
        "generator": "DeepSeek-R1",
        "used_in_training": ["super"],
        "version": "v1",
        "system_prompt": "",
    }


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_same_rows(form, tmp_path):
    held = rows("math", 50)
    FORMS[form](tmp_path, held)
    opened = tm.open(tmp_path)
    assert said(opened) == expected(held)
    assert len(opened) == 50
    assert opened[3]["uuid"] == held[3]["uuid"]
    assert opened[-1]["uuid"] == held[-1]["uuid"]
    assert {r["license"] for r in opened} == {"cc-by-4.0"}


def test_a_saved_dict_of_datasets_has_its_splits(tmp_path):
    both = {name: datasets.Dataset(as_v1(rows(name, 20))) for name in ("math", "chat")}
    datasets.DatasetDict(both).save_to_disk(tmp_path / "saved")
    opened = tm.open(tmp_path / "saved")
    assert opened.splits == ["chat", "math"]
    assert said(opened["math"]) == expected(rows("math", 20))


def v1_like(tmp_path):
    """A directory as v1 has it."""
    for split in ("math", "chat", "code", "tool_calling"):
        name = "tool" if split == "tool_calling" else split
        for part in range(2):
            write_v1(tmp_path / "data" / f"{name}-{part:05d}-of-00002.parquet", rows(split, 30, seed=part))
    return tmp_path


def v2_like(tmp_path):
    """A directory as v2 has it: a column more in one shard, and a stray file."""
    write_v2(tmp_path / "data" / "math-00000-of-00001.parquet", rows("math", 30))
    write_v2(tmp_path / "data" / "multilingual_fr-00000-of-00002.parquet", rows("multilingual_fr", 30))
    held = [{**r, "metadata": '{"a": 1}'} for r in rows("multilingual_fr", 30, seed=1)]
    write_v2(tmp_path / "data" / "multilingual_fr-00001-of-00002.parquet", held, pa.field("metadata", pa.string()))
    write_v2(tmp_path / "data" / "multilingual-00000-of-00001.parquet", rows("multilingual_fr", 10, seed=2))
    return tmp_path


def test_splits_are_told_by_file_names_and_train_is_all_of_them(tmp_path):
    opened = tm.open(v1_like(tmp_path))
    assert opened.splits == ["chat", "code", "math", "tool_calling"]
    assert len(opened["tool_calling"]) == 60
    assert len(opened["train"]) == len(opened) == 240
    assert len(tm.open(tmp_path, split="train")) == 240
    assert len(tm.open(tmp_path, split=["math", "chat"])) == 120


def test_the_card_tells_splits_where_it_lists_them(tmp_path):
    write_v1(tmp_path / "data" / "part-a.parquet", rows("math", 5))
    (tmp_path / "README.md").write_text(
        "---\nconfigs:\n- config_name: default\n  data_files:\n  - split: sums\n    path: data/part-*\n---\n"
    )
    assert tm.open(tmp_path).splits == ["sums"]


def test_a_split_that_is_not_there_is_named_with_those_that_are(tmp_path):
    with pytest.raises(UsageError, match=r"no split 'maths'.*chat, code, math, tool_calling.*Did you mean 'math'"):
        tm.open(v1_like(tmp_path), split="maths")


def test_shards_of_one_split_with_other_columns_become_alike(tmp_path):
    opened = tm.open(v2_like(tmp_path))
    assert len(opened) == 100
    assert {json.dumps(r["metadata"]) for r in opened["multilingual_fr"]} == {"null", '"{\\"a\\": 1}"'}
    assert sum(table.num_rows for table in opened.batches(33)) == 100


def test_rows_are_filtered_by_what_they_are(tmp_path):
    v1_like(tmp_path)
    assert len(tm.open(tmp_path, category="math")) == 60
    assert {r["category"] for r in tm.open(tmp_path, category=["math", "chat"])} == {"math", "chat"}
    assert {r["reasoning"] for r in tm.open(tmp_path, reasoning="off")} == {"off"}
    assert len(tm.open(tmp_path, generator="Qwen3-235B-A22B")) == 120
    assert len(tm.open(tmp_path, license="mit")) == 0
    assert len(tm.open(tmp_path, language="fr")) == 0
    with pytest.raises(UsageError, match="'on' and 'off'"):
        tm.open(tmp_path, reasoning="yes")


def test_language_is_told_by_column_category_or_split(tmp_path):
    assert len(tm.open(v2_like(tmp_path), language="fr")) == 70
    held = [{**row("math", 1), "language": "de"}, {**row("math", 2), "language": None}]
    write_lines(tmp_path / "other" / "math.jsonl", held)
    opened = tm.open(tmp_path / "other")
    assert [r["language"] for r in opened.flat()] == ["de", "en"]
    assert len(tm.open(tmp_path / "other", language="de")) == 1
    write_lines(tmp_path / "v3" / "super-v3_math_fr_translated_final.jsonl", rows("math", 3))
    assert len(tm.open(tmp_path / "v3", language="fr")) == 3


def test_our_own_translations_are_found_by_domain(tmp_path):
    held = [{**r, "language": "fr", "domain": "math"} for r in rows("multilingual_fr", 4)]
    write_lines(tmp_path / "multilingual_fr.jsonl", [*held, {**row("multilingual_fr", 9), "domain": "code"}])
    assert len(tm.open(tmp_path, category="math", language="fr")) == 4


def test_batches_are_of_the_size_asked_and_the_last_has_what_is_left(tmp_path):
    opened = tm.open(v1_like(tmp_path))
    assert [table.num_rows for table in opened.batches(100)] == [100, 100, 40]
    assert [t.num_rows for t in opened.filter(lambda r: r["category"] == "math").batches(50)] == [50, 10]
    assert [table.num_rows for table in opened.flat(["prompt"]).batches(240)] == [240]
    with pytest.raises(UsageError, match="at least one row"):
        next(opened.batches(0))


def test_a_filter_of_ones_own_is_asked_of_every_row(tmp_path):
    opened = tm.open(v1_like(tmp_path)).filter(lambda r: r["split"] == "math")
    assert len(opened) == 60
    assert opened[5]["category"] == "math"
    with pytest.raises(IndexError, match="60 rows"):
        opened[60]


def test_a_row_is_found_by_any_whole_number(tmp_path):
    """Samplers draw numpy's."""
    opened = tm.open(v1_like(tmp_path))
    assert opened[np.int64(1)] == opened[1]
    assert opened[np.uint8(239)] == opened[-1]
    assert opened.flat()[np.int64(-1)] == opened.flat()[239]
    for what in (1.0, np.float64(1), None, slice(2)):
        with pytest.raises(UsageError, match="number of a row"):
            opened[what]


def test_rows_are_samples(tmp_path):
    held = rows("tool_calling", 5)
    write_v1(tmp_path / "data" / "tool-00000-of-00001.parquet", held)
    for sample, r in zip(tm.open(tmp_path).samples(), held, strict=True):
        assert sample.tools == tuple(TOOLS)
        assert sample.messages[1].reasoning
        back = to_layout(sample, "v1")["messages"]
        assert [t["content"] for t in back] == [t["content"] for t in r["messages"]]


def test_v3_rows_with_values_in_place_of_text_are_read(tmp_path):
    held = []
    for r in rows("tool_calling", 4):
        call = r["messages"][1]["tool_calls"][0]["function"]
        call["arguments"] = json.loads(call["arguments"])
        held.append(
            {**r, "tools": TOOLS if len(held) % 2 else json.dumps(TOOLS), "metadata": {}, "used_in": ["nano_v3"]}
        )
    opened = tm.open(write_lines(tmp_path / "tool_calling.jsonl", held))
    assert {r["tools"] is not None and json.loads(r["tools"])[0]["function"]["name"] for r in opened} == {"get_weather"}
    assert {len(sample.tools) for sample in opened.samples()} == {1}
    arguments = [r["messages"][1]["tool_calls"][0]["function"]["arguments"] for r in opened]
    assert all(json.loads(text)["days"] == 2 for text in arguments)


def test_messages_are_lists_whose_truth_can_be_asked(tmp_path):
    for r in tm.open(v1_like(tmp_path), split="math"):
        assert r["messages"]
        assert type(r["messages"]) is list


def test_a_directory_without_data_says_what_it_holds(tmp_path):
    (tmp_path / "notes.txt").write_text("nothing")
    with pytest.raises(DataError, match=r"notes\.txt"):
        tm.open(tmp_path)
    with pytest.raises(UsageError, match="neither a directory"):
        tm.open(tmp_path / "absent")


def test_parquet_without_conversations_says_what_it_has(tmp_path):
    pq.write_table(pa.table({"text": ["a"]}), tmp_path / "a.parquet")
    with pytest.raises(DataError, match="neither 'messages' nor 'input'; the columns are text"):
        list(tm.open(tmp_path))


def test_bytes_that_are_no_text_cost_their_row(tmp_path):
    table = as_v1(rows("math", 3))
    uuids = pa.Array.from_buffers(
        pa.string(), 3, [None, pa.array([0, 2, 4, 6], pa.int32()).buffers()[1], pa.py_buffer(b"aa\xff\xfecc")]
    )
    pq.write_table(table.set_column(0, "uuid", uuids), tmp_path / "math.parquet")
    opened = tm.open(tmp_path)
    assert [r["uuid"] for r in opened] == ["aa", "cc"]
    assert opened.skipped == {"bad_utf8": 1}
    assert tm.validate(tmp_path, workers=0).finding("bad_utf8").examples[0]["place"] == "math.parquet:row 1"


def test_nothing_is_decoded_that_no_row_is_wanted_of(tmp_path, monkeypatch):
    from tracemill.reading import pieces

    v1_like(tmp_path)
    read = []
    whole = pieces.batches
    monkeypatch.setattr("tracemill.reading.dataset.batches", lambda p, c, f=(): read.append((p, c)) or whole(p, c, f))
    assert len(list(tm.open(tmp_path, generator="nobody"))) == 0
    assert read == [], "the statistics of all row groups exclude it"
    assert len(list(tm.open(tmp_path, split="math", reasoning="on"))) == 60
    assert [columns for _, columns in read if columns == ["reasoning"]], "the deciding column is read alone, first"


@pytest.mark.storm
@pytest.mark.skipif(sys.platform != "linux", reason="the peak is read from /proc")
def test_memory_stays_small_whatever_the_size(tmp_path):
    held = [
        {**r, "messages": [r["messages"][0], {"role": "assistant", "content": "x" * 100_000}]} for r in rows("chat", 20)
    ]
    write_v1(tmp_path / "chat.parquet", held * 150, group=3000)
    script = (
        "import re, sys, tracemill\n"
        "count = sum(t.num_rows for t in tracemill.open(sys.argv[1]).batches(100))\n"
        "tracemill.validate(sys.argv[1], workers=0)\n"
        "print(count, int(re.search('VmHWM:[^0-9]*([0-9]+)', open('/proc/self/status').read())[1]) // 1024)"
    )
    done = subprocess.run([sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True, check=True)
    count, megabytes = map(int, done.stdout.split())
    assert count == 3000
    assert megabytes < 300, "300 MB of text in one row group"


def test_the_same_lines_are_rows_whatever_is_asked_of_them(tmp_path):
    held = rows("math", 6)
    odd = [{"uuid": "no turns"}, {**held[0], "metadata": [1]}, {**held[1], "tools": 7}, {**held[2], "messages": 5}]
    write_lines(tmp_path / "math.jsonl", [*held[:3], *odd, *held[3:]])
    opened = tm.open(tmp_path)
    names = [r["uuid"] for r in held]
    assert (len(opened), [r["uuid"] for r in opened], opened[-1]["uuid"]) == (6, names, names[-1])
    for columns in (["uuid"], ["uuid", "prompt"], ["uuid", "topic"], ["uuid", "language"]):
        assert [line["uuid"] for line in opened.flat(columns)] == names
        assert sum(opened.skipped.values()) == 4
    assert len(tm.open(tmp_path, category="math")) == 6


def test_what_is_neither_a_split_nor_a_row_is_told_what_to_do(tmp_path):
    write_lines(tmp_path / "math.jsonl", rows("math", 3))
    opened = tm.open(tmp_path)
    for asked in (opened, opened.flat()):
        with pytest.raises(UsageError, match=r"\[1:3\]: .*batches\(1000\)"):
            asked[1:3]
    with pytest.raises(UsageError, match="language=5: give text"):
        tm.open(tmp_path, language=5)
    assert repr(tm.open(tmp_path, language="fr")).endswith("splits=['math'], files=1, language=['fr'])")
