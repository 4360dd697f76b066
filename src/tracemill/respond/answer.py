"""From a prompt to samples: who is asked, with what, and the row that the reply makes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import orjson

from tracemill import identity
from tracemill.models.wire import Ask, Failure, Reply, Request
from tracemill.recipe import Recipe, Respond, Teacher
from tracemill.recipe.dialects import Asked
from tracemill.record import Message, Prompt, Reasoning, Sample, changed
from tracemill.respond.templates import Template
from tracemill.worlds import WORLDS, World

STAGE = "respond"


@dataclass(frozen=True, slots=True)
class Question:
    """One sample that is to be made: its request, and the row without an answer."""

    request: Request
    unanswered: Sample


def reasoning_modes(recipe: Recipe) -> tuple[Reasoning, ...]:
    """The modes that a recipe asks for."""
    if recipe.respond.reasoning == "both":
        return ("on", "off")
    return (recipe.respond.reasoning,)


def samples_per_prompt(recipe: Recipe) -> int:
    """How many samples each prompt becomes, modes and teachers included."""
    if recipe.has_rows:
        return 1
    teachers = len(recipe.answering) if recipe.respond.assign == "every" else 1
    return len(reasoning_modes(recipe)) * recipe.respond.samples * teachers


def world_of(check: Mapping[str, Any]) -> World | None:
    """The world that a prompt's `check` names, if there is such a one."""
    told = check.get("world")
    return WORLDS.get(str(told.get("name"))) if isinstance(told, Mapping) else None


