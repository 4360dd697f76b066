"""Episodes: answers that take several turns, with tools, with a user who goes on, or both.

Calls are made in the world that the prompt names, or answered by a teacher that plays the tools; else an answer ends with
them. When the teacher has answered without a call, the prompt's next turn follows ("turns" in its `check`), or that of a
played user. Every request of an episode goes through the door and has a key of its own, so a stored episode is replayed
without a request, and one that was cut off goes on where it was.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from tracemill import identity
from tracemill.models.wire import Ask, Failure, Reply
from tracemill.recipe import Recipe
from tracemill.record import Message, Sample, ToolCall, Usage
from tracemill.respond.acting import Actor, Turn, drawn, personas
from tracemill.respond.answer import Question, answer, insist, with_reply, world_of
from tracemill.step import Drop

DROPS = frozenset({"too_many_steps", "no_tool_result", "no_user_turn"})
"""Why an episode may be given up."""
ENDED = ("stop", "tool_calls", "function_call", None)
USUAL_FIELD = "reasoning_content"
"""Where a trace is sent back to a server that the recipe does not name: what most templates read."""


@dataclass(frozen=True, slots=True)
class Answered:
    """What came of one sample."""

    sample: Sample
    failure: Failure | None = None
    drop: Drop | None = None


async def respond(question: Question, ask: Ask, recipe: Recipe) -> Answered:
    """Ask for one sample, in as many turns as it takes.

    Returns:
        The sample as far as it came, with the failure or the drop that ended it, if one did. An answer that is not
        whole ends an episode; the checks say why.
    """
    sample, failure = await answer(question, ask, recipe.seed, recipe.respond)
    if failure is not None:
        return Answered(sample, failure)
    plain = not sample.check and recipe.respond.user is None
    if plain and not sample.messages[-1].tool_calls:
        return Answered(sample)  # nobody goes on: most rows
    return await _Episode(question, ask, recipe, sample).to_its_end()


class _Episode:
    def __init__(self, question: Question, ask: Ask, recipe: Recipe, sample: Sample) -> None:
        self.question, self.ask, self.recipe = question, ask, recipe
        self.sample = sample
        self.requests = 1
        """Requests so far, those asked anew not counted: the number of the next."""
        self.steps = 1
        """Answers to the present turn of the user."""
        self.turns = 1
        """Turns of the user, from the prompt's last one on."""
        self.world = world_of(sample.check)
        self.state = self.world.start(_seed_of(sample.check)) if self.world else {}
        self.script = scripted(sample)
        self.user = None if self.script else played_user(sample, recipe)
        if self.user is not None:
            self.sample = replace(sample, metadata={**sample.metadata, "persona": self.user.persona})

    async def to_its_end(self) -> Answered:
        settings = self.recipe.respond.tools
        while self._whole():
            if self.sample.messages[-1].tool_calls:
                if self.world is None and settings.simulated_by is None:
                    break
                if self.steps >= settings.most_steps:
                    told = (
                        f"still calling tools in answer {self.steps}; respond.tools.most_steps is {settings.most_steps}"
                    )
                    return Answered(self.sample, drop=Drop("too_many_steps", told))
                ended = await self._call_tools()
                self.steps += 1
            else:
                goes_on, ended = await self._next_turn()
                if ended is None and not goes_on:
                    break
                self.steps = 1
            ended = ended or await self._answer()
            if ended is not None:
                return ended
        return Answered(self.sample)

    def _whole(self) -> bool:
        """Whether the last answer can be gone on from."""
        turn = self.sample.messages[-1]
        said = bool(turn.content.strip() or turn.tool_calls)
        leaked = self.sample.reasoning == "off" and bool(turn.reasoning)
        return said and not leaked and self.sample.finish_reason in ENDED

    async def _call_tools(self) -> Answered | None:
        """Make the calls of the last turn, one after the other, and add what they return."""
        self._name_calls()
        for call in self.sample.messages[-1].tool_calls:
            if self.world is not None:
                self.state, result = self.world.call(self.state, call.name, call.arguments)
            else:
                played = await self._actor(self.recipe.respond.tools.simulated_by or "").tool(
                    self.sample, self.question.request.home, call, self._step()
                )
                self._asked(played.requests)
                if played.failure is not None:
                    return Answered(self.sample, played.failure)
                if played.said is None:
                    told = (
                        f"{call.name}: {len(played.requests)} answers of the teacher that plays the tools are no JSON"
                    )
                    return Answered(self.sample, drop=Drop("no_tool_result", told))
                result = played.said
            self._add(Message("tool", result, tool_call_id=call.id))
        return None

    def _name_calls(self) -> None:
        """Give calls an id where the server gave none, or one that was there before."""
        *before, turn = self.sample.messages
        seen = {call.id for message in before for call in message.tool_calls}
        named: list[ToolCall] = []
        for number, call in enumerate(turn.tool_calls):
            new = call if call.id and call.id not in seen else replace(call, id=f"call_{self.requests}_{number}")
            seen.add(new.id)
            named.append(new)
        self.sample = replace(self.sample, messages=(*before, replace(turn, tool_calls=tuple(named))))

    async def _next_turn(self) -> tuple[bool, Answered | None]:
        """Whether the user goes on, and what ended the episode instead."""
        if self.script:
            text = self.script.pop(0)
        elif self.user is not None and self.turns < self.user.most:
            may_end = self.turns >= self.user.least
            played = await self._actor(self.user.name).user(
                self.sample, self.question.request.home, self.user.persona, may_end, self._step()
            )
            self._asked(played.requests)
            if played.failure is not None:
                return False, Answered(self.sample, played.failure)
            if not isinstance(played.said, Turn):
                told = f"{len(played.requests)} answers of the teacher that plays the user hold no message"
                return False, Answered(self.sample, drop=Drop("no_user_turn", told))
            if played.said.done:
                return False, None
            text = played.said.text
        else:
            return False, None
        self.turns += 1
        self._add(Message("user", text))
        return True, None

    async def _answer(self) -> Answered | None:
        """Ask the teacher for its next turn."""
        sample, first = self.sample, self.question.request
        step = self._step()
        request = replace(
            first,
            messages=(*first.messages, *self._since()),
            step=step,
            seed=identity.wire_seed(self.recipe.seed, sample.prompt_key, first.reasoning, first.index, 0, step),
        )
        asked, got = await insist(request, self.ask, self.recipe.seed, sample.prompt_key, self.recipe.respond)
        self._asked([each.key for each in asked])
        if isinstance(got, Failure):
            return Answered(self.sample, got)
        self.sample = replace(with_reply(self.sample, got), usage=_sum(self.sample.usage, got))
        return None

    def _since(self) -> list[dict[str, Any]]:
        """The turns after the prompt, as they are sent. A trace goes back within its own tool loop alone, in the field
        that its server reads: models that think between calls need it, and no model wants those of earlier turns.
        """
        since = self.sample.messages[len(self.question.unanswered.messages) :]
        last_user = max((i for i, message in enumerate(since) if message.role == "user"), default=-1)
        field = self.question.request.trace_field
        out = []
        for place, message in enumerate(since):
            told = identity.wire_message(message)
            trace = told.pop(USUAL_FIELD, None)
            if trace is not None and place > last_user:
                told[field if field not in (None, "content") else USUAL_FIELD] = trace
            out.append(told)
        return out

    def _actor(self, name: str) -> Actor:
        return Actor(name, self.recipe, self.ask)

    def _step(self) -> int:
        self.requests += 1
        return self.requests - 1

    def _asked(self, keys: Sequence[str]) -> None:
        self.sample = replace(self.sample, requests=(*self.sample.requests, *keys))

    def _add(self, message: Message) -> None:
        self.sample = replace(self.sample, messages=(*self.sample.messages, message))


