"""Every way in which an endpoint goes wrong, and what it must lead to: one row of the table for each kind of fault."""

from __future__ import annotations

from collections import Counter, defaultdict

import pytest

from campaign import answers, problem_recipe, published, write_problems
from tracemill.engines.inline import InlineEngine
from tracemill.errors import EndpointError
from tracemill.mill import build
from tracemill.recipe_file import load_recipe
from tracemill.report.audit import audit
from tracemill.storage.parquet import read_batches
from tracemill.testing import Faults, ScriptedServer

PROMPTS = 100
PASSING = (
    *("throttle", "throttle_date", "throttle_bare", "error_503", "error_529"),
    *("error_408", "error_500", "error_502", "error_504", "reset", "partial", "slow"),
)
"""Faults that end by themselves, however often they come: the dataset is the clean run's."""
THRICE = ("malformed", "html", "error_object", "no_choices")
"""200s without an answer: asked again, at most three times in all."""
LATE = ("hang", "stall")
ROWS = {
    "bad_request": "respond: refused",
    "moderated": "respond: refused",
    "too_long": "respond: too_long",
    "oversize": "respond: oversize",
    "bomb": "respond: oversize",
    "filtered": "complete: refused",
    "truncated": "complete: truncated",
    "loop": "sound: degenerate",
    "garbage": "sound: bad_text",
}
"""Faults of one row: it goes, with this reason, after one request."""
MENDED = ("bad_utf8", "surrogate")
"""A bad character in an answer that is otherwise right: it becomes U+FFFD, and the row stays."""
STOPS = {"unauthorized": "401", "unpaid": "402", "model_missing": "404", "forbidden": "403", "redirect": "307"}
"""What no other request would be spared: the run stops."""


@pytest.fixture(scope="module")
def problems(tmp_path_factory):
    folder = tmp_path_factory.mktemp("problems")
    return folder / "problems.jsonl", write_problems(folder / "problems.jsonl", PROMPTS)


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    """(problems, clean files) with 1,200 requests: enough for 512 at once, and for a fault that comes to 1 %."""
    folder = tmp_path_factory.mktemp("many")
    made = folder / "problems.jsonl", write_problems(folder / "problems.jsonl", 600)
    return made, run_with(made, folder, Faults())[1]


@pytest.fixture(scope="module")
def clean(problems, tmp_path_factory):
    return run_with(problems, tmp_path_factory.mktemp("clean"), Faults())[1]


def run_with(problems, folder, faults, in_flight=64, workers=None, **sets):
    """(server's log, published files, report) of a build against a server with these faults."""
    path, table = problems
    settings = {"concurrency": in_flight, "attempts": 40, "timeout": 60, **sets}
    changes = [f"teachers.main.{key}={value}" for key, value in settings.items()]
    with ScriptedServer(answers(table), latency=0.005, faults=faults) as server:
        recipe = load_recipe(problem_recipe(folder / "recipe.yaml", path, server.url), changes)
        engine = {"workers": workers} if workers else {"engine": InlineEngine()}
        report = build(recipe, folder / "run", **engine)
        return server.log, published(folder / "run"), report


def faults_of(log):
    """The faults that each request met, in order."""
    met = defaultdict(list)
    for event in log:
        if event.event == "received":
            met[event.hash].append(event.fault)
    return met


def passes(kind, share, problems, clean, folder, **more):
    log, files, _ = run_with(
        problems, folder, Faults(rates={kind: share}, seed=1, retry_after=0.05, slow_factor=5), **more
    )
    met = faults_of(log)
    assert any(kind in faults for faults in met.values()), "no fault was met"
    assert all(faults[-1] in (None, "slow") and None not in faults[:-1] for faults in met.values())
    assert files == clean


def is_tried_thrice(kind, share, problems, clean, folder, **more):
    log, files, report = run_with(problems, folder, Faults(rates={kind: share}, seed=1), **more)
    met = faults_of(log)
    assert any(kind in faults for faults in met.values()), "no fault was met"
    lost = [faults for faults in met.values() if faults == [kind] * 3]
    assert all(faults.index(None) == len(faults) - 1 <= 2 for faults in met.values() if faults not in lost)
    assert report.lost.get("respond: malformed", 0) == len(lost)
    assert (files == clean) == (not lost)


def costs_its_row(kind, share, problems, folder, **more):
    rows = Faults(rates={kind: share}, seed=1, sticky=frozenset({kind}))
    log, _, report = run_with(problems, folder, rows, **more)
    met = faults_of(log)
    hit = Counter(faults[0] for faults in met.values())[kind]
    assert hit > 0, "no fault was met"
    assert all(len(faults) == 1 for faults in met.values()), "a row that is lost was asked for again"
    assert report.lost.get(ROWS[kind]) == hit
    return hit


@pytest.mark.parametrize("kind", PASSING)
def test_a_fault_that_passes_leaves_no_trace(kind, problems, clean, tmp_path):
    passes(kind, 0.02 if kind == "throttle_date" else 0.1, problems, clean, tmp_path)


def comes_late(kind, share, problems, clean, folder, **more):
    faults = Faults(rates={kind: share}, seed=1, hang_seconds=20)
    log, files, _ = run_with(problems, folder, faults, timeout=0.5, **more)
    assert kind in {fault for faults in faults_of(log).values() for fault in faults}
    assert files == clean


@pytest.mark.parametrize("kind", LATE)
def test_what_does_not_come_in_time_is_asked_again(kind, problems, clean, tmp_path):
    comes_late(kind, 0.05, problems, clean, tmp_path)


