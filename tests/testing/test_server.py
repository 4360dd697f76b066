"""The scripted server as a server: HTTP, the log, the program, and that nothing is left when it ends."""

import asyncio
import gc
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest
from wire_client import body, choice, dial, eventually, post, post_all, raw_request, read_all, say, wait_ended

import tracemill.testing
from tracemill.testing import Answer, Faults, ScriptedServer, body_hash, read_log


def test_300_connections_are_served_at_a_time_and_kept_alive():
    bodies = [body(f"q{n}") for n in range(900)]
    with ScriptedServer(lambda asked: Answer(asked["messages"][0]["content"]), latency=0.5) as server:
        replies = asyncio.run(post_all(server, bodies, 300))
        stats = server.stats()
    assert [reply["choices"][0]["message"]["content"] for _, reply in replies] == [f"q{n}" for n in range(900)]
    assert stats.peak_in_flight == 300
    assert stats.connections == 300
    assert (stats.received, stats.sent, stats.aborted, stats.in_flight) == (900, 900, 0, 0)


# HTTP


def test_models_are_listed_stats_are_told_and_other_paths_are_404():
    with ScriptedServer(say(), models=("a", "b")) as server, dial(server) as sock:
        sock.sendall(
            b"GET /v1/models HTTP/1.1\r\n\r\nGET /stats HTTP/1.1\r\n\r\nGET /v2 HTTP/1.1\r\nConnection: close\r\n\r\n"
        )
        models, stats, missing = read_all(sock).split(b"HTTP/1.1 ")[1:]
    assert [m["id"] for m in json.loads(models.partition(b"\r\n\r\n")[2])["data"]] == ["a", "b"]
    assert json.loads(stats.partition(b"\r\n\r\n")[2])["received"] == 0
    assert missing.startswith(b"404 Not Found\r\n")
    assert b"\r\nConnection: close\r\n" in missing


def test_pipelined_requests_are_answered_in_order_however_the_bytes_arrive():
    asked = b"".join(raw_request(body(f"q{n}")) for n in range(3))
    asked += raw_request(body("last")).replace(b"Host: x", b"CONNECTION: Close")
    with ScriptedServer(lambda b: Answer(b["messages"][0]["content"]), latency=0.01) as server:
        for size in (1, 100, len(asked)):
            with dial(server) as sock:
                for at in range(0, len(asked), size):
                    sock.sendall(asked[at : at + size])
                replies = read_all(sock).split(b"HTTP/1.1 200 OK\r\n")[1:]
            contents = [json.loads(r.partition(b"\r\n\r\n")[2])["choices"][0]["message"]["content"] for r in replies]
            assert contents == ["q0", "q1", "q2", "last"]


def test_a_client_that_expects_100_continue_is_told_to():
    head, _, data = raw_request(body()).partition(b"\r\n\r\n")
    with ScriptedServer(say("four")) as server, dial(server) as sock:
        sock.sendall(head + b"\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n")
        assert sock.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        sock.sendall(data)
        assert b'"four"' in read_all(sock)


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"nonsense\r\n\r\n", b"400"),
        (b"POST /v1/chat/completions HTTP/1.1\r\nContent-Length: -1\r\n\r\n", b"400"),
        (b"POST /v1/chat/completions HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", b"411"),
        (b"POST /v1/chat/completions HTTP/1.1\r\nContent-Length: 99999999999999999\r\n\r\n", b"413"),
        (b"GET /" + b"x" * 70_000, b"431"),
        (b"POST /v1/chat/completions HTTP/1.0\r\nContent-Length: 3\r\n\r\n{x}", b"400"),
        (raw_request({"model": "m"}).replace(b"HTTP/1.1", b"HTTP/1.0"), b"400"),
        (raw_request(body(stream=True)).replace(b"HTTP/1.1", b"HTTP/1.0"), b"400"),
    ],
)
def test_what_cannot_be_read_is_refused_and_not_logged(request_bytes, status):
    with ScriptedServer(say()) as server, dial(server) as sock:
        sock.sendall(request_bytes)
        assert sock.recv(1000).startswith(b"HTTP/1.1 " + status)
        assert sock.recv(1000) == b""
        assert server.log == []


# The log


