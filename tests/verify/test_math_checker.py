import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tracemill.errors import TracemillError
from tracemill.verify import math_checker, math_worker
from tracemill.verify.math_checker import Answer, MathChecker

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "math_answers.json").read_text(encoding="utf-8"))
SLOW = ("1", "(10^9)!")
ALGEBRA = ("\\frac{\\sqrt{2}}{2}", "\\frac{1}{\\sqrt{2}}")
linux = pytest.mark.skipif(sys.platform != "linux", reason="limits and death signals are those of Linux")


def fake(body):
    """A worker that reads a request into `r`, does `body`, and says `reply` where that is set."""
    lines = ["import json, os, sys, time", "print('{\"ready\": true}', flush=True)", "for line in sys.stdin:"]
    lines += ["    r = json.loads(line); reply = None", f"    {body}"]
    lines += ["    if reply is not None: print(json.dumps(reply), flush=True)"]
    return [sys.executable, "-c", "\n".join(lines)]


def run(use, **settings):
    async def inside():
        async with MathChecker(**settings) as checker:
            return await use(checker)

    return asyncio.run(inside())


def pid(checker):
    process = checker._workers[0].process
    return process.pid if process else None


def alive(number):
    try:
        return Path(f"/proc/{number}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_the_golden_answers():
    """Both ways round, within the wall clock, and none equal that is not."""

    async def use(checker):
        for case in GOLDEN:
            for pair in ((case["expected"], case["found"]), (case["found"], case["expected"])):
                started = time.monotonic()
                answer = await checker.same(*pair)
                assert answer.equal == case["equal"], (case, answer)
                assert time.monotonic() - started < 60

    assert len(GOLDEN) >= 150
    run(use, seconds=20)


@pytest.mark.parametrize("text", ["{" * 100_000 + "}" * 100_000, "(" * 1_000 + ")" * 1_000, "9" * 2_001, "9^9^9"])
def test_large_texts_are_refused_without_a_worker(text):
    async def use(checker):
        return await checker.same("18", text), pid(checker)

    answer, started = run(use)
    assert (answer.equal, answer.method, started) == (False, "too_complex", None)


@pytest.mark.parametrize(
    "text", ["x^" * 900 + "x", "-" * 1_900 + "18", "\\frac" * 300, "\\sqrt" * 300 + "2", "x," * 900 + "x"]
)
def test_long_texts_end_within_the_wall_clock(text):
    started = time.monotonic()
    assert not run(lambda checker: checker.same("18", text), seconds=2).equal
    assert time.monotonic() - started < 30


def test_plain_numbers_and_texts_start_no_worker():
    async def use(checker):
        answers = [await checker.same("18", "18.0"), await checker.same("yes", "Yes"), await checker.same("1", "2")]
        return answers, pid(checker)

    assert run(use) == ([Answer(True, "number"), Answer(True, "text"), Answer(False, "number")], None)


def test_a_hung_check_is_killed_and_the_next_one_works():
    async def use(checker):
        started = time.monotonic()
        answer = await checker.same(*SLOW)
        took = time.monotonic() - started
        checker.seconds = 30
        return answer, took, await checker.same(*ALGEBRA)

    answer, took, after = run(use, seconds=0.5)
    assert answer == Answer(False, "timeout", "no answer within 0.5 s")
    assert not answer.decided
    assert took < 20
    assert after == Answer(True, "math-verify")


def test_a_cancelled_check_leaves_no_stale_answer():
    async def use(checker):
        await checker.same(*ALGEBRA)
        before = pid(checker)
        task = asyncio.create_task(checker.same(*SLOW))
        await asyncio.sleep(0.2)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        answers = [await checker.same("x+1", "1+x"), await checker.same("x+1", "x+2")]
        return [answer.equal for answer in answers], before != pid(checker)

    assert run(use, seconds=60) == ([True, False], True)


def test_a_check_cancelled_while_a_worker_starts_leaves_a_usable_checker():
    async def use(checker):
        for wait in (0, 0.01, 0.1):
            task = asyncio.create_task(checker.same(*ALGEBRA))
            await asyncio.sleep(wait)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        return await checker.same(*ALGEBRA)

    assert run(use, seconds=60).equal


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        ("os._exit(3)", "the worker ended with exit code 3"),
        ("os.kill(os.getpid(), 9)", "the worker was killed by SIGKILL"),
        (
            "reply = {'id': r['id'] - 1, 'equal': True, 'method': 'math-verify', 'detail': ''}",
            "the worker spoke out of turn",
        ),
        ("reply = [True]", "the worker spoke out of turn"),
        ("print('x' * 1_000_000, flush=True)", "the worker spoke out of turn"),
        ("print('{', flush=True)", "the worker spoke out of turn"),
    ],
)
def test_a_worker_that_misbehaves_makes_nothing_equal(body, detail):
    async def use(checker):
        return await checker.same(*ALGEBRA)

    assert run(use, command=fake(body), seconds=30) == Answer(False, "crashed", detail)


def test_a_worker_that_died_between_two_checks_is_replaced():
    async def use(checker):
        await checker.same(*ALGEBRA)
        os.kill(pid(checker), signal.SIGKILL)
        await checker._workers[0].process.wait()
        return await checker.same("x+1", "1+x")

    assert run(use, seconds=60).equal


