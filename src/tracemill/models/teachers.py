"""The teachers of a recipe, ready to be asked."""

from __future__ import annotations

from collections.abc import Mapping

from tracemill.errors import RecipeError
from tracemill.models.endpoint import Endpoint
from tracemill.models.line_sender import LineSender
from tracemill.models.pace import Pace
from tracemill.models.pool import Lane, Pool
from tracemill.models.wire import Sender
from tracemill.recipe import Recipe, Teacher
from tracemill.recipe.teacher import BUILT_IN
from tracemill.translators import Translator, TranslatorError

BUILT_IN_AT_ONCE = 64
"""The built-in teacher only computes: more requests at once would only hold memory."""


def open_pools(
    recipe: Recipe,
    worker: int = 0,
    workers: int = 1,
    wait: float | None = None,
    sender: Sender | None = None,
) -> Mapping[str, Pool]:
    """One pool per teacher, with this worker's share of each endpoint's places; the shares add up to them.

    Args:
        workers: At most as many as any endpoint has places, see `most_workers`.
        wait: Seconds to wait for a teacher that does not answer; see `Pool`.
        sender: Carries all requests instead of the recipe's endpoints.
    Raises:
        RecipeError: a secret that the recipe names is not in the environment.
    """
    pools = {}
    for name, teacher in recipe.teachers.items():
        lanes = [
            Lane(teacher.transport(url), sender or _sender(recipe, name, url), Pace(_share(most, worker, workers)))
            for url, most in _places(teacher).items()
        ]
        pools[name] = Pool(name, teacher, lanes, wait)
    return pools


def most_workers(recipe: Recipe) -> int:
    """How many workers can have a place at every endpoint."""
    places = [most for teacher in recipe.teachers.values() for most in _places(teacher).values()]
    return min(places, default=1024)


def _places(teacher: Teacher) -> dict[str, int]:
    return {BUILT_IN: BUILT_IN_AT_ONCE} if teacher.url == BUILT_IN else teacher.urls()


def _apertium(recipe: Recipe) -> Translator:
    """Between the languages that a recipe translates."""
    from tracemill.languages import language
    from tracemill.translators.apertium import apertium

    wanted = recipe.translate
    if wanted is None:
        raise RecipeError("a teacher with the url 'apertium' translates, and the recipe has no `translate`")
    source = language(wanted.source, wanted.languages).code
    pairs = [(source, language(code, wanted.languages).code) for code in wanted.to]
    try:
        return apertium(pairs)
    except TranslatorError as exc:
        raise RecipeError(str(exc)) from exc


def _share(most: int, worker: int, workers: int) -> int:
    share, rest = divmod(most, workers)
    return max(1, share + (worker < rest))


def _sender(recipe: Recipe, name: str, url: str) -> Sender:
    teacher = recipe.teachers[name]
    if url == BUILT_IN:
        from tracemill.models.builtin import BuiltinTeacher, Slips  # with it come all exercises

        return BuiltinTeacher(Slips(**teacher.slips.model_dump()), seed=recipe.seed)
    if teacher.reads_lines:
        return LineSender(_apertium(recipe))
    return Endpoint(name, teacher, url)