def test_the_log_tells_of_each_request_once_when_it_came_and_once_how_it_ended(tmp_path):
    path = tmp_path / "log.jsonl"
    begin = time.monotonic()
    faults = Faults(rates={"reset": 0.2, "error_500": 0.2})
    bodies = [body(f"q{n}") for n in range(60)]
    with ScriptedServer(say(), latency=0.01, faults=faults, log=path) as server:
        for asked in bodies:
            try:
                post(server, asked)
            except ConnectionError:
                continue
        events = wait_ended(server, 60)
        assert read_log(path) == events
    assert [e.t for e in events] == sorted(e.t for e in events)
    assert begin < events[0].t <= events[-1].t < time.monotonic()
    for asked in bodies:
        first, last = [e for e in events if e.hash == body_hash(asked)]
        assert (first.event, first.status, first.fault) == ("received", 0, last.fault)
        assert last.t - first.t >= 0.01
        assert (last.event, last.status) == {
            None: ("sent", 200),
            "error_500": ("sent", 500),
            "reset": ("aborted", 0),
        }[last.fault]


def test_the_hash_is_of_the_body_without_its_limit_and_key_order():
    assert body_hash({"a": 1, "b": 2, "max_tokens": 3}) == body_hash({"b": 2, "a": 1})
    assert body_hash({"a": 1}) != body_hash({"a": 2})


def test_a_torn_last_line_is_left_out_and_any_other_is_an_error(tmp_path):
    path = tmp_path / "log.jsonl"
    with ScriptedServer(say(), log=path) as server:
        post(server, body())
        events = wait_ended(server)
    whole = path.read_bytes()
    for cut in (1, 20, len(whole.splitlines()[1])):
        path.write_bytes(whole[:-cut])
        assert read_log(path) == events[:1]
    path.write_bytes(b"torn\n" + whole)
    with pytest.raises(ValueError, match=r"log\.jsonl:1: not an event"):
        read_log(path)


def test_a_killed_client_is_an_aborted_request():
    asks = (
        "import sys, socket; s = socket.create_connection(('127.0.0.1', int(sys.argv[1])));"
        "s.sendall(sys.stdin.buffer.read()); s.recv(1)"
    )
    with ScriptedServer(say(), latency=30) as server:
        command = [sys.executable, "-c", asks, str(server.port)]
        with subprocess.Popen(command, stdin=subprocess.PIPE) as client:
            client.stdin.write(raw_request(body()))
            client.stdin.close()
            assert eventually(lambda: server.log)
            assert server.stats().in_flight == 1
            client.kill()
        received, aborted = wait_ended(server)
        assert (received.event, aborted.event, aborted.status) == ("received", "aborted", 0)
        assert received.hash == aborted.hash == body_hash(body())
        assert (server.stats().in_flight, server.stats().aborted) == (0, 1)


def test_no_answer_is_made_for_a_client_that_has_gone():
    made = []
    with ScriptedServer(lambda asked: made.append(asked) or Answer("four"), latency=0.1) as server:
        with dial(server) as sock:
            sock.sendall(raw_request(body("gone")))
            assert eventually(lambda: server.log)
        wait_ended(server)
        post(server, body("stays"))
        assert made == [body("stays")]


@pytest.mark.parametrize("reads_it", [True, False])
def test_a_response_is_sent_when_its_last_byte_is_handed_over_and_not_before(reads_it):
    with ScriptedServer(say("x" * 30_000_000)) as server, dial(server) as sock:
        sock.sendall(raw_request(body()).replace(b"Host: x", b"Connection: close"))
        assert sock.recv(15) == b"HTTP/1.1 200 OK"
        time.sleep(0.1)
        assert [e.event for e in server.log] == ["received"]
        if reads_it:
            assert len(read_all(sock)) > 30_000_000
        else:
            sock.close()
        assert wait_ended(server)[-1].event == ("sent" if reads_it else "aborted")


# Beginning and end


def test_nothing_is_left_when_the_block_ends(tmp_path):
    before, files = threading.active_count(), len(os.listdir("/proc/self/fd"))
    with ScriptedServer(say(), latency=30, log=tmp_path / "log.jsonl") as server:
        idle, busy = dial(server), dial(server)
        busy.sendall(raw_request(body()))
        assert eventually(lambda: server.log)
    assert threading.active_count() == before
    assert [e.event for e in read_log(tmp_path / "log.jsonl")] == ["received", "aborted"]
    for sock in (idle, busy):
        assert read_all(sock) == b""
        sock.close()
    with pytest.raises(ConnectionRefusedError):
        dial(server)
    gc.collect()  # what was not closed would warn now
    assert len(os.listdir("/proc/self/fd")) == files


