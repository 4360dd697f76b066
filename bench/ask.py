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
from tracemill.testing.events import Event, read_log

LATENCY_MS = 200
IN_FLIGHT = 256
CONTENT_BYTES, REASONING_BYTES, PROMPT_BYTES = 2_000, 6_000, 1_000
FEW = 10
"""Prompts of the run that shows what starting costs."""
LIMIT = IN_FLIGHT / LATENCY_MS * 1000
"""Requests a second that no client with so many in flight can exceed."""

COLUMNS = ("Tracemill", "bare client")
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
    """Interleaved runs of both clients, each against a server of its own.

    Args:
        count: Prompts; by default 4,000, or 800 if it is to be quick.
    """
    count = count or (800 if quick else 4000)
    before = load()
    many: dict[str, list[Figures]] = {column: [] for column in COLUMNS}
    few: dict[str, list[Figures]] = {column: [] for column in COLUMNS}
    with TemporaryDirectory() as place:
        scratch = Path(place)
        large, small = job(scratch / "many", count), job(scratch / "few", FEW)
        for pair in range(pairs):
            for column in COLUMNS if pair % 2 == 0 else reversed(COLUMNS):
                start_cpu, start = _once(column, small, scratch / f"{pair}-{column}-few")
                cpu, whole = _once(column, large, scratch / f"{pair}-{column}-many")
                few[column].append(start)
                many[column].append({**whole, "cpu_ms": 1000 * (cpu - start_cpu) / (count - FEW)})
        kind = file_system(scratch)
    lines = compared(many, MEASURES) + compared(few, STARTING, f"{FEW} prompts: ", plain=True)
    return Result(
        name="ask",
        about=(
            f"{count:,} prompts of 1 kB to a server that answers each after {LATENCY_MS} ms with 2 kB of content and "
            f"6 kB of reasoning; {IN_FLIGHT} in flight. Tracemill is `tracemill build --workers 1` as a whole: journal, "
            "check of each answer, dataset with card. The bare client is `bench/bare_client.py`: aiohttp, and JSONL with "
            "`fdatasync` every 50 ms; no retries, no resuming, no checks, no dataset. Client and server have a core each."
        ),
        columns=list(COLUMNS),
        lines=lines,
        settings={
            "prompts": count,
            "latency_ms": LATENCY_MS,
            "in_flight": IN_FLIGHT,
            "prompt_bytes": PROMPT_BYTES,
            "content_bytes": CONTENT_BYTES,
            "reasoning_bytes": REASONING_BYTES,
            "file_system": kind,
        },
        pairs=pairs,
        quick=quick,
        noise={"load_before": before, "load_after": load()},
        remarks=[
            f"No client with {IN_FLIGHT} in flight can go on at more than {LIMIT:,.0f} requests/s here.",
            "Tracemill's limit on requests in flight starts at 16 and doubles with each round of replies, about 0.8 s; "
            '"first to last" holds that, "middle half" is what a long run sees.',
            "CPU for each sample: that of the run less that of a run with 10 prompts, journal, checks and Parquet included.",
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
        "teachers": {"main": {"url": "http://127.0.0.1:1/v1", "model": "scripted", "concurrency": IN_FLIGHT}},
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


def _once(column: str, work: Job, scratch: Path) -> tuple[float, dict[str, float | None]]:
    """One client's run, measured from outside and from the server's log: its CPU seconds, and all figures."""
    scratch.mkdir()
    client_cores, server_cores = cores()
    log, out = scratch / "log.jsonl", scratch / "out"
    with server(log, server_cores) as (url, process):
        used = cpu_seconds(process.pid)
        ran = run(_command(column, work, url, out), client_cores, scratch)
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


def _command(column: str, work: Job, url: str, out: Path) -> list[str]:
    if column == "bare client":
        return [sys.executable, "-m", "bench.bare_client", url, str(work.prompts), str(out), str(IN_FLIGHT)]
    told = ["--out", str(out), "--workers", "1", "--set", f"teachers.main.url={url}"]
    return [sys.executable, "-m", "tracemill", "build", str(work.recipe), *told]


def _rows(column: str, out: Path) -> int:
    if column == "bare client":
        with out.open("rb") as file:
            return sum(1 for _ in file)
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
