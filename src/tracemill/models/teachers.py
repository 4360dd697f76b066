"""The teachers of a recipe, ready to be asked."""

from __future__ import annotations

import math
from collections.abc import Mapping

from tracemill.models.builtin import BuiltinTeacher, Slips
from tracemill.models.endpoint import Endpoint
from tracemill.models.gate import Gate
from tracemill.models.wire import Sender
from tracemill.recipe import Recipe

BUILT_IN_AT_ONCE = 64
"""The built-in teacher only computes: more requests at once would only hold memory."""


def open_senders(recipe: Recipe) -> Mapping[str, Sender]:
    """Whoever carries requests, by teacher name.

    Raises:
        RecipeError: a secret that the recipe names is not in the environment.
    """
    return {
        name: BuiltinTeacher(Slips(**teacher.slips.model_dump()), seed=recipe.seed)
        if teacher.url == "builtin"
        else Endpoint(name, teacher)
        for name, teacher in recipe.teachers.items()
    }


def open_gates(recipe: Recipe, workers: int) -> Mapping[str, Gate]:
    """One gate per teacher; the workers share a teacher's concurrency evenly."""
    out = {}
    for name, teacher in recipe.teachers.items():
        most = BUILT_IN_AT_ONCE if teacher.url == "builtin" else teacher.concurrency
        out[name] = Gate(max(1, math.ceil(most / workers)))
    return out
