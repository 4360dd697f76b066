"""What campaigns against a real build need: a process in a session of its own, a server that logs, and the oracle."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import orjson
import pytest

from tracemill.testing import Answer, from_table
from tracemill.testing.answers import wants_reasoning
from tracemill.word_problems import generate

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared" / "data"
LATE = 0.3
"""Seconds: the server may read a request this long after its sender has died."""
WINDOW = 0.05
"""Seconds: replies fully sent less than this before a death may be asked for again (promise P2)."""


def first(count: int, values: Sequence[object]) -> list[object]:
    """The first few in every run of the tests, the others in long campaigns."""
    return [*values[:count], *(pytest.param(value, marks=pytest.mark.storm) for value in values[count:])]


def shared(*parts: str) -> Path:
    return SHARED.joinpath(*parts)


def read_jsonl_gz(path: Path) -> list[dict]:
    with gzip.open(path, "rb") as lines:
        return [orjson.loads(line) for line in lines]


def write_problems(path: Path, count: int, seed: int = 3) -> dict[str, list[Answer]]:
    """Generated problems as a JSONL file, and a table that answers each of them right, in two ways."""
    table = {}
    with path.open("wb") as file:
        for prompt in generate(count, seed):
            text = prompt.messages[-1].content
            file.write(orjson.dumps({"question": text, "answer": prompt.expected, "id": prompt.source_id}) + b"\n")
            table[text] = [
                Answer(f"It is \\boxed{{{prompt.expected}}}.", f"I work it out, way {way}."[:40]) for way in (1, 2)
            ]
    return table


def write_real_problems(path: Path, count: int) -> dict[str, list[Answer]]:
    """GSM8K's first problems in the same form, answered with the set's own solutions; generated ones where the set is
    not there, or for more problems than it has."""
    source = shared("gsm8k", "train.jsonl.gz")
    rows = read_jsonl_gz(source)[:count] if source.exists() else []
    table = write_problems(path, count - len(rows)) if count > len(rows) else {}
    with path.open("ab" if table else "wb") as file:
        for row in rows:
            text, _, number = row["answer"].rpartition("####")
            number = number.strip().replace(",", "")
            file.write(orjson.dumps({**row, "answer": number}) + b"\n")
            table[row["question"]] = [
                Answer(f"{way} \\boxed{{{number}}}.", text.strip()) for way in ("It is", "So it is")
            ]
    return table


def problem_recipe(path: Path, prompts: Path, url: str, **more: object) -> Path:
    """A recipe over such a file, as JSON (which is YAML). Keys of `more` are dotted names."""
    tree: dict = {
        "name": "campaign",
        "license": "CC0-1.0",
        "prompts": {
            "name": "problems",
            "path": str(prompts),
            "fields": {"prompt": "question", "expected": "answer", "id": "id"},
        },
        "teachers": {"main": {"url": url, "model": "scripted", "concurrency": 16}},
        "respond": {"reasoning": "on", "samples": 2},
    }
    for dotted, value in more.items():
        node = tree
        *way, last = dotted.split("__")
        for key in way:
            node = node.setdefault(key, {})
        node[last] = value
    path.write_text(json.dumps(tree))
    return path


def answers(table: Mapping[str, Sequence[Answer]]):
    """Answers from a table, without their traces where reasoning is switched off."""
    known = from_table(table)

    def answer(body):
        found = known(body)
        return found if wants_reasoning(body) else replace(found, reasoning=None)

    return answer


def command(*words: object) -> list[str]:
    return [sys.executable, "-m", "tracemill", *map(str, words)]


def start(*words: object, env: Mapping[str, str] | None = None) -> subprocess.Popen:
    """A tracemill process that leads its own session, so that it and its workers can be killed at once."""
    return subprocess.Popen(
        command(*words),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={**os.environ, **(env or {})},
    )


def run(*words: object, env: Mapping[str, str] | None = None, timeout: float = 120) -> subprocess.CompletedProcess:
    return subprocess.run(
        command(*words), capture_output=True, text=True, timeout=timeout, env={**os.environ, **(env or {})}
    )


def kill(process: subprocess.Popen) -> float:
    """Kill a process and its workers; returns the moment just before."""
    moment = time.monotonic()
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    return moment


def published(out: Path) -> dict[str, str]:
    """sha256 of every published file by its path."""
    found = [out / "README.md", *sorted(p for d in ("data", "rejected", "failed") for p in (out / d).glob("*"))]
    return {str(p.relative_to(out)): hashlib.sha256(p.read_bytes()).hexdigest() for p in found}


def unexplained(events: Iterable, deaths: Sequence[float], window: float = WINDOW) -> list[str]:
    """Requests that were sent again without a death that explains it (promise P2).

    A request may come again only if, at a death since it last came, it had not been answered in full, or had been
    answered less than `window` seconds before.
    """
    by_hash = defaultdict(list)
    for event in events:
        by_hash[event.hash].append(event)
    wrong = []
    for digest, of_request in by_hash.items():
        came = [e.t for e in of_request if e.event == "received"]
        sent = [e.t for e in of_request if e.event == "sent" and e.status == 200]
        for before, after in pairwise(came):
            answered = [s for s in sent if before <= s <= after]
            between = [d for d in deaths if before <= d + LATE and d <= after]
            if not any(not answered or answered[0] > d - window for d in between):
                ages = [f"{(d - answered[0]) * 1000:.1f} ms" for d in between if answered]
                wrong.append(f"{digest[:12]} asked again, answered {ages or 'with no death between'} before")
    return wrong


def write_jsonl(path: Path, rows: Iterable[Mapping]) -> Path:
    path.write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in rows))
    return path