def test_a_worker_that_cannot_start_is_an_error_not_a_verdict():
    async def use(checker):
        with pytest.raises(TracemillError, match="does not start \\(it ended with exit code"):
            await checker.same(*ALGEBRA)

    run(use, command=[sys.executable, "-c", "raise SystemExit(7)"])


def test_workers_are_replaced_after_a_while(monkeypatch):
    monkeypatch.setattr(math_checker, "RECYCLE", 2)

    async def use(checker):
        seen = []
        for number in range(4):
            assert (await checker.same(f"x+{number}", f"{number}+x")).equal
            seen.append(pid(checker))
        return seen

    first, none, second, gone = run(use, seconds=60)
    assert none is gone is None
    assert first != second


def test_pairs_are_remembered_both_ways_and_not_for_ever(monkeypatch):
    monkeypatch.setattr(math_checker, "REMEMBERED", 3)
    command = fake("reply = {'id': r['id'], 'equal': True, 'method': 'math-verify', 'detail': str(r['id'])}")

    async def use(checker):
        first = await checker.same("x+0", "y+0")
        again = await checker.same("y+0", "x+0")
        others = [await checker.same(f"x+{number}", f"y+{number}") for number in (1, 2, 3)]
        return first, again, others, await checker.same("x+0", "y+0"), len(checker._known)

    first, again, others, forgotten, size = run(use, command=command)
    assert first is again
    assert [answer.detail for answer in others] == ["2", "3", "4"]
    assert forgotten.detail == "5"
    assert size == 3


def test_checks_at_the_same_time_get_their_own_answers():
    async def use(checker):
        pairs = [(f"x+{number}", f"{number + number % 2}+x") for number in range(40)]
        return [answer.equal for answer in await asyncio.gather(*(checker.same(*pair) for pair in pairs))]

    assert run(use, workers=2, seconds=60) == [number % 2 == 0 for number in range(40)]


def test_keys_do_not_reach_a_worker(monkeypatch):
    monkeypatch.setenv("SOME_API_KEY", "secret")
    body = "reply = {'id': r['id'], 'equal': False, 'method': 'math-verify', 'detail': ' '.join(os.environ)}"

    async def use(checker):
        return await checker.same(*ALGEBRA)

    assert "SOME_API_KEY" not in run(use, command=fake(body)).detail


def test_ctrl_c_is_left_to_the_parent():
    async def use(checker):
        await checker.same(*ALGEBRA)
        before = pid(checker)
        os.kill(before, signal.SIGINT)
        return (await checker.same("x+1", "1+x")).equal, before == pid(checker)

    assert run(use, seconds=60) == (True, True)


def test_no_child_is_left_behind():
    async def use(checker):
        await checker.same(*ALGEBRA)
        return pid(checker)

    assert not alive(run(use, seconds=60))


@linux
def test_a_worker_ends_with_a_parent_that_is_killed():
    program = """
import asyncio, time
from tracemill.verify.math_checker import MathChecker
async def main():
    checker = MathChecker(seconds=300)
    await checker.same("x+1", "1+x")
    print(checker._workers[0].process.pid, flush=True)
    await checker.same("1", "(10^9)!")
asyncio.run(main())
"""
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as parent:
        worker = int(parent.stdout.readline())
        assert alive(worker)
        time.sleep(0.5)
        parent.kill()
    deadline = time.monotonic() + 30
    while alive(worker) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not alive(worker)


def test_a_worker_ends_with_its_input():
    request = json.dumps({"id": 1, "expected": "x+1", "found": "1+x"})
    done = subprocess.run([*math_checker.WORKER], input=request + "\n", capture_output=True, text=True, timeout=120)
    assert done.returncode == 0
    assert [json.loads(line) for line in done.stdout.splitlines()] == [
        {"ready": True},
        {"id": 1, "equal": True, "method": "math-verify", "detail": ""},
    ]


@linux
def test_memory_is_limited():
    program = "from tracemill.verify import math_worker as w; w._limit_resources(); bytearray(600 << 20)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120)
    assert "MemoryError" in done.stderr


@linux
def test_processor_time_is_limited():
    program = "from tracemill.verify import math_worker as w; w.CPU_SECONDS = 1; w._allow_cpu()\nwhile True: pass"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, timeout=120)
    assert done.returncode == -signal.SIGXCPU


def test_text_never_reaches_eval(tmp_path):
    program = (
        "from tracemill.verify import math_worker as w; import sympy; w._shut_eval(); print(sympy.Number('18'))\n"
        f"sympy.sympify(\"__import__('pathlib').Path({str(tmp_path / 'x')!r}).touch()\")"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120)
    assert done.stdout == "18\n"
    assert "text reached sympy's eval" in done.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "text", ["9^{9^{9}}", "9**9**9", "x^{100000}", "100000!", "3!!", "1" * 401, "x" * 2_001, "{" * 41]
)
def test_explosive_texts_are_refused_unparsed(text):
    assert math_worker.too_complex(text)


@pytest.mark.parametrize(
    "text", ["e^{x^2}", "2^{100}", "x^{2024}", "10!", "e^{-x^{2}}", "(2^3)^2", "1" * 400, "x" * 2_000]
)
def test_ordinary_texts_are_not_refused(text):
    assert not math_worker.too_complex(text)
