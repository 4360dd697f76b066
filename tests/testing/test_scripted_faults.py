"""How the scripted server misbehaves, seen on the wire and in its log."""

import asyncio
import gzip
import http.client
import json
import time
from concurrent.futures import ThreadPoolExecutor
from email.utils import parsedate_to_datetime
from urllib.request import urlopen

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
    "error_408": 408,
    "error_529": 529,
    "unpaid": 402,
    "forbidden": 403,
    "moderated": 403,
    "too_long": 400,
}
SPOILT = {
    "wrong_model": lambda told: told["model"] == "another-model",
    "filtered": lambda told: (said(told), ended(told)) == ("", "content_filter"),
    "truncated": lambda told: (said(told), ended(told)) == ("fo", "length"),
    "loop": lambda told: said(told).count("once more") == 100,
    "garbage": lambda told: said(told) == "fo\ufffdur",
    "bad_utf8": lambda told: said(told) == "four \ufffd",
    "surrogate": lambda told: said(told) == "four \ud83d",
}
"""What a 200 says that is not the right answer."""


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
    elsewhere = {"reset", "partial", "hang", "stall", "redirect", "oversize", "bomb"}
    assert {*EXPECTED_STATUS, *SPOILT, *elsewhere} == set(KINDS)


def said(told):
    return told["choices"][0]["message"]["content"]


def ended(told):
    return told["choices"][0]["finish_reason"]


@pytest.mark.parametrize(("kind", "is_so"), SPOILT.items())
def test_an_answer_is_spoilt_in_its_own_way(kind, is_so):
    with ScriptedServer(say("four"), faults=only(kind)) as server:
        got, _, raw = post(server, body())
    assert got == 200
    assert (b"\xff" in raw) == (kind == "bad_utf8")
    assert is_so(json.loads(raw.decode(errors="replace")))


def test_a_redirect_points_elsewhere():
    with ScriptedServer(say(), faults=only("redirect")) as server:
        got, headers, _ = post(server, body())
    assert (got, headers["location"].startswith("http://elsewhere.invalid/")) == (307, True)


def test_too_large_bodies_are_large_on_the_wire_or_once_opened():
    with ScriptedServer(say(), faults=only("oversize")) as server:
        assert len(post(server, body())[2]) > 40_000_000
    with ScriptedServer(say(), faults=only("bomb")) as server:
        _, headers, raw = post(server, body())
    assert headers["content-encoding"] == "gzip"
    assert (len(raw) < 100_000, len(gzip.decompress(raw))) == (True, 64_000_000)


def test_a_stalled_answer_keeps_its_connection_for_a_while():
    with ScriptedServer(say("word " * 100), faults=only("stall", hang_seconds=0.5)) as server, dial(server) as sock:
        sock.sendall(raw_request(body()))
        sock.settimeout(0.25)
        assert b"200 OK" in sock.recv(1 << 20)
        with pytest.raises(TimeoutError):
            sock.recv(1)
        sock.settimeout(5)
        assert sock.recv(1) == b""


def test_a_server_with_slots_works_on_so_many_and_tells_how_many_wait():
    with ScriptedServer(say(), latency=0.3, slots=2) as server, ThreadPoolExecutor(6) as threads:
        begin = time.monotonic()
        asked = [threads.submit(post, server, body(f"q{i}")) for i in range(6)]
        time.sleep(0.15)
        metrics = urlopen(server.url.removesuffix("/v1") + "/metrics").read().decode()
        assert [a.result()[0] for a in asked] == [200] * 6
    assert time.monotonic() - begin >= 0.9
    assert 'num_requests_running{model_name="scripted"} 2.0' in metrics
    assert 'num_requests_waiting{model_name="scripted"} 4.0' in metrics


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
