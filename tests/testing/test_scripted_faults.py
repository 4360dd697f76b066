"""How the scripted server misbehaves, seen on the wire and in its log."""

import asyncio
import http.client
import json
import time
from email.utils import parsedate_to_datetime

import pytest
from wire_client import body, dial, post, post_all, raw_request, say, wait_ended

from tracemill.testing import Faults, ScriptedServer
from tracemill.testing.faults import KINDS

EXPECTED_STATUS = {
    "throttle": 429,
    "throttle_date": 429,
    "throttle_bare": 429,
    "error_500": 500,
    "error_502": 502,
    "error_503": 503,
    "error_504": 504,
    "malformed": 200,
    "html": 200,
    "error_object": 200,
    "no_choices": 200,
    "empty": 200,
    "bad_request": 400,
    "unauthorized": 401,
    "model_missing": 404,
    "slow": 200,
}


def only(kind, **more):
    return Faults(rates={kind: 1.0}, **more)


@pytest.mark.parametrize(("kind", "status"), EXPECTED_STATUS.items())
def test_a_fault_has_its_status_and_body(kind, status):
    with ScriptedServer(say("four"), faults=only(kind, retry_after=7)) as server:
        got, headers, raw = post(server, body())
        events = wait_ended(server)
    assert got == status
    assert [(e.event, e.status, e.fault) for e in events] == [("received", 0, kind), ("sent", status, kind)]
    if kind in ("error_502", "error_504", "html"):
        assert headers["content-type"].startswith("text/html")
        assert raw.startswith(b"<html>")
    elif kind == "malformed":
        assert raw.startswith(b'{"id":"chatcmpl-')
        with pytest.raises(ValueError):
            json.loads(raw)
    elif kind == "no_choices":
        assert json.loads(raw)["choices"] == []
    elif kind in ("empty", "slow"):
        (only_choice,) = json.loads(raw)["choices"]
        assert (only_choice["message"]["content"], only_choice["finish_reason"]) == (
            "" if kind == "empty" else "four",
            "stop",
        )
    else:
        assert json.loads(raw)["error"]["code"] == status
    match kind:
        case "throttle":
            assert headers["retry-after"] == "7"
        case "throttle_date":
            assert 6 <= parsedate_to_datetime(headers["retry-after"]).timestamp() - time.time() <= 8
        case _:
            assert "retry-after" not in headers


def test_every_kind_of_fault_is_tested_here():
    assert set(EXPECTED_STATUS) | {"reset", "partial", "hang"} == set(KINDS)


def test_reset_resets_before_any_byte():
    with ScriptedServer(say(), faults=only("reset")) as server, dial(server) as sock:
        sock.sendall(raw_request(body()))
        with pytest.raises(ConnectionResetError):
            sock.recv(1)
        assert [(e.event, e.status) for e in wait_ended(server)] == [("received", 0), ("aborted", 0)]


def test_partial_ends_in_the_midst_of_the_body():
    with ScriptedServer(say("word " * 100), faults=only("partial")) as server:
        with pytest.raises(http.client.IncompleteRead) as caught:
            post(server, body())
        assert abs(len(caught.value.partial) - caught.value.expected) <= 1
        assert [(e.event, e.status) for e in wait_ended(server)] == [("received", 0), ("aborted", 200)]


def test_hang_says_nothing_and_then_hangs_up():
    with ScriptedServer(say(), faults=only("hang", hang_seconds=0.3)) as server, dial(server) as sock:
        sock.sendall(raw_request(body()))
        sock.settimeout(0.1)
        with pytest.raises(TimeoutError):
            sock.recv(1)
        sock.settimeout(5)
        assert sock.recv(1) == b""
        assert [(e.event, e.fault) for e in wait_ended(server)] == [("received", "hang"), ("aborted", "hang")]


def test_latency_holds_for_answers_slow_multiplies_it_and_throttles_do_not_wait():
    script = {"a": None, "b": "slow", "c": "throttle"}
    faults = Faults(script=lambda asked, attempt: script[asked["messages"][0]["content"]], slow_factor=4)
    took = {}
    with ScriptedServer(say(), latency=0.1, faults=faults) as server:
        for question in script:
            begin = time.monotonic()
            post(server, body(question))
            took[question] = time.monotonic() - begin
    assert took["a"] >= 0.1
    assert took["b"] >= 0.4
    assert took["c"] < took["a"]