def test_a_client_that_connects_while_the_server_stops_leaks_nothing():
    files = len(os.listdir("/proc/self/fd"))
    for _ in range(100):
        with socket.socket() as late, ScriptedServer(say()) as server:
            late.setblocking(False)
            late.connect_ex(("127.0.0.1", server.port))
    gc.collect()  # what was not closed would warn now
    assert len(os.listdir("/proc/self/fd")) == files


def test_a_server_may_be_entered_again_as_after_an_outage():
    server = ScriptedServer(say("four"), faults=Faults(script=lambda asked, attempt: ["error_500", None][attempt]))
    with server:
        url = server.url
        assert post(server, body())[0] == 500
        with pytest.raises(RuntimeError, match="runs already"):
            server.__enter__()
    with server:
        assert server.url == url
        assert choice(server, body())["message"]["content"] == "four"
    assert server.stats().statuses == {500: 1, 200: 1}


def test_a_port_in_use_is_an_error_and_leaves_no_thread():
    with ScriptedServer(say()) as server:
        threads = threading.active_count()
        with pytest.raises(OSError, match="in use"):
            ScriptedServer(say(), port=server.port).__enter__()
        assert threading.active_count() == threads


def test_names_are_loaded_when_they_are_used():
    assert all(getattr(tracemill.testing, name).__name__ == name for name in tracemill.testing.__all__)
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        _ = tracemill.testing.Nothing
    script = "import sys, tracemill.testing as t; t.ScriptedServer; sys.exit('hypothesis' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


# The program

PROGRAM = [sys.executable, "-W", "error", "-m", "tracemill.testing.server"]


def port_of(line):
    assert line.startswith("http://127.0.0.1:"), line
    assert line.endswith("/v1\n")
    return int(line.rpartition(":")[2].removesuffix("/v1\n"))


class Remote:
    """Stands where the helpers expect a ScriptedServer."""

    def __init__(self, line):
        self.port = port_of(line)


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
def test_the_program_tells_its_url_serves_and_stops_on_a_signal(tmp_path, stop):
    table = tmp_path / "answers.jsonl"
    second = '{"content": "d", "reasoning": "r", "reasoning_field": "thinking"}'
    table.write_text(f'{{"prompt": "q", "answers": [{{"content": "a b c"}}, {second}]}}\n')
    options = ["--answers", str(table), "--log", str(tmp_path / "log.jsonl"), "--latency-ms", "20", "--seed", "1"]
    options += ["--fault", "throttle=1", "--retry-after", "9"] if stop == signal.SIGINT else []
    with subprocess.Popen([*PROGRAM, *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as program:
        server = Remote(program.stdout.readline())
        if stop == signal.SIGINT:
            assert post(server, body("q"))[1]["retry-after"] == "9"
        else:
            assert choice(server, body("q", seed=1))["message"] == {
                "role": "assistant",
                "content": "d",
                "thinking": "r",
            }
            assert choice(server, body("q", max_tokens=2))["message"]["content"] == "a b"
        program.send_signal(stop)
        out, err = program.communicate(timeout=5)
    assert (program.returncode, out, err) == (0, "", "")
    events = [e.event for e in read_log(tmp_path / "log.jsonl")]
    assert events == ["received", "sent"] * (1 if stop == signal.SIGINT else 2)


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["--fault", "resett=0.1"], "Did you mean 'reset'"),
        (["--fault", "reset"], "invalid"),
        (["--answers", "/nowhere.jsonl"], "/nowhere.jsonl"),
    ],
)
def test_the_program_refuses_what_it_does_not_know(options, complaint):
    ended = subprocess.run([*PROGRAM, *options], capture_output=True, text=True, check=False, timeout=10)
    assert ended.returncode == 2
    assert complaint in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="PR_SET_PDEATHSIG is Linux's")
def test_the_program_does_not_outlive_its_parent():
    starts = "import subprocess, sys; subprocess.run(sys.argv[1:])"
    with subprocess.Popen([sys.executable, "-c", starts, *PROGRAM], stdout=subprocess.PIPE, text=True) as parent:
        server = Remote(parent.stdout.readline())
        assert post(server, body())[0] == 200
        parent.kill()
        parent.wait()

        def refused():
            with socket.socket() as sock:
                return sock.connect_ex(("127.0.0.1", server.port)) != 0

        assert eventually(refused)
