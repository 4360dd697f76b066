"""`tracemill refine`."""

from __future__ import annotations

from pathlib import Path

from tracemill.cli.build import print_report, told_where
from tracemill.cli.show import Show
from tracemill.recipe_file import read_recipe
from tracemill.refinery import refine
from tracemill.storage.parquet import give_memory_back


def run_refine(
    data: str,
    recipe: Path,
    out: Path,
    assignments: list[str],
    splits: list[str],
    revision: str | None,
    limit: int | None,
    workers: int | None,
    progress: str,
    as_json: bool,
) -> None:
    """Refine rows and print what came of them."""
    read, places = read_recipe(recipe, assignments)
    give_memory_back()
    with told_where(read, places), Show(progress) as show:
        report = refine(data, read, out, split=splits, revision=revision, limit=limit, workers=workers, watch=show)
    print_report(report, as_json)
