"""Options that are off by default: traces in the target language, comments inside code."""

from __future__ import annotations

import pyarrow.parquet as pq

import tracemill
from tracemill.testing import ScriptedServer
from tracemill.testing.translator import Pretender, pretend

from scenes import made_rows, recipe, row, write_rows  # isort: skip

CODE = (
    "This is how it is done in the end:\n\n```python\n# Add up all of the numbers here.\ntotal = sum(values)\n```\n\n"
    "And that is the end of it."
)


def children(out):
    rows = [one for file in sorted((out / "data").glob("multi*.parquet")) for one in pq.read_table(file).to_pylist()]
    return [one["messages"][1]["content"] for one in rows]


def test_traces_are_translated_where_that_is_wanted_and_answers_are_still_checked(tmp_path):
    rows = made_rows(4)
    for one in rows:
        answer = one["messages"][1]["content"].partition("</think>")[2]
        one["messages"][1]["content"] = f"<think>\nFirst I look at the apples and pears, then $x^2$.\n</think>{answer}"
    source = write_rows(tmp_path / "rows.jsonl", rows)
    with ScriptedServer(Pretender()) as server:
        wanted = recipe(source, server.url, ("fr",), traces=True)
        report = tracemill.translate(None, None, tmp_path / "run", recipe=wanted, workers=1)
    assert report.rows == {"fr": 4}
    trace = pretend("First I look at the apples and pears, then ⟦1⟧.", "French").replace("⟦1⟧", "$x^2$")
    assert all(content.startswith(f"<think>\n{trace}\n</think>") for content in children(tmp_path / "run"))
    assert tracemill.audit(tmp_path / "run").ok


def test_comments_in_code_are_translated_where_that_is_wanted(tmp_path):
    source = write_rows(tmp_path / "rows.jsonl", [row(1, "How do I add up a list of numbers?", CODE)])
    told = {}
    for comments in (False, True):
        with ScriptedServer(Pretender()) as server:
            wanted = recipe(source, server.url, ("fr",), comments=comments)
            tracemill.translate(None, None, tmp_path / f"run{comments}", recipe=wanted, workers=1)
        [told[comments]] = children(tmp_path / f"run{comments}")
    comment = "Add up all of the numbers here."
    assert f"```python\n# {comment}\ntotal = sum(values)\n```" in told[False]
    assert f"```python\n# {pretend(comment, 'French')}\ntotal = sum(values)\n```" in told[True]


def test_the_card_says_what_was_not_touched(tmp_path):
    source = write_rows(tmp_path / "rows.jsonl", made_rows(2))
    with ScriptedServer(Pretender()) as server:
        for name, options, said in (
            ("one", {}, "reasoning traces, code, formulas"),
            ("two", {"traces": True, "comments": True}, "segment by segment; code but its comments, formulas"),
        ):
            wanted = recipe(source, server.url, ("fr",), **options)
            tracemill.translate(None, None, tmp_path / name, recipe=wanted, workers=1)
            card = " ".join((tmp_path / name / "README.md").read_text(encoding="utf-8").split())
            assert said in card
