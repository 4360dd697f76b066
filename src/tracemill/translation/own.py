"""A run's own copies of the files that its `translate` names: prompt, languages, memory. The files may change or go."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tracemill.languages import codes
from tracemill.recipe import Recipe
from tracemill.storage.fs import REAL, Fs
from tracemill.translation.memory import BUILT_IN, keep_memory
from tracemill.translation.prompting import Prompt, is_built_in
from tracemill.translation.stage import Setup


def keep(directory: Path, setup: Setup, fs: Fs = REAL) -> dict[str, Any]:
    """Copy what a translation is set up with into a run.

    Returns:
        The keys of `translate` that name files, with the names of the copies below `directory`.
    """
    told: dict[str, Any] = {"to": [target.code for target in setup.targets], "source": setup.source.code}
    if setup.prompt_file is not None:
        told["prompt"] = _keep_prompt(directory, setup.prompt, fs)
    local = setup.translate.localise
    if local is not None and not is_built_in(local.prompt):
        told["localise"] = _keep_prompt(directory, setup.local_prompt, fs)
    own = [one for one in (setup.source, *setup.targets) if one.code not in codes() or setup.is_own(one)]
    told["languages"] = []
    for one in own:
        fs.mkdir(directory)
        data = json.dumps(one.model_dump(mode="json", by_alias=True, exclude_none=True), ensure_ascii=False)
        fs.replace(directory / f"{one.code}.yaml", data.encode())
        told["languages"].append(f"{one.code}.yaml")
    told["memory"] = [keep_memory(directory, setup.memory, fs).name] if setup.memory.pairs else []
    if setup.memory.phrases is not None:
        told[BUILT_IN] = True
    told["runs"] = [str(Path(run).absolute()) for run in setup.runs]
    return told


def _keep_prompt(directory: Path, prompt: Prompt, fs: Fs) -> str:
    fs.mkdir(directory)
    name = f"prompt-{prompt.hash[:16]}"
    fs.replace(directory / f"{name}.txt", f"{prompt.user}\n".encode())
    fs.replace(directory / f"{name}.system.txt", prompt.system.encode())
    return f"{name}.txt"


def with_own(recipe: Recipe, directory: Path, told: Mapping[str, Any]) -> Recipe:
    """`recipe` with the run's own files in place of those that it named."""
    assert recipe.translate is not None  # nothing else is kept for
    changed: dict[str, Any] = {"to": tuple(told["to"]), "source": told["source"]}
    if "prompt" in told:
        changed["prompt"] = str(directory / told["prompt"])
    if "localise" in told and recipe.translate.localise is not None:
        own = {"prompt": str(directory / told["localise"])}
        changed["localise"] = recipe.translate.localise.model_copy(update=own)
    changed["languages"] = tuple(str(directory / name) for name in told["languages"])
    phrases = (BUILT_IN,) if told.get(BUILT_IN) else ()
    changed["memory"] = (*(str(directory / name) for name in told["memory"]), *phrases, *told["runs"])
    return recipe.model_copy(update={"translate": recipe.translate.model_copy(update=changed)})
