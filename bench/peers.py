"""The same prompts, by the same server, in the same hour: Tracemill beside other tools that make datasets.

Asked for by name, as it installs the other tools (see `bench.peer_environments`): `python -m bench peers`.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from bench.ask import CONTENT_BYTES, FEW, LATENCY_MS, PROMPT_BYTES, Job, as_seen, job, server
from bench.peer_environments import PEERS, NotRun, Peer, environment, variables
from bench.peer_rows import count_rows, our_answers, our_rows, peer_answers, peer_rows
from bench.peer_trials import FAULTS, FAULTS_MEASURES, IN_FLIGHT, KILL_MEASURES, LIMIT, Client, faulty, killed
from bench.processes import ROOT, cores, run
from bench.result import Figures, Line, Measure, Result, compared, file_system, load
from tracemill.testing.events import read_log

AT_ONCE = (64, 256)
"""Requests in flight of the runs whose speed is measured."""
MEASURES = (
    Measure("samples", "samples/s, start to end"),
    Measure("rate", "samples/s at the server", headline=True),
    Measure("cpu_ms", "client's CPU ms for each sample", 2, headline=True),
    Measure("memory", "peak memory, MB", headline=True),
    Measure("peak", "most in flight"),
)
STARTING = (
    Measure("wall", "seconds in all", 2),
    Measure("cpu", "CPU seconds", 2),
    Measure("memory", "peak memory, MB"),
)
Runs = dict[str, list[Figures]]


@dataclass
class Trials:
    """Runs in a scratch directory, each under a name, and a remark for each one that failed."""

    scratch: Path
    remarks: list[str]

    def figures(self, name: str, trial: Callable[[Path], Figures]) -> Figures:
        """Those of one run; none where the tool failed, whose own words then go to stderr."""
        sys.stderr.write(f"{name}\n")
        try:
            return trial(self.scratch / name)
        except RuntimeError as error:
            sys.stderr.write(f"{error}\n")
            self.remarks.append(f"The run {name!r} failed, and has no figures.")
            return {}


def measure(
    quick: bool,
    pairs: int,
    count: int | None = None,
    peers: Sequence[Peer] = PEERS,
    at_once: Sequence[int] = AT_ONCE,
) -> Result:
    """Interleaved runs of all tools, each against a server of its own; then faults, once, and kills.

    Args:
        count: Prompts; by default 2,000, or 400 if it is to be quick. Kills are met by half as many, faults by a quarter.
        at_once: Requests in flight; the last one's ratios are said in sentences.
    """
    count = count or (400 if quick else 2000)
    clients, remarks = _clients(peers)
    columns = [clients[0].column, *(peer.column for peer in peers)]
    before = load()
    with TemporaryDirectory() as place:
        scratch = Path(place)
        whole, half, quarter = (job(scratch / f"{n}", count // n) for n in (1, 2, 4))
        few = job(scratch / "few", FEW)
        trials = Trials(scratch, remarks)
        lines = _speed(clients, columns, whole, few, pairs, at_once, trials)
        faults: Runs = {column: [{}] for column in columns}
        kills: Runs = {column: [{}] * pairs for column in columns}
        for client in clients:
            faults[client.column][0] = trials.figures(f"{client.column}, faults", partial(faulty, client, quarter))
            for pair in range(pairs):
                trial = partial(killed, client, half, LATENCY_MS / 1000 * pair / pairs)
                kills[client.column][pair] = trials.figures(f"{client.column}, kill {pair}", trial)
        lines += compared(faults, FAULTS_MEASURES, "faults: ", plain=True)
        lines += compared(kills, KILL_MEASURES, "kill -9: ", plain=True)
        kind = file_system(scratch)
    running = {client.column for client in clients}
    return Result(
        name="peers",
        about=_about(count),
        columns=[column if column in running else f"{column} (not run)" for column in columns],
        lines=lines,
        settings={
            "prompts": count,
            "latency_ms": LATENCY_MS,
            "in_flight": list(at_once),
            "prompt_bytes": PROMPT_BYTES,
            "faults": FAULTS,
            "file_system": kind,
            "packages": {peer.package: peer.version for peer in peers},
        },
        pairs=pairs,
        quick=quick,
        noise={"load_before": before, "load_after": load()},
        remarks=[*(f"{peer.column}: {peer.settings}." for peer in peers), *_remarks(count), *remarks],
    )


def _clients(peers: Sequence[Peer]) -> tuple[list[Client], list[str]]:
    """Tracemill, then the tools that are or could be installed; and a remark for each of the others."""
    clients = [Client("Tracemill", _build, our_rows, our_answers)]
    pythons, remarks = {}, []
    for peer in peers:
        try:
            pythons[peer] = environment(peer)
        except NotRun as error:
            remarks.append(f"{peer.column} was not run: {error}.")
    added = variables(pythons.values())
    os.environ.update({name: value for name, value in added.items() if name not in os.environ})
    for peer, python in pythons.items():

        def command(
            work: Job, url: str, out: Path, in_flight: int, peer: Peer = peer, python: Path = python
        ) -> list[str]:
            driver = str(ROOT / "bench" / peer.driver)
            return [str(python), "-P", driver, url, str(work.prompts), str(out), str(in_flight)]

        read = partial(peer_rows, files=peer.files, fields=peer.fields)
        clients.append(Client(peer.column, command, read, peer_answers))
    return clients, remarks


def _build(work: Job, url: str, out: Path, in_flight: int) -> list[str]:
    told = {"teachers.main.url": url, "teachers.main.concurrency": in_flight}
    sets = [word for key, value in told.items() for word in ("--set", f"{key}={value}")]
    return [sys.executable, "-m", "tracemill", "build", str(work.recipe), "--out", str(out), "--workers", "1", *sets]


def _speed(
    clients: Sequence[Client],
    columns: Sequence[str],
    whole: Job,
    few: Job,
    pairs: int,
    at_once: Sequence[int],
    trials: Trials,
) -> list[Line]:
    """All lines without faults. A tool that fails has no figures for that run, and a remark."""
    starts: Runs = {column: [{}] * pairs for column in columns}
    runs: dict[int, Runs] = {n: {column: [{}] * pairs for column in columns} for n in at_once}
    for pair in range(pairs):
        for client in clients if pair % 2 == 0 else reversed(clients):
            called = f"{client.column}, pair {pair}"
            starts[client.column][pair] = trials.figures(f"{called}, start", partial(_once, client, few, at_once[0]))
            for n in at_once:
                runs[n][client.column][pair] = trials.figures(f"{called}, {n}", partial(_once, client, whole, n))
    lines = []
    for n in at_once:
        for column in columns:
            at_start = [cpu for start in starts[column] if (cpu := start.get("cpu")) is not None]
            runs[n][column] = [
                {**seen, "cpu_ms": 1000 * (cpu - median(at_start)) / (whole.count - few.count)}
                if (cpu := seen.get("cpu")) is not None and at_start
                else seen
                for seen in runs[n][column]
            ]
        shown = [replace(m, headline=m.headline and n == at_once[-1]) for m in MEASURES]
        lines += compared(runs[n], shown, f"{n} in flight: ")
    return lines + compared(starts, STARTING, f"{few.count} prompts: ", plain=True)


def _once(client: Client, work: Job, in_flight: int, scratch: Path) -> Figures:
    """One run without faults, measured from outside and from the server's log."""
    scratch.mkdir()
    client_cores, server_cores = cores()
    log, out = scratch / "log.jsonl", scratch / "out"
    with server(log, server_cores) as (url, _):
        ran = run(client.command(work, url, out, in_flight), client_cores, scratch, LIMIT)
    found = count_rows(client.rows(out), client.answers(work.prompts))
    if found.right != work.count or found.wrong or found.twice:
        raise RuntimeError(f"{client.column}: {work.count} prompts came to {found}")
    events = read_log(log)
    spent = max(e.t for e in events) - min(e.t for e in events)
    return {
        "samples": work.count / ran.wall,
        "rate": work.count / spent,
        "peak": as_seen(events, ran)["peak"],
        "wall": ran.wall,
        "cpu": ran.cpu,
        "memory": ran.memory,
    }


