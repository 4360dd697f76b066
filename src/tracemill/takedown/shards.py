"""Published Parquet without some of its rows: the files that hold one are written anew, the others keep their object."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tracemill.publish.dataset import public_name
from tracemill.storage.fs import REAL, Fs, crash_point
from tracemill.storage.layout import RunPaths
from tracemill.storage.manifest import Manifest, keep
from tracemill.storage.parquet import ParquetFile, Part, read_batches


@dataclass(frozen=True)
class Rewritten:
    """The files of the next manifest."""

    files: list[dict[str, Any]]
    touched: list[str]
    """Paths, in the manifest before, of those that held a row that goes."""


def without(paths: RunPaths, manifest: Manifest, uuids: Iterable[str], group_rows: int, fs: Fs = REAL) -> Rewritten:
    """What is left of a manifest's files without some rows. A file without any rows is left out, the others are counted
    anew: equal to what publishing all rows but these would give.

    Args:
        group_rows: Rows of a row group.
    """
    wanted = pa.array(sorted(uuids), pa.string())
    shelves = groupby(manifest.files, key=lambda entry: entry["path"].rpartition("-of-")[0].rpartition("-")[0])
    left: list[tuple[str, list[dict[str, Any] | tuple[Part, dict[str, Any]]]]] = []
    touched: list[str] = []
    for name, entries in shelves:
        kept: list[dict[str, Any] | tuple[Part, dict[str, Any]]] = []
        for number, entry in enumerate(entries):
            if not _holds(paths, entry, wanted):
                kept.append(entry)
                continue
            touched.append(entry["path"])
            part = _rewritten(paths, entry, wanted, f".{name.rpartition('/')[2]}-{number:05d}", group_rows, fs)
            if part is not None:
                kept.append((part, {"split": entry["split"]} if "split" in entry else {}))
        left.append((name, kept))
    crash_point("publish.written")
    files = []
    for name, kept in left:
        directory, _, split = name.rpartition("/")
        for number, held in enumerate(kept):
            public = public_name(directory, split, number, len(kept))
            files.append(
                {**held, "path": public} if isinstance(held, dict) else keep(paths, held[0], public, fs, **held[1])
            )
    return Rewritten(files, touched)


def _holds(paths: RunPaths, entry: dict[str, Any], wanted: pa.Array) -> bool:
    batches = read_batches(paths.root / entry["object"], ["uuid"], batch_rows=65_536)
    return any(pc.any(pc.is_in(batch.column("uuid"), value_set=wanted)).as_py() for batch in batches)


def _rewritten(
    paths: RunPaths, entry: dict[str, Any], wanted: pa.Array, aside: str, group_rows: int, fs: Fs
) -> Part | None:
    """A file without its rows that go; None where none is left."""
    path = paths.root / entry["object"]
    schema = _schema(path)
    with ParquetFile(paths.objects / f"{aside}.parquet", schema, group_rows, fs) as file:
        for batch in read_batches(path):
            stay = pc.invert(pc.is_in(batch.column("uuid"), value_set=wanted))
            file.write(pa.Table.from_batches([batch.filter(stay)]).cast(schema))
        part = file.finish()
    if part.rows:
        return part
    fs.unlink(part.path)
    return None


def _schema(path: Path) -> pa.Schema:
    """The schema that a file of ours was written with. What pyarrow makes of it calls the elements of lists otherwise."""
    told = pq.read_metadata(path).metadata[b"ARROW:schema"]
    return pa.ipc.read_schema(pa.BufferReader(base64.b64decode(told)))
