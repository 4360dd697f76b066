"""What a build would ask now, written as the input of a batch service."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from tracemill.engines.wanted import stored, walk
from tracemill.errors import DiskError, UsageError
from tracemill.gather.inputs import input_files
from tracemill.gather.spool import open_spool
from tracemill.legible import quoted
from tracemill.mill import check_place
from tracemill.plan import Plan
from tracemill.recipe import PromptFiles, Recipe
from tracemill.storage.fs import REAL, Fs, disk_errors
from tracemill.storage.layout import RunPaths
from tracemill.storage.lock import RunLock

URL = "/v1/chat/completions"


@dataclass(frozen=True, slots=True)
class ExportReport:
    """What was written."""

    file: Path
    requests: int
    samples: int
    """Samples that the recipe asks for."""

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {"file": str(self.file), "requests": self.requests, "samples": self.samples}


def _check_target(file: Path, paths: RunPaths, recipe: Recipe) -> None:
    """The file is replaced without a question, so it may be nothing that somebody needs."""
    target = file.resolve()
    inputs = {p.resolve() for source in recipe.prompts if isinstance(source, PromptFiles) for p in input_files(source)}
    if target in inputs:
        raise UsageError(f"{file} holds the recipe's prompts; name another file for the requests")
    if target.is_relative_to(paths.root.resolve()):
        raise UsageError(f"{file} lies in the run {paths.root}; name a file outside of it for the requests")
    if file.suffix.lower() in (".yaml", ".yml", ".parquet"):
        raise UsageError(f"{file}: requests are JSON lines; name a file that ends in .jsonl")


def export_requests(
    recipe: Recipe,
    out: str | Path,
    file: str | Path,
    *,
    teacher: str | None = None,
    limit: int | None = None,
    fs: Fs = REAL,
    tell: Callable[[str], None] = lambda text: None,
) -> ExportReport:
    """Write the requests that a build of the recipe in `out` would send now, as JSONL that batch services read.

    One line of it: {"custom_id": request key, "method": "POST", "url": "/v1/chat/completions", "body": {...}}.

    Args:
        teacher: Only the requests to this teacher: most services take one model in a file.
        limit: Take only the first so many prompts, in input order.
        tell: Called with a line of progress now and then.
    Raises:
        UsageError: there is no such teacher, or `out` is no place for a run.
        RecipeError: the recipe or an input cannot be used.
        Locked: another process writes `out`.
        DiskError: the disk is full or refuses; no half file is left.
    """
    bought = [name for name, told in recipe.teachers.items() if told.url != "builtin" and teacher in (None, name)]
    if not bought:
        known = ", ".join(recipe.teachers)
        raise UsageError(
            f"--teacher {quoted(teacher)}: the recipe's teachers are {known}"
            if teacher not in (None, *recipe.teachers)
            else "nothing to export: the built-in teacher answers on this machine"
        )
    paths, file = RunPaths(Path(out)), Path(file)
    _check_target(file, paths, recipe)
    check_place(paths)
    with RunLock(paths.lock):
        plan = Plan(recipe, open_spool(paths.spool, recipe, limit, fs), limit)
        written = asyncio.run(_write(plan, paths, file, frozenset(bought), fs, tell))
    return ExportReport(file, written, plan.samples)


async def _write(
    plan: Plan, paths: RunPaths, file: Path, bought: frozenset[str], fs: Fs, tell: Callable[[str], None]
) -> int:
    aside = file.with_name(f".{file.name}.tmp")
    count = 0
    journal = stored(paths, fs)
    fs.mkdir(file.parent)
    try:
        with fs.create(aside) as target:
            async for walked in walk(plan, journal, tell):
                request = walked.wanted
                if request is not None and request.teacher in bought:
                    told = {"custom_id": request.key, "method": "POST", "url": URL, "body": request.body()}
                    with disk_errors(aside):
                        target.write(orjson.dumps(told) + b"\n")
                    count += 1
            fs.sync(target, aside)
        fs.rename(aside, file)
        fs.sync_dir(file.parent)
    except BaseException:
        with suppress(DiskError):
            fs.unlink(aside)
        raise
    finally:
        if journal is not None:
            journal.close()
    return count
