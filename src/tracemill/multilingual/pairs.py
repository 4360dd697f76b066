"""The segments of a run and their translations as a file for people and their tools."""

from __future__ import annotations

from pathlib import Path

from tracemill import identity
from tracemill.charter import open_plan
from tracemill.errors import UsageError
from tracemill.mill import check_place
from tracemill.report.translations import walk
from tracemill.storage.fs import REAL, Fs
from tracemill.translation.exchange import Pair, form_of, write_pairs


def export(root: str | Path, file: str | Path, sample: int | None = None, fs: Fs = REAL) -> int:
    """Write the segments of a run with their translations to a file: TMX, XLIFF or JSONL, by its ending.

    Args:
        sample: About so many segments of each language, drawn by hash, with what the model said beside them, so that a
            person can look at them. None: all.
    Returns:
        The segments that were written.
    Raises:
        UsageError: There is no run, it translates nothing, or `check_file` refuses the file.
    """
    check_file(file)
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
    fs.replace(Path(file), write_pairs(Path(file).name, pairs))
    return len(pairs)


def check_file(file: str | Path) -> None:
    """Refuse a file that `export` could not write, before anything is paid for.

    Raises:
        UsageError: Its ending is none of the three, or its directory is not there.
    """
    path = Path(file)
    try:
        form_of(path.name)
    except ValueError as exc:
        raise UsageError(f"{file}: {exc}") from exc
    if path.is_dir() or not path.parent.is_dir():
        raise UsageError(f"{file}: {'it is a directory' if path.is_dir() else f'there is no directory {path.parent}'}")


def _drawn(found: dict[tuple[str, str], Pair], count: int) -> list[Pair]:
    """So many segments of each language: those whose hashes come first."""
    out: list[Pair] = []
    for code in dict.fromkeys(code for code, _ in found):
        mine = sorted((key for key in found if key[0] == code), key=lambda key: identity.digest(["review", *key]))
        out += [found[key] for key in mine[:count]]
    return out
