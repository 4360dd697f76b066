"""`tracemill validate`, `stats` and `restore`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import typer

from tracemill.errors import UsageError
from tracemill.inspect.stats import stats
from tracemill.inspect.validate import validate
from tracemill.legible import printable, quoted
from tracemill.restoring.run import restore
from tracemill.storage.fs import REAL


def show_validation(
    data: str,
    splits: list[str],
    limits: list[str],
    against: list[str],
    workers: int | None,
    revision: str | None,
    html: Path | None,
    duplicates: bool,
    as_json: bool,
) -> None:
    """Validate and print; exit 1 where a finding is over its limit."""
    if html is not None and (html.is_dir() or not html.parent.is_dir()):
        instead = "is a directory" if html.is_dir() else f"cannot be written: there is no directory {html.parent}"
        raise UsageError(f"--html {html} {instead}; name a file")
    report = validate(
        data,
        split=splits or None,
        limits=dict(map(_limit, limits)),
        against=against,
        duplicates=duplicates,
        workers=workers,
        revision=revision,
        progress=_progress if sys.stderr.isatty() else None,
    )
    if html is not None:
        REAL.replace(html, report.to_html().encode(errors="replace"))
    typer.echo(json.dumps(report.to_json(), indent=1) if as_json else printable(report.to_text()))
    if not report.ok:
        raise typer.Exit(1)


def show_stats(
    data: str, splits: list[str], tokenizer: str | None, workers: int | None, revision: str | None, as_json: bool
) -> None:
    """Count and print."""
    report = stats(data, split=splits or None, tokenizer=tokenizer, workers=workers, revision=revision)
    typer.echo(json.dumps(report.to_json(), indent=1) if as_json else printable(report.to_text()))


def show_restoring(
    data: str,
    sources: list[str],
    out: Path,
    splits: list[str],
    revision: str | None,
    pins: Path | None,
    as_json: bool,
) -> None:
    """Restore and print."""
    given = {}
    for told in sources:
        name, found, path = told.partition("=")
        if not (name and found and path):
            raise UsageError(f"--source {quoted(told)}: write NAME=PATH, such as lmsys=lmsys-chat-1m")
        given[name] = path
    report = restore(data, given, out, split=splits or None, revision=revision, pins=pins)
    typer.echo(json.dumps(report.to_json(), indent=1) if as_json else printable(report.to_text()))
    if not report.ok:
        raise typer.Exit(1)


def _limit(told: str) -> tuple[str, float]:
    name, _, share = told.partition("=")
    try:
        return name, float(share.removesuffix("%")) / (100 if share.endswith("%") else 1)
    except ValueError:
        raise UsageError(f"--max {quoted(told)}: write CHECK=SHARE, such as prompt_placeholder=5%") from None


def _progress(done: int, total: int) -> None:
    sys.stderr.write(f"\r{done:,} of {total:,} pieces" + ("\n" if done == total else ""))
    sys.stderr.flush()
