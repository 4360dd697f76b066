"""`tracemill doctor`."""

from __future__ import annotations

from pathlib import Path

import typer

from tracemill.cli.terminal import say, say_json


def run_doctor(recipe: Path | None, assignments: list[str], as_json: bool) -> None:
    """Print what is installed, and how the recipe's teachers are; leave with what that means."""
    from tracemill.errors import UsageError
    from tracemill.recipe_file import load_recipe
    from tracemill.report.doctor import doctor

    if recipe is None and assignments:
        raise UsageError("--set changes a recipe, and none is given: tracemill doctor RECIPE --set ...")
    found = doctor(load_recipe(recipe, assignments) if recipe is not None else None)
    say_json(found.to_json()) if as_json else say(found.to_text())
    if found.exit_code:
        raise typer.Exit(found.exit_code)
