"""Prompts in, verified rows out, against an endpoint that takes its time: how near Tracemill comes to a bare client."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory

import orjson

from bench.processes import Ran, bound_to, cores, cpu_seconds, run
from bench.result import Figures, Measure, Result, compared, file_system, load
from tracemill.recipe import Recipe
from tracemill.record import Message
from tracemill.respond.templates import load_templates
from tracemill.storage.entries import REPLY
from tracemill.storage.journal import Journal
from tracemill.testing.events import Event, read_log

LATENCY_MS = 200
IN_FLIGHT = (256, 1024)
PLENTY, MANY = 10_000, 100_000
"""Prompts of the runs that are compared, and of the one that shows what ten times as many do to the memory."""
CONTENT_BYTES, REASONING_BYTES, PROMPT_BYTES = 2_000, 6_000, 1_000
FEW = 10
"""Prompts of the run that shows what starting costs."""
COLUMNS = ("Tracemill", "bare client, same store", "bare client, JSONL")
MEASURES = (
    Measure("rate", "requests/s, first to last", headline=True),
    Measure("middle", "requests/s, middle half", headline=True),
    Measure("wall", "seconds in all", 2),
    Measure("cpu_ms", "client's CPU ms for each sample", 3, headline=True),
    Measure("memory", "peak memory, MB"),
    Measure("peak", "most in flight"),
    Measure("server", "server's share of its core, %"),
)
STARTING = (
    Measure("first", "seconds to the first request", 2),
    Measure("wall", "seconds in all", 2),
    Measure("cpu", "CPU seconds", 2),
    Measure("memory", "peak memory, MB"),
)
LONG = (Measure("wall", "seconds in all"), Measure("memory", "peak memory, MB"))
_WORDS = (
    "A farmer counts the eggs of every hen on each day of the week and writes the sum on a board beside the door. "
    "On the next day some are sold at the market and the rest are kept. How many are left when all have been counted? "
)


@dataclass(frozen=True)
class Job:
    """Some prompts, as both clients read them."""

    recipe: Path
    prompts: Path
    count: int


def measure(quick: bool, pairs: int, count: int | None = None) -> Result:
    """Interleaved runs of all clients, each against a server of its own.

    Args:
        count: Prompts; by default 10,000, or 1,000 if it is to be quick.
    """
    count = count or (1000 if quick else PLENTY)
    before = load()
    many: dict[int, dict[str, list[Figures]]] = {n: {column: [] for column in COLUMNS} for n in IN_FLIGHT}
    few: dict[str, list[Figures]] = {column: [] for column in COLUMNS}
    with TemporaryDirectory() as place:
        scratch = Path(place)
        large, small = job(scratch / "many", count), job(scratch / "few", FEW)
        for pair in range(pairs):
            ordered = COLUMNS if pair % 2 == 0 else COLUMNS[::-1]
            start = {c: _once(c, small, IN_FLIGHT[0], scratch / f"{pair}-{c}-few") for c in ordered}
            for column in ordered:
                few[column].append(start[column][1])
            for at_once in IN_FLIGHT:
                for column in ordered:
                    cpu, whole = _once(column, large, at_once, scratch / f"{pair}-{column}-{at_once}")
                    own = 1000 * (cpu - start[column][0]) / (count - FEW)
                    many[at_once][column].append({**whole, "cpu_ms": own})
        long = [_once("Tracemill", job(scratch / "long", MANY), IN_FLIGHT[0], scratch / "run")[1]] if not quick else []
        kind = file_system(scratch)
    lines = [line for n in IN_FLIGHT for line in compared(many[n], MEASURES, f"{n:,} in flight: ")]
    lines += compared(few, STARTING, f"{FEW} prompts: ", plain=True)
    if long:
        alone: dict[str, list[Figures]] = {column: [{} for _ in long] for column in COLUMNS} | {"Tracemill": long}
        lines += compared(alone, LONG, f"{MANY:,} prompts: ", plain=True)
    most = ", ".join(f"{n / LATENCY_MS * 1000:,.0f} with {n:,}" for n in IN_FLIGHT)
    return Result(
        name="ask",
        about=(
            f"{count:,} prompts of 1 kB to a server that answers each after {LATENCY_MS} ms with 2 kB of content and "
            f"6 kB of reasoning. Tracemill is `tracemill build --workers 1` as a whole: journal, check of each answer, "
            "dataset with card. The bare client is `bench/bare_client.py`: aiohttp; no retries, no resuming, no checks, no "
            "dataset. It stores either in the same journal (SQLite, compressed, with checksums), or as JSONL with "
            "`fdatasync` every 50 ms, which is the least that survives a crash. Client and server have a core each."
        ),
        columns=list(COLUMNS),
        lines=lines,
        settings={
            "prompts": count,
            "latency_ms": LATENCY_MS,
            "in_flight": list(IN_FLIGHT),
            "prompt_bytes": PROMPT_BYTES,
            "content_bytes": CONTENT_BYTES,
            "reasoning_bytes": REASONING_BYTES,
            "file_system": kind,
        },
        pairs=pairs,
        quick=quick,
        noise={"load_before": before, "load_after": load()},
        remarks=[
            f"No client can go on at more requests/s here than {most} in flight.",
            "Tracemill's limit on requests in flight starts at a quarter of what it may become and grows fourfold with each "
            "round of replies; "
            '"first to last" holds that, "middle half" is what a long run sees.',
            "CPU for each sample: that of the run less that of a run with 10 prompts, journal, checks and Parquet included.",
            "Memory: the most that all processes had at one look, 5 times a second, shared pages counted once (PSS).",
        ],
    )


def job(place: Path, count: int) -> Job:
    """Prompts with the answers that the server will give, and a recipe without the server's address."""
    place.mkdir()
    tree = {
        "name": "bench",
        "license": "CC0-1.0",
        "prompts": {
            "path": str(place / "prompts.jsonl"),
            "fields": {"prompt": "question", "expected": "answer"},
        },
        "teachers": {"main": {"url": "http://127.0.0.1:1/v1", "model": "scripted", "concurrency": IN_FLIGHT[0]}},
    }
    template = load_templates(Recipe.model_validate(tree))["math"]
    with (place / "prompts.jsonl").open("wb") as file:
        for number in range(count):
            text = f"Problem {number}: {_WORDS * (PROMPT_BYTES // len(_WORDS) + 1)}"[:PROMPT_BYTES].rstrip()
            sent = template.apply((Message("user", text),))[-1].content
            answer = int.from_bytes(sha256(sent.encode()).digest()[:4], "big") % 1000  # as testing.answers.arithmetic
            file.write(orjson.dumps({"question": text, "answer": str(answer)}, option=orjson.OPT_APPEND_NEWLINE))
    (place / "recipe.yaml").write_text(json.dumps(tree), encoding="utf-8")
    return Job(place / "recipe.yaml", place / "prompts.jsonl", count)


