"""Who gets a place at which endpoint, and when: the queue, the breaker, the pace."""

from __future__ import annotations

import asyncio
import math
import time

import pytest

from tracemill.errors import EndpointError
from tracemill.models.breaker import IN_A_ROW, UNREACHABLE_IN_A_ROW, Breaker
from tracemill.models.http import HttpError, Server
from tracemill.models.metrics import queue_of
from tracemill.models.outcomes import same_model
from tracemill.models.pace import START, Pace
from tracemill.models.pool import GateClosed, Lane, Pool
from tracemill.models.replies import Unreadable, parsed, read_told
from tracemill.models.wire import Nobody, Request
from tracemill.recipe import Teacher

TEACHER = Teacher(model="m", url="http://127.0.0.1:1/v1")


def run_on_uvloop(work):
    """As workers do."""
    uvloop = pytest.importorskip("uvloop")
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(work)


def pool_of(*places, wait=None):
    lanes = [Lane(f"http://{n}/v1#", Nobody(), Pace(most)) for n, most in enumerate(places)]
    return Pool("main", TEACHER, lanes, wait)


def test_a_hold_ends_by_itself_however_early_its_timer_fires():
    async def work():
        for _ in range(60):
            pool = pool_of(1)
            pool.lanes[0].pace.hold_until = time.monotonic() + 0.004
            assert await asyncio.wait_for(pool.enter("a"), 2) is pool.lanes[0]
            await pool.shut()

    run_on_uvloop(work())


def test_one_who_waits_gets_the_place_that_another_gives_back():
    async def work():
        pool = pool_of(1)
        lane = await pool.enter("a")
        waiting = asyncio.create_task(pool.enter("b"))
        gives_up = asyncio.create_task(pool.enter("c"))
        await asyncio.sleep(0)
        gives_up.cancel()
        pool.leave(lane, time.monotonic(), True)
        assert await asyncio.wait_for(waiting, 1) is lane
        assert lane.pace.in_flight == 1
        late = asyncio.create_task(pool.enter("d"))
        await asyncio.sleep(0)
        pool.close()
        with pytest.raises(GateClosed):
            await late
        await pool.shut()

    run_on_uvloop(work())


def test_a_teacher_none_of_whose_endpoints_answers_is_given_up_in_time():
    async def work():
        pool = pool_of(8, wait=0.3)
        lane = pool.lanes[0]
        for _ in range(UNREACHABLE_IN_A_ROW):
            assert await pool.enter("a") is lane
            pool.leave(lane, time.monotonic(), False, trouble="no connection: refused", reached=False)
        with pytest.raises(EndpointError, match=r"has not answered for .*no connection: refused"):
            await asyncio.wait_for(pool.enter("a"), 2)
        await pool.shut()

    run_on_uvloop(work())


def test_a_breaker_opens_probes_and_closes():
    breaker = Breaker()
    for _ in range(IN_A_ROW):
        assert breaker.lets_through()
        breaker.sent()
        breaker.ended(False)
    assert not breaker.lets_through()
    breaker.probe_at = time.monotonic()
    assert breaker.lets_through()
    breaker.sent()
    assert not breaker.lets_through(), "one probe at a time"
    before = breaker.probe_at
    breaker.ended(None)
    assert breaker.probe_at > before, "what proves nothing is no leave to ask at once"
    breaker.probe_at = time.monotonic()
    breaker.sent()
    breaker.ended(True)
    assert breaker.open_since is None
    assert breaker.lets_through()


def test_a_breaker_minds_half_of_fifty():
    breaker = Breaker()
    for number in range(51):
        breaker.ended(number % 2 == 0 and number < 40)
    assert breaker.open_since is not None


def test_failures_do_not_raise_the_limit_and_replies_do():
    pace = Pace(1000)
    begun = pace.limit
    for good in (False, True):
        for _ in range(int(begun)):
            pace.in_flight = int(pace.limit)
            pace.leave(time.monotonic(), well=good)
        assert (pace.limit > begun) is good


