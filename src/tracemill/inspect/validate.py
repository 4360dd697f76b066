"""`tracemill.validate`: everything that is wrong with a dataset, counted, with examples, in one pass over its rows."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tracemill.errors import DataError, UsageError
from tracemill.inspect.checks import CHECKS
from tracemill.inspect.crew import SMALL, answers, worker_count
from tracemill.inspect.duplicates import ROW_BITS, later_ones
from tracemill.inspect.files import check_files
from tracemill.inspect.findings import ValidationReport, made_report
from tracemill.inspect.order import order_effects
from tracemill.inspect.tally import EXAMPLES, Example, Tally, damage_of, unpacked
from tracemill.inspect.worker import work
from tracemill.legible import did_you_mean, quoted
from tracemill.reading.batch import Piece
from tracemill.reading.dataset import located
from tracemill.reading.filters import Wanted, pick_splits
from tracemill.reading.pieces import batches, pieces
from tracemill.reading.shards import Shard
from tracemill.storage.fs import REAL, Fs

LIMITS: dict[str, float] = {"error": 0.0, "warning": 1.0, "note": 1.0}
"""The share of rows (or files) above which the answer is no, by level, where the caller sets none."""
SPILLED = {"uuid": "uuid_duplicate", "prompt": "prompt_duplicate"}
"""Checks that need all rows, by what is hashed of each."""
FINE_PIECES = 64
"""With more pieces than these, of what kind rows are is told by piece, not by batch."""

Progress = Callable[[int, int], None]
"""Called with (pieces done, pieces in all)."""


def validate(
    data: str | Path,
    *,
    split: Wanted = None,
    limits: Mapping[str, float] | None = None,
    against: Sequence[str | Path] = (),
    duplicates: bool = True,
    workers: int | None = None,
    revision: str | None = None,
    progress: Progress | None = None,
) -> ValidationReport:
    """Check a dataset, NVIDIA's or ours. Nothing is changed.

    Args:
        data: As for `open`.
        split: Only these splits.
        limits: The share above which a finding makes `report.ok` false: by check, or for a level ("error", "warning",
            "note"). By default no error is allowed, and any number of warnings.
        against: Benchmarks; prompts that hold 13 words in a row of one are found.
        duplicates: Look for rows whose uuid or prompt an earlier one has, which takes 32 bytes a row in TMPDIR.
        workers: Processes; 0 is this one alone. By default cores, at most 4, and none for little data.
    Raises:
        UsageError: There is no such data, split, or check.
        DataError: There is no file of data in it.
    """
    allowed = _allowed(limits or {})
    shards = pick_splits(located(data, revision), split)
    tally = Tally()
    check_files(shards, tally, split is None)
    found, told = _pieces(shards, tally)
    with tempfile.TemporaryDirectory(prefix="tracemill-validate-") as place:
        scratch = Path(place)
        job = {
            "do": "validate",
            "spill": place if duplicates else None,
            "fine": len(found) <= FINE_PIECES,
            "benchmark": _benchmark(against, scratch),
        }
        for number, answer in _all_answers(job, found, workers, progress):
            name = found[number].shard.name
            if "died" in answer:
                told.add(name)
                _died(tally, found[number], number, answer["died"])
            else:
                part = unpacked(answer)
                if part.rows.total() or part.bad.total() or part.findings:
                    told.add(name)
                tally.merge(part)
        tally.kinds.sort(key=lambda kind: kind[:2])
        order_effects(tally, found)
        for kind, check in SPILLED.items() if duplicates else ():
            _duplicates(tally, check, sorted(scratch.glob(f"{kind}-*")), found)
    for shard in shards:
        if shard.name not in told:
            tally.found("file_empty", shard.split, 1, [(-1, 0, "", shard.name, "")])
    return made_report(str(data), tally, len(shards), allowed, () if duplicates else tuple(SPILLED.values()))


def measure(
    data: str | Path, *, split: Wanted = None, workers: int | None = None, revision: str | None = None
) -> dict[str, Any]:
    """The quality metrics of the article on v1, by its names, over a dataset; only texts are read.

    Of rows with two messages: characters of the first and of the second on average, and those where one is empty.
    """
    shards = pick_splits(located(data, revision), split)
    tally = Tally()
    found = [piece for shard in shards for piece in pieces(shard)]
    for number, answer in _all_answers({"do": "measure"}, found, workers, None):
        if "died" in answer:
            raise DataError(f"{found[number].shard.name}: reading it ended the process ({answer['died']})")
        tally.merge(unpacked(answer))
    return made_report(str(data), tally, len(shards), LIMITS).article


def _all_answers(job: dict[str, Any], found: list[Piece], workers: int | None, progress: Progress | None) -> Any:
    small = sum({piece.shard.path: _size(piece.shard) for piece in found}.values()) < SMALL
    count = 0 if workers is None and small else worker_count(workers)
    for done, (number, answer) in enumerate(answers(job, found, count, work), 1):
        if progress is not None:
            progress(done, len(found))
        yield number, answer


def _size(shard: Shard) -> int:
    return shard.path.stat().st_size


def _allowed(limits: Mapping[str, float]) -> dict[str, float]:
    for name, share in limits.items():
        known = [*LIMITS, *CHECKS]
        if name not in known:
            near = did_you_mean(name, known) or f" There are the levels {', '.join(LIMITS)}, and {', '.join(CHECKS)}."
            raise UsageError(f"there is no check {quoted(name)}.{near}")
        if not 0 <= share <= 1:
            raise UsageError(f"the limit of {name} is {share}; it is a share between 0 and 1")
    return {**LIMITS, **limits}


def _pieces(shards: Iterable[Shard], tally: Tally) -> tuple[list[Piece], set[str]]:
    """(all pieces, the names of files that cannot be opened, which are findings)."""
    found: list[Piece] = []
    closed: set[str] = set()
    for shard in shards:
        try:
            found += pieces(shard)
        except DataError as exc:
            closed.add(shard.name)
            tally.found("file_unreadable", shard.split, 1, [(-1, 0, "", shard.name, damage_of(shard.name, exc))])
    return found, closed


def _benchmark(against: Sequence[str | Path], scratch: Path, fs: Fs = REAL) -> str | None:
    if not against:
        return None
    from tracemill.inspect.contamination import benchmark_hashes

    path = scratch / "benchmark"
    fs.append(path, benchmark_hashes([str(given) for given in against]).tobytes())
    return str(path)


def _died(tally: Tally, piece: Piece, number: int, code: int) -> None:
    text = f"reading it ended the process that read it ({code}); it is damaged, or memory ran out"
    tally.found("file_unreadable", piece.shard.split, 1, [(number, 0, "", piece.shard.name, text)])


def _duplicates(tally: Tally, check: str, files: list[Path], found: list[Piece]) -> None:
    splits = sorted({piece.shard.split for piece in found})
    split_of = np.array([splits.index(piece.shard.split) for piece in found], np.int64)
    counts = np.zeros(len(splits), np.int64)
    first: list[list[int]] = [[] for _ in splits]
    for rows in later_ones(files):
        own = split_of[(rows >> np.uint64(ROW_BITS)).astype(np.int64)]
        counts += np.bincount(own, minlength=len(splits))
        for number in np.unique(own).tolist():
            first[number] = sorted([*first[number], *np.sort(rows[own == number])[:EXAMPLES].tolist()])[:EXAMPLES]
    for number, split in enumerate(splits):
        tally.found(check, split, int(counts[number]), _looked_up(first[number], found))


def _looked_up(rows: list[int], found: list[Piece]) -> list[Example]:
    """Examples from the numbers of rows."""
    examples: list[Example] = []
    for whole in rows:
        number, row = whole >> ROW_BITS, whole & ((1 << ROW_BITS) - 1)
        left = row
        for batch in batches(found[number], ("messages", "uuid") if found[number].shard.kind == "jsonl" else ("uuid",)):
            if left < batch.rows.num_rows:
                uuid = batch.rows.column("uuid")[left].as_py() or ""
                examples.append((number, row, uuid, batch.place(left), ""))
                break
            left -= batch.rows.num_rows
    return examples
