"""Reading and validating rows like v1's, beside a bare decode of the same columns in the same run."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from bench.nemotron_like import make
from bench.processes import run
from bench.result import Figures, Line, Measure, Result, compared, load

PROCESSES = 2
SIZES = ((100_000, 0), (200_000, 0), (800_000, 1))
"""(rows, pairs of runs; 0 for as many as are asked for): about 0.5, 1 and 4 GB."""
LANGUAGE = "de"
FILE_ROWS = 30_000
V1_BYTES, V1_TEXT, V1_ROWS = 203_373_185_595, 510_313_687_949, 25_659_642
"""Of v1 as it is downloaded, and as its card counts it."""
MEASURES = (
    Measure("cpu", "CPU seconds", 2, headline=True),
    Measure("per_cpu", "rows per CPU second"),
    Measure("rate", "rows/s"),
    Measure("memory", "peak memory of all processes, MB"),
)
DECODE = """
import sys, glob, pyarrow.parquet as pq
from concurrent.futures import ThreadPoolExecutor
columns = sys.argv[2].split(",") if len(sys.argv) > 2 else None
def one(job):
    return pq.ParquetFile(job[0]).read_row_group(job[1], columns=columns, use_threads=False).num_rows
files = sorted(glob.glob(sys.argv[1] + "/data/*.parquet"))
jobs = [(file, group) for file in files for group in range(pq.ParquetFile(file).num_row_groups)]
with ThreadPoolExecutor(2) as pool:
    print(sum(pool.map(one, jobs)))
"""
METRICS = "import sys, tracemill; print(tracemill.measure(sys.argv[1], workers=0))"
CONTENT = "messages.list.element.content"


def measure(quick: bool, pairs: int, rows: int | None = None) -> Result:
    """Validate and decode the same files in turn, in several sizes.

    Args:
        rows: One set of so many; by default those of `SIZES`, or 12,000 if it is to be quick.
    """
    sizes = ((rows or 12_000, 0),) if rows or quick else SIZES
    before = load()
    lines: list[Line] = []
    bytes_of: dict[int, int] = {}
    spent: dict[int, float] = {}
    smallest, middle = sizes[0][0], sizes[len(sizes) // 2][0]
    for count, own in sizes:
        with TemporaryDirectory() as place:
            data = Path(place) / "set"
            make(data, count, -(-count // FILE_ROWS))
            bytes_of[count] = size = _bytes(data)
            found = _validation(f"everything, {_size(size)}: ", data, count, own or pairs)
            spent[count] = found[0].medians[0] or 0.0
            if count == middle:
                lines += _metrics(data, count, own or pairs)
                lines += _validation(
                    f"all checks of structure, {_size(size)}: ", data, count, own or pairs, "structure"
                )
            lines += found
    with TemporaryDirectory() as place:
        data = Path(place) / "set"
        make(data, smallest, -(-smallest // FILE_ROWS), language=LANGUAGE)
        lines += _validation(f"everything, rows that state a language, {_size(_bytes(data))}: ", data, smallest, pairs)
    largest = max(bytes_of)
    return Result(
        name="validate",
        about=(
            "Rows like v1's in Parquet files (snappy, row groups of 1,000; about 10 kB of text a row, the same share of each"
            " category, and 2.3 % of the rows spoilt in one of nine ways). Everything is `validate` with all checks,"
            f" duplicates included, in {PROCESSES} processes, beside pyarrow's decode of all columns in 2 threads; once more"
            " with rows of a German split, of each of which the language is asked. The checks of structure are all but"
            " duplicates and languages: `validate --no-duplicates` of rows that state no language. The article's metrics are"
            " `measure`, which reads the contents of messages alone, in one process, beside the decode of that column in 2"
            " threads. Starting Python and importing are counted in each."
        ),
        columns=["Tracemill", "decode"],
        lines=lines,
        settings={"rows": list(bytes_of), "bytes": list(bytes_of.values()), "processes": PROCESSES},
        pairs=pairs,
        quick=quick,
        noise={"load_before": before, "load_after": load()},
        remarks=[
            _extrapolated(spent[largest], bytes_of[largest], largest),
            *([f"The largest set was worked {SIZES[-1][1]} time."] if len(sizes) > 1 else []),
            "The text is made up; what of real text goes beyond the first look of a check costs more than this.",
        ],
    )


def _validation(prefix: str, data: Path, rows: int, pairs: int, *what: str) -> list[Line]:
    return _compared(
        prefix,
        {
            "Tracemill": [sys.executable, "-m", "bench.validated", str(data), str(PROCESSES), *what],
            "decode": [sys.executable, "-c", DECODE, str(data)],
        },
        rows,
        pairs,
        data.parent,
    )


def _metrics(data: Path, rows: int, pairs: int) -> list[Line]:
    return _compared(
        f"the article's metrics, {_size(_bytes(data))}: ",
        {
            "Tracemill": [sys.executable, "-c", METRICS, str(data)],
            "decode": [sys.executable, "-c", DECODE, str(data), CONTENT],
        },
        rows,
        pairs,
        data.parent,
    )


def _compared(prefix: str, columns: dict[str, list[str]], rows: int, pairs: int, scratch: Path) -> list[Line]:
    runs: dict[str, list[Figures]] = {column: [] for column in columns}
    for pair in range(pairs):
        for column in columns if pair % 2 == 0 else reversed(columns):
            runs[column].append(_once(columns[column], scratch, rows))
    return compared(runs, MEASURES, prefix)


def _once(command: list[str], scratch: Path, rows: int) -> dict[str, Any]:
    ran = run(command, set(), scratch)
    return {"rate": rows / ran.wall, "cpu": ran.cpu, "per_cpu": rows / ran.cpu, "memory": ran.memory}


def _extrapolated(cpu: float, size: int, rows: int) -> str:
    """What the whole of v1 would take, by its bytes on the disk and by its rows."""
    cores = os.cpu_count() or 1
    by_bytes, by_rows = cpu / size * V1_BYTES / 60, cpu / rows * V1_ROWS / 60
    return (
        f"Extrapolated, and not run: all of v1 ({V1_BYTES / 1e9:,.0f} GB, {V1_ROWS:,} rows of {V1_TEXT / V1_ROWS:,.0f} bytes)"
        f" would take {by_bytes:,.0f} CPU minutes by its bytes and {by_rows:,.0f} by its rows: on these {cores} cores"
        f" {by_bytes / cores:,.0f} or {by_rows / cores:,.0f} minutes, if the disk keeps up."
    )


def _bytes(data: Path) -> int:
    return sum(file.stat().st_size for file in (data / "data").iterdir())


def _size(size: int) -> str:
    return f"{size / 1e9:.1f} GB" if size >= 1e8 else f"{size / 1e6:.1f} MB"
