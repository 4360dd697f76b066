"""Answers bought elsewhere: exported, bought, imported, and only the rest is asked."""

from __future__ import annotations

import json
import signal

import pytest
from batch_service import answered, disturbed, read, recipe_for, write

from campaign import answers, first, published, run, start, write_real_problems
from tracemill.report.audit import audit
from tracemill.testing import ScriptedServer

PROMPTS = 100


@pytest.mark.parametrize("form", first(1, ["openai", "vllm"]))
def test_after_an_import_a_build_asks_only_what_is_missing_and_gives_the_same_bytes(form, tmp_path):
    table = write_real_problems(tmp_path / "problems.jsonl", PROMPTS)
    with ScriptedServer(answers(table)) as server:
        recipe, out, batch = recipe_for(tmp_path, server.url), tmp_path / "run", tmp_path / "batch.jsonl"
        exported = run("export", recipe, batch, "--out", out, "--json")
        assert exported.returncode == 0, exported.stderr
        assert json.loads(exported.stdout)["requests"] == 2 * PROMPTS
        lines, without = disturbed(answered(read(batch), table, form), seed=4, lost=0.1, repeated=15)
        bought = write(tmp_path / "bought.jsonl", lines)
        with bought.open("ab") as file:
            file.write(b'{"custom_id": "torn at the e')
        imported = run("import", recipe, bought, "--out", out, "--json")
        assert imported.returncode == 0, imported.stderr
        told = json.loads(imported.stdout)
        stored, missing = 2 * PROMPTS - len(without), len(without)
        fates = {"imported": stored, "duplicate": 15, "expired": 1, "cancelled": 1, "error": 1, "unreadable": 1}
        assert (told["imported"], told["missing"], told["lines"]) == (stored, missing, fates)
        again = json.loads(run("import", recipe, bought, "--out", out, "--json").stdout)
        assert (again["imported"], again["lines"]["stored"]) == (0, stored + 15)
        assert server.stats().received == 0
        rest = run("export", recipe, tmp_path / "rest.jsonl", "--out", out)
        assert rest.returncode == 0, rest.stderr
        assert {line["custom_id"] for line in read(tmp_path / "rest.jsonl")} == without
        built = run("build", recipe, "--out", out, "--json")
        assert built.returncode == 0, built.stderr
        assert json.loads(built.stdout)["requests_sent"] == missing
        wanted = [line["body"] for line in read(batch) if line["custom_id"] in without]
        assert sorted(b["seed"] for b in server.requests) == sorted(b["seed"] for b in wanted)
        assert run("build", recipe, "--out", tmp_path / "clean").returncode == 0
    assert published(out) == published(tmp_path / "clean")
    assert audit(out).ok


@pytest.mark.parametrize("point", first(1, ["journal.before_commit", "spool.committed", "journal.after_commit"]))
def test_an_import_that_was_killed_goes_on_and_imports_nothing_twice(point, tmp_path):
    table = write_real_problems(tmp_path / "problems.jsonl", PROMPTS)
    recipe, batch = recipe_for(tmp_path, "http://127.0.0.1:9/v1"), tmp_path / "batch.jsonl"
    assert run("export", recipe, batch, "--out", tmp_path / "other").returncode == 0
    bought = write(tmp_path / "bought.jsonl", answered(read(batch), table))
    process = start("import", recipe, bought, "--out", tmp_path / "run", env={"TRACEMILL_CRASH": point})
    process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL
    told = json.loads(run("import", recipe, bought, "--out", tmp_path / "run", "--json").stdout)
    assert told["missing"] == 0
    assert told["imported"] + told["lines"].get("stored", 0) == 2 * PROMPTS
    built = run("build", recipe, "--out", tmp_path / "run", "--json")
    assert json.loads(built.stdout)["requests_sent"] == 0
    counts = next(c for c in audit(tmp_path / "run").checks if c.name.startswith("journal"))
    assert counts.seen == f"{2 * PROMPTS} reply"


def test_two_teachers_are_exported_apart_and_a_built_in_one_is_not(tmp_path):
    write_real_problems(tmp_path / "problems.jsonl", PROMPTS)
    teachers = {name: {"url": "http://127.0.0.1:9/v1", "model": name} for name in ("small", "large")}
    teachers["here"] = {"url": "builtin", "model": "builtin-careful"}
    recipe = recipe_for(
        tmp_path, "http://127.0.0.1:9/v1", teachers=teachers, respond__assign="every", respond__samples=1
    )
    counts = {}
    for name in ("small", "large", None):
        words = () if name is None else ("--teacher", name)
        done = run("export", recipe, tmp_path / f"{name}.jsonl", "--out", tmp_path / "run", *words)
        assert done.returncode == 0, done.stderr
        lines = read(tmp_path / f"{name}.jsonl")
        counts[name] = len(lines)
        assert {line["body"]["model"] for line in lines} == ({name} if name else {"small", "large"})
    assert counts == {"small": PROMPTS, "large": PROMPTS, None: 2 * PROMPTS}
    refused = run("export", recipe, tmp_path / "x.jsonl", "--out", tmp_path / "run", "--teacher", "here")
    assert refused.returncode == 2
    assert "built-in teacher" in refused.stderr
