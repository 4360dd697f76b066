"""`tracemill glean`."""

from __future__ import annotations

from pathlib import Path

from tracemill.cli.terminal import say, say_json


def run_glean(run: Path, out: Path, pairs: int | None, as_json: bool) -> None:
    """Write the by-products of a run and say how many they are."""
    from tracemill.glean.run import glean

    report = glean(run, out, most=pairs)
    say_json(report.to_json()) if as_json else say(report.to_text())