@pytest.mark.parametrize("kind", THRICE)
def test_a_reply_without_an_answer_is_asked_for_three_times(kind, problems, clean, tmp_path):
    is_tried_thrice(kind, 0.1, problems, clean, tmp_path)


@pytest.mark.parametrize("kind", THRICE)
def test_a_reply_that_is_never_an_answer_is_a_failed_row_with_its_evidence(kind, problems, tmp_path):
    faults = Faults(rates={kind: 0.05}, seed=1, sticky=frozenset({kind}))
    _, _, report = run_with(problems, tmp_path, faults)
    rows = [r for b in read_batches(tmp_path / "run/failed/failed-00000-of-00001.parquet") for r in b.to_pylist()]
    assert len(rows) == report.lost["respond: malformed"] > 0
    assert {(r["error_class"], r["attempts"]) for r in rows} == {("malformed", 3)}
    shown = {
        "html": "<h1>Welcome</h1>",
        "malformed": "chatcmpl-",
        "error_object": "server_error",
        "no_choices": '"choices":[]',
    }
    assert all(shown[kind] in r["evidence"] for r in rows)
    assert audit(tmp_path / "run").ok


@pytest.mark.parametrize("kind", ROWS)
def test_a_fault_of_one_row_costs_that_row(kind, problems, tmp_path):
    costs_its_row(kind, 0.02 if kind in ("oversize", "bomb") else 0.1, problems, tmp_path)
    assert audit(tmp_path / "run").ok


def is_mended(kind, share, problems, folder, **more):
    log, _, report = run_with(problems, folder, Faults(rates={kind: share}, seed=1), **more)
    assert set(report.lost) <= {"duplicates: duplicate"}
    files = (folder / "run" / "data").glob("*.parquet")
    said = [m["content"] for f in files for b in read_batches(f) for r in b.to_pylist() for m in r["messages"]]
    met = sum(kind in faults for faults in faults_of(log).values())
    assert 0 < sum("\ufffd" in text for text in said) <= met


@pytest.mark.parametrize("kind", MENDED)
def test_a_bad_character_is_mended_and_costs_nothing(kind, problems, tmp_path):
    is_mended(kind, 0.1, problems, tmp_path)
    assert audit(tmp_path / "run").ok


@pytest.mark.parametrize("kind", STOPS)
def test_a_fault_of_the_account_or_address_stops_the_run(kind, problems, clean, tmp_path):
    with pytest.raises(EndpointError, match=STOPS[kind]):
        run_with(problems, tmp_path, Faults(rates={kind: 1.0}), in_flight=8)
    assert run_with(problems, tmp_path, Faults())[1] == clean


def test_another_model_than_the_one_asked_for_stops_the_run_until_it_is_accepted(problems, tmp_path):
    faults = Faults(rates={"wrong_model": 0.02}, seed=1)
    with pytest.raises(EndpointError, match=r"'scripted', and 'another-model' answered.*accept_models"):
        run_with(problems, tmp_path, faults)
    log, _, report = run_with(problems, tmp_path, faults, accept_models='["another-model"]')
    assert set(report.lost) == {"duplicates: duplicate"}
    asked = {event.hash for event in log if event.event == "received"}
    assert len(asked) < 2 * PROMPTS, "what had been paid for was asked again"


def test_an_extended_reply_is_asked_for_once_more_with_twice_the_limit(problems, tmp_path):
    path, table = problems
    with ScriptedServer(answers(table)) as server:
        recipe = problem_recipe(tmp_path / "recipe.yaml", path, server.url)
        sets = ["teachers.main.sampling.max_tokens=8", "respond.truncated=extend"]
        report = build(load_recipe(recipe, sets), tmp_path / "run", engine=InlineEngine())
        limits = Counter(body["max_tokens"] for body in server.requests)
    assert set(report.lost) == {"duplicates: duplicate"}
    assert limits[8] == 2 * PROMPTS >= limits[16] > 0
    assert audit(tmp_path / "run").ok


@pytest.mark.storm
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("in_flight", [1, 64, 512])
@pytest.mark.parametrize("share", [0.01, 0.1, 0.5])
def test_the_whole_table(share, in_flight, problems, clean, many, tmp_path):
    """Each kind of fault at 1, 10 and 50 %, with 1, 64 and 512 requests in flight, by real worker processes. One request at
    a time, only 200 are sent, and at least 2 % of them meet a fault.
    """
    more = {"in_flight": in_flight, "workers": 1}
    if in_flight > 1:
        problems, clean = many
    else:
        share = max(share, 0.02)
    for kind in PASSING:
        if kind == "throttle_date" and share == 0.5:
            continue  # an HTTP date has whole seconds: half of all requests would wait for one each time
        passes(kind, share, problems, clean, fresh(tmp_path, kind), **more)
    for kind in THRICE:
        is_tried_thrice(kind, share, problems, clean, fresh(tmp_path, kind), **more)
    for kind in ROWS:
        large = kind in ("oversize", "bomb")
        costs_its_row(kind, 0.02 if large else share, problems, fresh(tmp_path, kind), **more)
    for kind in LATE:
        comes_late(kind, share, problems, clean, fresh(tmp_path, kind), **more)
    for kind in MENDED:
        is_mended(kind, share, problems, fresh(tmp_path, kind), **more)


def fresh(folder, kind):
    place = folder / kind
    place.mkdir()
    return place
