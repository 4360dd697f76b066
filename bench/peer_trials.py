"""What is left of a dataset when the server misbehaves, and when the client is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from bench.ask import Job, server
from bench.peer_rows import Row, count_rows
from bench.processes import ROOT, bound_to, cores
from bench.result import Figures, Measure
from tracemill.testing.events import Event, read_log

IN_FLIGHT = 64
LIMIT = 300.0
"""Seconds after which a run is stopped."""
FAULTS = {"throttle": 0.05, "error_500": 0.02, "error_503": 0.02, "reset": 0.01, "malformed": 0.01, "partial": 0.01}
"""Shares of the requests; kinds as in `tracemill.testing.faults`."""

_ROWS = (
    Measure("right", "rows delivered"),
    Measure("lost", "prompts without a row"),
    Measure("wrong", "rows with a wrong or cut answer"),
    Measure("twice", "rows delivered twice"),
)
FAULTS_MEASURES = (
    *_ROWS,
    Measure("code", "exit code"),
    Measure("wall", "seconds in all", 1),
    Measure("requests", "requests sent"),
)
KILL_MEASURES = (
    *_ROWS,
    Measure("code", "exit code of the second run"),
    Measure("wall", "seconds of the second run", 1),
    Measure("again", "requests sent again"),
    Measure("answered_again", "of them already answered"),
)


@dataclass(frozen=True)
class Client:
    """A tool under trial."""

    column: str
    command: Callable[[Job, str, Path, int], list[str]]
    """From prompts, the server's URL, an output directory and the requests in flight to what is run."""
    rows: Callable[[Path], Iterable[Row]]
    """What lies in the output directory."""
    answers: Callable[[Path], list[int]]
    """What the server boxes for each prompt of a file."""


def faulty(client: Client, job: Job, scratch: Path) -> Figures:
    """One run against a server that misbehaves; what is on the disk at its end, whatever that was."""
    scratch.mkdir()
    log, out = scratch / "log.jsonl", scratch / "out"
    client_cores, server_cores = cores()
    shares = [word for kind, rate in FAULTS.items() for word in ("--fault", f"{kind}={rate}")]
    with server(log, server_cores, *shares) as (url, _):
        code, wall = attempt(client.command(job, url, out, IN_FLIGHT), client_cores, scratch / "said.txt")
    requests = sum(event.event == "received" for event in read_log(log))
    return {**_counted(client, job, out), "code": code, "wall": wall, "requests": requests}


def killed(client: Client, job: Job, later: float, scratch: Path) -> Figures:
    """A run that is killed `later` seconds after half of the prompts are answered, and the same command again.

    Raises:
        RuntimeError: the run had ended by then.
    """
    scratch.mkdir()
    log, out = scratch / "log.jsonl", scratch / "out"
    client_cores, server_cores = cores()
    with server(log, server_cores) as (url, _):
        command = client.command(job, url, out, IN_FLIGHT)

        def half() -> bool:
            if log.read_bytes().count(b'"event":"sent"') < job.count / 2:
                return False
            time.sleep(later)
            return True

        first, _ = attempt(command, client_cores, scratch / "killed.txt", half)
        if first != -signal.SIGKILL:
            raise RuntimeError(f"{client.column}: it ended with {first} before it could be killed")
        code, wall = attempt(command, client_cores, scratch / "said.txt")
    again, answered_again = repeated(read_log(log))
    told = {"code": code, "wall": wall, "again": again, "answered_again": answered_again}
    return {**_counted(client, job, out), **told}


def attempt(
    command: Sequence[str], where: set[int], said: Path, until: Callable[[], bool] = lambda: False
) -> tuple[int | None, float]:
    """Run a command, and kill it with all its children when `until` says so.

    Returns:
        Its exit code, negative after a kill, None if it took more than `LIMIT` seconds; and the seconds.
    """
    with said.open("wb") as output, bound_to(where):
        started = time.monotonic()
        child = subprocess.Popen(
            command, stdout=output, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, cwd=ROOT, start_new_session=True
        )
    late = False
    try:
        while child.poll() is None and not (late := time.monotonic() - started > LIMIT) and not until():
            time.sleep(0.01)
    finally:
        if child.returncode is None:
            os.killpg(child.pid, signal.SIGKILL)
            child.wait()
    return None if late else child.returncode, time.monotonic() - started


def repeated(events: Sequence[Event]) -> tuple[int, int]:
    """How many requests came that had come before, and how many of those had been answered by then."""
    came: set[str] = set()
    answered: set[str] = set()
    again = answered_again = 0
    for event in events:
        if event.event == "received":
            again += event.hash in came
            answered_again += event.hash in answered
            came.add(event.hash)
        elif event.event == "sent" and event.status == 200:
            answered.add(event.hash)
    return again, answered_again


def _counted(client: Client, job: Job, out: Path) -> dict[str, float | None]:
    return asdict(count_rows(client.rows(out), client.answers(job.prompts)))
