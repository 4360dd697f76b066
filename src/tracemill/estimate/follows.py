"""Calls that follow from others: the later turns of episodes, whoever plays tools or the user in them, the judge, and what is
planted for it. What is planted can be counted. How many of the others there will be depends on answers that nobody has yet,
so these are rules, with ranges.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Literal, get_args

from tracemill.estimate.tokens import Range, tokens_in
from tracemill.models.player import Player
from tracemill.models.wire import Failure, Reply, Request
from tracemill.plan import Plan
from tracemill.record import Prompt, Sample
from tracemill.respond.acting import parts
from tracemill.respond.answer import Question, world_of
from tracemill.respond.episode import played_user, scripted
from tracemill.verify.checks import explains, kind_of
from tracemill.verify.judge import Judge
from tracemill.verify.rubric import frame

Part = Literal["answers", "turns", "tools", "user", "judge", "canaries"]
"""What a teacher is asked for: the first answer to a prompt, later answers of an episode, what a tool returns, what the user
says next, a verdict, a verdict on what was planted."""
PARTS: tuple[Part, ...] = get_args(Part)
REACHES = 0.8
"""At least this share of the samples that no rule can decide is taken to reach the judge; the others are dropped before:
empty, cut off, without a trace. In the built-in demo, whose teachers slip on purpose, 0.92 of chat do."""
VERDICT = Range(25, 45, 120)
"""Tokens of a verdict without a trace: one line of JSON with the name of the case and a sentence."""
NONE = Range()


@dataclass(frozen=True, slots=True)
class Follows:
    """Calls that follow from one sample's first."""

    teacher: str
    part: Part
    calls: Range
    prompt: float
    """Tokens of the prompt of each, as far as they can be told before there is an answer."""
    limit: int
    """Tokens that each reply may have."""


def exactly(count: float) -> Range:
    """A number of calls that is known."""
    return Range(count, count, count)


def following(question: Question, plan: Plan, asked: float) -> Iterator[Follows]:
    """What follows from a sample that is asked for from the beginning.

    Args:
        asked: Tokens of its first request.
    """
    sample, first, recipe = question.unanswered, question.request, plan.recipe
    turns, spoken = _turns(sample, plan)
    steps, played = _steps(sample, plan, 1 + turns.likely)
    later = turns + steps
    framed = asked + _frame_tokens() if played.high or spoken.high else asked
    if later.high:
        yield Follows(first.teacher, "turns", later, asked, first.max_tokens)
    if played.high and (tools := recipe.respond.tools.simulated_by) is not None:
        yield Follows(tools, "tools", played, framed, Player(tools, recipe).max_tokens(sample.category))
    if spoken.high and recipe.respond.user is not None:
        user = recipe.respond.user.played_by
        yield Follows(user, "user", spoken, framed, Player(user, recipe).max_tokens(sample.category))
    if recipe.judge is not None and (calls := _verdicts(sample, plan)).high:
        judge, rubric = recipe.judge.teacher, plan.rubrics[sample.category].text
        limit = Player(judge, recipe).max_tokens(sample.category)
        yield Follows(judge, "judge", calls, asked + tokens_in(frame()) + tokens_in(rubric), limit)


@cache
def _frame_tokens() -> float:
    """Of what stands around the data that whoever plays a part is shown."""
    return max(map(tokens_in, parts()[:2]))


def _turns(sample: Sample, plan: Plan) -> tuple[Range, Range]:
    """(further turns of the user, calls of whoever plays the user)."""
    if script := scripted(sample):
        return exactly(len(script)), NONE
    user = played_user(sample, plan.recipe)
    if user is None:
        return NONE, NONE
    # Whoever may be content before the last turn is asked once more, and says so.
    asked = min(user.least, user.most - 1)
    return Range(user.least - 1, user.most - 1, user.most - 1), Range(asked, user.most - 1, user.most - 1)


def _steps(sample: Sample, plan: Plan, turns: float) -> tuple[Range, Range]:
    """(answers that follow results of tools, calls of whoever plays the tools) over all turns of the user."""
    settings, world = plan.recipe.respond.tools, world_of(sample.check)
    if not sample.tools or (world is None and settings.simulated_by is None):
        return NONE, NONE
    most = (settings.most_steps - 1) * turns
    if not most:  # whoever calls a tool is dropped before it is played
        return NONE, NONE
    wanted = sample.check.get("calls")
    if not isinstance(wanted, list):
        steps = calls = Range(0, min(turns, most), most)
    elif not wanted:
        steps = calls = Range(0, 0, 1)
    else:
        count = len(wanted)
        looks = 1 if "acts" in sample.check else 0  # only what changes something is named: it is looked up first
        steps = Range(1, min(1 + looks, most), min(2 * count + 1, most))
        at_most = most * count  # each step makes between one of the calls and all of them
        calls = Range(min(count, most), min(count + looks, at_most), min(2 * count + 1, at_most))
    return steps, calls if world is None else NONE


def _verdicts(sample: Sample, plan: Plan) -> Range:
    """Verdicts on one sample: one where no rule can decide, none or one where a rule may find that it cannot."""
    kind = kind_of(sample)
    if sample.category not in plan.rubrics or kind in ("choice", "math") or (kind == "code" and not explains(sample)):
        return NONE
    ruled = kind == "tool_calling" or (kind == "stem" and sample.expected is not None)
    return Range(0, 0, 1) if ruled else Range(REACHES, 1, 1)


def part_of(request: Request, question: Question, roles: Mapping[str, str]) -> Part:
    """What a request of an episode is for.

    Args:
        roles: `Respond.roles` of the recipe.
    """
    if request.teacher == question.request.teacher:
        return "turns" if request.step else "answers"
    return (
        "tools" if question.unanswered.tools and request.teacher == roles.get("respond.tools.simulated_by") else "user"
    )


async def planted(plan: Plan, prompts: list[Prompt]) -> list[Request]:
    """The first request of each canary that is planted among the prompts of a unit."""
    noted = _Noted()
    await Judge(noted, plan.recipe, plan.rubrics).measure(prompts)
    return noted.requests


async def verdict_on(plan: Plan, sample: Sample) -> list[Request]:
    """The first request for a verdict on a sample that was judged."""
    noted = _Noted()
    await Judge(noted, plan.recipe, plan.rubrics)(sample)
    return noted.requests


class _Noted:
    """Who is asked in a judge's place: notes the request, and has no reply."""

    def __init__(self) -> None:
        self.requests: list[Request] = []

    async def __call__(self, request: Request) -> Reply | Failure:
        self.requests.append(request)
        return Failure(request.key, "unasked", 0)