@pytest.mark.parametrize(("most", "first"), [(8, 8), (100, START), (256, 64), (1000, 250)])
def test_a_quarter_of_what_the_recipe_allows_is_sent_at_once(most, first):
    assert Pace(most).limit == first


@pytest.mark.parametrize(
    ("asked", "told", "same"),
    [
        ("gpt-4o", "gpt-4o-2024-08-06", True),
        ("Qwen/Qwen3-32B", "qwen3-32b", True),
        ("deepseek-ai/DeepSeek-R1", "DeepSeek-R1-0528", True),
        ("Qwen3-8B", "Qwen3-8B-FP8", True),
        ("gpt-4o", "gpt-4o-mini", False),
        ("gpt-4o-mini", "gpt-4", False),
        ("Qwen3-8B", "Qwen3-8B-Base", False),
        ("deepseek-r1", "deepseek-r1-distill-qwen-1.5b", False),
        ("deepseek-r1", "d", False),
    ],
)
def test_another_model_is_told_from_another_name(asked, told, same):
    assert same_model(asked, told) is same
    assert same_model(asked, told, (told,))


def test_the_queue_is_read_from_three_servers_metrics():
    assert queue_of('vllm:num_requests_running{m="a"} 3.0\nvllm:num_requests_waiting{m="a"} 2.0\n') == (3.0, 2.0)
    assert queue_of("sglang:num_running_reqs 4\nsglang:num_queue_reqs 1\n") == (4.0, 1.0)
    assert queue_of("llamacpp:requests_processing 1\nllamacpp:requests_deferred 7\n") == (1.0, 7.0)
    assert queue_of("other 1\n") is None
    assert queue_of("vllm:num_requests_waiting 1e999\nvllm:num_requests_running NaN\n") is None
    assert math.isfinite(sum(queue_of("vllm:num_requests_waiting 1\nvllm:num_requests_running 1e999\n")))


def test_a_reply_that_nests_too_deep_is_no_answer():
    trace = b'{"text":' * 900 + b'"x"' + b"}" * 900
    body = b'{"choices":[{"message":{"content":"x","reasoning":' + trace + b"}}]}"
    asked = Request("main", "m", (), "on", 1, 10, "0" * 64)
    with pytest.raises(Unreadable, match=r"too deep|not JSON"):
        read_told(asked, parsed(body))


def test_two_responses_at_once_are_one_answer_and_a_connection_that_is_not_kept():
    first = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nOK"
    second = b"HTTP/1.1 500 Oh\r\nContent-Length: 2\r\n\r\nNO"

    async def work():
        async def answer(reader, writer):
            opened.append(writer)
            while await reader.readuntil(b"\r\n\r\n"):
                writer.write(first + second)

        opened = []
        listener = await asyncio.start_server(answer, "127.0.0.1", 0)
        server = Server(f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}", {})
        for _ in range(3):
            got = await server.send("GET", "/")
            assert (got.status, got.body) == (200, b"OK")
        assert len(opened) == 3
        server.close()
        for writer in opened:
            writer.close()
        listener.close()

    asyncio.run(asyncio.wait_for(work(), 10))


def test_a_server_that_hangs_up_in_the_midst_is_told_from_one_that_is_not_there():
    async def work():
        async def answer(reader, writer):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\nhalf")
            writer.close()

        listener = await asyncio.start_server(answer, "127.0.0.1", 0)
        port = listener.sockets[0].getsockname()[1]
        server = Server(f"http://127.0.0.1:{port}", {})
        with pytest.raises(HttpError) as broken:
            await server.send("GET", "/")
        listener.close()
        await listener.wait_closed()
        with pytest.raises(HttpError) as gone:
            await server.send("GET", "/")
        server.close()
        return broken.value.kind, gone.value.kind

    assert asyncio.run(asyncio.wait_for(work(), 10)) == ("partial", "unreachable")
