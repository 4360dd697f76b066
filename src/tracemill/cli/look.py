"""`tracemill status`, `explain` and `audit`."""

from __future__ import annotations

from pathlib import Path

import typer

from tracemill.cli.terminal import say, say_json


def show_status(run: Path, as_json: bool) -> None:
    """Print where a run stands."""
    from tracemill.report.status import status

    found = status(run)
    say_json(found.to_json()) if as_json else say(found.to_text())


def show_life(run: Path, uuid: str, as_json: bool) -> None:
    """Print the life of a row."""
    from tracemill.report.explain import explain

    life = explain(run, uuid)
    say_json(life.to_json()) if as_json else say(life.to_text())


def show_audit(run: Path, quick: bool, as_json: bool) -> None:
    """Print the proof; exit 1 on any doubt."""
    from tracemill.report.audit import audit

    report = audit(run, quick=quick)
    if as_json:
        say_json(report.to_json())
    else:
        for check in report.checks:
            say(f"{'ok   ' if check.ok else 'DOUBT'} {check.name}: {check.seen}".rstrip(": "))
            for problem in check.problems[:20]:
                say(f"      {problem}")
        say("the run is whole" if report.ok else "the run is NOT proven whole")
    if not report.ok:
        raise typer.Exit(1)
