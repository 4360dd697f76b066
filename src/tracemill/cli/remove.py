"""`tracemill remove`."""

from __future__ import annotations

from pathlib import Path

import typer

from tracemill.cli.terminal import say, say_json


def run_remove(
    data: str, uuids: list[str], prompt_hashes: list[str], file: Path | None, out: Path | None, as_json: bool
) -> None:
    """Take rows down and say from where; exit 1 where an id means no row."""
    from tracemill.takedown.run import remove

    report = remove(data, uuids=uuids, prompt_hashes=prompt_hashes, file=file, out=out)
    say_json(report.to_json()) if as_json else say(report.to_text())
    if not report.ok:
        raise typer.Exit(1)
