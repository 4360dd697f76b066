"""Looking for a text, and putting withheld prompts back, each beside a bare decode of the columns that it needs."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from bench.nemotron_like import make
from bench.processes import run
from bench.prose import prose
from bench.result import Figures, Line, Measure, Result, compared, load
from tracemill.schema import V1_SCHEMA

FILES = 4
GROUP_ROWS = 5000
MEASURES = (
    Measure("rate", "rows/s", headline=True),
    Measure("cpu", "CPU seconds", 2, headline=True),
    Measure("wall", "seconds in all", 2),
    Measure("memory", "peak memory, MB"),
)
DECODE = """
import sys, glob, pyarrow.parquet as pq
rows = 0
for pattern, columns in zip(sys.argv[1::2], sys.argv[2::2]):
    for name in sorted(glob.glob(pattern)):
        with pq.ParquetFile(name) as file:
            for batch in file.iter_batches(batch_size=500, columns=columns.split(",") if columns else None, use_threads=False):
                rows += batch.num_rows
print(rows)
"""
CONTAINS = "import sys, tracemill; print(tracemill.contains(sys.argv[1], open(sys.argv[2]).read()).texts[0].rows)"
RESTORE = """
import sys, shutil, tracemill
shutil.rmtree(sys.argv[3], ignore_errors=True)
print(tracemill.restore(sys.argv[1], {"lmsys": sys.argv[2]}, sys.argv[3]).kept)
"""
SAID = "messages.list.element.role,messages.list.element.content"


def measure(quick: bool, pairs: int, rows: int | None = None) -> Result:
    """Look for a text in rows like v1's, and restore chat rows from a copy of lmsys-chat-1m, beside bare decodes.

    Args:
        rows: By default 40,000, or 2,000 if it is to be quick; four times as many conversations, half of them wanted.
    """
    rows = rows or (2_000 if quick else 40_000)
    before = load()
    with TemporaryDirectory() as place:
        here = Path(place)
        make(here / "set", rows, FILES)
        (here / "text.txt").write_text(" ".join(prose(4_000_037, 4000).split()[:100]), encoding="utf-8")
        talks = rows * 4
        write_talks(here / "lmsys", talks)
        write_withheld(here / "chat", range(0, talks, 2))
        python = [sys.executable, "-c"]
        ways: dict[str, tuple[int, dict[str, list[str]]]] = {
            "contains, 100 words: ": (
                rows,
                {
                    "Tracemill": [*python, CONTAINS, str(here / "set"), str(here / "text.txt")],
                    "decode": [*python, DECODE, f"{here}/set/data/*.parquet", f"uuid,{SAID}"],
                },
            ),
            "restore: ": (
                talks // 2,
                {
                    "Tracemill": [*python, RESTORE, str(here / "chat"), str(here / "lmsys"), str(here / "out")],
                    "decode": [
                        *(*python, DECODE, f"{here}/chat/*.parquet", "", f"{here}/lmsys/*.parquet"),
                        "conversation_id,conversation.list.element.content",
                    ],
                },
            ),
        }
        size = sum(file.stat().st_size for file in (here / "set" / "data").iterdir())
        lines: list[Line] = []
        for prefix, (count, columns) in ways.items():
            runs: dict[str, list[Figures]] = {column: [] for column in columns}
            for pair in range(pairs):
                for column in columns if pair % 2 == 0 else reversed(columns):
                    runs[column].append(_once(columns[column], here, count))
            lines += compared(runs, MEASURES, prefix)
    return Result(
        name="consume",
        about=(
            f"`contains`: a text of 100 words that is not there is looked for in {rows:,} rows like v1's ({size / 1e6:,.0f} MB,"
            " as for validating), beside pyarrow's decode of uuid, role and content in one thread. `restore`:"
            f" {talks // 2:,} chat rows get their prompts from {talks:,} conversations, beside the decode of both. Starting Python"
            " and importing are counted in each."
        ),
        columns=["Tracemill", "decode"],
        lines=lines,
        settings={"rows": rows, "bytes": size, "conversations": talks, "cores": os.cpu_count()},
        pairs=pairs,
        quick=quick,
        noise={"load_before": before, "load_after": load()},
        remarks=[
            "Rates are of rows of the data; restore reads twice as many conversations for them, and writes the rows anew."
        ],
    )


def _once(command: list[str], scratch: Path, rows: int) -> dict[str, Any]:
    ran = run(command, set(), scratch)
    return {"rate": rows / ran.wall, "cpu": ran.cpu, "wall": ran.wall, "memory": ran.memory}


def write_talks(place: Path, count: int) -> None:
    """A copy of lmsys-chat-1m with `count` conversations."""
    place.mkdir()
    for shard, first in enumerate(range(0, count, GROUP_ROWS * 4)):
        numbers = range(first, min(first + GROUP_ROWS * 4, count))
        turns = [
            [{"content": prose(n, 80 + n % 300), "role": "user"}, {"content": prose(n + 1, 400), "role": "assistant"}]
            for n in numbers
        ]
        table = pa.table({"conversation_id": [f"c{n}" for n in numbers], "conversation": turns})
        pq.write_table(table, place / f"train-{shard:05d}.parquet")


def write_withheld(place: Path, numbers: range) -> None:
    """v1's chat rows of these conversations, as NVIDIA leaves them."""
    place.mkdir()
    with pq.ParquetWriter(place / "chat-00000-of-00001.parquet", V1_SCHEMA) as writer:
        for first in range(0, len(numbers), GROUP_ROWS):
            some = [
                {
                    **dict.fromkeys(("license", "generator", "version"), ""),
                    "uuid": f"00000000-0000-4000-8000-{n:012d}",
                    "category": "chat",
                    "reasoning": "off",
                    "messages": [
                        {"role": "user", "content": "", "tool_calls": []},
                        {"role": "assistant", "content": prose(n + 2, 1500), "tool_calls": []},
                    ],
                    "metadata": orjson.dumps({"conversation_id": f"c{n}"}).decode(),
                }
                for n in numbers[first : first + GROUP_ROWS]
            ]
            writer.write_table(pa.Table.from_pylist(some, schema=V1_SCHEMA))
