"""The report of a validation: counts, limits, lengths, page, exit codes; the same from any number of processes."""

from __future__ import annotations

import gzip
import json
import os
import re
import subprocess
import sys
from html.parser import HTMLParser

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tracemill as tm
from rows import row, rows, write_lines, write_v1
from tracemill.errors import DiskError, UsageError
from tracemill.identify.screen import spoken
from tracemill.inspect import crew
from tracemill.inspect.sketch import Sketch
from tracemill.inspect.structure import redistributable
from tracemill.inspect.texts import contradiction
from tracemill.inspect.validate import validate
from tracemill.inspect.worker import work
from tracemill.reading.batch import Batch
from tracemill.reading.pieces import pieces
from tracemill.reading.shards import find


def run(*words):
    return subprocess.run([sys.executable, "-m", "tracemill", *map(str, words)], capture_output=True, text=True)


@pytest.fixture(scope="module")
def spoilt(tmp_path_factory):
    """Two splits, some rows of which are spoilt."""
    out = tmp_path_factory.mktemp("validate")
    math, chat = rows("math", 300), rows("chat", 100)
    for number in range(30):
        math[number]["messages"][0]["content"] = "-"
    chat[7]["messages"].append({"role": "user", "content": "<script>alert(1)</script>"})
    chat[8]["messages"][1]["content"] = "I am Qwen, \x1b[31m<img src=x onerror=alert(1)>"
    chat[9]["generator"] = "<b>bold</b>"
    write_v1(out / "data" / "math-00000-of-00001.parquet", math, group=50)
    write_v1(out / "data" / "chat-00000-of-00001.parquet", chat, group=50)
    return out


def test_processes_find_what_one_finds(spoilt, monkeypatch):
    alone = validate(spoilt, workers=0).to_json()
    assert validate(spoilt, workers=2).to_json() == alone
    monkeypatch.setattr("tracemill.inspect.validate.pieces", lambda shard: pieces(shard, 1))
    assert validate(spoilt, workers=2).to_json() == alone, "many pieces"


def test_a_worker_that_dies_costs_its_piece(spoilt, monkeypatch):
    monkeypatch.setattr("tracemill.inspect.validate.pieces", lambda shard: pieces(shard, 1))
    say = crew._Crew._say

    def stab(self, process, told):
        if isinstance(told, list) and told[0] == 3:
            process.kill()
            process.wait()
        say(self, process, told)

    monkeypatch.setattr(crew._Crew, "_say", stab)
    report = validate(spoilt, workers=2)
    assert report.rows == 350
    assert "ended the process" in report.finding("file_unreadable").examples[0]["evidence"]


def test_what_a_worker_is_refused_is_the_error_that_it_met(spoilt, tmp_path):
    found = [piece for shard in find(spoilt) for piece in pieces(shard)]
    job = {"do": "validate", "spill": str(tmp_path / "absent"), "fine": True, "benchmark": None}
    (tmp_path / "absent").write_text("a file where a directory should be")
    with pytest.raises(DiskError, match="the disk refuses"):
        list(crew.answers(job, found, 1, work))
    with pytest.raises(tm.TracemillError, match="a worker failed on data/"):
        list(crew.answers({"do": "nothing"}, found, 1, work))


def test_counts_shares_and_examples_are_told_by_split(spoilt):
    report = validate(spoilt, workers=0)
    finding = report.finding("prompt_placeholder")
    assert (finding.count, finding.share, finding.splits) == (30, 30 / 400, {"math": 30})
    assert [e["place"] for e in finding.examples] == [f"data/math-00000-of-00001.parquet:row {n}" for n in range(5)]
    assert report.splits == {"chat": 100, "math": 300}
    assert report.values["generator"]["<b>bold</b>"] == 1
    assert not report.ok


