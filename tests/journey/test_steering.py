"""Asking at the limit: how many requests are in flight follows what the endpoints bear, and comes back after an outage."""

from __future__ import annotations

import threading
import time
from collections import Counter, defaultdict

import pytest

from campaign import answers, problem_recipe, published, write_problems
from tracemill import build, load_recipe
from tracemill.testing import Faults, ScriptedServer

HIDDEN = 37
MIXED = (
    *("throttle", "throttle_bare", "error_529", "error_500", "error_502", "error_503", "error_504"),
    *("reset", "partial", "slow", "malformed", "html", "hang"),
)


def problems(folder, count):
    return write_problems(folder / "problems.jsonl", count)


def recipe(folder, url, **more):
    return load_recipe(problem_recipe(folder / "recipe.yaml", folder / "problems.jsonl", url, **more))


def settles(folder, prompts, latency, calm_after):
    """(share of 429s, replies a second times latency) after a while, at a server that refuses above 37 in flight."""
    table = problems(folder, prompts)
    with ScriptedServer(answers(table), latency=latency, faults=Faults(max_in_flight=HIDDEN)) as server:
        build(recipe(folder, server.url, teachers__main__concurrency=256), folder / "run", workers=1)
        events = server.log
    begin, end = min(e.t for e in events) + calm_after, max(e.t for e in events) - 1
    late = [e for e in events if e.event == "sent" and begin <= e.t <= end]
    refused = sum(e.status == 429 for e in late)
    share, busy = refused / len(late), (len(late) - refused) / (end - begin) * latency
    print(
        f"\nof {len(late)} responses after {calm_after} s, {share:.2%} were 429; {busy:.1f} were being answered at a time"
    )
    return share, busy


def test_a_hidden_limit_is_found_and_kept(tmp_path):
    share, busy = settles(tmp_path, 1000, 0.1, 2)
    assert share < 0.05
    assert 25 < busy <= HIDDEN


@pytest.mark.storm
def test_a_hidden_limit_is_found_and_kept_for_a_minute(tmp_path):
    share, busy = settles(tmp_path, 5500, 0.2, 10)
    assert share < 0.03
    assert 30 <= busy <= HIDDEN


