"""Counts of a dataset, by everything that can be said of a row."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

import tracemill as tm
from campaign import shared
from rows import rows, write_lines, write_v1, write_v2
from tracemill.inspect.published import V1, V2


@pytest.fixture
def data(tmp_path):
    write_v1(tmp_path / "data" / "math-00000-of-00001.parquet", rows("math", 60), group=20)
    write_v1(tmp_path / "data" / "chat-00000-of-00001.parquet", rows("chat", 40))
    return tmp_path


def table(report, dimension):
    return {line.value: line for line in report.tables[dimension]}


def test_rows_and_texts_add_up_in_every_dimension(data):
    report = tm.stats(data)
    texts = [turn["content"] for r in rows("math", 60) + rows("chat", 40) for turn in r["messages"]]
    assert report.total.rows == 100
    assert report.total.characters == sum(map(len, texts))
    assert report.total.bytes == sum(len(text.encode()) for text in texts)
    assert report.total.arrow_bytes > report.total.bytes
    for lines in report.tables.values():
        assert sum(line.rows for line in lines) == 100
        assert sum(line.characters for line in lines) == report.total.characters
    assert {v: line.rows for v, line in table(report, "generator").items()} == {
        "DeepSeek-R1-0528": 60,
        "Qwen3-235B-A22B": 40,
    }
    assert {v: line.rows for v, line in table(report, "reasoning").items()} == {"on": 60, "off": 40}


def test_published_figures_stand_beside_ours(data):
    report = tm.stats(data)
    assert table(report, "category")["math"].published_rows == 2_044_407
    assert table(report, "generator")["DeepSeek-R1-0528"].published_rows == 24_602_969
    assert "24,602,969 (95.9%)" in report.to_text()
    assert sum(V1.rows.values()) == sum(V1.generators.values()) == 25_659_642
    assert sum(V1.bytes.values()) == 510_313_687_949
    assert (sum(V2.rows.values()), sum(V2.bytes.values())) == (6_341_414, 98_400_773_241)


def test_languages_of_a_multilingual_set_are_counted(tmp_path):
    write_v2(tmp_path / "data" / "multilingual_fr-00000-of-00001.parquet", rows("multilingual_fr", 7))
    report = tm.stats(tmp_path)
    assert table(report, "language")["fr"].rows == 7
    assert table(report, "split")["multilingual_fr"].published_rows == 1_001_504


def test_processes_count_what_one_counts(data):
    assert tm.stats(data, workers=2).to_json() == tm.stats(data, workers=0).to_json()


def test_lines_that_are_no_rows_and_files_that_cannot_be_read_are_told(tmp_path):
    write_lines(tmp_path / "math.jsonl", [*rows("math", 5), "{", "[]"])
    report = tm.stats(tmp_path)
    assert (report.total.rows, report.bad) == (5, 2)


def test_many_different_labels_do_not_fill_the_memory(tmp_path, monkeypatch):
    monkeypatch.setattr("tracemill.inspect.counting.MOST_KEYS", 10)
    held = [{**r, "generator": f"model {n}"} for n, r in enumerate(rows("math", 50))]
    report = tm.stats(write_lines(tmp_path / "math.jsonl", held), workers=0)
    assert table(report, "generator")["(other)"].rows == 40
    assert report.total.rows == 50


def test_tokens_are_those_of_a_tokenizer_of_ones_own(data, tmp_path):
    tokenizers = pytest.importorskip("tokenizers")
    words = tokenizers.Tokenizer(tokenizers.models.WordLevel({"?": 0}, unk_token="?"))
    words.pre_tokenizer = tokenizers.pre_tokenizers.WhitespaceSplit()
    words.save(str(tmp_path / "tokenizer.json"))
    expected = {
        split: sum(len(turn["content"].split()) for r in rows(split, count) for turn in r["messages"])
        for split, count in (("math", 60), ("chat", 40))
    }
    for tokenizer in (tmp_path, tmp_path / "tokenizer.json"):
        report = tm.stats(data, tokenizer=str(tokenizer), workers=0)
        assert {v: line.tokens for v, line in table(report, "split").items()} == expected
    assert tm.stats(data, tokenizer=str(tmp_path), workers=2).to_json() == report.to_json()
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(tm.UsageError, match=r"no tokenizer\.json"):
        tm.stats(data, tokenizer=str(tmp_path / "tokenizer.json"), workers=1)


def test_tokens_are_those_of_a_real_model(data):
    tokenizers = pytest.importorskip("tokenizers")
    model = shared().parent / "models" / "stories260k" / "stories260K-hf"
    if not model.is_dir():
        pytest.skip("no small model is beside the project")
    made = tokenizers.Tokenizer.from_file(str(model / "tokenizer.json"))
    texts = [turn["content"] for r in rows("math", 60) + rows("chat", 40) for turn in r["messages"]]
    report = tm.stats(data, tokenizer=str(model))
    assert report.total.tokens == sum(len(made.encode(text, add_special_tokens=False).ids) for text in texts)
    assert report.total.tokens > len(texts)


def test_tokens_need_the_library_and_say_so(data):
    command = "import sys; sys.modules['tokenizers'] = None; import tracemill; tracemill.stats(sys.argv[1], tokenizer='t.json')"
    done = subprocess.run([sys.executable, "-c", command, data], capture_output=True, text=True)
    assert "pip install 'tracemill[tokens]'" in done.stderr


def test_the_command_prints_a_table_or_json(data):
    done = subprocess.run(
        [sys.executable, "-m", "tracemill", "stats", data], capture_output=True, text=True, check=True
    )
    assert "2,044,407 (8.0%)" in done.stdout
    done = subprocess.run([sys.executable, "-m", "tracemill", "stats", data, "--json"], capture_output=True, check=True)
    assert json.loads(done.stdout)["total"]["rows"] == 100


def test_a_file_that_cannot_be_opened_costs_itself(data):
    (data / "data" / "stem-00000-of-00001.parquet").write_bytes(b"PAR1 and no more")
    report = tm.stats(data, workers=0)
    assert report.total.rows == 100
    assert len(report.damage) == 1
    assert "not read: data/stem-00000-of-00001.parquet: the file ends at byte 16" in report.to_text()