@dataclass(frozen=True, slots=True)
class PlayedUser:
    """Who the played user of a sample is, and how long."""

    name: str
    """The teacher."""
    least: int
    most: int
    persona: str


def scripted(sample: Sample) -> list[str]:
    """The user's further turns that a prompt brings."""
    told = sample.check.get("turns")
    return [str(text) for text in told] if isinstance(told, list) else []


def played_user(sample: Sample, recipe: Recipe) -> PlayedUser | None:
    """The user whom a teacher plays, drawn by hash; None where nobody does. A prompt's own turns come before it."""
    settings = recipe.respond.user
    if settings is None or sample.category not in settings.categories:
        return None
    least, most = settings.turns
    key, seed = sample.prompt_key, recipe.seed
    most = least + drawn(seed, "turns", key, sample.sample_index, most - least + 1)
    given = sample.metadata.get("persona")
    known = personas(recipe)
    persona = given if isinstance(given, str) else known[drawn(seed, "persona", key, 0, len(known))]
    return PlayedUser(settings.played_by, least, most, persona)


def _seed_of(check: Mapping[str, Any]) -> int:
    seed = check["world"].get("seed", 0)
    return seed if isinstance(seed, int) else 0


def _sum(before: Usage | None, reply: Reply) -> Usage | None:
    """Tokens of all of a sample's answers; None where one did not tell."""
    if before is None or reply.usage is None:
        return None
    return Usage(
        before.prompt_tokens + reply.usage.prompt_tokens, before.completion_tokens + reply.usage.completion_tokens
    )
