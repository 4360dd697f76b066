"""Running a program and measuring it: its processor time, and the memory of its processes."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from math import inf
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LOOK_EVERY = 0.2
"""Seconds between two looks at the memory. Each holds the other process up for some milliseconds."""


@dataclass(frozen=True)
class Ran:
    """A program that has ended well."""

    started: float
    """CLOCK_MONOTONIC."""
    wall: float
    cpu: float
    """Seconds of processor, children included."""
    memory: float | None
    """MB: the most that all its processes had at one look, a page that several share counted once (PSS). None where
    unknown."""


def cores() -> tuple[set[int], set[int]]:
    """(for the client, for the server): one core each where there are two or more, else all for both."""
    if not hasattr(os, "sched_getaffinity"):
        return set(), set()
    there = sorted(os.sched_getaffinity(0))
    return ({there[0]}, {there[-1]}) if len(there) > 1 else (set(there), set(there))


@contextmanager
def bound_to(wanted: set[int]) -> Iterator[None]:
    """What is started in the block stays on these cores; this process goes back to its own."""
    if not wanted:
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, wanted)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def run(command: Sequence[str], where: set[int], scratch: Path, limit: float = inf) -> Ran:
    """Run a program to its end, which is a kill after `limit` seconds.

    Raises:
        RuntimeError: it ended badly; with what it wrote.
    """
    said = scratch / "said.txt"
    with said.open("wb") as output, bound_to(where):
        started = time.monotonic()
        child = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, cwd=ROOT)
    peak = 0
    while True:
        ended, status, used = os.wait4(child.pid, os.WNOHANG)
        if ended:
            break
        alive = family(child.pid)
        peak = max(peak, sum(map(memory_of, alive)))
        if time.monotonic() - started > limit:
            end(alive)
        time.sleep(LOOK_EVERY)
    wall = time.monotonic() - started
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode != 0:
        raise RuntimeError(f"{command} ended with {child.returncode}:\n{said.read_text(errors='replace')[-4000:]}")
    memory = peak / 1024 if peak else None
    return Ran(started, wall, used.ru_utime + used.ru_stime, memory)


def end(alive: Sequence[int]) -> None:
    """Kill processes, parents last."""
    for pid in reversed(alive):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def family(pid: int) -> list[int]:
    """A process and all below it, as far as the kernel tells."""
    found = [pid]
    for parent in found:
        try:
            told = Path(f"/proc/{parent}/task/{parent}/children").read_text(encoding="ascii")
        except OSError:
            continue
        found += [int(child) for child in told.split()]
    return found


def memory_of(pid: int) -> int:
    """A living process's share of the memory, in kB (PSS: a page is divided among those that map it); 0 where unknown."""
    try:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="utf-8").splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1])
    except OSError:
        pass
    return 0


def cpu_seconds(pid: int) -> float | None:
    """Seconds of processor that a living process has used, without children."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    except OSError:
        return None
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
