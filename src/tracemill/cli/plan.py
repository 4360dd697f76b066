"""`tracemill plan`."""

from __future__ import annotations

from pathlib import Path

from tracemill.cli.build import duration, told_where
from tracemill.cli.show import Show
from tracemill.cli.terminal import say, say_json
from tracemill.estimate.forecast import forecast
from tracemill.recipe_file import read_recipe
from tracemill.storage.parquet import give_memory_back


def run_plan(
    recipe: Path,
    out: Path | None,
    assignments: list[str],
    limit: int | None,
    pilot: int | None,
    latency: str | None,
    reply_tokens: int | None,
    workers: int | None,
    wait: str | None,
    progress: str,
    as_json: bool,
) -> None:
    """Print what a build would take."""
    read, places = read_recipe(recipe, assignments)
    give_memory_back()
    with told_where(read, places), Show(progress) as show:
        found = forecast(
            read,
            out,
            limit=limit,
            pilot=pilot,
            latency=None if latency is None else duration(latency, "--latency"),
            reply_tokens=reply_tokens,
            workers=workers,
            wait_for_endpoint=None if wait is None else duration(wait, "--wait-for-endpoint"),
            watch=show,
        )
    say_json(found.to_json()) if as_json else say(found.to_text())