def test_limits_decide_what_is_too_much(spoilt):
    allowed = {"prompt_placeholder": 0.075, "assistant_missing": 0.01}
    assert validate(spoilt, limits=allowed, workers=0).ok
    assert not validate(spoilt, limits={**allowed, "warning": 0.0}, workers=0).ok
    assert validate(spoilt, limits={"error": 1.0}, workers=0).ok
    with pytest.raises(UsageError, match=r"no check 'promt_empty'.*Did you mean 'prompt_empty'"):
        validate(spoilt, limits={"promt_empty": 0.1})
    with pytest.raises(UsageError, match="between 0 and 1"):
        validate(spoilt, limits={"error": 5})


def test_the_articles_metrics_are_those_of_its_own_loop(spoilt):
    lengths, malformed, empty = [], 0, 0
    for r in tm.open(spoilt):
        if len(r["messages"]) != 2:
            malformed += 1
        elif not all(turn["content"] for turn in r["messages"]):
            empty += 1
        else:
            lengths.append([len(turn["content"]) for turn in r["messages"]])
    told = tm.measure(spoilt)
    assert told == validate(spoilt, workers=0).article
    assert told["total_samples"] == 400
    assert (told["malformed_samples"], told["empty_samples"]) == (malformed, empty) == (1, 0)
    assert told["avg_input_length"] == pytest.approx(sum(a for a, _ in lengths) / len(lengths))
    assert told["avg_output_length"] == pytest.approx(sum(b for _, b in lengths) / len(lengths))


def test_metrics_of_nothing_are_null(tmp_path):
    write_lines(tmp_path / "math.jsonl", [{**row("math", 1), "messages": []}])
    assert tm.measure(tmp_path) == {
        "total_samples": 1,
        "avg_input_length": None,
        "avg_output_length": None,
        "empty_samples": 0,
        "malformed_samples": 1,
    }


class Page(HTMLParser):
    def __init__(self):
        super().__init__()
        self.tags, self.text = [], ""

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text += data


def test_the_page_shows_hostile_text_and_runs_nothing(spoilt, tmp_path):
    done = run("validate", spoilt, "--html", tmp_path / "page.html")
    assert done.returncode == 1, done.stderr
    text = (tmp_path / "page.html").read_text()
    page = Page()
    page.feed(text)
    tags = {tag for tag, _ in page.tags}
    assert not tags & {"script", "img", "b", "a", "link", "iframe"} - {"b"}
    assert [tag for tag, _ in page.tags].count("b") == 1, "our own, and not that of a generator"
    assert "<b>bold</b>" in page.text
    assert not any(name.startswith("on") or name in ("src", "href") for _, attrs in page.tags for name in attrs)
    assert "default-src 'none'" in text
    assert "\x1b" not in text
    assert "\x1b" not in done.stdout


def test_the_command_exits_as_it_finds(spoilt, tmp_path):
    done = run("validate", spoilt, "--json")
    told = json.loads(done.stdout)
    assert (done.returncode, told["ok"]) == (1, False)
    assert {f["check"] for f in told["findings"] if f["over"]} == {"prompt_placeholder", "assistant_missing"}
    limits = ["--max", "prompt_placeholder=8%", "--max", "assistant_missing=0.01"]
    assert run("validate", spoilt, *limits).returncode == 0
    assert run("validate", spoilt, "--split", "chat", *limits).returncode == 0
    assert run("validate", spoilt, "--split", "maths").returncode == 2
    assert run("validate", spoilt, "--max", "error=much").returncode == 2
    assert run("validate", tmp_path / "absent").returncode == 2
    assert run("validate", tmp_path).returncode == 3


@given(st.lists(st.integers(0, 10**6), max_size=60), st.integers(1, 5))
def test_sketches_add_up_and_tell_quantiles_within_a_hundredth(values, parts):
    whole, summed = Sketch(), Sketch()
    whole.add(np.array(values, np.int64))
    for part in range(parts):
        one = Sketch()
        one.add(np.array(values[part::parts], np.int64))
        summed.merge(one)
    assert summed == whole
    assert (whole.count, whole.total) == (len(values), sum(values))
    if values:
        for share in (0, 0.25, 0.5, 0.99, 1):
            exact = sorted(values)[int(share * (len(values) - 1))]
            assert abs(whole.quantile(share) - exact) <= 0.01 * exact + 1
        assert sum(count for _, _, count in whole.histogram()) == len(values)


