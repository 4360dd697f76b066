"""Which files a source of prompts names, how they are called in rows, and in what form each of them is."""

from __future__ import annotations

import glob
import os
from itertools import takewhile
from pathlib import Path

from tracemill.errors import RecipeError
from tracemill.gather.lines import DAMAGE, open_file
from tracemill.legible import did_you_mean, quoted
from tracemill.recipe import PromptFiles

SUFFIXES = (".jsonl", ".ndjson", ".json", ".csv", ".parquet")
COMPRESSED = (".gz", ".zst")
FOREIGN = {
    b"PK\x03\x04": "a ZIP archive, or a workbook of Excel",
    b"BZh": "compressed with bzip2",
    b"\xfd7zXZ\x00": "compressed with xz",
    b"7z\xbc\xaf": "a 7z archive",
    b"%PDF": "a PDF",
    b"SQLite format 3": "an SQLite database",
    b"ARROW1": "an Arrow file",
    b"Obj\x01": "an Avro file",
    b"\xff\xfe": "text in UTF-16",
    b"\xfe\xff": "text in UTF-16",
    b"\x89PNG": "an image",
    b"\xff\xd8\xff": "an image",
}
"""What files that we do not read begin with."""
TAR = (257, b"ustar")
"""Where an archive of tar says that it is one."""


def input_files(source: PromptFiles) -> list[Path]:
    """The files that a source names, sorted by name. Of a directory: those of a known ending that are not hidden.

    Raises:
        RecipeError: there are none.
    """
    if "\0" in source.path or not source.path:
        raise _at_path(source, f"path {quoted(source.path)} cannot be a file")
    given = _given(source)
    try:
        if given.is_file():
            return [given]
        if given.is_dir():
            return _below(source, given)
        found = [Path(p) for p in sorted(glob.glob(str(given), recursive=True)) if Path(p).is_file()]
    except OSError as exc:
        raise _at_path(source, f"{quoted(str(given))} cannot be looked at: {exc.strerror or exc}") from exc
    if not found:
        raise _at_path(
            source,
            f"{quoted(source.path, 200)} is neither a file, nor a directory, nor a glob that finds any."
            f"{_what_is_there(given)}",
        )
    return found


def _below(source: PromptFiles, folder: Path) -> list[Path]:
    found = [p for p in sorted(folder.rglob("*")) if p.is_file() and suffix(p) and not _hidden(p, folder)]
    if not found:
        there = ", ".join(quoted(name, 40) for name in sorted(os.listdir(folder))[:5]) or "nothing"
        endings = f"{', '.join(SUFFIXES)} (.gz, .zst)"
        raise _at_path(
            source, f"{quoted(str(folder), 200)} holds no file ending in {endings} that is not hidden; it holds {there}"
        )
    return found


def _what_is_there(given: Path) -> str:
    """Where a path ends that leads to nothing, and what it may have meant."""
    missing = given
    while not missing.parent.is_dir() and missing != missing.parent:
        missing = missing.parent
    try:
        names = [name for name in os.listdir(missing.parent) if not name.startswith(".")]
        here = "" if given.is_absolute() else f" (it is looked for in {quoted(str(Path.cwd()), 200)})"
    except OSError as exc:
        return f" {quoted(str(missing.parent), 200)} cannot be listed: {exc.strerror}"
    if glob.has_magic(missing.name):
        return f" There is nothing like {quoted(missing.name)} in {quoted(str(missing.parent), 200)}{here}"
    return f" There is no {quoted(missing.name)} in {quoted(str(missing.parent), 200)}{here}.{did_you_mean(missing.name, names)}"


def _at_path(source: PromptFiles, problem: str) -> RecipeError:
    return RecipeError(f"prompts {source.name!r}: {problem}", ("prompts", source.name, "path"))


def label(source: PromptFiles, file: Path) -> str:
    """How a file is called in rows: its path below the directory that the source names, else its name."""
    given = _given(source)
    if given.is_file():
        base = given.parent
    elif given.is_dir():
        base = given
    else:
        base = Path(*takewhile(lambda part: not glob.has_magic(part), given.parts))
    called = file.relative_to(base).as_posix() if file.is_relative_to(base) else file.name
    return os.fsencode(called).decode(errors="backslashreplace")


def _given(source: PromptFiles) -> Path:
    try:
        return Path(source.path).expanduser()
    except RuntimeError as exc:
        raise _at_path(source, f"{quoted(source.path)}: {exc}") from exc


def _hidden(file: Path, below: Path) -> bool:
    return any(part.startswith(".") for part in file.relative_to(below).parts)


def suffix(file: Path) -> str:
    """The ending of `SUFFIXES` that a file's name has before that of its compression, or nothing."""
    suffixes = [s.lower() for s in file.suffixes]
    if suffixes and suffixes[-1] in COMPRESSED:
        suffixes.pop()
    return suffixes[-1] if suffixes and suffixes[-1] in SUFFIXES else ""


def form(file: Path) -> tuple[str, str]:
    """(one of `SUFFIXES` or nothing for JSON lines, what the file is if it is nothing that we read).

    Parquet is told by its first bytes, as compression is; the others by the name.
    """
    try:
        with file.open("rb") as raw:
            begins = raw.read(4)
        if begins == b"PAR1":
            return ".parquet", ""
        with open_file(file) as opened:
            head = opened.read(512)
    except DAMAGE:
        return suffix(file), ""  # whoever reads on says what is wrong
    if head[TAR[0] :].startswith(TAR[1]):
        return "", "an archive of tar"
    if suffix(file) == ".parquet":
        return ".parquet", ""
    if file.suffix.lower() == ".tsv" or ".tsv." in file.name.lower():
        return "", "separated by tabs"
    return suffix(file), next((what for magic, what in FOREIGN.items() if head.startswith(magic)), "")
