"""All commands. Heavy imports wait for the command that needs them, so that `--help` answers at once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    name="tracemill",
    help="The open post-training data mill: prompts go in, verified reasoning data comes out.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

Out = Annotated[Path, typer.Option("--out", help="Directory of the run; the same one goes on where it was.")]
Workers = Annotated[int | None, typer.Option("--workers", help="Worker processes. [default: cores, at most 4]")]
Limit = Annotated[int | None, typer.Option("--limit", help="Take only the first N prompts, in input order.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout.")]
Set = Annotated[list[str] | None, typer.Option("--set", help="Change one key of the recipe: a.b=value. Repeatable.")]
Run = Annotated[Path, typer.Argument(metavar="DIR", help="Directory of a run.")]


def _version(asked: bool) -> None:
    if asked:
        import tracemill

        typer.echo(f"tracemill {tracemill.__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


@app.command()
def demo(out: Out = Path("demo"), workers: Workers = None, as_json: AsJson = False) -> None:
    """The whole journey offline, with the built-in teacher, in under a minute."""
    from tracemill.cli.build import run_demo

    run_demo(out, workers, as_json)


@app.command()
def build(
    recipe: Annotated[Path, typer.Argument(metavar="RECIPE", help="The recipe, a YAML file.")],
    out: Out,
    assignments: Set = None,
    workers: Workers = None,
    engine: Annotated[str, typer.Option("--engine", help="Who schedules the work: local.")] = "local",
    limit: Limit = None,
    as_json: AsJson = False,
) -> None:
    """Build a dataset from a RECIPE. The same command goes on where an earlier one stopped."""
    from tracemill.cli.build import run_build

    run_build(recipe, out, assignments or [], workers, engine, limit, as_json)


@app.command()
def status(run: Run, as_json: AsJson = False) -> None:
    """How far the run in DIR is."""
    from tracemill.cli.look import show_status

    show_status(run, as_json)


@app.command()
def explain(
    run: Run,
    uuid: Annotated[str, typer.Argument(metavar="UUID", help="A row's uuid, as in data/, rejected/ or failed/.")],
    as_json: AsJson = False,
) -> None:
    """The life of one row: its prompt, what was asked and came back, each verdict, and where it ended."""
    from tracemill.cli.look import show_life

    show_life(run, uuid, as_json)


@app.command()
def audit(
    run: Run,
    quick: Annotated[
        bool, typer.Option("--quick", help="Check files and counts, but do not work the units again.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Prove that the run in DIR is whole. Exit 1 on any doubt."""
    from tracemill.cli.look import show_audit

    show_audit(run, quick, as_json)