def _once(column: str, work: Job, in_flight: int, scratch: Path) -> tuple[float, dict[str, float | None]]:
    """One client's run, measured from outside and from the server's log: its CPU seconds, and all figures."""
    scratch.mkdir()
    client_cores, server_cores = cores()
    log, out = scratch / "log.jsonl", scratch / "out"
    with server(log, server_cores) as (url, process):
        used = cpu_seconds(process.pid)
        ran = run(_command(column, work, in_flight, url, out), client_cores, scratch)
        after = cpu_seconds(process.pid)
    rows = _rows(column, out)
    if rows != work.count:
        raise RuntimeError(f"{column}: {rows} rows came of {work.count} prompts")
    seen = as_seen(read_log(log), ran)
    if used is not None and after is not None:
        seen["server"] = 100 * (after - used) / (ran.wall - seen["first"])
    return ran.cpu, {**seen, "wall": ran.wall, "cpu": ran.cpu, "memory": ran.memory}


@contextmanager
def server(log: Path, where: set[int], *more: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """A scripted server on those cores: its URL, and its process; `more` are further options of its command."""
    sizes = ["--content-bytes", str(CONTENT_BYTES), "--reasoning-bytes", str(REASONING_BYTES)]
    command = [sys.executable, "-m", "tracemill.testing.server", *sizes, "--latency-ms", str(LATENCY_MS)]
    with bound_to(where):
        process = subprocess.Popen([*command, "--log", str(log), *more], stdout=subprocess.PIPE, text=True)
    with process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().strip(), process
        finally:
            process.terminate()


def _command(column: str, work: Job, in_flight: int, url: str, out: Path) -> list[str]:
    if column != "Tracemill":
        store = "jsonl" if column.endswith("JSONL") else "journal"
        return [sys.executable, "-m", "bench.bare_client", url, str(work.prompts), str(out), str(in_flight), store]
    told = ["--out", str(out), "--workers", "1", "--set", f"teachers.main.url={url}"]
    told += ["--set", f"teachers.main.concurrency={in_flight}"]
    return [sys.executable, "-m", "tracemill", "build", str(work.recipe), *told]


def _rows(column: str, out: Path) -> int:
    if column.endswith("JSONL"):
        with out.open("rb") as file:
            return sum(1 for _ in file)
    if column.endswith("store"):
        return Journal(out, writable=False).counts()[REPLY]
    manifest = json.loads((out / "manifest.json").read_text(encoding="utf-8"))
    return sum(entry["rows"] for entry in manifest["files"] if "split" in entry)


def as_seen(events: Sequence[Event], ran: Ran) -> dict[str, float]:
    """What the server saw: rates by the arrival of requests, and how many were open at once."""
    arrived = sorted(e.t for e in events if e.event == "received")
    quarter = len(arrived) // 4
    open_now = most = 0
    for event in sorted(events, key=lambda e: e.t):
        open_now += 1 if event.event == "received" else -1
        most = max(most, open_now)
    return {
        "first": arrived[0] - ran.started,
        "rate": (len(arrived) - 1) / (arrived[-1] - arrived[0]),
        "middle": 2 * quarter / (arrived[3 * quarter] - arrived[quarter]) if quarter else 0.0,
        "peak": float(most),
    }
