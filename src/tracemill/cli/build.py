"""`tracemill build`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tracemill.cli.show import Show
from tracemill.cli.terminal import say, say_json
from tracemill.errors import RecipeError, UsageError
from tracemill.mill import BuildReport, build
from tracemill.models.budget import spent_lines
from tracemill.recipe import Recipe
from tracemill.recipe.problems import Places
from tracemill.recipe_file import read_recipe
from tracemill.storage.parquet import give_memory_back


def run_build(
    recipe: Path,
    out: Path,
    assignments: list[str],
    workers: int | None,
    engine: str,
    limit: int | None,
    wait: str | None,
    progress: str,
    as_json: bool,
) -> None:
    """Build a recipe and print what came of it."""
    if engine != "local":
        raise UsageError(f"--engine {engine!r}: there is one engine, 'local'")
    seconds = None if wait is None else duration(wait, "--wait-for-endpoint")
    read, places = read_recipe(recipe, assignments)
    with told_where(read, places):
        report = with_progress(read, out, workers, limit, progress, seconds)
    print_report(report, as_json)


def duration(text: str, option: str) -> float:
    """Seconds, from "90", "90s", "10m", "1.5h" or "2d". Raises UsageError for anything else."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?) ?([smhd]?)", text.strip())
    if found is None:
        raise UsageError(f"{option} {text!r}: a time such as 90s, 10m, 1h or 1d is wanted")
    return float(found[1]) * {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}[found[2]]


@contextmanager
def told_where(recipe: Recipe, places: Places) -> Iterator[None]:
    """What shows to be wrong only when the recipe is used is told with the line that it stands in, too."""
    try:
        yield
    except RecipeError as exc:
        named = re.match(r"((?:teachers|respond|verify|publish|prompts|refine)(?:\.[\w-]+)+): ", str(exc))
        key = exc.key or tuple(named[1].split(".") if named else ())
        if not key:
            raise
        place = places.of(_in_file(recipe, places, key))
        raise RecipeError(f"{place}: {exc}", exc.key) from exc


def _in_file(recipe: Recipe, places: Places, key: tuple[str | int, ...]) -> tuple[str | int, ...]:
    """A key as its file spells it: a source of prompts is named there by its place, or stands alone."""
    if len(key) > 1 and key[0] == "prompts":
        number = next((i for i, source in enumerate(recipe.prompts) if source.name == key[1]), 0)
        inside = ("prompts", number) if ("prompts", str(number)) in places.lines else ("prompts",)
        return (*inside, *key[2:])
    return key


def with_progress(
    recipe: Recipe, out: Path, workers: int | None, limit: int | None, progress: str, wait: float | None = None
) -> BuildReport:
    """Build, and show how it goes."""
    give_memory_back()
    with Show(progress) as show:
        return build(recipe, out, workers=workers, limit=limit, wait_for_endpoint=wait, watch=show)


def print_report(report: BuildReport, as_json: bool) -> None:
    """Print what a run came to."""
    if as_json:
        say_json(report.to_json())
        return
    splits = ", ".join(f"{name} {rows:,}" for name, rows in report.splits.items()) or "none"
    say(f"{report.rows:,} rows kept ({splits}); {report.sent:,} requests sent")
    for reason, count in report.lost.items():
        say(f"  {count:>8,}  {reason}")
    for line in spent_lines(report.spent, report.rows):
        say(f"spent:   {line}")
    say(f"dataset: {report.out / 'data'}\ncard:    {report.out / 'README.md'}")
