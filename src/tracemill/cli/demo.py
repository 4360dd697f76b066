"""`tracemill demo`."""

from __future__ import annotations

import shlex
from importlib.resources import as_file, files
from pathlib import Path

from tracemill.cli import program
from tracemill.cli.build import print_report, with_progress
from tracemill.cli.terminal import say, say_json
from tracemill.identify import identifier
from tracemill.multilingual.report import translation_report
from tracemill.recipe_file import load_recipe


def run_demo(out: Path, workers: int | None, progress: str, as_json: bool) -> None:
    """Build the demo's recipe, and say where everything lies and what became of each language."""
    with as_file(files("tracemill") / "recipes" / "demo.yaml") as path:
        recipe = load_recipe(path)
    report = with_progress(recipe, out, workers, None, progress)
    told = translation_report(out)
    if as_json:
        say_json({**report.to_json(), "translation": told.to_json(), "identified_by": identifier().name})
    else:
        print_report(report, as_json)
        say(
            "\nmath in other languages: no model, the sentences come from a built-in memory; each line had to pass the gates\n"
            f"(language told by {identifier().name}), each answer its check\n{told.to_text()}"
        )
        say(
            f"\nTry next:\n  {shlex.join([*program(), 'audit', str(out)])}\n"
            f"  load_dataset({str(out)!r}) in Python, with `datasets` installed"
        )
