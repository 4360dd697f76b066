"""`tracemill build` and `tracemill demo`."""

from __future__ import annotations

import json
import shlex
from importlib.resources import as_file, files
from pathlib import Path

import typer

from tracemill.cli import program
from tracemill.cli.show import Show
from tracemill.errors import UsageError
from tracemill.mill import BuildReport, build
from tracemill.recipe import Recipe
from tracemill.recipe_file import load_recipe


def run_build(
    recipe: Path, out: Path, assignments: list[str], workers: int | None, engine: str, limit: int | None, as_json: bool
) -> None:
    """Build a recipe and print what came of it."""
    if engine != "local":
        raise UsageError(f"--engine {engine!r}: there is one engine, 'local'")
    _print(_with_progress(load_recipe(recipe, assignments), out, workers, limit), as_json)


def run_demo(out: Path, workers: int | None, as_json: bool) -> None:
    """Build the demo's recipe and say where everything lies."""
    with as_file(files("tracemill") / "recipes" / "demo.yaml") as path:
        recipe = load_recipe(path)
    report = _with_progress(recipe, out, workers, None)
    _print(report, as_json)
    if not as_json:
        typer.echo(
            f"\nTry next:\n  {shlex.join([*program(), 'audit', str(out)])}\n"
            f"  load_dataset({str(out)!r}) in Python, with `datasets` installed"
        )


def _with_progress(recipe: Recipe, out: Path, workers: int | None, limit: int | None) -> BuildReport:
    with Show() as show:
        return build(recipe, out, workers=workers, limit=limit, watch=show)


def _print(report: BuildReport, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(report.to_json(), indent=1))
        return
    splits = ", ".join(f"{name} {rows:,}" for name, rows in report.splits.items()) or "none"
    typer.echo(f"{report.rows:,} rows kept ({splits}); {report.sent:,} requests sent")
    for reason, count in report.lost.items():
        typer.echo(f"  {count:>8,}  {reason}")
    typer.echo(f"dataset: {report.out / 'data'}\ncard:    {report.out / 'README.md'}")
