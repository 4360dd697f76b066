"""The by-products of real builds, read by `datasets` itself."""

from __future__ import annotations

import json
from collections import Counter, defaultdict

import pytest

from campaign import write_jsonl
from glean.mixed import HARD, PROMPTS, SAMPLES, answered, tree_over
from tracemill.engines.inline import InlineEngine
from tracemill.errors import UsageError
from tracemill.glean.run import glean
from tracemill.mill import build
from tracemill.recipe_file import recipe_from
from tracemill.storage.parquet import read_batches
from tracemill.takedown.run import remove
from tracemill.testing import Answer, ScriptedServer
from tracemill.worlds import WORLDS


def rows_of(out):
    for folder in ("data", "rejected"):
        for path in sorted((out / folder).glob("*.parquet")):
            for batch in read_batches(path):
                for row in batch.to_pylist():
                    yield row, "kept" if folder == "data" else row["reason"]


@pytest.fixture(scope="module")
def mixed(tmp_path_factory):
    """A run, its by-products, and what became of each of its rows."""
    folder = tmp_path_factory.mktemp("mixed")
    with ScriptedServer(answered) as server:
        build(recipe_from(tree_over(folder, server.url), "the test's recipe"), folder / "run", engine=InlineEngine())
        sent = server.stats().received
        report = glean(folder / "run", folder / "gleaned")
        assert server.stats().received == sent, "nothing is asked"
    assert not server.errors
    return folder, report, list(rows_of(folder / "run"))


def loaded(folder, kind):
    datasets = pytest.importorskip("datasets")
    return datasets.load_dataset(str(folder / "gleaned"), kind, split="train", cache_dir=str(folder / "cache"))


def test_each_pair_has_a_right_and_a_wrong_answer_to_one_prompt(mixed):
    folder, report, rows = mixed
    known = {row["uuid"]: (row, end) for row, end in rows}
    of = defaultdict(Counter)
    for row, end in rows:
        of[row["prompt_key"], row["reasoning"]][end] += 1
    expected = Counter()
    for row, _ in {(r["prompt_key"], r["reasoning"]): (r, e) for r, e in rows}.values():
        ends = of[row["prompt_key"], row["reasoning"]]
        wrong = ends["wrong_answer"] + ends["wrong_state"]
        expected["preference" if row["category"] == "math" else "preference_tools"] += min(ends["kept"], wrong)
    used = Counter()
    for kind in ("preference", "preference_tools"):
        table = loaded(folder, kind)
        assert len(table) == expected[kind] == report.rows[kind] > 5
        for pair in table:
            better, worse = known[pair["chosen_uuid"]], known[pair["rejected_uuid"]]
            used.update([pair["chosen_uuid"], pair["rejected_uuid"]])
            assert better[1] == "kept"
            assert worse[1] in ("wrong_answer", "wrong_state")
            assert better[0]["prompt_key"] == worse[0]["prompt_key"] == pair["prompt_key"]
            assert better[0]["reasoning"] == worse[0]["reasoning"] == pair["reasoning"]
            assert pair["prompt"][-1]["role"] == "user"
            for half, (row, _) in (("chosen", better), ("rejected", worse)):
                assert [turn["content"] for turn in pair["prompt"] + pair[half]] == [
                    turn["content"] for turn in row["messages"]
                ]
                assert pair[half][0]["role"] == pair[half][-1]["role"] == "assistant"
                assert pair[half][0]["content"].startswith("<think>") == (pair["reasoning"] == "on")
            if kind == "preference":
                assert set(pair["chosen"][0]) == {"role", "content"}
            else:
                assert [turn["role"] for turn in pair["chosen"]] == ["assistant", "tool", "assistant"]
                call = pair["chosen"][0]["tool_calls"][0]
                assert set(call["function"]["arguments"]) == {"member_id", "book_id"}
                assert pair["chosen"][1]["tool_call_id"] == call["id"]
                assert set(pair["chosen"][2]) == {"role", "content"}
                assert json.loads(pair["tools"])[0]["function"]["name"] == "search_books"
    assert set(used.values()) == {1}