def at_once_per_prompt(recipe: Recipe) -> int:
    """How many samples of a prompt are asked for at a time, about."""
    settings = recipe.respond
    if recipe.has_rows or settings.agree is None:
        return samples_per_prompt(recipe)
    of_mode = min(settings.agree + settings.ahead, samples_per_prompt(recipe) // len(reasoning_modes(recipe)))
    return of_mode * len(reasoning_modes(recipe))


@dataclass(frozen=True, slots=True)
class _Manner:
    """How one teacher is asked about one category in one mode: the same for all of its prompts."""

    teacher: Teacher
    asked: Asked
    sampling: Mapping[str, float | int]
    max_tokens: int
    send_seed: bool
    limit_field: str
    trace_field: str | None


class Questions:
    """What a recipe asks about its prompts."""

    def __init__(self, recipe: Recipe, templates: Mapping[str, Template]) -> None:
        self.recipe, self.templates = recipe, templates
        self._modes = reasoning_modes(recipe)
        self._weights = {name: teacher.weight for name, teacher in recipe.answering.items()}
        self._manners: dict[tuple[str, str, Reasoning], _Manner] = {}

    def of(self, prompt: Prompt) -> Iterator[Question]:
        """Everything that is asked about one prompt: modes, then sample indexes, in order. Nothing about a finished row."""
        if prompt.given is not None:
            return
        recipe = self.recipe
        key = identity.prompt_key(prompt)
        if recipe.respond.assign == "every":
            names = list(self._weights)
        else:
            names = [identity.chosen_teacher(recipe.seed, key, self._weights)]
        messages = self.templates[prompt.category].apply(prompt.messages)
        world = world_of(prompt.check)
        if world is not None:
            prompt = prompt if prompt.tools else replace(prompt, tools=world.tools)
            if messages[0].role != "system":
                messages = (Message("system", world.about), *messages)
        for mode in self._modes:
            for index in range(recipe.respond.samples * len(names)):
                name = names[index // recipe.respond.samples]
                yield _question(
                    prompt, key, recipe, name, self._manner(name, prompt.category, mode), messages, mode, index
                )

    def _manner(self, name: str, category: str, mode: Reasoning) -> _Manner:
        manner = self._manners.get((name, category, mode))
        if manner is None:
            teacher = self.recipe.teachers[name]
            sampling = teacher.sampling_for(category).model_dump(exclude_none=True)
            limit = sampling.pop("max_tokens")
            about = (teacher.sends_seed(), teacher.limited_by(), teacher.trace_field())
            manner = _Manner(teacher, teacher.asked(mode), sampling, limit, *about)
            self._manners[name, category, mode] = manner
        return manner


def _question(
    prompt: Prompt,
    key: str,
    recipe: Recipe,
    name: str,
    manner: _Manner,
    messages: tuple[Message, ...],
    mode: Reasoning,
    index: int,
) -> Question:
    teacher = manner.teacher
    request = Request(
        teacher=name,
        model=teacher.model,
        revision=teacher.revision,
        messages=tuple(identity.wire_message(m) for m in manner.asked.headed(messages)),
        reasoning=mode,
        seed=identity.wire_seed(recipe.seed, key, mode, index),
        max_tokens=manner.max_tokens,
        home=prompt.hash,
        index=index,
        sampling=manner.sampling,
        tools=prompt.tools,
        extra=manner.asked.body,
        send_seed=manner.send_seed,
        limit_field=manner.limit_field,
        trace_field=manner.trace_field,
    )
    unanswered = Sample(
        uuid=identity.sample_uuid(prompt.category, key, mode, index),
        category=prompt.category,
        reasoning=mode,
        messages=messages,
        generator=teacher.model,
        license=recipe.license,
        version=recipe.version,
        language=prompt.language,
        domain=prompt.category,
        tools=prompt.tools,
        metadata=prompt.metadata,
        source=prompt.source,
        source_id=prompt.source_id,
        source_license=prompt.source_license,
        prompt_key=key,
        sample_index=index,
        expected=prompt.expected,
        check=prompt.check,
        sampling=_sampling_text(request),
        requests=(request.key,),
    )
    return Question(request, unanswered)


def _sampling_text(request: Request) -> str:
    told = {**request.sampling, "max_tokens": request.max_tokens, "seed": request.seed}
    return orjson.dumps(told, option=orjson.OPT_SORT_KEYS).decode()


async def answer(question: Question, ask: Ask, run_seed: int, respond: Respond) -> tuple[Sample, Failure | None]:
    """Ask until there is an answer, at most `ask_anew` times more after empty replies; a truncated one is asked for as
    the recipe says.

    Returns:
        The sample with the last reply in it, and None; or the sample without an answer, and the failure.
    """
    sample = question.unanswered
    asked, got = await insist(question.request, ask, run_seed, sample.prompt_key, respond)
    if len(asked) > 1:
        keys = tuple(request.key for request in asked)
        sample = changed(sample, requests=keys, sampling=_sampling_text(asked[-1]))
    return (sample, got) if isinstance(got, Failure) else (with_reply(sample, got), None)


async def insist(
    first: Request, ask: Ask, run_seed: int, key: str, respond: Respond
) -> tuple[tuple[Request, ...], Reply | Failure]:
    """Ask for one turn until it says something; see `answer`.

    Returns:
        All that was asked, with the limits that were asked first, and what came of the last.
    """
    asked: list[Request] = []
    for retry in range(respond.ask_anew + 1):
        request = first
        if retry:
            seed = identity.wire_seed(run_seed, key, first.reasoning, first.index, retry, first.step)
            request = first.again(retry, seed)
        asked.append(request)
        got = await ask(request)
        if isinstance(got, Reply) and got.finish_reason == "length" and respond.truncated == "extend":
            # The row keeps the limit that it was first asked with: a later run finds the longer reply at once.
            got = await ask(replace(request, max_tokens=2 * request.max_tokens))
        if isinstance(got, Failure):
            return tuple(asked), got
        disobeyed = request.reasoning == "off" and got.reasoning is not None  # which is no accident: not asked anew
        again = is_empty(got) or (got.finish_reason == "length" and respond.truncated == "resample")
        if not again or disobeyed or retry == respond.ask_anew:
            return tuple(asked), got
    raise AssertionError("the last round returns")


def is_empty(reply: Reply) -> bool:
    """Whether a reply says nothing, although it was neither cut short nor withheld."""
    return not reply.content and not reply.tool_calls and reply.finish_reason not in ("length", "content_filter")


def with_reply(sample: Sample, reply: Reply) -> Sample:
    """The sample with the teacher's turn."""
    turn = Message("assistant", reply.content, reasoning=reply.reasoning, tool_calls=reply.tool_calls)
    return changed(sample, messages=(*sample.messages, turn), finish_reason=reply.finish_reason, usage=reply.usage)
