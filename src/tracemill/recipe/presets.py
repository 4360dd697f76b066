"""Known corpora by name: `presets.yaml` holds them, and a source of prompts takes one over with `preset`."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

import yaml

from tracemill.legible import did_you_mean, quoted
from tracemill.recipe.parts import at_key


@cache
def presets() -> Mapping[str, Mapping[str, Any]]:
    """Every preset: keys of `PromptFiles`, and `about`, which says what is meant."""
    text = files("tracemill.recipe").joinpath("presets.yaml").read_text(encoding="utf-8")
    told: dict[str, dict[str, Any]] = yaml.safe_load(text)
    return {name: {"name": name, **held} for name, held in told.items()}


def over_preset(told: Any) -> Any:
    """A source of prompts with what its preset says below what it says itself; `fields` key by key.

    Raises:
        PydanticCustomError: there is no such preset.
    """
    if not isinstance(told, dict) or told.get("preset") is None:
        return told
    name = told["preset"]
    known = presets().get(name) if isinstance(name, str) else None
    if known is None:
        near = did_you_mean(str(name), presets()) or f" There are: {', '.join(presets())}"
        raise at_key("preset", f"there is no preset {quoted(str(name))}.{near}")
    merged = {key: value for key, value in known.items() if key != "about"} | told
    own = told.get("fields")
    if isinstance(own, dict):
        merged["fields"] = {**known["fields"], **own}
    return merged
