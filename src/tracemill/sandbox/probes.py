"""Attempts to break out of a sandbox, made before any generated code is run in it. All of them must fail."""

from __future__ import annotations

import json
import os
import platform
import secrets
import socket
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from importlib.resources import files

from tracemill.sandbox.job import MIB, Finding, Job, Limits, Outcome, Sandbox
from tracemill.sandbox.syscalls import LOOKED_AT, MACHINES, REFUSED

PYTHON = "/usr/bin/python3"
SMALL = Limits(wall=20, cpu=1, memory=64 * MIB, processes=32, output=MIB)
"""A busy machine may take seconds to start a program; the clock is tight only where it is what is tried."""
QUICK = replace(SMALL, wall=0.8)
LOOK = Limits(wall=20, cpu=10, memory=256 * MIB, processes=64)


@dataclass(frozen=True, slots=True)
class Attack:
    """A program that would not end, or would take all there is; and what must have become of it."""

    program: str
    held: Callable[[Outcome], bool]
    limits: Limits = SMALL


def _ended_by(*limits: str) -> Callable[[Outcome], bool]:
    return lambda outcome: outcome.limit in limits and outcome.wall < 15


def _said(text: str) -> Callable[[Outcome], bool]:
    return lambda outcome: outcome.stdout.decode(errors="replace").strip() == text


ATTACKS: Mapping[str, Attack] = {
    "plain_program_works": Attack("print(sum(map(int, input().split())))", _said("42")),
    "endless_loop": Attack("while True: pass", _ended_by("cpu")),
    "endless_sleep": Attack("import time; time.sleep(9999)", _ended_by("wall"), QUICK),
    "endless_stop": Attack("import os; os.kill(os.getpid(), 19)", _ended_by("wall"), QUICK),
    "streams_closed": Attack("import os, time; os.close(1); os.close(2); time.sleep(9999)", _ended_by("wall"), QUICK),
    "signals_ignored": Attack(
        "import signal\nfor n in set(range(1, 65)) - {9, 19, 32, 33}: signal.signal(n, signal.SIG_IGN)\nwhile True: pass",
        _ended_by("cpu", "wall"),
        QUICK,
    ),
    "output_of_1_gb": Attack("import sys\nfor _ in range(1000): sys.stdout.write('x' * 1000000)", _ended_by("output")),
    "errors_of_1_gb": Attack("import sys\nfor _ in range(1000): sys.stderr.write('x' * 1000000)", _ended_by("output")),
    "memory_of_one": Attack(
        "try:\n    b = bytearray(1 << 30)\nexcept MemoryError:\n    print('refused')", _said("refused")
    ),
    "memory_of_many": Attack(
        "import os, time\nfor _ in range(4): os.fork()\nb = bytearray(40 << 20)\ntime.sleep(9999)",
        _ended_by("memory"),
    ),
    "memory_shared": Attack(
        "import mmap, time\nm = mmap.mmap(-1, 512 << 20)\nfor i in range(0, 512 << 20, 4096): m[i] = 1\ntime.sleep(9999)",
        _ended_by("memory"),
        replace(SMALL, cpu=4),
    ),
    "fork_bomb": Attack(
        "import os, time\nn = 0\ntry:\n    for n in range(500):\n        if os.fork() == 0: time.sleep(9999)\n"
        "except OSError:\n    print('bounded' if n < 40 else n, flush=True)\n    os.kill(-1, 9)",
        _said("bounded"),
        replace(SMALL, memory=1024 * MIB),
    ),
    "fork_bomb_of_all": Attack(
        "import os\nwhile True:\n  try: os.fork()\n  except OSError: pass", _ended_by("cpu", "wall", "memory"), QUICK
    ),
    "timers": Attack(
        "import signal\nsignal.signal(14, lambda *a: None)\nsignal.setitimer(0, 1e-6, 1e-6)\nwhile True: pass",
        _ended_by("cpu", "wall"),
        QUICK,
    ),
    "kill_everything": Attack(
        "import os\nfor pid in (1, -1):\n    try: os.kill(pid, 9)\n    except OSError: pass\nprint('alone')", _said("alone")
    ),
}  # fmt: skip
DAEMON = """
import os, sys, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        for number in (0, 1, 2): os.close(number)
        time.sleep(9999)
    os._exit(0)
print("left")
"""


def probe(sandbox: Sandbox) -> tuple[Finding, ...]:
    """All probes, some at a time.

    Raises:
        SandboxBroken: nothing can be run at all.
    """
    first = _attacked(sandbox, "plain_program_works", ATTACKS["plain_program_works"])
    if not first.held:
        return (first,)
    with ThreadPoolExecutor(4) as pool:
        looked = pool.submit(_looked, sandbox)
        left = pool.submit(_left_behind, sandbox)
        attacked = [
            pool.submit(_attacked, sandbox, name, attack) for name, attack in ATTACKS.items() if name != first.name
        ]
        return (first, *looked.result(), left.result(), *(each.result() for each in attacked))


def _attacked(sandbox: Sandbox, name: str, attack: Attack) -> Finding:
    outcome = sandbox.run(_job(attack.program, b"40 2\n", attack.limits))
    if attack.held(outcome):
        return Finding(name, True)
    told = (outcome.stderr or outcome.stdout)[-120:].decode(errors="replace")
    seen = f"exit {outcome.exit}, signal {outcome.signal}, limit {outcome.limit}, {outcome.wall:.1f} s: {told}"
    return Finding(name, False, " ".join(seen.split()))


def _left_behind(sandbox: Sandbox) -> Finding:
    """A process that stays when its parent has ended must end with it: then nobody holds the other end of a pipe."""
    name = "daemon_left_behind"
    ours, theirs = os.pipe()
    try:
        outcome = sandbox.run(replace(_job(DAEMON, b"", SMALL), links=(theirs,)))
        os.set_blocking(ours, False)
        try:
            gone = os.read(ours, 1) == b""
        except BlockingIOError:
            gone = False
        return Finding(name, gone and outcome.stdout == b"left\n", "" if gone else "it lives on")
    finally:
        os.close(ours)


def _looked(sandbox: Sandbox) -> tuple[Finding, ...]:
    """What `inside/look.py.txt` found, with something on this side that it could find."""
    program = (files("tracemill.sandbox") / "inside" / "look.py.txt").read_text(encoding="utf-8")
    column = MACHINES[platform.machine()][0]
    numbers = {name: both[column] for name, both in {**REFUSED, **LOOKED_AT}.items()}
    name = f"tracemill-{secrets.token_hex(8)}"
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.socket(socket.AF_UNIX) as named:
        named.bind(f"\0{name}")
        named.listen()
        told = (str(listener.getsockname()[1]), name, __file__ if not __file__.startswith("/usr") else "/etc/passwd")
        job = _job(program, b"", LOOK, json.dumps(numbers), *told, str(os.getpid()))
        outcome = sandbox.run(job)
    try:
        found = json.loads(outcome.stdout)
    except ValueError:
        why = outcome.stderr[-200:].decode(errors="replace")
        return (Finding("look", False, f"exit {outcome.exit}, limit {outcome.limit}: {why}"),)
    return tuple(Finding(name, got is None, "" if got is None else str(got)) for name, got in found.items())


def _job(program: str, stdin: bytes, limits: Limits, *arguments: str) -> Job:
    return Job((PYTHON, "-s", "/box/probe.py", *arguments), {"probe.py": program.encode()}, stdin, limits)
