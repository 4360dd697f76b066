"""The spool: units and occurrence numbers follow from the prompts, memory stays flat, and a cut leaves no harm."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tracemill.errors import CorruptRun, DiskError, RecipeError
from tracemill.gather import spool as spools
from tracemill.gather.spool import Spool, load_spool, open_spool
from tracemill.recipe import Recipe
from tracemill.record import BadLine, Prompt, Sample
from tracemill.schema import to_row
from tracemill.storage.fs import Fs


def recipe(*sources: dict) -> Recipe:
    return Recipe.model_validate(
        {
            "name": "small",
            "license": "MIT",
            "prompts": sources,
            "teachers": {"main": {"url": "http://localhost:8000/v1", "model": "m"}},
        }
    )


def from_file(path: Path, name: str = "corpus", **more: object) -> dict:
    return {"path": str(path), "name": name, "fields": {"prompt": "prompt", "id": "id"}, **more}


def write(path: Path, texts: list[str], first_id: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = [{"prompt": text, "id": str(number)} for number, text in enumerate(texts, first_id)]
    path.write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in rows))
    return path


def every(spool: Spool) -> list[Prompt]:
    return [prompt for unit in spool.units(1) for prompt in spool.read(unit)]


def units(spool: Spool) -> list[tuple[str, list[str]]]:
    """Of each unit its name and the questions in it, equal ones once for each."""
    return [(u.name, sorted(p.messages[0].content for p in spool.read(u))) for u in spool.units(1)]


def test_every_prompt_of_every_source_is_spooled_once(tmp_path):
    first = write(tmp_path / "a.jsonl", [f"question {n}" for n in range(500)])
    made = {"generate": "word_problems", "count": 100, "name": "made"}
    spool = open_spool(tmp_path / "spool", recipe(from_file(first), made), None)
    found = every(spool)
    assert Counter(p.source for p in found) == {"corpus": 500, "made": 100}
    assert len({(p.source, p.source_id) for p in found}) == spool.prompts == 600


def test_equal_prompts_are_numbered_in_input_order_across_files(tmp_path):
    write(tmp_path / "in" / "1.jsonl", ["same", "other", "same"])
    write(tmp_path / "in" / "2.jsonl", ["same"], first_id=10)
    last = write(tmp_path / "last.jsonl", ["same", "other"], first_id=20)
    spool = open_spool(tmp_path / "spool", recipe(from_file(tmp_path / "in"), from_file(last, "last")), None)
    numbered = {p.source_id: p.occurrence for p in every(spool)}
    assert numbered == {"0": 0, "2": 1, "10": 2, "20": 3, "1": 0, "21": 1}


def test_prompts_are_equal_only_if_they_ask_the_same(tmp_path):
    rows = [
        {"prompt": "q", "id": "0", "c": "math"},
        {"prompt": "q", "id": "1", "c": "stem"},
        {"prompt": "Q", "id": "2"},
    ]
    (tmp_path / "a.jsonl").write_bytes(b"".join(orjson.dumps({"c": "math", **row}) + b"\n" for row in rows))
    fields = {"prompt": "prompt", "id": "id", "category": "c"}
    spool = open_spool(tmp_path / "spool", recipe(from_file(tmp_path / "a.jsonl", fields=fields)), None)
    assert {p.source_id: p.occurrence for p in every(spool)} == {"0": 0, "1": 1, "2": 0}


def test_a_trace_in_the_history_goes_through_the_spool_as_it_was(tmp_path):
    texts = ["<think>x</think>\n\nyo", "<think>\nx\n</think>\n\nyo", "plain"]
    turns = [{"role": "assistant", "content": text} for text in texts] + [{"role": "user", "content": "q"}]
    (tmp_path / "a.jsonl").write_bytes(orjson.dumps({"prompt": turns, "id": "0"}))
    [prompt] = every(open_spool(tmp_path / "spool", recipe(from_file(tmp_path / "a.jsonl")), None))
    assert [m.reasoning for m in prompt.messages] == ["x", "x", None, None]
    assert [m.seam for m in prompt.messages] == [("", "", "", "\n\n"), None, None, None]
    row = to_row(Sample("u", "chat", "on", prompt.messages))
    assert [turn["content"] for turn in row["messages"]] == [*texts, "q"]


@pytest.mark.parametrize("samples", [1, 3, 100, 2000])
def test_units_hold_each_prompt_once_in_key_order_and_few_enough_samples(tmp_path, samples):
    path = write(tmp_path / "a.jsonl", [f"question {n % 4990}" for n in range(5000)])
    spool = open_spool(tmp_path / "spool", recipe(from_file(path)), None)
    planned = spool.units(samples)
    assert len({unit.name for unit in planned}) == len(planned)
    worked = [spool.read(unit) for unit in planned]
    hashes = [p.hash for prompts in worked for p in prompts]
    assert hashes == sorted(hashes)
    assert len(hashes) == 5000
    assert sum(p.occurrence for prompts in worked for p in prompts) == 10
    most = max(1, spools.UNIT_SAMPLES // samples)
    assert max(map(len, worked)) <= max(8, 4 * most), "a slice is only about even"


@settings(max_examples=15, deadline=None)
@given(
    texts=st.lists(st.sampled_from([f"question {n}" for n in range(40)]), min_size=1, max_size=80), seed=st.integers()
)
def test_units_follow_from_the_prompts_and_not_from_their_order_or_files(tmp_path_factory, texts, seed):
    folder = tmp_path_factory.mktemp("units")
    shuffled = random.Random(seed).sample(texts, len(texts))
    cut = len(texts) // 2
    one = write(folder / "one.jsonl", texts)
    write(folder / "two" / "a.jsonl", shuffled[:cut] or texts[:1])
    write(folder / "two" / "b.jsonl", shuffled[cut:] if cut else [])
    before = units(open_spool(folder / "s1", recipe(from_file(one)), None))
    assert units(open_spool(folder / "s2", recipe(from_file(folder / "two")), None)) == before


def test_a_large_partition_is_split_by_the_next_digits(tmp_path, monkeypatch):
    monkeypatch.setattr(spools, "UNIT_SAMPLES", 3)
    path = write(tmp_path / "a.jsonl", [f"question {n}" for n in range(1500)] + ["same"] * 10)
    spool = open_spool(tmp_path / "spool", recipe(from_file(path)), None)
    assert sum(count > 3 for count in spool.partitions.values()) == 1  # equal prompts cannot be parted
    assert sorted(p.occurrence for p in every(spool) if p.messages[0].content == "same") == list(range(10))
    assert spool.prompts == len(every(spool)) == 1510


def test_bad_lines_are_kept_in_input_order_and_counted(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"prompt": "q", "id": "1"}\n[]\n{"prompt": ""}\n')
    (tmp_path / "b.jsonl").write_text("no\n")
    sources = [from_file(tmp_path / f"{name}.jsonl", name) for name in "ab"]
    spool = open_spool(tmp_path / "spool", recipe(*sources), None)
    assert [(b.source, b.where, b.reason) for b in spool.bad_lines()] == [
        ("a", "a.jsonl:2", "not_object"),
        ("a", "a.jsonl:3", "empty_prompt"),
        ("b", "b.jsonl:1", "not_json"),
    ]
    assert spool.ledger.imbalance() == []
    assert [(s["prompts"], s["bad_lines"]) for s in spool.inputs] == [(1, 2), (0, 1)]
    assert all(isinstance(bad, BadLine) for bad in spool.bad_lines())


def test_a_limit_takes_the_first_prompts_in_input_order_over_all_sources(tmp_path):
    first = write(tmp_path / "a.jsonl", [f"a{n}" for n in range(10)])
    second = write(tmp_path / "b.jsonl", [f"b{n}" for n in range(10)])
    both = recipe(from_file(first), from_file(second, "second"))
    spool = open_spool(tmp_path / "spool", both, 13)
    asked = {p.messages[0].content for p in every(spool)}
    assert asked == {f"a{n}" for n in range(10)} | {"b0", "b1", "b2"}
    assert [s["prompts"] for s in spool.inputs] == [10, 3]


def test_an_unchanged_input_is_not_read_again(tmp_path):
    path = write(tmp_path / "a.jsonl", ["one"])
    first = open_spool(tmp_path / "spool", recipe(from_file(path)), None)
    stamp = (first.directory / "spool.json").stat().st_ino
    again = open_spool(tmp_path / "spool", recipe(from_file(path)), None)
    assert again == first
    assert (again.directory / "spool.json").stat().st_ino == stamp


@pytest.mark.parametrize("change", ["content", "name", "limit", "fields", "another file"])
def test_a_changed_input_makes_a_new_spool(tmp_path, change):
    path = write(tmp_path / "in" / "a.jsonl", ["one", "two"])
    told = from_file(tmp_path / "in")
    first = open_spool(tmp_path / "spool", recipe(told), None)
    if change == "content":
        write(path, ["one", "three"])
        os.utime(path, ns=(1, 1))
    elif change == "another file":
        write(tmp_path / "in" / "b.jsonl", ["three"])
    else:
        told = {**told, **{"name": {"name": "renamed"}, "fields": {"fields": {"prompt": "id"}}}.get(change, {})}
    second = open_spool(tmp_path / "spool", recipe(told), 1 if change == "limit" else None)
    assert second.directory != first.directory


def test_a_renamed_file_changes_what_rows_are_made_from(tmp_path):
    path = write(tmp_path / "a.jsonl", ["one"])
    before = open_spool(tmp_path / "spool", recipe(from_file(path)), None).identity()
    after = open_spool(tmp_path / "spool", recipe(from_file(path.rename(tmp_path / "b.jsonl"))), None).identity()
    assert after != before  # the file's name stands in source_id


def test_a_moved_input_is_the_same_input(tmp_path):
    path = write(tmp_path / "x" / "a.jsonl", ["one"])
    before = open_spool(tmp_path / "spool", recipe(from_file(path)), None)
    moved = write(tmp_path / "y" / "a.jsonl", ["one"])
    after = open_spool(tmp_path / "spool", recipe(from_file(moved)), None)
    assert (after.identity(), every(after)) == (before.identity(), every(before))


@pytest.mark.parametrize("damage", ["cut", "gone", "garbled"])
def test_a_spool_that_lost_data_is_made_again(tmp_path, damage):
    path = write(tmp_path / "a.jsonl", [f"question {n}" for n in range(50)])
    spool = open_spool(tmp_path / "spool", recipe(from_file(path)), None)
    found = every(spool)
    hurt = sorted(spool.directory.glob("*.jsonl"))[3]
    if damage == "gone":
        hurt.unlink()
    elif damage == "cut":
        hurt.write_bytes(hurt.read_bytes()[:-5])
    else:
        (spool.directory / "spool.json").write_text("{")
    assert every(open_spool(tmp_path / "spool", recipe(from_file(path)), None)) == found


@pytest.mark.parametrize("content", [b"", b"\0\0\0\n", b"[]\n", b'{"order": 1}\n'])
def test_reading_a_partition_that_was_damaged_says_which(tmp_path, content):
    path = write(tmp_path / "a.jsonl", ["one"])
    spool = open_spool(tmp_path / "spool", recipe(from_file(path)), None)
    [name] = spool.partitions
    (spool.directory / f"{name}.jsonl").write_bytes(content)
    with pytest.raises(CorruptRun, match=f"{name}.jsonl"):
        every(spool)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"inputs": 1, "partitions": {}, "ledger": []}'])
def test_a_description_that_cannot_be_read_is_told(tmp_path, text):
    (tmp_path / "spool.json").write_text(text)
    with pytest.raises(CorruptRun, match=r"spool\.json"):
        load_spool(tmp_path)


def test_an_input_that_is_not_there_is_told_before_anything_is_written(tmp_path):
    with pytest.raises(RecipeError, match=r"gone\.jsonl"):
        open_spool(tmp_path / "spool", recipe(from_file(tmp_path / "gone.jsonl")), None)
    assert not (tmp_path / "spool").exists()


class FullAt(Fs):
    """Refuses the n-th writing operation."""

    def __init__(self, refused: int) -> None:
        self.left = refused

    def _count(self, path: Path) -> None:
        self.left -= 1
        if self.left == 0:
            raise DiskError(f"the disk is full at {path}")

    def append(self, path: Path, data: bytes) -> None:
        self._count(path)
        super().append(path, data)

    def replace(self, path: Path, data: bytes, durable: bool = True) -> None:
        self._count(path)
        super().replace(path, data, durable)

    def rename(self, old: Path, new: Path) -> None:
        self._count(new)
        super().rename(old, new)


def test_whichever_write_is_refused_opening_again_gives_the_same_spool(tmp_path):
    path = write(tmp_path / "a.jsonl", [f"question {n}" for n in range(4)])
    of = recipe(from_file(path))
    expected = every(open_spool(tmp_path / "whole", of, None))
    refused = 0
    while True:
        refused += 1
        disk = FullAt(refused)
        directory = tmp_path / f"spool{refused}"
        try:
            open_spool(directory, of, None, disk)
        except DiskError:
            assert every(open_spool(directory, of, None)) == expected
            continue
        break
    assert refused > 5


CHILD = """
import sys
from pathlib import Path
from tracemill.gather.spool import open_spool
from tracemill.recipe_file import load_recipe
open_spool(Path(sys.argv[2]), load_recipe(sys.argv[1]), None)
"""


@pytest.mark.parametrize("point", ["spool.written", "spool.committed"])
def test_a_kill_while_spooling_leaves_a_state_that_opens_to_the_same_spool(tmp_path, point):
    path = write(tmp_path / "a.jsonl", [f"question {n}" for n in range(300)])
    of = recipe(from_file(path))
    (tmp_path / "r.yaml").write_bytes(orjson.dumps(of.model_dump(mode="json")))
    command = [sys.executable, "-c", CHILD, str(tmp_path / "r.yaml"), str(tmp_path / "spool")]
    died = subprocess.run(command, env={**os.environ, "TRACEMILL_CRASH": point}, start_new_session=True)
    assert died.returncode == -signal.SIGKILL
    spool = open_spool(tmp_path / "spool", of, None)
    assert every(spool) == every(open_spool(tmp_path / "undisturbed", of, None))
    assert [p.name for p in (tmp_path / "spool").iterdir()] == [spool.directory.name]
    assert load_spool(spool.directory) == spool


MEASURED = """
import sys
from pathlib import Path
from tracemill.gather.spool import open_spool
from tracemill.recipe_file import load_recipe
def most():
    return int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0])
before = most()
open_spool(Path(sys.argv[2]), load_recipe(sys.argv[1]), None)
print(most() - before)
"""


@pytest.mark.storm
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the memory of a process is read from /proc")
def test_memory_does_not_grow_with_the_input(tmp_path):
    grown = {}
    for count in (30_000, 150_000):
        path = tmp_path / f"{count}.jsonl"
        with path.open("wb") as file:
            file.writelines(b'{"prompt": "%d %s", "id": "%d"}\n' % (n, b"x" * 400, n) for n in range(count))
        of = recipe(from_file(path))
        (tmp_path / "r.yaml").write_bytes(orjson.dumps(of.model_dump(mode="json")))
        command = [sys.executable, "-c", MEASURED, str(tmp_path / "r.yaml"), str(tmp_path / f"spool{count}")]
        grown[count] = int(subprocess.run(command, capture_output=True, check=True, text=True).stdout)
    assert grown[150_000] - grown[30_000] < 20_000, f"kB by lines: {grown}"  # 120,000 lines more are 75 MB
