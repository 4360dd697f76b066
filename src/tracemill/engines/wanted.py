"""What a build would ask now: the plan is walked as a build walks it, and nobody is asked."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

from tracemill.models.door import Door
from tracemill.models.teachers import open_pools
from tracemill.models.wire import Failure, Raw, Reply, Request
from tracemill.plan import Plan
from tracemill.respond.answer import Question
from tracemill.respond.episode import respond
from tracemill.storage.fs import REAL, Fs
from tracemill.storage.journal import Journal
from tracemill.storage.layout import RunPaths


@dataclass(frozen=True, slots=True)
class Walked:
    """One sample."""

    question: Question
    wanted: Request | None
    """The first request that the journal does not answer; None if it answers all that the sample needs."""
    answered: tuple[Request, ...]
    """The requests before it, whose replies are stored."""


class _Wanted(Exception):
    """A build would send this request now."""

    def __init__(self, request: Request) -> None:
        super().__init__(request.key)
        self.request = request


class _Refuses:
    """A sender that sends nothing: what comes to it is what the door does not find."""

    async def send(self, request: Request) -> Raw:
        raise _Wanted(request)

    async def close(self) -> None:
        pass


async def _nothing_stored(request: Request) -> Reply | Failure:
    raise _Wanted(request)


def stored(paths: RunPaths, fs: Fs = REAL) -> Journal | None:
    """The journal of a run, to be read; None if it has none yet."""
    is_new = not (paths.journal / "journal.json").is_file()
    return None if is_new else Journal(paths.journal, writable=False, fs=fs)


async def walk(
    plan: Plan, journal: Journal | None, tell: Callable[[str], None] = lambda text: None
) -> AsyncIterator[Walked]:
    """Every sample of the plan, in key order.

    Args:
        tell: Called with a line after each unit.
    """
    recipe = plan.recipe
    ask = Door(journal, open_pools(recipe, sender=_Refuses())) if journal else _nothing_stored
    for number, unit in enumerate(plan.units, 1):
        for prompt in plan.spool.read(unit):
            for question in plan.questions.of(prompt):
                answered: list[Request] = []

                async def heard(request: Request, answered: list[Request] = answered) -> Reply | Failure:
                    got = await ask(request)
                    if isinstance(got, Reply):
                        answered.append(request)
                    return got

                try:
                    await respond(question, heard, recipe)
                except _Wanted as wanted:
                    yield Walked(question, wanted.request, tuple(answered))
                else:
                    yield Walked(question, None, tuple(answered))
        tell(f"{number} of {len(plan.units)} units")
