"""A teacher that plays a part in an episode: the tools, or the user.

What it is shown is data, quoted as JSON between two lines that nobody could foresee, and it must answer in JSON.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from importlib.resources import files
from typing import Any, TypeVar

import orjson

from tracemill import identity
from tracemill.models.player import Player, filled, json_in
from tracemill.models.wire import Ask, Failure
from tracemill.recipe import Recipe
from tracemill.record import Sample, ToolCall

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
        self.role, self.recipe, self.ask = Player(name, recipe), recipe, ask

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
        key, index = sample.prompt_key, sample.sample_index
        keys: list[str] = []
        for retry in range(self.recipe.respond.ask_anew + 1):
            seed = identity.wire_seed(self.recipe.seed, key, sample.reasoning, index, retry, step)
            request = self.role.request(text, sample.category, home, seed, index=index, retry=retry, step=step)
            keys.append(request.key)
            got = await self.ask(request)
            if isinstance(got, Failure):
                return Played(None, tuple(keys), got)
            said = None if got.finish_reason == "length" else read(got.content)
            if said is not None:
                return Played(said, tuple(keys))
        return Played(None, tuple(keys))


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
    try:
        return None if len(text) > LONGEST else orjson.dumps(json_in(text)).decode()
    except ValueError:
        return None


def _next_turn(text: str, may_end: bool) -> Turn | None:
    try:
        value = json_in(text)
    except ValueError:
        return None
    if not isinstance(value, dict) or len(text) > LONGEST:
        return None
    message, done = value.get("message", ""), value.get("done", False)
    if not isinstance(message, str) or not isinstance(done, bool):
        return None
    done = done and may_end
    return Turn(message.strip(), done) if done or message.strip() else None
