"""The built-in teacher: does exercises of all five categories from their text, offline, behind the same door as an
endpoint. Asked to judge, it judges conversations of its own kind.

It answers with the bytes that an OpenAI-compatible server would send. Asked to think, it writes its trace into
`reasoning_content`; asked not to, it writes only content:

    {"id": "builtin-5d41...", "object": "chat.completion", "created": 0, "model": "builtin", "choices": [{"index": 0,
     "message": {"role": "assistant", "content": "... The answer is \\boxed{12.50}.", "reasoning_content": "..."},
     "finish_reason": "stop"}], "usage": {"prompt_tokens": 41, "completion_tokens": 118, "total_tokens": 159}}

A token is a run of characters without white space. On purpose and at known rates it makes the mistakes of real
teachers (`Slips`), so that a run can be checked against what must have been dropped.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from functools import lru_cache
from hashlib import sha256
from typing import Any

import orjson

from tracemill import exercises
from tracemill.errors import RecipeError
from tracemill.exercises import Worked, good_answer
from tracemill.identity import canonical
from tracemill.models.wire import Raw, Request
from tracemill.word_problems import Found, Solution, recognise

CANNOT = "I cannot solve this one."

Problem = Found | exercises.Found
"""A word problem, or an exercise of another kind."""

_WORD = re.compile(r"\S+")
_OPENINGS = (
    "Let me work this out step by step.",
    "Let us look at what is given.",
    "I start with what the problem says.",
    "Okay, first the numbers, then the calculation.",
)
_LEADS = (("First: ", "Next: ", "Last: "), ("To begin with: ", "Then: ", "Finally: "), ("", "", ""))
_CHECKS = ("Let me check this.", "Does that fit?", "A quick check:")
_ENDINGS = (
    "The answer is \\boxed{{{}}}.",
    "So the final answer is \\boxed{{{}}}.",
    "Therefore, the answer is \\boxed{{{}}}.",
    "Final answer: \\boxed{{{}}}",
)
_INTROS = ("", "Let us see.", "Gladly.", "Here is how I would do it.", "This can be done as follows.")
_OUTROS = ("", "I hope that helps!", "Is there anything else that I can do?", "Tell me if you want it otherwise.")
_BEFORE_CALLS = ("", "One moment, please.", "Let me see.", "I am looking into it.")
_JUDGED = re.compile(r"^(case-[0-9a-f]{24})\n(\{.*\})\n\1$", re.MULTILINE)
"""What a judge is asked about: one JSON object between two lines that name the case."""


@dataclass(frozen=True, slots=True)
class Slips:
    """How often the teacher slips, each as a rate from 0 to 1.

    A reply has at most one slip: the first, in the order of these fields, that was drawn and can happen to it. So each
    rate is the share among the replies that no earlier slip has taken. A message without an exercise can only come
    back `empty`, and a verdict has no slip.
    """

    empty: float = 0.0
    """The content is "". Drawn per prompt: all samples and retries of a prompt share it."""
    forgotten_carry: float = 0.0
    """Sums are made without carrying, so that every sample has the same wrong answer. Drawn per prompt, among the
    problems whose answer that changes."""
    truncated: float = 0.0
    """Cut in the middle of its tokens, as by a length limit."""
    wrong: float = 0.0
    """A wrong number in the last step and in the box; a wrong unit, letter, program, call or reply where that is asked for.
    Another one for another seed."""
    trace_missing: float = 0.0
    """Asked to think, it does not say what it thought."""
    trace_leaked: float = 0.0
    """Asked not to think, it does, between <think> and </think> in the content."""

    def __post_init__(self) -> None:
        for rate in fields(self):
            value = getattr(self, rate.name)
            if not 0 <= value <= 1:
                raise RecipeError(f"slips.{rate.name} is {value!r}, not a rate from 0 to 1.")


_PER_PROMPT = frozenset({"empty", "forgotten_carry"})
_ONLY_IN = {"trace_missing": "on", "trace_leaked": "off"}


@dataclass(frozen=True, slots=True)
class BuiltinTeacher:
    """A `Sender` that needs no server. The same request always gets the same bytes."""

    slips: Slips = Slips()
    seed: int = 0
    """Decides who slips where; it has no part in how a right answer is worded."""

    async def send(self, request: Request) -> Raw:
        """Answer at once."""
        return Raw(200, self._body(request), latency=0.0, endpoint="builtin")

    async def close(self) -> None:
        """Nothing is open."""

    def planned_slip(self, request: Request) -> str | None:
        """The name of the slip that the reply to `request` will have: a field of `Slips`."""
        return self._planned(request, _problem(request))

    def _planned(self, request: Request, found: Problem | None) -> str | None:
        if _to_judge(request) is not None:
            return None
        for slip in fields(self.slips):
            name, rate = slip.name, getattr(self.slips, slip.name)
            if rate and self._drawn(name, request) < rate and _possible(name, request, found):
                return name
        return None

    def _drawn(self, slip: str, request: Request) -> float:
        """In [0, 1), from what the slip depends on: the messages alone, or the messages and the request's seed."""
        what: list[Any] = [self.seed, slip, list(request.messages)]
        hashed = sha256(canonical(what if slip in _PER_PROMPT else [*what, request.seed])).digest()
        return int.from_bytes(hashed[:6], "big") / (1 << 48)

    def _body(self, request: Request) -> bytes:
        found = _problem(request)
        slip = self._planned(request, found)
        trace, content, calls = _answer(request, found, slip)
        if slip == "empty":
            content, calls = "", []
        elif slip == "trace_missing":
            trace = ""
        elif slip == "trace_leaked":
            content, trace = f"<think>\n{trace}\n</think>\n\n{content}", ""
        elif request.reasoning == "off":
            trace = ""
        length = _tokens(trace) + _tokens(content) + sum(_tokens(call["function"]["arguments"]) + 1 for call in calls)
        limit = min(length // 2 if slip == "truncated" else length, request.max_tokens)
        if limit < length:
            trace, content, calls = _cut(trace, limit), _cut(content, limit - _tokens(trace)), []
        message: dict[str, Any] = {"role": "assistant", "content": content}
        if trace:
            message["reasoning_content"] = trace
        if calls:
            message["tool_calls"] = calls
        ended = "length" if limit < length else "tool_calls" if calls else "stop"
        asked, said = sum(_tokens(_text(m)) for m in request.messages), min(length, limit)
        return orjson.dumps(
            {
                "id": f"builtin-{request.key[:32]}",
                "object": "chat.completion",
                "created": 0,
                "model": request.model,
                "choices": [{"index": 0, "message": message, "finish_reason": ended}],
                "usage": {"prompt_tokens": asked, "completion_tokens": said, "total_tokens": asked + said},
            }
        )


def without_carry(first: int, second: int) -> int:
    """The sum as a pupil gets it who forgets to carry: 47 + 38 = 75. Both digits of the leading column are written.

    Args:
        first: Not negative.
        second: Not negative.
    """
    places = max(len(str(first)), len(str(second)))
    total = 0
    for place in range(places):
        column = first // 10**place % 10 + second // 10**place % 10
        total += (column if place == places - 1 else column % 10) * 10**place
    return total


def wrong_number(answer: str, drawn: int) -> str:
    """A number of the same form as `answer` and of another value, off by an amount that `drawn` decides."""
    off = 1 + drawn % 9
    if top := re.search(r"\d+", answer) if "frac" in answer else None:
        return f"{answer[: top.start()]}{int(top[0]) + off}{answer[top.end() :]}"
    whole, point, decimals = answer.partition(".")
    return f"{int(whole) + off}{point}{decimals}"


@lru_cache(maxsize=4096)
def _recognised(text: str) -> Found | None:
    return recognise(text)


def _problem(request: Request) -> Problem | None:
    asked = next((m for m in reversed(request.messages) if m.get("role") == "user"), None)
    if asked is None:
        return None
    found = None if request.tools else _recognised(_text(asked))
    return found or exercises.recognise(request.messages)


def _text(message: Mapping[str, Any]) -> str:
    content = message.get("content")
    return content if isinstance(content, str) else ""


def _possible(slip: str, request: Request, found: Problem | None) -> bool:
    if slip == "empty":
        return True
    if found is None or request.reasoning != _ONLY_IN.get(slip, request.reasoning):
        return False
    if isinstance(found, exercises.Found):
        # What is said of the results of tools, or before the point is reached, is checked by nobody: no mistake to be found.
        return slip != "forgotten_carry" and not (slip == "wrong" and (found.results or found.turns))
    if slip == "forgotten_carry":
        return found.family.solve(found.params, without_carry).answer != found.family.solve(found.params).answer
    return True


def _answer(request: Request, found: Problem | None, slip: str | None) -> tuple[str, str, list[dict[str, Any]]]:
    """Trace, content and calls, before anything is left out or cut."""
    if (judged := _to_judge(request)) is not None:
        return "I do the exercise myself, and compare.", _verdict(*judged), []
    if found is None:
        return "I see no problem here of a kind that I know how to solve.", CANNOT, []
    style = int.from_bytes(sha256(canonical(["style", request.seed])).digest()[:8], "big")
    category = "math"
    if isinstance(found, Found):
        worked, closing = _solved(found, slip, style)
    else:
        worked, closing = (found.wrong(style) if slip == "wrong" else found.worked(style // 1024)), ""
        category = found.form.category
    steps = [_lead(style, at, len(worked.steps)) + step for at, step in enumerate(worked.steps)]
    facts = [f"- {fact}" for fact in worked.facts]
    check = [f"{_CHECKS[style // 64 % len(_CHECKS)]} {worked.check}"] if worked.check else []
    trace = "\n".join([_OPENINGS[style % len(_OPENINGS)], *facts, *steps, *check, *filter(None, [closing])])
    if worked.calls:
        return trace, _BEFORE_CALLS[style // 16 % len(_BEFORE_CALLS)], _calls(request, worked)
    intro, outro = _INTROS[style // 4096 % len(_INTROS)], _OUTROS[style // 16 % len(_OUTROS)]
    said = [" ".join(worked.steps[-2:])] if request.reasoning == "on" else steps
    told = {
        "tool_calling": [worked.ending, outro],
        "chat": [intro, worked.ending, outro],
        "code": [intro, *said, worked.ending, outro],
    }.get(category, [intro, *said, worked.ending])
    return trace, "\n\n".join(filter(None, told)), []


def _solved(found: Found, slip: str | None, style: int) -> tuple[Worked, str]:
    """A word problem's answer, and how its trace closes."""
    solved = found.family.solve(found.params, without_carry if slip == "forgotten_carry" else operator.add)
    if slip == "wrong":
        solved = _mistaken(solved, style)
    ending = _ENDINGS[style // 16 % len(_ENDINGS)].format(solved.answer)
    worked = Worked(solved.steps, ending, found.family.facts(found.params), solved.check)
    if slip in ("wrong", "forgotten_carry"):
        worked = replace(worked, check="")
    return worked, f"So the answer is {solved.answer}."


def _calls(request: Request, worked: Worked) -> list[dict[str, Any]]:
    """Calls as they stand on the wire; their ids differ over a conversation."""
    told = [
        {"name": call.name, "arguments": orjson.dumps(call.arguments, option=orjson.OPT_SORT_KEYS).decode()}
        for call in worked.calls
    ]
    mark = f"{request.key[:8]}{len(request.messages):02}"
    return [{"id": f"call_{mark}_{n}", "type": "function", "function": call} for n, call in enumerate(told)]


def _to_judge(request: Request) -> tuple[str, dict[str, Any]] | None:
    """The name of the case that is to be judged, and what is told of it; None where something else is asked."""
    if len(request.messages) != 1 or (found := _JUDGED.search(_text(request.messages[0]))) is None:
        return None
    try:
        told = orjson.loads(found[2])
    except orjson.JSONDecodeError:
        return None
    return found[1], told


def _verdict(case: str, told: Mapping[str, Any]) -> str:
    """A conversation of ours is good if the answer holds what it has to; of others nobody here knows anything good."""
    turns = told.get("conversation")
    turns = [turn for turn in turns if isinstance(turn, dict)] if isinstance(turns, list) else []
    good = good_answer(turns, str(told.get("answer", "")))
    why = (
        "this is no exercise of mine"
        if good is None
        else "it says what it has to"
        if good
        else "what was asked for is missing"
    )
    return orjson.dumps({"case": case, "score": 5 if good else 1, "why": why}).decode()


def _lead(style: int, at: int, count: int) -> str:
    first, then, last = _LEADS[style // 4 % len(_LEADS)]
    return "" if count == 1 else first if at == 0 else last if at == count - 1 else then


def _mistaken(solved: Solution, drawn: int) -> Solution:
    wrong = wrong_number(solved.answer, drawn)
    *steps, last = solved.steps
    *_, place = re.finditer(rf"(?<![\d.]){re.escape(solved.answer)}(?![\d]|\.\d)", last)
    return Solution((*steps, last[: place.start()] + wrong + last[place.end() :]), wrong, "")


def _tokens(text: str) -> int:
    return len(_WORD.findall(text))


def _cut(text: str, limit: int) -> str:
    """The first `limit` tokens of `text`."""
    words = list(_WORD.finditer(text))
    return text if limit >= len(words) else text[: words[limit - 1].end()] if limit > 0 else ""
