"""`tracemill export`, `import` and `compact`."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import cast

import typer

TELL_EVERY = 2.0
"""Seconds between two lines of progress."""


class _Tell:
    """Progress on stderr, a line now and then."""

    def __init__(self) -> None:
        self._last = time.monotonic()

    def __call__(self, text: str) -> None:
        if time.monotonic() - self._last > TELL_EVERY:
            self._last = time.monotonic()
            sys.stderr.write(f"{text}\n")
            sys.stderr.flush()


def run_export(
    recipe: Path, out: Path, file: Path, assignments: list[str], teacher: str | None, limit: int | None, as_json: bool
) -> None:
    """Write what a build would ask."""
    from tracemill.cli.build import told_where
    from tracemill.exchange.exporting import export_requests
    from tracemill.recipe_file import read_recipe

    read, places = read_recipe(recipe, assignments)
    with told_where(read, places):
        report = export_requests(read, out, file, teacher=teacher, limit=limit, tell=_Tell())
    if as_json:
        typer.echo(json.dumps(report.to_json(), indent=1))
    else:
        typer.echo(f"{report.requests:,} requests, for {report.samples:,} samples: {report.file}")


def run_import(
    recipe: Path, out: Path, files: list[Path], assignments: list[str], form: str, limit: int | None, as_json: bool
) -> None:
    """Take answers in and say what became of each line."""
    from tracemill.cli.build import told_where
    from tracemill.exchange.importing import import_answers
    from tracemill.exchange.lines import Format
    from tracemill.exchange.shelf import REASONS
    from tracemill.recipe_file import read_recipe

    read, places = read_recipe(recipe, assignments)
    with told_where(read, places):
        report = import_answers(read, out, files, form=cast(Format, form), limit=limit, tell=_Tell())
    if as_json:
        typer.echo(json.dumps(report.to_json(), indent=1))
        return
    typer.echo(f"{report.imported:,} answers imported; {report.missing:,} of {report.samples:,} samples have none yet")
    for reason, count in report.lines.items():
        if reason != "imported":
            typer.echo(f"  {count:>8,}  {reason}: {REASONS[reason]}")
            for place in report.examples.get(reason, ()):
                typer.echo(f"            {place}")


def run_compact(run: Path, as_json: bool) -> None:
    """Make a journal smaller and say by how much."""
    from tracemill.upkeep import compact

    report = compact(run, tell=_Tell())
    if as_json:
        typer.echo(json.dumps(report.to_json(), indent=1))
        return
    before, after = report.before, report.after
    typer.echo(f"{before.bytes:,} bytes before, {after.bytes:,} after, in {after.files:,} files")
    typer.echo(
        f"{before.replies:,} replies before, {after.replies:,} after; {before.failures:,} failures before, {after.failures:,} after"
    )
    for what, count in report.dropped.items():
        typer.echo(f"  {count:>8,}  {what}")
