"""The teachers of a recipe, ready to be asked."""

from __future__ import annotations

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


def open_gates(recipe: Recipe, worker: int = 0, workers: int = 1) -> Mapping[str, Gate]:
    """One gate per teacher, with this worker's share of its concurrency; the shares add up to it.

    Args:
        workers: At most as many as any teacher's concurrency, see `most_workers`.
    """
    out = {}
    for name, teacher in recipe.teachers.items():
        most = BUILT_IN_AT_ONCE if teacher.url == "builtin" else teacher.concurrency
        share, rest = divmod(most, workers)
        out[name] = Gate(max(1, share + (worker < rest)))
    return out


def most_workers(recipe: Recipe) -> int:
    """How many workers can have a slot of every teacher."""
    return min([BUILT_IN_AT_ONCE, *(t.concurrency for t in recipe.teachers.values() if t.url != "builtin")])
