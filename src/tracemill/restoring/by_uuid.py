"""Lists of uuids: somebody's choice of rows, published without the rows, put together from your own copy of the set.

    {"uuid": "3f1c..."}                       or with the sha256 of what stood there, {"uuid": "3f1c...", "sha256": "..."}

A row that is not found, or that two files hold in two versions, is told; nothing else is put in its place.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from hashlib import sha256
from typing import Any

import orjson
import pyarrow as pa

from tracemill.reading.batch import Piece
from tracemill.reading.pieces import pieces
from tracemill.reading.raw import raw_batches, raw_rows
from tracemill.reading.shards import Shard
from tracemill.restoring.index import FOUND, Index
from tracemill.restoring.writing import KEPT, Unreadable, Writers, named, parsed_lines

BY_UUID = "uuid"
ROW_FIELDS = frozenset({"messages", "input", "conversation", "responses_create_params", "_hf_placeholder"})
"""What a row has that is more than a name of one."""
BATCH = 500


def lists_uuids(shards: list[Shard]) -> bool:
    """Whether the first row names a row, and is none."""
    for shard in shards:
        for piece in pieces(shard):
            for row in raw_rows(piece):
                return isinstance(row.get("uuid"), str) and not ROW_FIELDS & set(row)
    return False


def want(shards: list[Shard], index: Index) -> Unreadable:
    """Ask for all that is listed, a uuid that stands twice once. Returns the lines that list none."""
    bad = Unreadable()
    for shard in shards:
        for piece in pieces(shard):
            for place, row in _listed(piece, bad):
                if not isinstance(row.get("uuid"), str):
                    bad.add(place, "it names no uuid")
                    continue
                index.want([(BY_UUID, row["uuid"])])
                if isinstance(row.get("sha256"), str):
                    index.pin(BY_UUID, row["uuid"], row["sha256"])
    return bad


def _listed(piece: Piece, bad: Unreadable) -> Iterator[tuple[str, dict[str, Any]]]:
    """(place, row) of each line of a list."""
    if piece.shard.kind == "jsonl":
        yield from ((place, row) for place, row, _ in parsed_lines(piece, bad))
        return
    for number, row in enumerate(raw_rows(piece), max(piece.row, 0)):
        yield f"{piece.shard.name}:row {number}", row


def offer(shards: list[Shard], index: Index) -> None:
    """Show all rows of a source to the index: their hashes, not the rows."""
    for shard in shards:
        for piece in pieces(shard):
            held: list[dict[str, Any]] = []
            for row in raw_rows(piece):
                held.append(row)
                if len(held) == BATCH:
                    _offer(held, index)
                    held = []
            _offer(held, index)


def _offer(rows: list[dict[str, Any]], index: Index) -> None:
    wanted = index.states(BY_UUID, [str(row.get("uuid")) for row in rows])
    for row in rows:
        if str(row.get("uuid")) in wanted:
            index.offer_hash(BY_UUID, str(row["uuid"]), row_sha256(row))


def row_sha256(row: Mapping[str, Any]) -> str:
    """Hex, of a row as JSON with sorted keys."""
    return sha256(orjson.dumps(row, option=orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS, default=str)).hexdigest()


def write(shards: list[Shard], index: Index, writers: Writers) -> None:
    """Write the rows that were found, each once, in the order of the source."""
    for shard in shards:
        if shard.kind == "jsonl":
            for piece in pieces(shard):
                for _, row, line in parsed_lines(piece):
                    if _takes(str(row.get("uuid")), index):
                        writers.line(KEPT, named(piece, ".jsonl"), line)
            continue
        for piece in pieces(shard):
            for batch in raw_batches(piece):
                if "uuid" in batch.schema.names:
                    stay = [*_chosen(batch.column("uuid").to_pylist(), index)]
                    if any(stay):
                        table = pa.Table.from_batches([batch.filter(pa.array(stay))])
                        writers.table(KEPT, named(piece, ".parquet"), table)


def _chosen(uuids: list[Any], index: Index) -> Iterator[bool]:
    """Which of some rows are written now: those that were found, and not written before."""
    states = index.states(BY_UUID, [str(uuid) for uuid in uuids])
    for uuid in uuids:
        chosen = states.pop(str(uuid), None) == FOUND
        if chosen:
            index.mark_written(BY_UUID, str(uuid))
        yield chosen


def _takes(uuid: str, index: Index) -> bool:
    return any(_chosen([uuid], index))
