"""What is said of other tools is counted right, and one that is not there has no figures."""

from __future__ import annotations

import ast
import re
import sys
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from bench import ask, peers  # noqa: E402
from bench.peer_environments import CACHE, PEERS, NotRun, Peer, environment, variables  # noqa: E402
from bench.peer_rows import Delivered, Row, count_rows, our_answers, peer_answers, peer_rows  # noqa: E402
from bench.peer_trials import attempt, repeated  # noqa: E402
from bench.result import read_result  # noqa: E402

from tracemill.testing.answers import arithmetic  # noqa: E402
from tracemill.testing.events import Event  # noqa: E402

SAY = arithmetic(content_bytes=ask.CONTENT_BYTES, reasoning_bytes=ask.REASONING_BYTES)
ABSENT = Peer("absent", "absent", "0.0", "peer_absent.py", "*.parquet", ("question", "content", "trace"), "none")


@pytest.fixture
def work(tmp_path):
    return ask.job(tmp_path / "job", 3)


def rows_of(work) -> list[Row]:
    """What the server says to each prompt, sent as it is."""
    questions = [line["question"] for line in map(ask.orjson.loads, work.prompts.read_bytes().splitlines())]
    said = [SAY({"messages": [{"role": "user", "content": question}]}) for question in questions]
    return [Row(question, a.content, a.reasoning) for question, a in zip(questions, said, strict=True)]


def test_a_dataset_of_all_that_was_said_is_right(work):
    assert count_rows(rows_of(work), peer_answers(work.prompts)) == Delivered(right=3, lost=0, wrong=0, twice=0)


def test_a_dataset_in_a_template_is_held_against_other_answers(work):
    assert len(our_answers(work.prompts)) == 3
    assert our_answers(work.prompts) != peer_answers(work.prompts)


def test_what_is_lost_cut_swapped_or_doubled_is_seen(work):
    first, second, third = rows_of(work)
    answers = peer_answers(work.prompts)
    assert count_rows([first, third], answers) == Delivered(2, 1, 0, 0)
    assert count_rows([first, first, second, third], answers) == Delivered(3, 0, 0, 1)
    for wrong in (
        Row(second.question, None, None),
        Row(second.question, second.content[:1000], second.reasoning),
        Row(second.question, second.content[1000:], second.reasoning),
        Row(second.question, second.content, None),
        Row(second.question, first.content, first.reasoning),
    ):
        assert count_rows([first, wrong, third], answers) == Delivered(2, 0, 1, 0)
    assert count_rows([Row("Problem 9: ...", "x", None), Row(None, "x", None)], answers) == Delivered(0, 3, 2, 0)


def test_rows_are_read_from_whole_files_alone(work, tmp_path):
    first, second, _ = rows_of(work)
    (tmp_path / "parts").mkdir()
    table = pa.Table.from_pylist([{"question": r.question, "content": r.content} for r in (first, second)])
    pq.write_table(table, tmp_path / "parts" / "a.parquet")
    (tmp_path / "parts" / "b.parquet").write_bytes((tmp_path / "parts" / "a.parquet").read_bytes()[:-100])
    found = list(peer_rows(tmp_path, "parts/*.parquet", ("question", "content", "trace")))
    assert found == [Row(r.question, r.content, None) for r in (first, second)]


def test_requests_that_come_again_are_counted():
    def event(kind, digest, status=0):
        return Event(0.0, kind, digest, status, None)

    events = [
        *(event("received", digest) for digest in "abc"),
        event("sent", "a", 200),
        event("sent", "b", 500),
        event("aborted", "c", 0),
        *(event("received", digest) for digest in "abcd"),
    ]
    assert repeated(events) == (3, 1)


def test_a_command_ends_by_itself_or_is_killed_with_its_children(tmp_path):
    said = tmp_path / "said"
    code, _ = attempt([sys.executable, "-c", "raise SystemExit(3)"], set(), said)
    assert code == 3
    sleeps = "import os, time; print(os.getpid(), flush=True); time.sleep(60)"
    parent = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {sleeps!r}])"
    code, wall = attempt([sys.executable, "-c", parent], set(), said, lambda: said.read_text().endswith("\n"))
    assert code == -9
    assert wall < 30
    child = Path(f"/proc/{int(said.read_text())}/stat")
    for _ in range(500):
        if not child.exists() or child.read_text().rpartition(")")[2].split()[0] == "Z":
            break
        time.sleep(0.01)
    else:
        pytest.fail("the child lives on")


def test_each_tool_is_pinned_and_has_a_driver():
    assert len({peer.package for peer in PEERS}) == len(PEERS) >= 2
    for peer in PEERS:
        assert re.fullmatch(r"\d+(\.\d+)+", peer.version)
        tree = ast.parse((ROOT / "bench" / peer.driver).read_text(encoding="utf-8"))
        imported = {ast.unparse(node).split()[1] for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)}
        assert not any(name.startswith(("bench", "tracemill")) for name in imported), "its environment has neither"


def test_both_share_one_table_of_tokens(tmp_path, monkeypatch):
    monkeypatch.setenv(CACHE, str(tmp_path))
    here = tmp_path / "a" / "lib" / "python3.11" / "site-packages" / "litellm" / "litellm_core_utils" / "tokenizers"
    here.mkdir(parents=True)
    pythons = [tmp_path / name / "bin" / "python" for name in ("b", "a")]
    assert variables(pythons) == {"TIKTOKEN_CACHE_DIR": str(here)}
    assert variables(pythons[:1]) == {"TIKTOKEN_CACHE_DIR": str(tmp_path / "tiktoken")}


@pytest.mark.storm
def test_a_tool_that_is_not_there_has_no_figures(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("not a directory")
    monkeypatch.setenv(CACHE, str(tmp_path / "file" / "cache"))
    with pytest.raises(NotRun, match=CACHE):
        environment(ABSENT)
    result = peers.measure(True, 1, count=48, peers=[ABSENT], at_once=[8])
    file = tmp_path / "result.json"
    file.write_text(result.to_json(), encoding="utf-8")
    assert read_result(file) == result
    assert result.columns == ["Tracemill", "absent 0.0 (not run)"]
    assert any(remark.startswith("absent 0.0 was not run: ") for remark in result.remarks)
    assert all(line.medians[1] is None and line.ratios == [None, None] for line in result.lines)
    ours = {line.text: line.medians[0] for line in result.lines}
    assert (ours["faults: rows delivered"], ours["kill -9: rows delivered"]) == (12, 24)
    for trial in ("faults", "kill -9"):
        for text in ("prompts without a row", "rows with a wrong or cut answer", "rows delivered twice"):
            assert ours[f"{trial}: {text}"] == 0
    assert ours["8 in flight: most in flight"] == 8


@pytest.mark.bench
def test_the_tools_still_do_what_their_drivers_ask():
    result = peers.measure(True, 1, count=200, at_once=[64])
    assert not [remark for remark in result.remarks if "failed" in remark or "was not run" in remark]
    assert all(median is not None for line in result.lines for median in line.medians)
