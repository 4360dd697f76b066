"""Withheld prompts come back from the user's own copies; what is not found stays out of the data."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import threading
import time
from dataclasses import replace
from hashlib import sha256

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import tracemill as tm
from rows import rows, write_lines, write_v1
from tracemill.errors import DataError, Locked, UsageError
from tracemill.restoring.run import restore
from tracemill.storage.fs import Fs
from tracemill.storage.lock import RunLock

HASHES = "restored-keys.parquet"


def said(text):
    return [
        {"role": "user", "content": text},
        {"role": "assistant", "content": "Yes."},
        {"role": "user", "content": "?"},
    ]


@pytest.fixture
def data(tmp_path):
    """v1 with code rows of four sources and chat rows, all withheld, and math rows that are whole."""
    code = rows("code", 40)
    names = ["taco", "apps", "code_contests", "open-r1/codeforces"]
    for number, r in enumerate(code):
        r["messages"][0]["content"] = "-"
        split = "train" if number % 8 < 4 else "test"
        r["metadata"] = json.dumps({"dataset": names[number % 4], "split": split, "index": str(number // 8)})
    chat = rows("chat", 20)
    for number, r in enumerate(chat):
        r["messages"][0]["content"] = ""
        r["metadata"] = json.dumps({"conversation_id": f"c{number}"})
    write_v1(tmp_path / "v1" / "data" / "code-00000-of-00001.parquet", code, group=7)
    write_v1(tmp_path / "v1" / "data" / "chat-00000-of-00001.parquet", chat, group=7)
    write_v1(tmp_path / "v1" / "data" / "math-00000-of-00001.parquet", rows("math", 30))
    return tmp_path / "v1"


@pytest.fixture
def sources(tmp_path):
    """Copies of the sets, each in another form; the last conversations of lmsys are not there."""
    for split in ("train", "test"):
        questions = [{"question": f"taco {split} {n}"} for n in range(9)]
        write_lines(tmp_path / "taco" / f"{split}.jsonl", questions)
        (tmp_path / "apps").mkdir(exist_ok=True)
        pq.write_table(
            pa.table({"question": [f"apps {split} {n}" for n in range(9)]}), tmp_path / "apps" / f"{split}.parquet"
        )
    contests = {
        s: datasets.Dataset.from_dict({"description": [f"contest {s} {n}" for n in range(9)]})
        for s in ("train", "test")
    }
    datasets.DatasetDict(contests).save_to_disk(tmp_path / "code_contests")
    for split in ("train", "test"):
        problems = [
            {"description": f"forces {split} {n}", "input_format": "One n.", "output_format": None,
             "examples": [{"input": "1", "output": "2"}], "note": "Fast."}
            for n in range(9)
        ]  # fmt: skip
        write_lines(tmp_path / "codeforces" / f"{split}.jsonl", problems)
    chats = [{"conversation_id": f"c{n}", "conversation": said(f"Hello {n}?")} for n in range(16)]
    (tmp_path / "lmsys").mkdir()
    pq.write_table(pa.Table.from_pylist(chats), tmp_path / "lmsys" / "train-00000-of-00001.parquet")
    return {name: tmp_path / name for name in ("taco", "apps", "code_contests", "codeforces", "lmsys")}


def prompts(place, split):
    return [r["messages"][0]["content"] for r in tm.open(place, split=split)]


def test_every_source_gives_its_prompts_back(data, sources, tmp_path):
    report = tm.restore(data, sources, tmp_path / "out")
    code = prompts(tmp_path / "out", "code")
    assert code[:3] == ["taco train 0", "apps train 0", "contest train 0"]
    assert code[3] == "forces train 0\n\nInput\n\nOne n.\n\nExamples\n\nInput\n\n1\n\nOutput\n\n2\n\nNote\n\nFast."
    assert code[4] == "taco test 0"
    assert code[-4] == "taco test 4"
    assert prompts(tmp_path / "out", "chat") == [f"Hello {n}?" for n in range(16)]
    assert report.withheld == {
        "apps": {"restored": 10},
        "code_contests": {"restored": 10},
        "codeforces": {"restored": 10},
        "lmsys": {"restored": 16, "missing": 4},
        "taco": {"restored": 10},
    }
    assert (report.rows, report.kept, report.left_out) == (90, 86, 4)


def test_only_prompts_change_and_rows_without_one_lie_apart(data, sources, tmp_path):
    tm.restore(data, sources, tmp_path / "out")
    for split in ("code", "chat", "math"):
        before = list(tm.open(data, split=split))
        after = {r["uuid"]: r for r in tm.open(tmp_path / "out", split=split)}
        for r in before[: len(after)]:
            new = after[r["uuid"]]
            assert new["messages"][1:] == r["messages"][1:]
            if split == "math":
                assert new == r
            else:
                metadata = json.loads(new["metadata"])
                assert metadata.pop("restored_sha256") == sha256(new["messages"][0]["content"].encode()).hexdigest()
                assert metadata == json.loads(r["metadata"])
    lost = pq.read_table(tmp_path / "out" / "withheld").to_pylist()
    assert [json.loads(r["metadata"])["conversation_id"] for r in lost] == ["c16", "c17", "c18", "c19"]
    assert pq.read_schema(tmp_path / "out" / "data" / "chat-00000-of-00001.parquet") == pq.read_schema(
        data / "data" / "chat-00000-of-00001.parquet"
    )
    found = {f.name for f in tm.validate(tmp_path / "out", workers=0).findings}
    assert not found & {"prompt_empty", "prompt_placeholder"}


def test_the_same_again_gives_the_same_bytes_and_what_is_restored_stays(data, sources, tmp_path):
    for name in ("one", "two"):
        tm.restore(data, sources, tmp_path / name)
    again = tm.restore(tmp_path / "one", sources, tmp_path / "again")
    assert again.withheld == {}
    for file in sorted((tmp_path / "one" / "data").iterdir()):
        assert (tmp_path / "two" / "data" / file.name).read_bytes() == file.read_bytes()
        assert (tmp_path / "again" / "data" / file.name).read_bytes() == file.read_bytes()
    assert [p.name for p in (tmp_path / "one").iterdir() if p.name.startswith(".")] == [".restored-from"]


def test_two_texts_under_one_key_are_ambiguous(data, sources, tmp_path):
    chats = [{"conversation_id": "c1", "conversation": said("Something else?")}]
    write_lines(tmp_path / "lmsys" / "more.jsonl", chats)
    report = tm.restore(data, {"lmsys": sources["lmsys"]}, tmp_path / "out", split="chat")
    assert report.withheld["lmsys"] == {"restored": 15, "missing": 4, "ambiguous": 1}


def test_a_copy_that_changed_is_seen_with_a_record(data, sources, tmp_path):
    tm.restore(data, {"taco": sources["taco"]}, tmp_path / "one", split="code")
    lines = (sources["taco"] / "train.jsonl").read_text().splitlines()
    (sources["taco"] / "train.jsonl").write_text("\n".join([lines[1], lines[0], *lines[2:]]) + "\n")
    unseen = tm.restore(data, {"taco": sources["taco"]}, tmp_path / "two", split="code")
    assert unseen.withheld["taco"] == {"restored": 10}, "a position says nothing of its text"
    seen = tm.restore(data, {"taco": sources["taco"]}, tmp_path / "three", split="code", pins=tmp_path / "one" / HASHES)
    assert seen.withheld["taco"] == {"restored": 8, "changed": 2}
    one, two = (json.loads((tmp_path / name / "restored.json").read_text())["sources"] for name in ("one", "two"))
    assert [f["sha256"] for f in one["taco"]] != [f["sha256"] for f in two["taco"]]


def test_v3_prompts_are_found_by_their_hash_in_any_set(sources, tmp_path):
    held = []
    for number, r in enumerate(rows("chat", 4)):
        r["messages"][0]["content"] = ""
        text = f"Hello {number}?" if number < 3 else "Nowhere."
        r["metadata"] = {"seed_dataset": "lmsys", "seed_prompt_sha256": sha256(text.encode()).hexdigest()}
        held.append(r)
    write_lines(tmp_path / "v3" / "chat.jsonl", held)
    report = tm.restore(tmp_path / "v3", {"wildchat": sources["lmsys"]}, tmp_path / "out")
    assert report.withheld == {"sha256": {"restored": 3, "missing": 1}}
    assert prompts(tmp_path / "out", "chat") == ["Hello 0?", "Hello 1?", "Hello 2?"]


def test_rows_that_name_no_source_are_counted_and_left_out(sources, tmp_path):
    held = rows("chat", 3)
    for r in held:
        r["messages"][0]["content"] = "-"
    held[0]["metadata"] = "no JSON"
    held[1]["metadata"] = json.dumps({"dataset": "somewhere", "split": "train", "index": 1})
    held[2]["metadata"] = json.dumps({"dataset": "taco", "split": "train", "index": "../1"})
    write_lines(tmp_path / "v1" / "chat.jsonl", held)
    report = tm.restore(tmp_path / "v1", sources, tmp_path / "out")
    assert report.withheld == {"": {"missing": 3}}
    assert (report.kept, report.left_out) == (0, 3)


def test_rows_for_reinforcement_learning_get_question_and_answer_back(tmp_path):
    asked = "Solve this step by step.\n\nWhat is {}?\n\nAs said:\n\n{}\n\nRemember the last line."
    dapo = [{"prompt": [{"content": asked.format(n, n), "role": "user"}], "reward_model": {"ground_truth": str(n)}}
            for n in range(6)]  # fmt: skip
    pq.write_table(pa.Table.from_pylist(dapo), tmp_path / "dapo-math-17k.parquet")
    sky = [{"prompt": [{"content": f"Find {n}."}], "reward_model": {"ground_truth": f'["{n}", "x"]'}} for n in range(4)]
    write_lines(tmp_path / "sky" / "code-00000-of-00001.jsonl", sky[:1])
    write_lines(tmp_path / "sky" / "math-00000-of-00001.jsonl", sky)
    request = {"input": [{"role": "user", "content": "masked"}], "tools": []}
    names = ["nano_v3_sft_profiled_dapo17k", "nano_v3_sft_profiled_skywork_no_omni", "nano_v3_sft_profiled_workbench"]
    held = [
        {"dataset": names[0], "_hf_placeholder": {"row": 4, "question_template": {"prefix": "Box it.\n"}}},
        {"dataset": names[1], "_hf_placeholder": {"row": 3, "question_template": "Here: {question} Well?"}},
        {"dataset": names[1], "_hf_placeholder": {"row": 2, "question_template": {"template": "{question}!"}}},
        {"dataset": names[0], "_hf_placeholder": {"row": 77, "question_template": {}}},
        {"dataset": "another", "_hf_placeholder": {"row": 1}},
        {"dataset": names[2], "ground_truth": [1]},
    ]
    write_lines(tmp_path / "rl" / "train.jsonl", [{**r, "responses_create_params": request} for r in held])
    sources = {"dapo": tmp_path / "dapo-math-17k.parquet", "skywork": tmp_path / "sky"}
    report = tm.restore(tmp_path / "rl", sources, tmp_path / "out")
    assert report.withheld == {"": {"missing": 1}, "dapo": {"restored": 1, "missing": 1}, "skywork": {"restored": 2}}
    found = [json.loads(line) for line in (tmp_path / "out" / "data" / "train.jsonl").read_bytes().splitlines()]
    assert [(r.get("question"), r.get("expected_answer")) for r in found] == [
        ("Box it.\nWhat is 4?\n\nAs said:\n\n4", "4"),
        ("Here: Find 3. Well?", "3"),
        ("Find 2.!", "2"),
        (None, None),
    ]
    assert found[0]["responses_create_params"] == {
        "input": [{"role": "user", "content": "Box it.\nWhat is 4?\n\nAs said:\n\n4"}],
        "tools": [],
    }
    assert not any("_hf_placeholder" in r for r in found)
    lost = [json.loads(line) for line in (tmp_path / "out" / "withheld" / "train.jsonl").read_bytes().splitlines()]
    assert [r["_hf_placeholder"]["row"] for r in lost] == [77, 1]
    again = tm.restore(tmp_path / "out" / "data", sources, tmp_path / "again")
    assert again.withheld == {}
    same = [tmp_path / place / "data" / "train.jsonl" for place in ("out", "again")]
    assert same[0].read_bytes() == same[1].read_bytes()


def test_a_list_of_uuids_becomes_its_rows(tmp_path):
    math, chat = rows("math", 30), rows("chat", 10)
    write_v1(tmp_path / "v1" / "math-00000-of-00001.parquet", math, group=7)
    write_lines(tmp_path / "v1" / "chat.jsonl", [*chat, chat[3], {**chat[4], "license": "other"}])
    chosen = [math[3], math[29], chat[3], chat[4], chat[9]]
    listed = [{"uuid": r["uuid"]} for r in (*chosen, chosen[0])] + [{"uuid": "nowhere"}]
    write_lines(tmp_path / "list.jsonl", listed)
    report = tm.restore(tmp_path / "list.jsonl", {"mine": tmp_path / "v1"}, tmp_path / "out")
    assert report.withheld == {"uuid": {"restored": 4, "missing": 1, "ambiguous": 1}}
    assert (report.rows, report.kept, report.left_out, report.ok) == (6, 4, 2, False)
    assert [r["uuid"] for r in tm.open(tmp_path / "out")] == [r["uuid"] for r in (chat[3], chat[9], math[3], math[29])]
    first = next(iter(tm.open(tmp_path / "out", split="math")))
    assert first == next(r for r in tm.open(tmp_path / "v1", split="math") if r["uuid"] == math[3]["uuid"])


def test_a_list_that_is_found_whole_is_ok_and_a_changed_row_is_told(tmp_path):
    math = rows("math", 5)
    write_lines(tmp_path / "v1" / "math.jsonl", math)
    pq.write_table(pa.table({"uuid": [r["uuid"] for r in math[:3]]}), tmp_path / "list.parquet")
    command = [sys.executable, "-m", "tracemill", "restore", tmp_path / "list.parquet", "--out", tmp_path / "out"]
    done = subprocess.run([*command, "--source", f"mine={tmp_path / 'v1'}"], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert "3 rows are listed: 3 found in data/, 0 not found" in done.stdout
    write_lines(tmp_path / "v1" / "math.jsonl", [{**r, "license": "other"} for r in math])
    report = tm.restore(
        tmp_path / "list.parquet", {"mine": tmp_path / "v1"}, tmp_path / "new", pins=tmp_path / "out" / HASHES
    )
    assert report.withheld == {"uuid": {"changed": 3}}
    command[-1] = tmp_path / "third"
    missing = subprocess.run(
        [*command, "--source", f"mine={tmp_path / 'out' / HASHES}"], capture_output=True, text=True
    )
    assert missing.returncode == 1
    assert "0 found in data/, 3 not found" in missing.stdout


def test_a_directory_that_is_not_empty_and_a_source_that_is_not_there_are_refused(data, sources, tmp_path):
    with pytest.raises(UsageError, match="not empty"):
        tm.restore(data, sources, tmp_path)
    with pytest.raises(UsageError, match="neither a directory"):
        tm.restore(data, {"taco": tmp_path / "absent"}, tmp_path / "out")
    with pytest.raises(UsageError, match="NAME=PATH"):
        tm.restore(data, {}, tmp_path / "out")


def test_the_command_says_what_became_of_each_source(data, sources, tmp_path):
    words = [w for name, path in sources.items() for w in ("--source", f"{name}={path}")]
    command = [sys.executable, "-m", "tracemill", "restore", data, *words, "--out", tmp_path / "out"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "90 rows: 86 with a prompt" in done.stdout
    assert "restored 16, missing 4" in done.stdout
    assert subprocess.run([*command[:5], "--source", "lmsys", "--out", "x"], capture_output=True).returncode == 2


def test_what_is_trained_on_has_its_prompts(data, sources, tmp_path):
    raw = tm.open(data)
    assert (len(raw), len(raw["train"]), len(tm.open(data, split="train"))) == (90, 30, 30)
    assert {r["split"] for r in raw["train"]} == {"math"}
    assert [r["uuid"] for r in raw["train"].flat(["uuid"])] == [r["uuid"] for r in tm.open(data, split="math")]
    assert raw["train"][29]["uuid"] == list(tm.open(data, split="math"))[29]["uuid"]
    assert sum(table.num_rows for table in raw["train"].batches(7)) == 30
    assert len(tm.open(data, split="train", generator="DeepSeek-R1-0528")) == 30
    assert len(tm.open(data, category="code")["train"]) == 0
    tm.restore(data, sources, tmp_path / "out")
    assert len(tm.open(tmp_path / "out")["train"]) == 86
    chat = rows("chat", 4)
    chat[1]["messages"][0]["content"] = ""
    chat[2]["messages"] = [{"role": "system", "content": ""}, {"role": "assistant", "content": "Hello."}]
    write_lines(tmp_path / "alone.jsonl", chat)
    assert [r["uuid"] for r in tm.open(tmp_path / "alone.jsonl", split="train")] == [chat[n]["uuid"] for n in (0, 2, 3)]


def test_a_broken_line_of_a_source_keeps_its_position(data, sources, tmp_path):
    file = sources["taco"] / "train.jsonl"
    lines = file.read_text().splitlines()
    file.write_text("\n".join([lines[0], "{broken", "", *lines[2:]]) + "\n")
    report = tm.restore(data, {"taco": sources["taco"]}, tmp_path / "out", split="code")
    assert report.withheld["taco"] == {"restored": 9, "missing": 1}
    told = {r["uuid"]: json.loads(r["metadata"]) for r in tm.open(data, split="code")}
    for r in tm.open(tmp_path / "out", split="code"):
        where = told[r["uuid"]]
        assert r["messages"][0]["content"] == f"taco {where['split']} {where['index']}"


def test_the_same_call_finds_its_work_done_and_any_other_is_refused(data, sources, tmp_path):
    out = tmp_path / "out"
    first = tm.restore(data, sources, out)
    before = {p: (p.stat().st_mtime_ns, p.stat().st_ino) for p in out.rglob("*")}
    assert tm.restore(data, sources, out) == first
    assert {p: (p.stat().st_mtime_ns, p.stat().st_ino) for p in out.rglob("*")} == before
    with pytest.raises(UsageError, match="is not empty"):
        tm.restore(data, {"taco": sources["taco"]}, out)
    write_lines(sources["taco"] / "train.jsonl", [{"question": "Another one."}])
    with pytest.raises(UsageError, match="is not empty"):
        tm.restore(data, sources, out)


def test_what_a_stopped_call_left_is_taken_away(data, sources, tmp_path):
    whole = tm.restore(data, sources, tmp_path / "whole")
    out = tmp_path / "out"
    for name in ("data/code-00000-of-00001.parquet", "withheld/half.jsonl", ".restoring/0.parquet", HASHES):
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        (out / name).write_bytes(b"half")
    with RunLock(out / ".restoring" / "lock"), pytest.raises(Locked, match=f"{out} is being written"):
        tm.restore(data, sources, out)
    assert tm.restore(data, sources, out).kept == whole.kept
    files = {p.relative_to(tmp_path / "whole"): p.read_bytes() for p in (tmp_path / "whole").rglob("*") if p.is_file()}
    assert {p.relative_to(out): p.read_bytes() for p in out.rglob("*") if p.is_file()} == files


def test_a_call_that_fails_leaves_an_empty_directory(data, sources, tmp_path):
    (data / "data" / "stem-00000-of-00001.parquet").write_bytes(b"PAR1 and no more")
    with pytest.raises(DataError, match="cut short"):
        tm.restore(data, sources, tmp_path / "out")
    assert [*(tmp_path / "out").iterdir()] == []


class Telling(Fs):
    """Says when it has looked into a directory."""

    def __init__(self, place):
        self.place, self.looked = place, threading.Event()

    def names(self, path):
        found = super().names(path)
        if path == self.place:
            self.looked.set()
        return found


def test_a_call_that_waited_for_the_same_finds_its_work_done(data, sources, tmp_path):
    """The first call ends, and takes its scratch away with the lock, while the second waits for it."""
    whole, out, reports = tmp_path / "whole", tmp_path / "out", []
    first = tm.restore(data, sources, whole)
    fs = Telling(out)
    second = threading.Thread(target=lambda: reports.append(restore(data, sources, out, fs=fs)))
    with RunLock(out / ".restoring" / "lock"):
        second.start()
        assert fs.looked.wait(10)
        time.sleep(0.05)
        shutil.copytree(whole, out, dirs_exist_ok=True)
        shutil.rmtree(out / ".restoring")
        before = {p: p.stat().st_mtime_ns for p in out.rglob("*") if p.is_file()}
    second.join()
    assert reports == [replace(first, out=out)]
    assert {p: p.stat().st_mtime_ns for p in out.rglob("*") if p.is_file()} == before
