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

FILES = 4
PROCESSES = 2
MEASURES = (
    Measure("rate", "rows/s", headline=True),
    Measure("cpu", "CPU seconds", 2, headline=True),
    Measure("wall", "seconds in all", 2),
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
    """Validate and decode the same files in turn.

    Args:
        rows: By default 120,000, or 12,000 if it is to be quick.
    """
    rows = rows or (12_000 if quick else 120_000)
    before = load()
    with TemporaryDirectory() as place:
        data = Path(place) / "set"
        make(data, rows, FILES)
        size = sum(file.stat().st_size for file in (data / "data").iterdir())
        python = sys.executable
        ways: dict[str, dict[str, list[str]]] = {
            "everything: ": {
                "Tracemill": [python, "-m", "bench.validated", str(data), str(PROCESSES)],
                "decode": [python, "-c", DECODE, str(data)],
            },
            "the article's metrics: ": {
                "Tracemill": [python, "-c", METRICS, str(data)],
                "decode": [python, "-c", DECODE, str(data), CONTENT],
            },
        }
        lines: list[Line] = []
        for prefix, columns in ways.items():
            runs: dict[str, list[Figures]] = {column: [] for column in columns}
            for pair in range(pairs):
                for column in columns if pair % 2 == 0 else reversed(columns):
                    runs[column].append(_once(columns[column], Path(place), rows))
            lines += compared(runs, MEASURES, prefix)
    return Result(
        name="validate",
        about=(
            f"{rows:,} rows like v1's in {FILES} Parquet files ({size / 1e6:,.0f} MB, snappy, row groups of 1,000; about 10 kB"
            " of text a row, the same share of each category, and 2.3 % of the rows spoilt in one of nine ways)."
            f" Everything is `validate` with all checks in {PROCESSES} processes, beside pyarrow's decode of all columns in 2"
            " threads. The article's metrics are `measure`, which reads the contents of messages alone, in one process,"
            " beside the decode of that column in 2 threads. Starting Python and importing are counted in each."
        ),
        columns=["Tracemill", "decode"],
        lines=lines,
        settings={"rows": rows, "bytes": size, "processes": PROCESSES, "cores": os.cpu_count()},
        pairs=pairs,
        quick=quick,
        noise={"load_before": before, "load_after": load()},
        remarks=["The text is made up, so that what checks of language cost on real text is not in this."],
    )


def _once(command: list[str], scratch: Path, rows: int) -> dict[str, Any]:
    ran = run(command, set(), scratch)
    return {"rate": rows / ran.wall, "cpu": ran.cpu, "wall": ran.wall, "memory": ran.memory}
