"""`tracemill translate`."""

from __future__ import annotations

import sys
from pathlib import Path

from tracemill.cli.build import duration, told_where
from tracemill.cli.show import Show
from tracemill.cli.terminal import say, say_json, tell
from tracemill.errors import UsageError
from tracemill.multilingual.pairs import check_file, export
from tracemill.multilingual.pilot import pilot as run_pilot
from tracemill.multilingual.run import recipe_for, shipped, translate
from tracemill.recipe import Recipe
from tracemill.recipe.problems import Places
from tracemill.recipe_file import read_recipe
from tracemill.storage.parquet import give_memory_back


def run_translate(
    data: str | None,
    to: str | None,
    out: Path,
    recipe: Path | None,
    assignments: list[str],
    pilot: int | None,
    yes: bool,
    review: int | None,
    pairs: Path | None,
    workers: int | None,
    limit: int | None,
    wait: str | None,
    progress: str,
    as_json: bool,
) -> None:
    """Translate, after a pilot if one is wanted, and print what came of it."""
    if review is not None and (review < 1 or pairs is None):
        raise UsageError("--review N takes at least one segment, and --pairs FILE says where they are written")
    if pairs is not None:
        check_file(pairs)
    read, places = _recipe(recipe, assignments)
    seconds = None if wait is None else duration(wait, "--wait-for-endpoint")
    wanted = recipe_for(read, data, to)
    give_memory_back()
    with told_where(wanted, places), Show(progress) as show:
        if pilot is not None:
            found = run_pilot(wanted, out, pilot, limit=limit, workers=workers, wait_for_endpoint=seconds, watch=show)
            tell(found.to_text())
            if not (yes or _agreed()):
                say_json({"pilot": found.to_json()}) if as_json else say("nothing more was asked; add --yes to go on")
                return
        report = translate(
            None, None, out, recipe=wanted, workers=workers, limit=limit, wait_for_endpoint=seconds, watch=show
        )
    if pairs is not None:
        tell(f"{export(out, pairs, review):,} segments written to {pairs}")
    if as_json:
        say_json(report.to_json())
    else:
        say(f"{report.to_text()}\ndataset: {out / 'data'}\ncard:    {out / 'README.md'}")


def _recipe(recipe: Path | None, assignments: list[str]) -> tuple[Recipe, Places]:
    if recipe is not None:
        return read_recipe(recipe, assignments)
    if assignments:
        raise UsageError("--set changes a recipe; name one with --recipe, such as recipes/translate.yaml")
    return shipped(), Places("recipes/translate.yaml")


def _agreed() -> bool:
    """What a person at the terminal says; nobody is asked where there is none."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return False
    tell("go on with the whole? [y/N]")
    return sys.stdin.readline().strip().lower() in ("y", "yes")