@pytest.mark.parametrize(
    ("name", "yes"),
    [
        ("cc-by-4.0", True),
        ("CC-BY-SA-4.0", True),
        ("apache-2.0, mit", True),
        ("CC-BY-4.0 and ODC-BY", True),
        ("cc-by-nc-4.0", False),
        ("mit, cc-by-nc-4.0", False),
        ("other", False),
    ],
)
def test_a_licence_that_allows_redistribution_is_known(name, yes):
    assert redistributable(name) is yes


@pytest.mark.parametrize(
    ("prompt", "told"),
    [
        ("Use at least 300 words and at most 100 words.", "at least 300 and at most 100 words"),
        ("Write exactly 3 sentences. It has exactly 4 sentences.", "exactly 3 and exactly 4 sentences"),
        ("Write exactly 2 paragraphs, at least 3 paragraphs.", "exactly 2 paragraphs"),
        ("Use at least 100 words and at most 300 words, in exactly 3 paragraphs.", None),
        ("At least 5 sentences, and no more than 2 paragraphs.", None),
        ("The capital of France, in lowercase.", None),
    ],
)
def test_demands_that_exclude_one_another_are_told_from_those_that_do_not(prompt, told):
    found = contradiction(prompt)
    assert found is None if told is None else told in found


TEXTS = {
    "en": "We add all of the numbers in the table, and then we divide by the number of rows that are not empty, so that is it.",
    "de": "Wir addieren alle Zahlen in der Tabelle und teilen das Ergebnis dann durch die Zahl der Zeilen, die nicht leer sind.",
    "fr": "Nous ajoutons tous les nombres dans le tableau et nous divisons ensuite le tout par le nombre de lignes non vides.",
    "es": "Sumamos todos los números de la tabla y luego dividimos el resultado por el número de las filas que no son vacías.",
    "it": "Sommiamo tutti i numeri della tabella e poi dividiamo il risultato per il numero delle righe che non sono vuote.",
    "ja": "表の中のすべての数を足して、それから空でない行の数で割ります。したがって答えは四です。",
    "zh": "我们把表中所有的数字加起来，然后除以非空行的数量，因此答案是四，证明完毕，再检查一遍这个结果是否正确。",
}


@pytest.mark.parametrize("claimed", TEXTS)
@pytest.mark.parametrize("written", TEXTS)
def test_a_language_is_told_from_the_one_that_is_claimed(claimed, written):
    text = (TEXTS[written] + " ") * 2
    seen = spoken(text, claimed)
    assert seen in (written, claimed, None), "never a third one"
    if claimed == written or "en" in (claimed, written) or {"ja", "zh"} & {claimed, written}:
        assert seen == written or claimed == written


@pytest.mark.parametrize("text", ["", "4.", "$x^2 + 1 = 0$ " * 50, "```python\nfor the in of: and\n```" * 20])
def test_nothing_is_said_of_formulas_code_and_short_answers(text):
    assert spoken(text, "fr") is None


def test_a_place_names_file_and_row(tmp_path):
    [shard] = find(write_v1(tmp_path / "math.parquet", rows("math", 3)))
    [piece] = pieces(shard)
    assert Batch(None, shard, range(5, 8)).place(2) == "math.parquet:row 7"
    assert (piece.first, piece.last, piece.row) == (0, 1, 0)


def test_workers_answer_with_what_they_print_apart(spoilt):
    done = run("validate", spoilt, "--workers", 1, "--json")
    assert json.loads(done.stdout)["rows"] == 400
    assert re.search(r"\d+ of \d+ pieces", done.stderr) is None, "no terminal, no progress"
    assert os.path.isdir(spoilt)


