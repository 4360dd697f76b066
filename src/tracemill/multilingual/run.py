"""`tracemill.translate`: the rows of a dataset into further languages."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

from tracemill.errors import UsageError
from tracemill.mill import Engine, Watch, build
from tracemill.multilingual.report import TranslationReport, translation_report
from tracemill.recipe import Recipe, Rows
from tracemill.recipe.problems import Places
from tracemill.recipe_file import load_recipe, recipe_from
from tracemill.storage.fs import REAL, Fs


def translate(
    data: str | Path | None,
    to: Sequence[str] | str | None,
    out: str | Path,
    *,
    recipe: Recipe | None = None,
    workers: int | None = None,
    limit: int | None = None,
    wait_for_endpoint: float | None = None,
    watch: Watch | None = None,
    engine: Engine | None = None,
    fs: Fs = REAL,
) -> TranslationReport:
    """Translate the rows of a dataset, or go on where an earlier call stopped. Traces stay byte for byte as they are.

    Args:
        data: A run, a directory, a Parquet, JSONL or Arrow file, a glob, or a Hub id. None: what the recipe names.
        to: Languages, by code or by language file; "fr,es" or a list. None: those of the recipe.
        out: Directory of the new run; the rows of `data` stand in it too, before their translations.
        recipe: Names the models; by default the one that we ship, which asks http://localhost:8000.
        limit: Take only the first so many rows.
    Raises:
        RecipeError: The recipe, a language or the data cannot be used.
        UsageError: `data` lies in `out`.
        Others: As `build`.
    """
    wanted = recipe_for(recipe or shipped(), data, to)
    check_apart(wanted, out)
    report = build(
        wanted,
        out,
        workers=workers,
        limit=limit,
        wait_for_endpoint=wait_for_endpoint,
        watch=watch,
        engine=engine,
        fs=fs,
    )
    return translation_report(out, report.sent)


def shipped() -> Recipe:
    """The recipe that is used where none is given."""
    with as_file(files("tracemill") / "recipes" / "translate.yaml") as path:
        return load_recipe(path)


def recipe_for(recipe: Recipe, data: str | Path | None, to: Sequence[str] | str | None) -> Recipe:
    """A recipe with this dataset and these languages in place of its own.

    Raises:
        UsageError: It says nothing of translation, or names no rows, or `to` no language.
        RecipeError: `to` or `data` is not what a recipe may have there.
    """
    if recipe.translate is None:
        raise UsageError(
            "the recipe has no `translate`: it must say which teachers translate; see recipes/translate.yaml"
        )
    told: dict[str, Any] = {}
    if data is not None:
        own = next((source for source in recipe.prompts if isinstance(source, Rows)), None)
        told["prompts"] = (Rows(rows=str(data)) if own is None else own.model_copy(update={"rows": str(data)}),)
    elif not recipe.has_rows:
        raise UsageError("the recipe names no rows to translate; write `prompts: {rows: PATH}`, or give DATA")
    if to is not None:
        codes = to.split(",") if isinstance(to, str) else list(to)
        codes = [code.strip() for code in codes if code.strip()]
        if not codes:
            raise UsageError("--to names no language; write codes, or paths of language files: --to fr,es")
        told["translate"] = {**recipe.translate.model_dump(), "to": codes}
    if not told:
        return recipe
    whole = {**recipe.model_dump(), **{k: _plain(v) for k, v in told.items()}}
    return recipe_from(whole, Places("DATA and --to" if len(told) == 2 else "--to" if to is not None else "DATA"))


def check_apart(recipe: Recipe, out: str | Path) -> None:
    """Refuse to read rows from where they would be written.

    Raises:
        UsageError: Rows of the recipe lie in `out`, so what is published would take their place.
    """
    root = Path(out).resolve()
    for source in recipe.prompts:
        if isinstance(source, Rows) and Path(source.rows).resolve().is_relative_to(root):
            raise UsageError(
                f"{source.rows} lies in --out {out}, whose rows would take its place; name a new directory"
            )


def _plain(value: Any) -> Any:
    return [part.model_dump() for part in value] if isinstance(value, tuple) else value
