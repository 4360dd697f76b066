"""What comes of jobs: their output and end, and each limit by its name."""

from __future__ import annotations

import os
import resource
import subprocess
import threading
import time
from pathlib import Path

import pytest

from tracemill.sandbox import Job, Limits, SandboxBroken, find_sandbox
from tracemill.sandbox.linux import _ended_within

MIB = 1 << 20


@pytest.fixture(scope="module")
def sandbox():
    found = find_sandbox()
    if found.sandbox is None:
        pytest.skip(found.missing)
    return found.sandbox


def python(program: str, stdin: bytes = b"", **more) -> Job:
    limits = more.pop("limits", Limits())
    return Job(("/usr/bin/python3", "-s", "/box/main.py"), {"main.py": program.encode()}, stdin, limits, **more)


def test_what_goes_in_and_what_comes_out(sandbox):
    program = "import sys\nprint(sys.stdin.read()[::-1])\nprint('told', file=sys.stderr)\nsys.exit(3)"
    outcome = sandbox.run(python(program, "äb".encode()))
    assert (outcome.exit, outcome.signal, outcome.limit) == (3, None, None)
    assert outcome.stdout.decode() == "bä\n"
    assert outcome.stderr == b"told\n"
    assert not outcome.ok


def test_large_input_and_output_are_whole(sandbox):
    data = bytes(range(256)) * 4 * 1024 * 2
    program = "import sys\nsys.stdout.buffer.write(sys.stdin.buffer.read())"
    outcome = sandbox.run(python(program, data, limits=Limits(output=4 * MIB)))
    assert outcome.ok
    assert outcome.stdout == data


@pytest.mark.parametrize(
    ("program", "limits", "limit"),
    [
        ("while True: pass", Limits(cpu=1), "cpu"),
        ("import time; time.sleep(60)", Limits(wall=0.5), "wall"),
        ("while True: print('x' * 1000)", Limits(output=10_000), "output"),
        ("b = bytearray(60 << 20)\nimport os, time\nos.fork(); os.fork()\nb[:] = b'x' * len(b)\ntime.sleep(60)",
         Limits(memory=150 * MIB), "memory"),
        ("import signal; signal.signal(25, signal.SIG_DFL)\nopen('/tmp/x', 'wb').write(b'x' * 999999)",
         Limits(file_size=1000), "file_size"),
    ],
)  # fmt: skip
def test_a_limit_ends_a_job_and_is_named(sandbox, program, limits, limit):
    outcome = sandbox.run(python(program, limits=limits))
    assert outcome.limit == limit
    assert not outcome.ok
    assert outcome.wall < 10
    assert len(outcome.stdout) <= limits.output


def test_a_signal_of_its_own_is_told(sandbox):
    outcome = sandbox.run(python("import os; os.abort()"))
    assert (outcome.exit, outcome.signal, outcome.limit) == (None, 6, None)


def test_each_run_is_new(sandbox):
    program = "import os\nprint(os.listdir('/tmp'))\nopen('/tmp/left', 'w').write('x')"
    assert [sandbox.run(python(program)).stdout for _ in range(2)] == [b"[]\n"] * 2


def test_a_program_that_is_not_there_is_the_jobs_fault(sandbox):
    outcome = sandbox.run(Job(("/usr/bin/no-such-program",)))
    assert not outcome.ok
    assert b"no-such-program" in outcome.stderr


def test_a_place_that_is_not_there_is_the_sandboxs(sandbox):
    with pytest.raises(SandboxBroken, match="no-such-place"):
        sandbox.run(python("pass", shows=("/no-such-place",)))


def test_links_reach_it_and_are_closed_here(sandbox):
    reads, writes = os.pipe()
    outcome = sandbox.run(python(f"import os; os.write({writes}, b'hello')", links=(writes,)))
    assert outcome.ok
    assert os.read(reads, 100) == b"hello"
    assert os.read(reads, 100) == b"", "nobody else holds the other end"
    os.close(reads)


def test_a_job_ends_when_it_is_told_to(sandbox):
    until, over = os.pipe()
    threading.Timer(0.4, os.close, (over,)).start()
    begun = time.monotonic()
    outcome = sandbox.run(python("import time; time.sleep(60)", until=until))
    os.close(until)
    assert outcome.exit is None
    assert 0.3 < time.monotonic() - begun < 8


def _children() -> set[str]:
    """Processes below this one, dead ones that nobody has fetched among them."""
    return {pid for told in Path("/proc/self/task").glob("*/children") for pid in told.read_text().split()}


def test_no_descriptor_and_no_process_is_left(sandbox):
    before, children = sorted(os.listdir("/proc/self/fd")), _children()
    jobs = [python("print(1)"), python("while True: print('x' * 1000)"), python("import os; os.kill(os.getpid(), 9)")]
    for job in jobs:
        sandbox.run(job)
    assert sorted(os.listdir("/proc/self/fd")) == before
    assert _children() <= children


@pytest.fixture
def many_held():
    """1,100 descriptors that this process holds beside what a job takes."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    if before[1] < 2000:
        pytest.skip(f"a process may hold {before[1]} descriptors here, not 2,000")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(before[0], 2000), before[1]))
    held = [os.open("/dev/null", os.O_RDONLY)]
    held += [os.dup(held[0]) for _ in range(1099)]
    yield held
    for descriptor in held:
        os.close(descriptor)
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


@pytest.mark.parametrize(("program", "limit"), [("print(1)", None), ("import time; time.sleep(60)", "wall")])
def test_a_process_that_holds_many_descriptors_sees_the_end_of_a_job(sandbox, many_held, program, limit):
    assert max(many_held) > 1024
    outcome = sandbox.run(python(program, limits=Limits(wall=10 if limit is None else 0.5)))
    assert outcome.limit == limit
    assert outcome.ok is (limit is None)


def test_whether_a_process_has_ended_is_seen_by_any_descriptor(many_held):
    with subprocess.Popen(["/bin/cat"], stdin=subprocess.PIPE) as process:
        descriptor = os.pidfd_open(process.pid)
        assert descriptor > 1024
        assert not _ended_within(descriptor, 0.01)
        process.stdin.close()
        assert _ended_within(descriptor, 20)
        os.close(descriptor)


def test_many_at_once_do_not_meet(sandbox):
    from concurrent.futures import ThreadPoolExecutor

    program = (
        "import os, time\nopen('/tmp/mine', 'x').write('x')\ntime.sleep(0.1)\nprint(input(), len(os.listdir('/tmp')))"
    )
    with ThreadPoolExecutor(6) as pool:
        got = list(pool.map(lambda n: sandbox.run(python(program, f"{n}\n".encode())).stdout, range(12)))
    assert got == [f"{n} 1\n".encode() for n in range(12)]