def _about(count: int) -> str:
    return (
        f"{count:,} prompts of 1 kB to a server that answers each after {LATENCY_MS} ms with {CONTENT_BYTES // 1000} kB of "
        "content and 6 kB of reasoning, until a dataset with content and trace lies on the disk. Tracemill is `tracemill "
        "build --workers 1`, which also checks each answer; the others run by `bench/peer_*.py`, each in an environment "
        "of its own. Client and server have a core each. Every row is held against what the server had sent."
    )


def _remarks(count: int) -> list[str]:
    shares = ", ".join(f"{rate:.0%} {kind}" for kind, rate in FAULTS.items())
    return [
        "Start to end counts from the command to its exit, so with so few prompts it is mostly a matter of starting; at the "
        f"server, from the first request to the last answer. CPU for each sample: that of the run less that of a run with {FEW} "
        "prompts. Memory: all processes, shared pages counted once.",
        f"Faults: {count // 4:,} prompts, {IN_FLIGHT} in flight, run once; {shares}, drawn anew for each attempt.",
        f"kill -9: {count // 2:,} prompts, {IN_FLIGHT} in flight, in each pair; all processes are killed when half of the "
        f"prompts are answered, or up to {LATENCY_MS} ms later, at moments spread evenly. Then the same command is given again.",
        f"A run is stopped after {LIMIT:.0f} s; it then has no exit code, and what lay on the disk counts.",
    ]
