"""`tracemill contains`."""

from __future__ import annotations

from pathlib import Path

import typer

from tracemill.cli.terminal import say, say_json
from tracemill.errors import UsageError
from tracemill.legible import quoted
from tracemill.storage.fs import REAL


def show_found(
    data: str,
    texts: list[str],
    files: list[Path],
    share: str,
    splits: list[str],
    limit: int,
    revision: str | None,
    as_json: bool,
) -> None:
    """Print the rows that hold a text; exit 1 where there are none."""
    from tracemill.search.run import contains

    sought = [*texts, *map(_read, files)]
    report = contains(data, sought, share=_share(share), split=splits or None, limit=limit, revision=revision)
    say_json(report.to_json()) if as_json else say(report.to_text())
    if not report.found:
        raise typer.Exit(1)


def _read(file: Path) -> str:
    try:
        return REAL.read(file).decode(errors="replace")
    except OSError as exc:
        raise UsageError(f"--file {quoted(str(file))} cannot be read: {exc.strerror or exc}") from exc


def _share(told: str) -> float:
    try:
        return float(told.strip().removesuffix("%")) / (100 if told.strip().endswith("%") else 1)
    except ValueError:
        raise UsageError(f"--share {quoted(told)}: write a share such as 0.2 or 20%") from None