def test_a_queue_inside_the_endpoint_is_kept_short(tmp_path):
    """vLLM does not refuse: its /metrics tell that requests wait."""
    table = problems(tmp_path, 500)
    with ScriptedServer(answers(table), latency=0.2, slots=24) as server:
        build(recipe(tmp_path, server.url, teachers__main__concurrency=256), tmp_path / "run", workers=1)
        events = server.log
    begin, end = min(e.t for e in events), max(e.t for e in events)
    open_now, seen = 0, []
    for event in sorted(events, key=lambda e: e.t):
        open_now += 1 if event.event == "received" else -1
        if begin + 4 < event.t < end - 1:
            seen.append(open_now)
    assert 15 < sorted(seen)[len(seen) // 2] < 40, "of 256 that the recipe allows, 24 can be worked on"


def comes_back(folder, prompts, latency, outage):
    """Replies a second, before an outage and from so many seconds after it on."""
    table = problems(folder, prompts)
    with ScriptedServer(answers(table), latency=latency) as clean:
        build(recipe(folder, clean.url, teachers__main__concurrency=32), folder / "clean", workers=1)
    server = ScriptedServer(answers(table), latency=latency)
    done = threading.Event()
    errors = []

    def ask():
        try:
            build(recipe(folder, server.url, teachers__main__concurrency=32), folder / "run", workers=1)
        except BaseException as exc:
            errors.append(exc)
        done.set()

    with server:
        thread = threading.Thread(target=ask)
        thread.start()
        while server.stats().sent < prompts // 2:
            time.sleep(0.01)
    down = time.monotonic()
    time.sleep(outage)
    with server:
        up = time.monotonic()
        assert done.wait(120)
        thread.join()
        events = server.log
    assert not errors, errors
    assert published(folder / "run") == published(folder / "clean")
    sent = [e.t for e in events if e.event == "sent"]
    before = sum(down - 1.5 <= t < down for t in sent) / 1.5
    asked = Counter(e.hash for e in events if e.event == "received")
    print(f"\n{before:.0f} replies/s before; retries {sum(asked.values()) - len(asked)} of {len(asked)} requests")
    assert sum(asked.values()) < 1.2 * len(asked)
    return before, defaultdict(int, Counter(int(t - up) for t in sent if t >= up))


@pytest.mark.storm
def test_after_an_outage_the_rate_comes_back(tmp_path):
    before, after = comes_back(tmp_path, 1200, 0.1, 3)
    assert max(after[second] for second in range(6)) > 0.5 * before


@pytest.mark.storm
def test_after_a_minute_of_outage_nine_tenths_of_the_rate_are_back_within_15_s(tmp_path):
    before, after = comes_back(tmp_path, 6000, 0.1, 60)
    back = next(second for second in range(60) if after[second] >= 0.9 * before)
    print(f"back at 90 % after {back} s")
    assert back <= 15


@pytest.mark.storm
@pytest.mark.timeout(600)
def test_a_minute_with_a_tenth_of_mixed_faults(tmp_path):
    table = problems(tmp_path, 10_000)
    took, sent = {}, {}
    tenth = Faults(
        rates={kind: 0.1 / len(MIXED) for kind in MIXED}, seed=5, retry_after=1, slow_factor=5, hang_seconds=1.0
    )
    for name, faults in (("clean", Faults()), ("mixed", tenth)):
        with ScriptedServer(answers(table), latency=0.2, faults=faults) as server:
            begin = time.monotonic()
            build(recipe(tmp_path, server.url, teachers__main__concurrency=64), tmp_path / name, workers=1)
            took[name], sent[name] = time.monotonic() - begin, server.stats().received
    print(f"\nclean {took['clean']:.1f} s, mixed {took['mixed']:.1f} s, {sent}")
    assert published(tmp_path / "mixed") == published(tmp_path / "clean")
    assert took["clean"] >= 60
    assert took["mixed"] <= 1.3 * took["clean"]
    assert sent["mixed"] <= 1.2 * sent["clean"]


def test_replicas_share_the_work_and_the_samples_of_a_prompt_stay_together(tmp_path):
    table = problems(tmp_path, 150)
    with ScriptedServer(answers(table), latency=0.02) as one, ScriptedServer(answers(table), latency=0.02) as two:
        more = {"teachers__main__replicas": [{"url": two.url, "concurrency": 8}], "teachers__main__concurrency": 8}
        build(recipe(tmp_path, one.url, **more), tmp_path / "run", workers=1)
        asked = [{b["messages"][-1]["content"] for b in server.requests} for server in (one, two)]
        counts = [server.stats().received for server in (one, two)]
        peaks = [server.stats().peak_in_flight for server in (one, two)]
        assert build(recipe(tmp_path, one.url), tmp_path / "run", workers=1).sent == 0, "one URL less asked anew"
    assert sum(counts) == 300
    assert min(counts) > 75
    assert max(peaks) <= 8
    assert len(asked[0] & asked[1]) < 75, "half of all prompts had their samples at both endpoints"


def test_a_replica_that_is_down_costs_nothing_but_its_share(tmp_path):
    table = problems(tmp_path, 100)
    with ScriptedServer(answers(table)) as gone:
        pass
    with ScriptedServer(answers(table), latency=0.01) as server:
        more = {"teachers__main__replicas": [{"url": gone.url}], "teachers__main__concurrency": 16}
        report = build(recipe(tmp_path, server.url, **more), tmp_path / "run", workers=1)
        assert server.stats().sent == 200
    assert set(report.lost) <= {"duplicates: duplicate"}