def test_prompts_carry_their_check_and_how_often_they_were_solved(mixed):
    folder, report, rows = mixed
    table = loaded(folder, "prompts")
    assert len(table) == report.rows["prompts"] == PROMPTS + 9
    ends = defaultdict(Counter)
    for row, end in rows:
        ends[row["prompt_key"]][end] += 1
        ends[row["prompt_key"], row["reasoning"]][end] += 1
    rates = {"hard": [], "easy": []}
    for row in table:
        counted = ends[row["prompt_key"]]
        assert row["judged"] == counted.total() == 2 * SAMPLES
        assert row["right"] == counted["kept"]
        assert row["pass_rate"] == pytest.approx(counted["kept"] / counted.total())
        for mode in ("on", "off"):
            of_mode = ends[row["prompt_key"], mode]
            assert row[f"pass_rate_{mode}"] == pytest.approx(of_mode["kept"] / of_mode.total())
        if row["category"] == "math":
            number = int(row["answer"])
            assert row["prompt"][-1]["content"].endswith(f"Say the number {number}.")
            assert (row["verifier"], row["check"], row["source_license"]) == ("verify_math", None, "MIT")
            rates["hard" if number % HARD == 0 else "easy"].append(row["pass_rate"])
        else:
            assert row["verifier"] == "verify_tools"
            assert json.loads(row["check"])["world"]["name"] == "library"
            assert len(json.loads(row["tools"])) == len(WORLDS["library"].tools)
    assert sum(rates["hard"]) / len(rates["hard"]) < sum(rates["easy"]) / len(rates["easy"]) - 0.2


def test_the_same_run_gives_the_same_bytes_and_fewer_pairs_where_told(mixed):
    folder, report, _ = mixed
    again = glean(folder / "run", folder / "again")
    assert again.rows == report.rows
    for path in (folder / "gleaned").rglob("*"):
        if path.is_file():
            assert path.read_bytes() == (folder / "again" / path.relative_to(folder / "gleaned")).read_bytes()
    fewer = glean(folder / "run", folder / "fewer", most=1)
    assert fewer.rows["preference"] < report.rows["preference"]
    assert fewer.rows["prompts"] == report.rows["prompts"]
    with pytest.raises(UsageError, match="is there already; name a new directory"):
        glean(folder / "run", folder / "fewer")


def test_rows_that_were_taken_down_are_in_no_by_product(tmp_path):
    with ScriptedServer(answered) as server:
        build(
            recipe_from(tree_over(tmp_path, server.url), "the test's recipe"), tmp_path / "run", engine=InlineEngine()
        )
    before = glean(tmp_path / "run", tmp_path / "before")
    pair = next(read_batches(tmp_path / "before" / "preference" / "train-00000-of-00001.parquet")).to_pylist()[0]
    remove(str(tmp_path / "run"), uuids=[pair["chosen_uuid"]])
    after = glean(tmp_path / "run", tmp_path / "after")
    for path in (tmp_path / "after").rglob("*.parquet"):
        for batch in read_batches(path):
            assert all(pair["chosen_uuid"] not in row.values() for row in batch.to_pylist())
    assert after.rows["prompts"] == before.rows["prompts"]
    assert before.rows["preference"] - 1 <= after.rows["preference"] <= before.rows["preference"]


def test_a_run_that_is_not_finished_or_has_nothing_is_told(tmp_path):
    with pytest.raises(UsageError, match="no run"):
        glean(tmp_path, tmp_path / "gleaned")
    rows = [{"prompt": f"Talk of the number {i}.", "id": f"c{i}"} for i in range(3)]
    tree = {
        "name": "talk",
        "license": "CC0-1.0",
        "prompts": {
            "path": str(write_jsonl(tmp_path / "talk.jsonl", rows)),
            "name": "talk",
            "category": "chat",
            "fields": {"id": "id"},
        },
        "respond": {"reasoning": "off"},
    }
    with ScriptedServer(lambda body: Answer("Gladly.")) as server:
        tree["teachers"] = {"main": {"url": server.url, "model": "scripted"}}
        build(recipe_from(tree, "the test's recipe"), tmp_path / "run", engine=InlineEngine())
    with pytest.raises(UsageError, match="has no by-products"):
        glean(tmp_path / "run", tmp_path / "gleaned")
    assert not (tmp_path / "gleaned").exists()
    assert not list(tmp_path.glob(".gleaned*"))
