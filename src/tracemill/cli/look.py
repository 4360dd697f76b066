"""`tracemill status`, `explain` and `audit`."""

from __future__ import annotations

import json
from pathlib import Path

import typer


def show_status(run: Path, as_json: bool) -> None:
    """Print where a run stands."""
    from tracemill.report.status import status

    found = status(run)
    typer.echo(json.dumps(found.to_json(), indent=1) if as_json else found.to_text())


def show_life(run: Path, uuid: str, as_json: bool) -> None:
    """Print the life of a row."""
    from tracemill.report.explain import explain

    life = explain(run, uuid)
    typer.echo(json.dumps(life.to_json(), indent=1, ensure_ascii=False) if as_json else life.to_text())


def show_audit(run: Path, quick: bool, as_json: bool) -> None:
    """Print the proof; exit 1 on any doubt."""
    from tracemill.report.audit import audit

    report = audit(run, quick=quick)
    if as_json:
        typer.echo(json.dumps(report.to_json(), indent=1))
    else:
        for check in report.checks:
            typer.echo(f"{'ok   ' if check.ok else 'DOUBT'} {check.name}: {check.seen}".rstrip(": "))
            for problem in check.problems[:20]:
                typer.echo(f"      {problem}")
        typer.echo("the run is whole" if report.ok else "the run is NOT proven whole")
    if not report.ok:
        raise typer.Exit(1)
