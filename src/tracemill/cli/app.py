"""All commands. Heavy imports wait for the command that needs them, so that `--help` answers at once."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from tracemill.cli.evaluate import eval_app

app = typer.Typer(
    name="tracemill",
    help="The open post-training data mill: prompts go in, verified reasoning data comes out.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

app.add_typer(eval_app, name="eval")

Out = Annotated[Path, typer.Option("--out", help="Directory of the run; the same one goes on where it was.")]
Workers = Annotated[int | None, typer.Option("--workers", help="Worker processes. [default: cores, at most 4]")]
Limit = Annotated[int | None, typer.Option("--limit", help="Take only the first N prompts, in input order.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout.")]
Progress = Annotated[str, typer.Option("--progress", help="How to show it on stderr: auto, live, plain, json or none.")]
Set = Annotated[list[str] | None, typer.Option("--set", help="Change one key of the recipe: a.b=value. Repeatable.")]
Recipe = Annotated[Path, typer.Argument(metavar="RECIPE", help="The recipe, a YAML file.")]
Run = Annotated[Path, typer.Argument(metavar="DIR", help="Directory of a run.")]


def _choose_allocator() -> None:
    """Before pyarrow is imported, which is when Arrow's own code chooses where memory comes from: publishing 100,000 rows
    takes 196 MB with the system's allocator, 224 with Arrow's. See `give_memory_back`, for what Python asks of Arrow.
    """
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")


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
def demo(
    out: Out = Path("demo"), workers: Workers = None, progress: Progress = "auto", as_json: AsJson = False
) -> None:
    """The whole journey offline, with the built-in teacher, in under a minute."""
    _choose_allocator()
    from tracemill.cli.demo import run_demo

    run_demo(out, workers, progress, as_json)


@app.command()
def build(
    recipe: Annotated[Path, typer.Argument(metavar="RECIPE", help="The recipe, a YAML file.")],
    out: Out,
    assignments: Set = None,
    workers: Workers = None,
    engine: Annotated[str, typer.Option("--engine", help="Who schedules the work: local.")] = "local",
    limit: Limit = None,
    wait: Annotated[
        str | None,
        typer.Option(
            "--wait-for-endpoint",
            metavar="TIME",
            help="Wait so long for a teacher that does not answer: 90s, 10m, 1h. [default: 15s if it never has, else 10m]",
        ),
    ] = None,
    progress: Progress = "auto",
    as_json: AsJson = False,
) -> None:
    """Build a dataset from a RECIPE. The same command goes on where an earlier one stopped."""
    _choose_allocator()
    from tracemill.cli.build import run_build

    run_build(recipe, out, assignments or [], workers, engine, limit, wait, progress, as_json)


@app.command()
def plan(
    recipe: Recipe,
    out: Annotated[
        Path | None, typer.Option("--out", help="Directory of the run, new or begun. [default: a temporary one]")
    ] = None,
    assignments: Set = None,
    limit: Limit = None,
    pilot: Annotated[
        int | None, typer.Option("--pilot", metavar="N", help="Ask N prompts and measure; a build in --out uses them.")
    ] = None,
    latency: Annotated[
        str | None,
        typer.Option("--latency", metavar="TIME", help="What a reply takes: 20s, 2m. [default: as measured]"),
    ] = None,
    reply_tokens: Annotated[
        int | None, typer.Option("--reply-tokens", metavar="N", help="Tokens of a reply. [default: as measured]")
    ] = None,
    workers: Workers = None,
    wait: Annotated[
        str | None,
        typer.Option("--wait-for-endpoint", metavar="TIME", help="As for build."),
    ] = None,
    progress: Progress = "auto",
    as_json: AsJson = False,
) -> None:
    """What a build of RECIPE would take: rows, calls, tokens, money, disk and time, before anything is spent."""
    _choose_allocator()
    from tracemill.cli.plan import run_plan

    run_plan(recipe, out, assignments or [], limit, pilot, latency, reply_tokens, workers, wait, progress, as_json)


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


@app.command()
def export(
    recipe: Recipe,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The file to write, JSONL.")],
    out: Out,
    assignments: Set = None,
    teacher: Annotated[str | None, typer.Option("--teacher", help="Only the requests to this teacher.")] = None,
    limit: Limit = None,
    as_json: AsJson = False,
) -> None:
    """Write the requests that a build of RECIPE would send now to FILE, as batch services read them."""
    from tracemill.cli.journal import run_export

    run_export(recipe, out, file, assignments or [], teacher, limit, as_json)


@app.command(name="import")
def import_(
    recipe: Recipe,
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Batch output, batch input, or pairs: JSONL.")],
    out: Out,
    form: Annotated[
        str, typer.Option("--format", help="What the files are: auto, openai-batch, vllm-batch or pairs.")
    ] = "auto",
    assignments: Set = None,
    limit: Limit = None,
    as_json: AsJson = False,
) -> None:
    """Take answers bought elsewhere into the journal, so that a build of RECIPE asks only for the rest."""
    from tracemill.cli.journal import run_import

    run_import(recipe, out, files, assignments or [], form, limit, as_json)


@app.command()
def compact(run: Run, as_json: AsJson = False) -> None:
    """Make the journal of the run in DIR smaller. No build asks anything more for it."""
    from tracemill.cli.journal import run_compact

    run_compact(run, as_json)


@app.command()
def doctor(
    recipe: Annotated[Path | None, typer.Argument(metavar="RECIPE", help="A recipe whose teachers are asked.")] = None,
    assignments: Set = None,
    as_json: AsJson = False,
) -> None:
    """What is installed, and with a RECIPE whether its teachers do what it expects of them."""
    from tracemill.cli.doctor import run_doctor

    run_doctor(recipe, assignments or [], as_json)


Data = Annotated[
    str, typer.Argument(metavar="DATA", help="A directory, a Parquet, JSONL or Arrow file, a glob, or a Hub id.")
]
Splits = Annotated[list[str] | None, typer.Option("--split", help="Only this split. Repeatable.")]
Readers = Annotated[
    int | None, typer.Option("--workers", help="Worker processes; 0: none. [default: cores, at most 4]")
]
Revision = Annotated[str | None, typer.Option("--revision", help="Of a Hub dataset: commit, tag or branch.")]


@app.command()
def translate(
    data: Annotated[
        str | None,
        typer.Argument(metavar="DATA", help="A run, a directory, a Parquet, JSONL or Arrow file, a glob, or a Hub id."),
    ] = None,
    to: Annotated[
        str | None, typer.Option("--to", help="Languages, by code or language file: fr,es,de. [default: the recipe's]")
    ] = None,
    *,
    out: Out,
    recipe: Annotated[
        Path | None, typer.Option("--recipe", help="Who translates, and how. [default: recipes/translate.yaml]")
    ] = None,
    assignments: Set = None,
    pilot: Annotated[
        int | None, typer.Option("--pilot", help="Translate N rows into the first language, and tell what came of it.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Go on after the pilot without a question.")] = False,
    review: Annotated[
        int | None,
        typer.Option("--review", help="Afterwards write N segments of each language to --pairs, to be looked at."),
    ] = None,
    pairs: Annotated[
        Path | None,
        typer.Option("--pairs", help="Afterwards write segments and translations to this file: .tmx, .xlf or .jsonl."),
    ] = None,
    workers: Workers = None,
    limit: Annotated[int | None, typer.Option("--limit", help="Take only the first N rows, in input order.")] = None,
    wait: Annotated[
        str | None,
        typer.Option(
            "--wait-for-endpoint",
            metavar="TIME",
            help="Wait so long for a model that does not answer: 90s, 10m, 1h. [default: 15s if it never has, else 10m]",
        ),
    ] = None,
    progress: Progress = "auto",
    as_json: AsJson = False,
) -> None:
    """Put the rows of DATA into further languages, their traces left as they are. The same command goes on."""
    _choose_allocator()
    from tracemill.cli.translate import run_translate

    run_translate(
        data, to, out, recipe, assignments or [], pilot, yes, review, pairs, workers, limit, wait, progress, as_json
    )


@app.command()
def validate(
    data: Data,
    splits: Splits = None,
    limits: Annotated[list[str] | None, typer.Option("--max", help="What is allowed: CHECK=SHARE. Repeatable.")] = None,
    against: Annotated[
        list[str] | None, typer.Option("--against", help="A benchmark whose items must not be in prompts. Repeatable.")
    ] = None,
    workers: Readers = None,
    revision: Revision = None,
    html: Annotated[Path | None, typer.Option("--html", help="Write the report as a page to this file too.")] = None,
    no_dups: Annotated[bool, typer.Option("--no-duplicates", help="Do not look for repeated rows.")] = False,
    as_json: AsJson = False,
) -> None:
    """What is wrong with a dataset. Exit 1 if a finding is over its limit."""
    from tracemill.cli.inspect import show_validation

    show_validation(data, splits or [], limits or [], against or [], workers, revision, html, not no_dups, as_json)


@app.command()
def stats(
    data: Data,
    splits: Splits = None,
    tokenizer: Annotated[
        str | None, typer.Option("--tokenizer", help="A tokenizer.json, to count tokens with.")
    ] = None,
    workers: Readers = None,
    revision: Revision = None,
    as_json: AsJson = False,
) -> None:
    """What is in a dataset: rows, bytes, characters, by split, language, generator and more."""
    from tracemill.cli.inspect import show_stats

    show_stats(data, splits or [], tokenizer, workers, revision, as_json)


@app.command()
def refine(
    data: Data,
    recipe: Annotated[Path, typer.Option("--recipe", help="The recipe, a YAML file whose source is `rows`.")],
    out: Out,
    assignments: Set = None,
    splits: Splits = None,
    revision: Revision = None,
    limit: Annotated[int | None, typer.Option("--limit", help="Take only the first N rows, in input order.")] = None,
    workers: Workers = None,
    progress: Progress = "auto",
    as_json: AsJson = False,
) -> None:
    """Verify and filter finished rows with the steps of a build. The same command goes on, and works new files alone."""
    _choose_allocator()
    from tracemill.cli.refine import run_refine

    run_refine(data, recipe, out, assignments or [], splits or [], revision, limit, workers, progress, as_json)


@app.command()
def restore(
    data: Data,
    sources: Annotated[
        list[str], typer.Option("--source", help="A set that prompts were taken from: NAME=PATH. Repeatable.")
    ],
    out: Annotated[Path, typer.Option("--out", help="A new directory for the restored dataset.")],
    splits: Splits = None,
    revision: Revision = None,
    pins: Annotated[Path | None, typer.Option("--pins", help="restored-keys.parquet of an earlier run.")] = None,
    as_json: AsJson = False,
) -> None:
    """Put withheld prompts back, from your own copies of the sets that they come from."""
    from tracemill.cli.inspect import show_restoring

    show_restoring(data, sources, out, splits or [], revision, pins, as_json)


@app.command()
def remove(
    data: Data,
    uuids: Annotated[list[str] | None, typer.Option("--uuid", help="A row to take down. Repeatable.")] = None,
    prompts: Annotated[
        list[str] | None, typer.Option("--prompt-hash", help="A prompt, all rows of which are taken down. Repeatable.")
    ] = None,
    file: Annotated[Path | None, typer.Option("--from", help="A uuid or prompt hash in each line.")] = None,
    out: Annotated[Path | None, typer.Option("--out", help="For data that is no run: a new directory.")] = None,
    as_json: AsJson = False,
) -> None:
    """Take rows down from what was published; no later build brings them back. Exit 1 if an id means no row."""
    from tracemill.cli.remove import run_remove

    run_remove(data, uuids or [], prompts or [], file, out, as_json)


@app.command()
def glean(
    run: Run,
    out: Annotated[Path, typer.Option("--out", help="A new directory for them.")],
    pairs: Annotated[
        int | None, typer.Option("--pairs", help="Pairs of one prompt and mode, at most. [default: all]")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """By-products of the run in DIR: preference pairs, and prompts with their check and pass rate, as TRL reads them."""
    from tracemill.cli.glean import run_glean

    run_glean(run, out, pairs, as_json)


@app.command()
def contains(
    data: Data,
    texts: Annotated[list[str] | None, typer.Option("--text", help="A text to look for. Repeatable.")] = None,
    files: Annotated[list[Path] | None, typer.Option("--file", help="A file with a text. Repeatable.")] = None,
    share: Annotated[
        str, typer.Option("--share", help="The share of a text from which on a row holds it: 0.2 or 20%.")
    ] = "20%",
    splits: Splits = None,
    limit: Annotated[int, typer.Option("--limit", help="Tell only the first N rows of each text.")] = 20,
    revision: Revision = None,
    as_json: AsJson = False,
) -> None:
    """Is a text in a dataset? Tells the rows that hold it, whole or in part. Exit 1 if none does."""
    from tracemill.cli.contains import show_found

    show_found(data, texts or [], files or [], share, splits or [], limit, revision, as_json)
