"""The segments of a run and their translations as a file for people and their tools."""

from __future__ import annotations

from pathlib import Path

from tracemill import identity
from tracemill.charter import open_plan
from tracemill.errors import UsageError
from tracemill.mill import check_place
from tracemill.report.translations import walk
from tracemill.storage.fs import REAL, Fs
from tracemill.translation.exchange import Pair, write_pairs


def export(root: str | Path, file: str | Path, sample: int | None = None, fs: Fs = REAL) -> int:
    """Write the segments of a run with their translations to a file: TMX, XLIFF or JSONL, by its ending.

    Args:
        sample: About so many segments of each language, drawn by hash, with what the model said beside them, so that a
            person can look at them. None: all.
    Returns:
        The segments that were written.
    Raises:
        UsageError: There is no run, it translates nothing, or the ending is none of the three.
    """
    paths, plan = open_plan(root)
    check_place(paths)
    found: dict[tuple[str, str], Pair] = {}
    source = plan.translation.source.code if plan.translation is not None else ""
    for parent, code, told, _ in walk(paths, plan):
        for text, translated in told.pairs:
            note = f"{parent.domain or parent.category} {told.sample.uuid}"
            machine = translated if sample is not None else ""
            found.setdefault((code, text), Pair(source, code, text, translated, note, machine))
    pairs = list(found.values()) if sample is None else _drawn(found, sample)
    try:
        data = write_pairs(Path(file).name, pairs)
    except ValueError as exc:
        raise UsageError(f"{file}: {exc}") from exc
    fs.replace(Path(file), data)
    return len(pairs)


def _drawn(found: dict[tuple[str, str], Pair], count: int) -> list[Pair]:
    """So many segments of each language: those whose hashes come first."""
    out: list[Pair] = []
    for code in dict.fromkeys(code for code, _ in found):
        mine = sorted((key for key in found if key[0] == code), key=lambda key: identity.digest(["review", *key]))
        out += [found[key] for key in mine[:count]]
    return out