def faults_met(questions, **faults):
    """Fault by (question, attempt), for two attempts at each question in the given order."""
    with ScriptedServer(say(), faults=Faults(**faults)) as server:
        for question in [*questions, *reversed(questions)]:
            post(server, body(question, max_tokens=len(server.requests) + 1))
        met, seen = {}, {}
        for asked, event in zip(server.requests, [e for e in server.log if e.event == "received"], strict=True):
            question = asked["messages"][0]["content"]
            met[question, seen.setdefault(question, 0)] = event.fault
            seen[question] += 1
        assert server.stats().distinct == len(questions)
        return met


def test_faults_follow_from_seed_request_and_attempt_not_from_order():
    questions = [f"q{n}" for n in range(40)]
    rates = {"error_500": 0.3, "throttle": 0.2}
    met = faults_met(questions, rates=rates, seed=1)
    assert met == faults_met(questions[::2] + questions[1::2], rates=dict(reversed(rates.items())), seed=1)
    assert met != faults_met(questions, rates=rates, seed=2)
    assert any(met[q, 0] != met[q, 1] for q in questions)
    assert set(met.values()) == {None, "error_500", "throttle"}


def test_sticky_faults_meet_every_attempt():
    questions = [f"q{n}" for n in range(40)]
    met = faults_met(questions, rates={"empty": 0.4, "error_500": 0.4}, sticky=frozenset({"empty"}))
    empty = {q for q in questions if met[q, 0] == "empty"}
    assert empty == {q for q in questions if met[q, 1] == "empty"}
    assert 5 < len(empty) < 30
    assert any(met[q, 0] != met[q, 1] for q in questions)


def test_rates_are_kept():
    faults = Faults(rates={"empty": 0.1, "throttle": 0.25})
    drawn = [faults.draw({}, f"{n}", 0) for n in range(4000)]
    assert drawn.count("empty") == pytest.approx(400, abs=80)
    assert drawn.count("throttle") == pytest.approx(1000, abs=120)


def test_a_script_decides_by_attempt():
    with ScriptedServer(say(), faults=Faults(script=lambda asked, attempt: ["error_503", None][attempt])) as server:
        assert [post(server, body())[0] for _ in range(3)] == [503, 200, 400]
        assert isinstance(server.errors[0], IndexError)
        assert server.stats().faults == {"error_503": 1}


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"rates": {"throtle": 0.1}}, "Did you mean 'throttle'"),
        ({"sticky": frozenset({"nonsense"})}, "no fault is called 'nonsense'"),
        ({"rates": {"reset": 0.6, "hang": 0.6}}, "add up to at most 1"),
        ({"rates": {"reset": -0.1}}, "between 0 and 1"),
        ({"rates": {"reset": 0.1}, "script": lambda asked, attempt: None}, "not from both"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings, complaint):
    with pytest.raises(ValueError, match=complaint):
        Faults(**settings)


def test_more_requests_than_max_in_flight_get_429_and_cost_no_attempt():
    attempts = []
    faults = Faults(max_in_flight=3, script=lambda asked, attempt: attempts.append(attempt))
    bodies = [body(f"q{n}") for n in range(10)]
    with ScriptedServer(say(), latency=0.5, faults=faults) as server:
        replies = asyncio.run(post_all(server, bodies, 10))
        refused = [asked for asked, (status, _) in zip(bodies, replies, strict=True) if status == 429]
        assert len(refused) == 7
        assert [status for status, _ in asyncio.run(post_all(server, refused[:3], 3))] == [200] * 3
        while (stats := server.stats()).in_flight:  # the server counts a reply once its last byte has gone
            time.sleep(0.01)
    assert attempts == [0] * 6
    assert (stats.peak_in_flight, stats.faults, stats.statuses) == (3, {"max_in_flight": 7}, {200: 6, 429: 7})
