"""`tracemill eval`. What is heavy waits for the command."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from tracemill.evaluate import Report
    from tracemill.translators import Translator

eval_app = typer.Typer(help="Measure: how good translations are.", no_args_is_help=True, rich_markup_mode=None)


@eval_app.callback()
def _eval() -> None:
    """Measure: how good translations are."""


@eval_app.command()
def translation(
    data: Annotated[
        str,
        typer.Argument(
            metavar="DATA", help="A run or dataset with translated rows and their parents; or with --system a table."
        ),
    ],
    to: Annotated[
        str | None, typer.Option("--to", help="Languages, by code or language file: fr,es. [default: all there are]")
    ] = None,
    source: Annotated[
        str, typer.Option("--source", help="Language of the sources; of a table also the column.")
    ] = "en",
    systems: Annotated[
        list[str] | None,
        typer.Option(
            "--system", metavar="NAME=COLUMN", help="A column with translations; {lang} is the code. Repeatable."
        ),
    ] = None,
    reference: Annotated[
        str | None, typer.Option("--reference", metavar="COLUMN", help="The column with references, such as {lang}.")
    ] = None,
    domain: Annotated[
        str | None, typer.Option("--domain", metavar="COLUMN", help="The column that says what a row is about.")
    ] = None,
    back: Annotated[
        str | None,
        typer.Option(
            "--back", metavar="COMMAND", help="Translate back by a program, or by `apertium`: chrF of what comes."
        ),
    ] = None,
    similarity: Annotated[
        str | None,
        typer.Option("--similarity", metavar="MODEL", help="Cosine by a sentence model: a directory or Hub id."),
    ] = None,
    comet: Annotated[
        Path | None, typer.Option("--comet", metavar="FILE", help="Score by COMET with this checkpoint.")
    ] = None,
    draws: Annotated[
        int, typer.Option("--draws", min=0, help="Bootstrap samples of each figure; 0: no intervals.")
    ] = 1000,
    limit: Annotated[
        int | None, typer.Option("--limit", min=1, help="Take only the first N rows, of a dataset in each language.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout.")] = False,
) -> None:
    """How good the translations in DATA are: against references, or without; several systems side by side."""
    import json

    from tracemill.legible import printable

    report = _measure(data, to, source, systems or [], reference, domain, back, similarity, comet, draws, limit)
    typer.echo(json.dumps(report.to_json(), indent=1) if as_json else printable(report.to_text()))


def _measure(
    data: str,
    to: str | None,
    source: str,
    systems: list[str],
    reference: str | None,
    domain: str | None,
    back: str | None,
    similarity: str | None,
    comet: Path | None,
    draws: int,
    limit: int | None,
) -> Report:
    from tracemill.errors import UsageError
    from tracemill.evaluate import dataset_lines, evaluate, table_lines
    from tracemill.evaluate.comet import Comet
    from tracemill.evaluate.similarity import SentenceTransformers
    from tracemill.languages import language
    from tracemill.legible import quoted

    targets = {each.code: each for each in (language(code) for code in (to or "").split(",") if code)}
    named = {}
    for told in systems:
        name, found, column = told.partition("=")
        named[name] = column if found else name
        if not named[name]:
            raise UsageError(f"--system {quoted(told)}: write NAME=COLUMN, such as tiny=mt_tiny_{{lang}}")
    if named and not targets:
        raise UsageError("--system needs --to: the languages of the table's columns")
    if not named and (reference or domain):
        raise UsageError(
            "--reference and --domain are columns of a table; name its translations by --system NAME=COLUMN"
        )
    lines = (
        table_lines(data, list(targets), source, named, reference, domain, limit)
        if named
        else dataset_lines(data, list(targets), limit)
    )
    return evaluate(
        lines,
        source=source,
        languages=targets,
        back=_translator(back, list(targets), source) if back else None,
        similarity=SentenceTransformers(similarity) if similarity else None,
        comet=Comet(comet) if comet else None,
        draws=draws,
    )


def _translator(command: str, targets: list[str], source: str) -> Translator:
    """Apertium by its modes, or a program that reads lines and answers when they end; its command may hold {lang}."""
    import shlex

    from tracemill.errors import UsageError
    from tracemill.translators import CommandTranslator, Program, apertium

    if not targets:
        raise UsageError("--back needs --to: the languages that are translated back")
    if command == "apertium":
        return apertium((code, source) for code in targets)
    try:
        words = shlex.split(command)
    except ValueError as exc:
        raise UsageError(f"--back: this is no command: {exc}") from exc
    pairs = {
        (code, source): [Program(tuple(word.replace("{lang}", code) for word in words), life="batch", apart=False)]
        for code in targets
    }
    return CommandTranslator(pairs)