def test_a_file_without_a_row_is_an_error_and_is_told_once(tmp_path):
    (tmp_path / "math.jsonl").write_text("\n")
    write_v1(tmp_path / "chat.parquet", [])
    report = validate(tmp_path, workers=0)
    finding = report.finding("file_empty")
    assert (finding.count, finding.share, report.ok) == (2, 1.0, False)
    assert [e["place"] for e in finding.examples] == ["chat.parquet", "math.jsonl"]
    write_lines(tmp_path / "math.jsonl", rows("math", 1))
    assert [e["place"] for e in validate(tmp_path, workers=0).finding("file_empty").examples] == ["chat.parquet"]


def test_columns_that_one_file_lacks_are_one_finding_and_warnings_exit_0(tmp_path):
    held = rows("math", 9)
    for number in range(3):
        write_v1(tmp_path / f"math-0000{number}-of-00004.parquet", held[number * 2 : number * 2 + 2])
    few = [{"uuid": r["uuid"], "messages": r["messages"], "reasoning": "on"} for r in held[6:]]
    pq.write_table(pa.Table.from_pylist(few), tmp_path / "math-00003-of-00004.parquet")
    report = validate(tmp_path, workers=0)
    finding = report.finding("column_missing")
    assert (finding.count, finding.share, finding.over) == (1, 0.25, False)
    assert finding.examples[0]["evidence"].startswith("license, which 3 of 4 shards have; generator, which 3 of 4")


def test_damage_is_told_without_the_files_name_a_second_time(spoilt, tmp_path):
    whole = (spoilt / "data" / "math-00000-of-00001.parquet").read_bytes()
    (tmp_path / "math.parquet").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "chat.jsonl.gz").write_bytes(gzip.compress(b"{}\n" * 10_000)[:60])
    examples = validate(tmp_path, workers=0).finding("file_unreadable").examples
    assert [e["evidence"].split(" ")[:2] for e in examples] == [["the", "file"], ["after", "line"]]


def test_duplicates_are_not_looked_for_where_nobody_asks(tmp_path):
    held = rows("math", 20)
    write_v1(tmp_path / "math.parquet", [*held, *held[:5]])
    assert validate(tmp_path, workers=0).finding("uuid_duplicate").count == 5
    report = validate(tmp_path, workers=0, duplicates=False)
    assert (report.finding("uuid_duplicate"), report.finding("prompt_duplicate"), report.ok) == (None, None, True)
    assert report.to_json()["left_out"] == ["uuid_duplicate", "prompt_duplicate"]
    assert "not looked for: uuid_duplicate, prompt_duplicate" in report.to_text()
    assert "Not looked for: uuid_duplicate" in report.to_html()


def test_a_page_that_cannot_be_written_is_told_before_anything_is_read(tmp_path):
    (tmp_path / "math.jsonl").write_text("no JSON")
    done = run("validate", tmp_path, "--html", tmp_path / "absent" / "page.html", "--no-duplicates")
    assert (done.returncode, done.stdout) == (2, "")
    assert "there is no directory" in done.stderr


def test_lines_that_begin_alike_do_not_hide_a_loop_at_the_end(tmp_path):
    steps = "".join(f"Therefore we add {number} to what came of step {number * 7}.\n" for number in range(30))
    held = rows("math", 3)
    for r, tail in zip(
        held, ("abc xyz " * 300, "no, " * 600, "That is all of it, and nothing comes again."), strict=True
    ):
        r["messages"][1]["content"] = f"<think>\n{steps}\nAnd then it goes on: {tail}\n</think>\n\n\\boxed{{1}}"
    write_lines(tmp_path / "math.jsonl", held)
    finding = validate(tmp_path, workers=0).finding("repetition_loop")
    assert [e["uuid"] for e in finding.examples] == [r["uuid"] for r in held[:2]]
