"""From committed units to a published dataset: rows a second and CPU, against writing the same rows with pyarrow."""

from __future__ import annotations

import gc
import hashlib
import os
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow as pa
import pyarrow.parquet as pq

from bench.prose import prose
from bench.result import Figures, Measure, Result, compared, file_system, load
from tracemill import identity
from tracemill.ledger import Ledger
from tracemill.publish.dataset import publish
from tracemill.recipe import Recipe
from tracemill.record import Message, Sample, Usage, Verdict
from tracemill.schema import to_table
from tracemill.storage.layout import RunPaths
from tracemill.storage.parquet import COMPRESSION_LEVEL
from tracemill.storage.units import UnitNote, UnitStore

UNIT_ROWS = 1000
CONTENT_BYTES, REASONING_BYTES = 2_000, 6_000

COLUMNS = ("Tracemill", "write_table", "the same care by hand")
MEASURES = (
    Measure("rate", "rows/s", headline=True),
    Measure("cpu_ms", "CPU ms for each row", 3, headline=True),
    Measure("wall", "seconds in all", 2),
    Measure("megabytes", "MB on the disk", 2),
)


def measure(quick: bool, pairs: int, count: int | None = None) -> Result:
    """Publish the same units again and again, between two ways to write their rows without Tracemill.

    Args:
        count: Rows; by default 20,000, or 4,000 if it is to be quick.
    """
    count = count or (4000 if quick else 20_000)
    before = load()
    runs: dict[str, list[Figures]] = {column: [] for column in COLUMNS}
    with TemporaryDirectory() as place:
        scratch = Path(place)
        recipe = Recipe.model_validate(
            {
                "name": "bench",
                "license": "CC0-1.0",
                "prompts": {"path": "prompts.jsonl"},
                "teachers": {"main": {"url": "http://127.0.0.1:1/v1", "model": "scripted"}},
            }
        )
        tables = [_table(range(i, min(i + UNIT_ROWS, count))) for i in range(0, count, UNIT_ROWS)]
        store = UnitStore(scratch / "units")
        notes = [store.commit(f"{i:04x}", [("kept", table)], _ledger(table)) for i, table in enumerate(tables)]
        rows = pa.concat_tables(tables)
        ways: dict[str, Callable[[Path], int]] = {
            COLUMNS[0]: lambda out: _published(out, recipe, store, notes),
            COLUMNS[1]: lambda out: _written(out, rows),
            COLUMNS[2]: lambda out: _careful(out, store, notes),
        }
        for pair in range(pairs):
            for column in COLUMNS if pair % 2 == 0 else reversed(COLUMNS):
                runs[column].append(_once(ways[column], scratch / f"{pair}-{column}", count))
        kind = file_system(scratch)
    return Result(
        name="publish",
        about=(
            f"{count:,} rows of 8 kB in units of 1,000. Tracemill reads the committed units with checksums, merges and "
            "counts them, writes Parquet, waits for the disk, hashes and reads back what it wrote, and writes card and "
            "manifest. `write_table` is one call of pyarrow's for the same rows, already in memory, with zstd level 3, and "
            "`fsync`. The same care by hand reads the units, writes with page checksums, content-defined chunks and an "
            "index, waits, hashes and reads back."
        ),
        columns=list(COLUMNS),
        lines=compared(runs, MEASURES),
        settings={
            "rows": count,
            "unit_rows": UNIT_ROWS,
            "row_bytes": CONTENT_BYTES + REASONING_BYTES,
            "file_system": kind,
        },
        pairs=pairs,
        quick=quick,
        noise={"load_before": before, "load_after": load()},
        remarks=[
            "The text is made up; zstd takes it to about 30 % of its length, which is what it does to recorded solutions of GSM8K."
        ],
    )


def _once(way: Callable[[Path], int], out: Path, count: int) -> Figures:
    out.mkdir()
    gc.collect()
    used, begun = time.process_time(), time.perf_counter()
    size = way(out)
    wall, cpu = time.perf_counter() - begun, time.process_time() - used
    return {"rate": count / wall, "cpu_ms": 1000 * cpu / count, "wall": wall, "megabytes": size / 1e6}


def _published(out: Path, recipe: Recipe, store: UnitStore, notes: list[UnitNote]) -> int:
    manifest = publish(RunPaths(out), recipe, "0" * 64, (), Ledger(), (), store, notes)
    return sum(entry["bytes"] for entry in manifest.files)


def _written(out: Path, rows: pa.Table) -> int:
    with (out / "rows.parquet").open("wb") as file:
        pq.write_table(rows, file, compression="zstd", compression_level=COMPRESSION_LEVEL)
        file.flush()
        os.fsync(file.fileno())
    return (out / "rows.parquet").stat().st_size


def _careful(out: Path, store: UnitStore, notes: list[UnitNote]) -> int:
    path = out / "rows.parquet"
    with path.open("wb") as file:
        writer = None
        for note in notes:
            unit = store.path(note, "kept")
            assert unit is not None
            table = pq.read_table(unit, page_checksum_verification=True)
            writer = writer or pq.ParquetWriter(
                file,
                table.schema,
                compression="zstd",
                compression_level=COMPRESSION_LEVEL,
                use_content_defined_chunking=True,
                write_page_index=True,
                write_page_checksum=True,
            )
            writer.write_table(table)
        assert writer is not None
        writer.close()
        file.flush()
        os.fsync(file.fileno())
    with path.open("rb") as file:
        hashlib.file_digest(file, "sha256")
    with pq.ParquetFile(path, page_checksum_verification=True) as written:
        for _ in written.iter_batches(batch_size=UNIT_ROWS):
            pass
    return path.stat().st_size


def _table(numbers: range) -> pa.Table:
    return to_table(map(_sample, numbers))


def _sample(number: int) -> Sample:
    asked = f"Problem {number}: how many eggs are left on the last day?"
    key = identity.digest(number)
    return Sample(
        uuid=identity.sample_uuid("math", key, "on", 0),
        category="math",
        reasoning="on",
        messages=(Message("user", asked), Message("assistant", *_said(number))),
        generator="scripted",
        license="CC0-1.0",
        version="0.1",
        domain="math",
        source="prompts",
        source_id=f"prompts.jsonl:{number}",
        source_license="unknown",
        prompt_key=key,
        expected="42",
        finish_reason="stop",
        sampling='{"max_tokens":16384,"seed":1,"temperature":0.6,"top_p":0.95}',
        requests=(identity.digest(["request", number]),),
        verdicts=(Verdict("complete", True), Verdict("verify_math", True, "42 = 42 (number)")),
        usage=Usage(250, 1400),
    )


def _said(number: int) -> tuple[str, str]:
    """Content and reasoning."""
    return f"{prose(2 * number, CONTENT_BYTES - 20)} \\boxed{{42}}", prose(2 * number + 1, REASONING_BYTES).strip()


def _ledger(table: pa.Table) -> list[dict[str, object]]:
    place = ("respond", "math", "en")
    ledger = Ledger()
    ledger.taken[place] = ledger.kept[place] = table.num_rows
    return list(ledger.lines())
