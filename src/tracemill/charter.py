"""What a run is: its recipe, the texts of its templates, its limit and its spool, in one file that is replaced at once.

It is written when the input has been read and the templates are known, so that a build which fails before leaves the
run what it was. `recipe.yaml` beside it is a copy for people.
"""

from __future__ import annotations

import json
from pathlib import Path

import yaml

from tracemill import identity
from tracemill.errors import CorruptRun, UsageError
from tracemill.plan import Plan
from tracemill.recipe import Recipe
from tracemill.recipe_file import recipe_from
from tracemill.respond.templates import PLACEHOLDER
from tracemill.rework.which import plan_at
from tracemill.storage.fs import REAL, Fs
from tracemill.storage.layout import RunPaths


def with_own_templates(paths: RunPaths, recipe: Recipe, plan: Plan, fs: Fs = REAL) -> Recipe:
    """`recipe` with each template and rubric that it names copied into the run: the files may change or go.

    Args:
        plan: Has read and checked the files.
    """
    names: dict[str, str] = {}
    for category in recipe.respond.templates:
        template = plan.templates[category]
        data = f"{template.before}{PLACEHOLDER}{template.after}\n".encode()
        names[category] = f"{category}-{identity.digest(data.decode())[:16]}.txt"
        fs.mkdir(paths.templates)
        fs.replace(paths.templates / names[category], data)
    rubrics: dict[str, str] = {}
    for category in recipe.judge.rubrics if recipe.judge else ():
        data = plan.rubrics[category].to_yaml().encode()
        rubrics[category] = f"rubric-{category}-{identity.digest(data.decode())[:16]}.yaml"
        fs.mkdir(paths.templates)
        fs.replace(paths.templates / rubrics[category], data)
    own = _with_files(paths, recipe, names, rubrics)
    if plan.translation is None:
        return own
    from tracemill.translation.own import keep, with_own

    return with_own(own, paths.translation, keep(paths.translation, plan.translation, fs))


def write_charter(paths: RunPaths, plan: Plan, recipe: Recipe, fs: Fs = REAL) -> None:
    """Say what the run is from now on. Secrets stand in the recipe as ${env:NAME}.

    Args:
        plan: Its recipe names the run's own templates.
        recipe: As the user gave it.
    """
    judge = plan.recipe.judge
    written = recipe.model_dump(mode="json", exclude_none=True)
    told = {
        "fingerprint": plan.fingerprint,
        "spool": plan.spool.directory.name,
        "limit": plan.limit,
        "samples": plan.samples,
        "recipe": written,
        "templates": {category: Path(file).name for category, file in plan.recipe.respond.templates.items()},
        "rubrics": {category: Path(file).name for category, file in judge.rubrics.items()} if judge else {},
    }
    if plan.translation is not None:
        from tracemill.translation.own import keep

        told["translation"] = keep(paths.translation, plan.translation, fs)
    fs.replace(paths.plan, json.dumps(told).encode())
    fs.replace(paths.recipe, yaml.safe_dump(written, sort_keys=False, allow_unicode=True).encode())


def open_plan(root: str | Path, fs: Fs = REAL) -> tuple[RunPaths, Plan]:
    """The plan that a run directory was last built with.

    Raises:
        UsageError: there is no run.
        CorruptRun: what says how it was built cannot be read.
    """
    paths = RunPaths(Path(root))
    at = paths.plan
    try:
        told = json.loads(fs.read(at))
        spool, limit = paths.spool / told["spool"], told["limit"]
        if "recipe" not in told:  # as version 0.1 wrote it at first
            at = paths.recipe
            told["recipe"] = yaml.safe_load(fs.read(at))
        own = (told.get("templates", {}), told.get("rubrics", {}))
        recipe = _with_files(paths, recipe_from(told["recipe"], at.name), *own)
        if "translation" in told:
            from tracemill.translation.own import with_own

            recipe = with_own(recipe, paths.translation, told["translation"])
        return paths, plan_at(recipe, spool, limit, fs)
    except CorruptRun:
        raise
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, yaml.YAMLError) as exc:
        why = " ".join(str(exc).split())
        raise CorruptRun(
            f"{at}: damaged, it cannot be read ({why}); the command that made the run, such as `tracemill build RECIPE"
            f" --out {paths.root}`, writes it again"
        ) from exc
    except (FileNotFoundError, NotADirectoryError):
        raise UsageError(
            f"{paths.root} holds no run that has begun; `tracemill build RECIPE --out {paths.root}` makes one"
        ) from None


def _with_files(paths: RunPaths, recipe: Recipe, templates: dict[str, str], rubrics: dict[str, str]) -> Recipe:
    """The recipe with the run's own files, by category."""
    changed: dict[str, object] = {}
    if templates:
        files = {category: str(paths.templates / name) for category, name in templates.items()}
        changed["respond"] = recipe.respond.model_copy(update={"templates": files})
    if rubrics and recipe.judge is not None:
        files = {category: str(paths.templates / name) for category, name in rubrics.items()}
        changed["judge"] = recipe.judge.model_copy(update={"rubrics": files})
    return recipe.model_copy(update=changed) if changed else recipe
