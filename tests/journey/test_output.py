"""What comes out: every reader opens it, the audit proves it, and each row's life can be told."""

from __future__ import annotations

import json
import shutil
import sqlite3
import subprocess
from contextlib import closing

import duckdb
import polars as pl
import pyarrow.parquet as pq
import pytest
import yaml
import zstandard

from campaign import answers, first, problem_recipe, run, write_problems
from tracemill import schema
from tracemill.mill import build
from tracemill.recipe_file import load_recipe, recipe_from
from tracemill.record import CATEGORIES
from tracemill.report.audit import audit
from tracemill.report.explain import explain
from tracemill.report.status import status
from tracemill.testing import Answer, Faults, ScriptedServer

PROBLEMS = 150


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A run with kept, rejected and failed rows and two unusable input lines."""
    folder = tmp_path_factory.mktemp("made")
    table = write_problems(folder / "problems.jsonl", PROBLEMS)
    unlucky, sulky, hasty = list(table)[:3]
    table[sulky] = [Answer("No box here.", "I sulk.")]
    table[hasty] = [Answer("\\boxed{", "I was cut", finish_reason="length")]
    with (folder / "problems.jsonl").open("ab") as file:
        file.write(b'{"question": 5, "answer": "1"}\n{broken\n')

    def fault(body, attempt):
        return "bad_request" if unlucky in body["messages"][-1]["content"] else None

    with ScriptedServer(answers(table), faults=Faults(script=fault)) as server:
        file = problem_recipe(folder / "recipe.yaml", folder / "problems.jsonl", server.url, respond__reasoning="both")
        build(load_recipe(file), folder / "run")
    return folder / "run"


@pytest.fixture
def copy(made, tmp_path):
    """A copy of the run that a test may spoil; hard links are kept."""
    subprocess.run(["cp", "-a", str(made), str(tmp_path / "run")], check=True)
    return tmp_path / "run"


def rows(out, directory):
    return [row for path in sorted((out / directory).glob("*.parquet")) for row in pq.read_table(path).to_pylist()]


def test_load_dataset_opens_it_whole_by_split_and_streaming(made, tmp_path):
    from datasets import load_dataset

    whole = load_dataset(str(made), cache_dir=str(tmp_path))
    assert list(whole) == ["math"]
    split = load_dataset(str(made), split="math", cache_dir=str(tmp_path))
    streamed = list(load_dataset(str(made), split="math", streaming=True))
    assert split.num_rows == len(streamed) == len(rows(made, "data")) > 0
    assert whole["math"].column_names[:8] == schema.V1_SCHEMA.names
    assert streamed[0] == split[0]


def test_polars_and_duckdb_read_the_same_rows(made):
    files = str(made / "data" / "*.parquet")
    expected = [(r["uuid"], r["messages"][-1]["content"]) for r in rows(made, "data")]
    frame = pl.read_parquet(files)
    assert [(r["uuid"], r["messages"][-1]["content"]) for r in frame.to_dicts()] == expected
    found = duckdb.sql(f"SELECT uuid, messages[-1].content FROM read_parquet('{files}')").fetchall()
    assert sorted(found) == sorted(expected)


def test_the_first_columns_are_those_of_v1(made):
    for path in (made / "data").glob("*.parquet"):
        assert pq.read_schema(path).remove_metadata().equals(schema.SCHEMA)
        assert [f.name for f in pq.read_schema(path)][:8] == [
            "uuid", "license", "generator", "version", "category", "reasoning", "messages", "metadata"]  # fmt: skip


@pytest.mark.parametrize("layout", ["v1", "v2", "v3"])
def test_a_layout_is_cut_exactly_to_its_columns_and_load_dataset_opens_it(layout, made, tmp_path):
    from datasets import load_dataset

    from tracemill.layouts import layout_schema

    shutil.copytree(made, tmp_path / "run", symlinks=True)
    recipe = recipe_from(yaml.safe_load((made / ".tracemill/recipe.yaml").read_text()), "stored")
    with ScriptedServer(lambda body: 1 / 0) as server:
        tree = recipe.model_dump(mode="json") | {"publish": {"layout": layout}}
        tree["teachers"]["main"]["url"] = server.url
        build(recipe_from(tree, "test"), tmp_path / "run")
        # Another address is asked about what the first refused, and about nothing else.
        assert server.stats().received == len(rows(made, "failed")) == 4
    (path,) = (tmp_path / "run" / "data").glob("*.parquet")
    assert pq.read_schema(path).remove_metadata().equals(layout_schema(layout))
    assert load_dataset(str(tmp_path / "run"), split="math", cache_dir=str(tmp_path / "cache")).num_rows == len(
        rows(made, "data")
    )
    assert audit(tmp_path / "run").ok


def test_the_card_says_what_the_rows_say(made):
    card = (made / "README.md").read_text()
    front = yaml.safe_load(card.split("---")[1])
    kept = rows(made, "data")
    assert front["configs"][0]["data_files"] == [{"split": "math", "path": "data/math-*.parquet"}]
    assert f"{len(kept):,} rows." in card
    for mode in ("on", "off"):
        assert f"| {mode} | {sum(r['reasoning'] == mode for r in kept):,} |" in card
    for reason in ("no\\_boxed\\_answer", "truncated", "not\\_json", "refused"):
        assert reason in card
    assert "none given" in card
    assert "@misc" in card
    assert "problems" in card


def test_every_input_line_and_sample_is_in_exactly_one_place(made):
    ids = [r["uuid"] for d in ("data", "rejected", "failed") for r in rows(made, d)]
    assert len(ids) == len(set(ids)) == PROBLEMS * 4 + 2


def test_text_of_the_data_stays_text_on_the_card(tmp_path):
    table = write_problems(tmp_path / "p.jsonl", 5)
    hostile = "<script>alert(1)</script> | **bold** [x](javascript:1)"
    with ScriptedServer(answers(table)) as server:
        file = problem_recipe(
            tmp_path / "r.yaml", tmp_path / "p.jsonl", server.url, description=hostile, contact=hostile
        )
        build(load_recipe(file), tmp_path / "run")
    body = (tmp_path / "run" / "README.md").read_text().split("---", 2)[2]
    assert "<script>" not in body
    assert "](javascript" not in body
    assert "&lt;script&gt;" in body


# the audit


def test_the_audit_proves_an_untouched_run(made):
    done = run("audit", made, "--json")
    told = json.loads(done.stdout)
    assert done.returncode == 0
    assert told["ok"]
    assert {c["name"] for c in told["checks"]} >= {"files (P3)", "counts (P5)", "places (P5)", "replay (P4)"}


def spoil_byte(out):
    path = next((out / "data").glob("*.parquet"))
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))


def spoil_missing(out):
    next((out / "rejected").glob("*.parquet")).unlink()


def spoil_count(out):
    path = sorted((out / ".tracemill" / "manifests").glob("*.json"))[-1]
    told = json.loads(path.read_text())
    stage = next(line for line in told["ledger"] if line["dropped"])
    stage["dropped"][next(iter(stage["dropped"]))] += 1
    path.write_text(json.dumps(told))
    (out / "manifest.json").write_text(json.dumps(told))


def spoil_row_count(out):
    path = sorted((out / ".tracemill" / "manifests").glob("*.json"))[-1]
    told = json.loads(path.read_text())
    told["files"][0]["rows"] += 1
    path.write_text(json.dumps(told))
    (out / "manifest.json").write_text(json.dumps(told))


def spoil_stray(out):
    path = next((out / "data").glob("*.parquet"))
    shutil.copy(path, path.with_name("math-00001-of-00002.parquet"))


def spoil_card(out):
    (out / "README.md").write_text((out / "README.md").read_text().replace("rows", "r0ws", 1))


def spoil_reply(out):
    with sqlite3.connect(next((out / ".tracemill" / "journal").glob("*.sqlite"))) as opened:
        opened.execute("DELETE FROM replies WHERE id = 7")


def spoil_both_counts(out):
    """The ledger is changed so that it still adds up: only the rows say otherwise."""
    path = sorted((out / ".tracemill" / "manifests").glob("*.json"))[-1]
    told = json.loads(path.read_text())
    for line in told["ledger"]:
        if line["stage"] == "verify_math":
            line["dropped"]["no_boxed_answer"] -= 1
            line["kept"] += 1
    path.write_text(json.dumps(told))
    (out / "manifest.json").write_text(json.dumps(told))


@pytest.mark.parametrize(
    "spoil",
    first(
        4,
        [
            spoil_byte,
            spoil_missing,
            spoil_stray,
            spoil_reply,
            spoil_count,
            spoil_row_count,
            spoil_card,
            spoil_both_counts,
        ],
    ),
    ids=lambda f: f.__name__,
)
def test_the_audit_doubts_a_spoiled_run(spoil, copy):
    assert audit(copy).ok
    spoil(copy)
    done = run("audit", copy)
    assert done.returncode == 1, done.stdout
    assert "DOUBT" in done.stdout
    assert "Traceback" not in done.stderr


# the life of a row


def test_explain_tells_the_life_of_a_kept_a_rejected_and_a_failed_row(made):
    kept, failed = rows(made, "data")[0], rows(made, "failed")[0]
    rejected = next(r for r in rows(made, "rejected") if r["reason"] == "no_boxed_answer")
    bad = next(r for r in rows(made, "rejected") if r["stage"] == "gather")
    life = explain(made, kept["uuid"])
    assert life.place == "math"
    assert [a["outcome"] for a in life.attempts] == ["reply"]
    assert "passed" in life.to_text()
    assert kept["messages"][0]["content"][:40] in life.to_text()
    life = explain(made, rejected["uuid"].upper())
    assert (life.place, life.why.split(" (")[0]) == ("rejected", "verify_math: no_boxed_answer")
    assert "I sulk" in life.row["messages"][-1]["content"] or life.row["reasoning"] == "off"
    life = explain(made, failed["uuid"])
    assert life.place == "failed"
    assert life.attempts[0]["status"] == 400
    life = explain(made, bad["uuid"])
    assert (life.place, life.row["source"]) == ("rejected", "problems")
    assert "problems.jsonl:15" in life.row["source_id"]


def test_explain_of_a_row_that_is_not_there_is_a_usage_error(made):
    done = run("explain", made, "00000000-0000-0000-0000-000000000000")
    assert done.returncode == 2
    assert "has no row" in done.stderr


def test_status_tells_how_far_a_run_is_while_it_runs_and_after(made):
    found = status(made)
    assert found.state == "done"
    assert found.units_done == found.units
    assert sum(found.fates.values()) == found.samples == PROBLEMS * 4
    assert found.published["math"] == found.fates["kept"] == len(rows(made, "data"))
    assert json.loads(run("status", made, "--json").stdout)["journal"]["reply"] == found.journal["reply"]
    assert json.loads((made / "status.json").read_text())["state"] == "done"


@pytest.mark.parametrize("command", ["status", "audit"])
def test_a_directory_without_a_run_is_a_usage_error(command, tmp_path):
    done = run(command, tmp_path)
    assert done.returncode == 2
    assert "no run" in done.stderr


def test_a_directory_with_other_files_is_not_written_into(tmp_path):
    (tmp_path / "thesis.tex").write_text("my only copy")
    done = run("demo", "--out", tmp_path)
    assert done.returncode == 2
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.tex"]


@pytest.mark.parametrize(("fields", "content", "said"), [
    ({"prompt": "qestion"}, '{"question": "1+1?"}\n', "there is question"),
    ({"prompt": "question"}, "", "holds no lines"),
])  # fmt: skip
def test_an_input_without_a_single_prompt_is_a_recipe_error(fields, content, said, tmp_path):
    (tmp_path / "p.jsonl").write_text(content)
    recipe = problem_recipe(tmp_path / "r.yaml", tmp_path / "p.jsonl", "http://127.0.0.1:9/v1", prompts__fields=fields)
    done = run("build", recipe, "--out", tmp_path / "run")
    assert done.returncode == 3
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_categories_are_those_of_v1():
    assert CATEGORIES == ("chat", "code", "math", "stem", "tool_calling")


def test_no_secret_reaches_a_file_or_the_terminal(tmp_path):
    """A key in the environment, echoed by the server in an error and in an answer, is in no byte of any output."""
    secret = "sk-canary-0123456789"
    table = write_problems(tmp_path / "p.jsonl", 10)
    first = next(iter(table))

    def echo(body):
        answer = answers(table)(body)
        return Answer(f"{answer.content} {secret}", f"{answer.reasoning} Bearer {secret}")

    def fault(body, attempt):
        return "bad_request" if first in body["messages"][-1]["content"] else None

    with ScriptedServer(echo, faults=Faults(script=fault)) as server:
        file = problem_recipe(
            tmp_path / "r.yaml", tmp_path / "p.jsonl", server.url,
            teachers__main__api_key="${env:CANARY}", teachers__main__headers={"x-token": "${env:CANARY}"},
        )  # fmt: skip
        done = run("build", file, "--out", tmp_path / "run", env={"CANARY": secret})
    assert done.returncode == 0, done.stderr
    assert secret not in done.stdout + done.stderr
    files = [p for p in (tmp_path / "run").rglob("*") if p.is_file()]
    assert len(files) > 10
    assert not [p for p in files if secret.encode() in p.read_bytes()]
    for path in (tmp_path / "run" / ".tracemill" / "journal").glob("*.sqlite"):
        with closing(sqlite3.connect(path)) as opened:
            bodies = [row[0] for row in opened.execute("SELECT body FROM replies")]
        assert bodies
        assert not [b for b in bodies if secret.encode() in zstandard.ZstdDecompressor().decompress(b)]
    texts = [m["content"] for d in ("data", "rejected") for r in rows(tmp_path / "run", d) for m in r["messages"]]
    assert any("***" in text for text in texts)
    assert not any(secret in text for text in texts)
