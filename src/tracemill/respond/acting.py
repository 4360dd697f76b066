"""A teacher that plays a part in an episode: the tools, or the user.

What it is shown is data, quoted as JSON between two lines that nobody could foresee, and it must answer in JSON.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from importlib.resources import files
from typing import Any, TypeVar

import orjson

from tracemill import identity
from tracemill.models.wire import Ask, Failure, Request
from tracemill.recipe import Recipe
from tracemill.recipe.dialects import Impossible
from tracemill.record import Message, Reasoning, Sample, ToolCall

T = TypeVar("T")

LONGEST = 20_000
"""Characters of what a played tool may return, or a played user may say."""
GOES_ON = 'Set "done" to true only if the user has all that was wanted and would say no more.'
MUST_GO_ON = '"done" must be false: the user has not asked for everything yet.'


@dataclass(frozen=True, slots=True)
class Played:
    """What came of asking a teacher to play its part."""

    said: Any
    """What could be read of its answer; None where nothing could."""
    requests: tuple[str, ...]
    """Hex keys of what was asked, in order."""
    failure: Failure | None = None


@dataclass(frozen=True, slots=True)
class Turn:
    """The user's next message."""

    text: str
    done: bool


class Actor:
    """One teacher in one part, for one sample.

    Args:
        name: The teacher's name in the recipe.
    """

    def __init__(self, name: str, recipe: Recipe, ask: Ask) -> None:
        self.name, self.recipe, self.ask = name, recipe, ask

    async def tool(self, sample: Sample, home: str, call: ToolCall, step: int) -> Played:
        """What a declared tool returns to a call, as JSON text."""
        data = {"tools": list(sample.tools), "before": _calls_before(sample), "call": _told(call)}
        return await self._play("as_tools.txt", data, {}, sample, home, step, _returned)

    async def user(self, sample: Sample, home: str, persona: str, may_end: bool, step: int) -> Played:
        """The user's next turn, a `Turn`."""
        said = [{"role": m.role, "content": m.content} for m in sample.messages if m.role in ("user", "assistant")]
        data = {"persona": persona, "conversation": said}
        ending = {"ending": GOES_ON if may_end else MUST_GO_ON}
        return await self._play("as_user.txt", data, ending, sample, home, step, lambda text: _next_turn(text, may_end))

    async def _play(
        self,
        frame: str,
        data: Mapping[str, Any],
        more: Mapping[str, str],
        sample: Sample,
        home: str,
        step: int,
        read: Callable[[str], T | None],
    ) -> Played:
        """Ask; what cannot be read is asked for anew, as an empty answer is."""
        nonce = f"data-{identity.digest(['part', self.recipe.seed, sample.uuid, step, data])[:24]}"
        text = filled(_frame(frame), {"nonce": nonce, "data": orjson.dumps(data).decode(), **more})
        keys: list[str] = []
        for retry in range(self.recipe.respond.ask_anew + 1):
            request = self._request(text, sample, home, step, retry)
            keys.append(request.key)
            got = await self.ask(request)
            if isinstance(got, Failure):
                return Played(None, tuple(keys), got)
            said = None if got.finish_reason == "length" else read(got.content)
            if said is not None:
                return Played(said, tuple(keys))
        return Played(None, tuple(keys))

    def _request(self, text: str, sample: Sample, home: str, step: int, retry: int) -> Request:
        teacher = self.recipe.teachers[self.name]
        mode: Reasoning = "off"
        try:
            asked = teacher.asked(mode)
        except Impossible:
            mode = "on"
            asked = teacher.asked(mode)
        sampling = teacher.sampling_for(sample.category).model_dump(exclude_none=True)
        limit = sampling.pop("max_tokens")
        key, index = sample.prompt_key, sample.sample_index
        return Request(
            teacher=self.name,
            model=teacher.model,
            revision=teacher.revision,
            messages=tuple(identity.wire_message(m) for m in asked.headed((Message("user", text),))),
            reasoning=mode,
            seed=identity.wire_seed(self.recipe.seed, key, sample.reasoning, index, retry, step),
            max_tokens=limit,
            home=home,
            index=index,
            retry=retry,
            step=step,
            sampling=sampling,
            extra=asked.body,
            send_seed=teacher.sends_seed(),
            limit_field=teacher.limited_by(),
            trace_field=teacher.trace_field(),
        )


def drawn(run_seed: int, what: str, key: str, index: int, count: int) -> int:
    """A number from 0 to count - 1, by hash: the same for both modes of a prompt, so that pairs stay pairs."""
    hashed = sha256(identity.canonical(["drawn", run_seed, what, key, index])).digest()
    return int.from_bytes(hashed[:8], "big") % count


def personas(recipe: Recipe) -> Sequence[str]:
    """Who a played user may be."""
    own = recipe.respond.user.personas if recipe.respond.user else ()
    return own or _frame("personas.txt").splitlines()


def parts() -> list[str]:
    """The texts that actors are asked with."""
    return [_frame(name) for name in ("as_tools.txt", "as_user.txt", "personas.txt")]


def filled(template: str, values: Mapping[str, str]) -> str:
    """Put each value in place of its {name}, in one pass: what stands in a value is text."""
    return re.sub(r"\{(" + "|".join(values) + r")\}", lambda found: values[found[1]], template)


@cache
def _frame(name: str) -> str:
    return (files("tracemill.respond") / "prompts" / name).read_text(encoding="utf-8").strip()


def _calls_before(sample: Sample) -> list[dict[str, Any]]:
    """Earlier calls with what they returned, in order."""
    results = {m.tool_call_id: m.content for m in sample.messages if m.role == "tool"}
    calls = [call for message in sample.messages for call in message.tool_calls]
    return [{**_told(call), "returned": results[call.id]} for call in calls if call.id in results]


def _told(call: ToolCall) -> dict[str, Any]:
    return {"name": call.name, "arguments": call.arguments}


def _returned(text: str) -> str | None:
    """One JSON value, fenced or bare, as we spell it; None where it is none."""
    value = _json_in(text)
    return None if value is _NOTHING or len(text) > LONGEST else orjson.dumps(value).decode()


def _next_turn(text: str, may_end: bool) -> Turn | None:
    value = _json_in(text)
    if not isinstance(value, dict) or len(text) > LONGEST:
        return None
    message, done = value.get("message", ""), value.get("done", False)
    if not isinstance(message, str) or not isinstance(done, bool):
        return None
    done = done and may_end
    return Turn(message.strip(), done) if done or message.strip() else None


_NOTHING = object()


def _json_in(text: str) -> Any:
    fenced = re.fullmatch(r"```(?:json)?\s*\n(.*?)\n?\s*```", text.strip(), re.DOTALL)
    try:
        return orjson.loads(fenced[1] if fenced else text)
    except orjson.JSONDecodeError:
        return _NOTHING
