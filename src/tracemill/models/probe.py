"""Does a teacher do what the recipe expects of it? One short question with reasoning, one without, and what came back.

Nothing is stored, and no more than two answers are asked for. A request that is refused for a field is sent again
without that field, three times at most: a refusal costs nothing, and says what the recipe should say.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

import orjson

from tracemill import identity
from tracemill.legible import one_line
from tracemill.models.endpoint import Endpoint
from tracemill.models.http import HttpError
from tracemill.models.replies import Said, Unreadable, finish_reason, first_choice, parsed, parted
from tracemill.models.wire import Request, TransportError
from tracemill.recipe import MODES, Impossible, Teacher
from tracemill.record import Message, Reasoning

QUESTION = "What is 17 + 25? Think it through first, then answer with the number alone."
MOST_TOKENS = 512
"""Enough for the trace of so small a sum, and for its end to be seen."""
LONGEST = 120.0
"""Seconds that one question may take."""
LISTING = 10.0
"""Seconds for the list of models."""
CURES = 3
SHUT = frozenset({401, 402, 403, 429})
"""The account is refused, empty, or used up for now."""
REFUSED = frozenset({400, 422})
UNTOUCHED = frozenset({"model", "messages"})
"""Fields that no request can do without."""


@dataclass(frozen=True, slots=True)
class Listing:
    """What `GET /models` says."""

    status: int | None
    names: tuple[str, ...] = ()
    owners: frozenset[str] = frozenset()
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Reaction:
    """What came of asking in one mode."""

    mode: Reasoning
    status: int | None
    """HTTP status of the last try; None if no whole reply came."""
    seconds: float = 0.0
    said: Said | None = None
    finish: str | None = None
    hidden: int = 0
    """Tokens of a thought that is not shown, as the endpoint counts them."""
    fingerprint: str = ""
    sent: tuple[str, ...] = ()
    """Fields of the body that was answered, or refused last."""
    refused: tuple[str, ...] = ()
    """Fields without which it was tried again."""
    problem: str = ""

    @property
    def unanswered(self) -> bool:
        """Whether nobody can be asked there now, whatever the request says."""
        return self.status is None or self.status in SHUT or self.status >= 500

    @property
    def obeyed(self) -> bool | None:
        """Whether a trace came where one was asked for, and only there. None: nothing can be said."""
        if self.said is None:
            return None
        thought = self.said.reasoning is not None
        if self.finish == "length" and not thought:
            return None
        return thought == (self.mode == "on")


@dataclass(frozen=True, slots=True)
class Probe:
    """What was found out about one teacher."""

    teacher: str
    listing: Listing | None = None
    reactions: tuple[Reaction, ...] = ()
    impossible: dict[Reasoning, str] = field(default_factory=dict)
    """Modes that the dialect cannot ask for, and why."""

    @property
    def down(self) -> str:
        """Why the teacher cannot be asked at all; "" if it can."""
        for found in self.reactions:
            if found.unanswered:
                return found.problem
        nothing = not self.reactions and self.listing is not None and self.listing.status is None
        return self.listing.problem if nothing and self.listing is not None else ""


class _Listed(Endpoint):
    """An endpoint that can also be read from."""

    async def models(self) -> Listing:
        """What it serves. Never raises for what the other side does."""
        try:
            async with asyncio.timeout(LISTING):
                response = await self._server.send("GET", "/models")
        except TimeoutError:
            return Listing(None, problem=f"no list of models within {LISTING:g} s")
        except HttpError as exc:
            return Listing(None, problem=self._mask.text(str(exc)))
        try:
            rows = orjson.loads(self._mask.body(response.body))["data"]
            names = tuple(str(row["id"]) for row in rows)
            owners = frozenset(str(row["owned_by"]) for row in rows if row.get("owned_by"))
        except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError):
            return Listing(response.status, problem=f"HTTP {response.status}, and no list of models")
        return Listing(response.status, names, owners)


async def probe(name: str, teacher: Teacher, modes: Iterable[Reasoning] = MODES) -> Probe:
    """Ask a teacher, in each mode that its dialect can ask for.

    Raises:
        RecipeError: a secret that the recipe names is not in the environment.
    """
    endpoint = _Listed(name, teacher.model_copy(update={"timeout": min(teacher.timeout, LONGEST)}))
    reactions: list[Reaction] = []
    impossible: dict[Reasoning, str] = {}
    try:
        listing = await endpoint.models()
        for mode in modes:
            try:
                request = _request(name, teacher, mode)
            except Impossible as exc:
                impossible[mode] = str(exc)
                continue
            for known in reactions[:1]:
                request = _without(request, known.refused)
            reactions.append(await _react(endpoint, request, reactions[0].refused if reactions else ()))
            if reactions[-1].unanswered:
                break
    finally:
        await endpoint.close()
    return Probe(name, listing, tuple(reactions), impossible)


def _request(name: str, teacher: Teacher, mode: Reasoning) -> Request:
    asked = teacher.asked(mode)
    messages = asked.headed((Message("user", QUESTION),))
    sampling = teacher.sampling_for("math").model_dump(exclude_none=True, exclude={"max_tokens"})
    return Request(
        teacher=name,
        model=teacher.model,
        messages=tuple(identity.wire_message(m) for m in messages),
        reasoning=mode,
        seed=0,
        max_tokens=MOST_TOKENS,
        home="",
        sampling=sampling,
        extra=asked.body,
        send_seed=teacher.sends_seed(),
        limit_field=teacher.limited_by(),
        trace_field=teacher.trace_field(),
    )


async def _react(endpoint: Endpoint, request: Request, before: tuple[str, ...]) -> Reaction:
    """Ask, and leave out what is refused."""
    refused = list(before)
    for left in range(CURES, -1, -1):
        reaction, body = await _once(endpoint, request)
        reaction = replace(reaction, refused=tuple(refused))
        guilty = _named(body, reaction.sent) if reaction.status in REFUSED else None
        if guilty is None or not left:
            break
        refused.append(guilty)
        request = _without(request, (guilty,))
    return reaction


async def _once(endpoint: Endpoint, request: Request) -> tuple[Reaction, bytes]:
    sent = tuple(k for k in request.body() if k not in UNTOUCHED)
    try:
        raw = await endpoint.send(request)
    except TransportError as exc:
        return Reaction(request.reasoning, None, sent=sent, problem=exc.detail), b""
    reaction = Reaction(request.reasoning, raw.status, raw.latency, sent=sent)
    if raw.status != 200:
        text = one_line(raw.body[:1000].decode(errors="replace"))
        return replace(reaction, problem=f"HTTP {raw.status}: {text}"), raw.body
    try:
        told = parsed(raw.body)
        message = first_choice(told).get("message")
        if not isinstance(message, dict):
            raise Unreadable("the choice holds no message")
        said = parted(message, request.trace_field)
    except Unreadable as exc:
        return replace(reaction, problem=f"the reply cannot be read: {one_line(exc)}"), raw.body
    return replace(
        reaction,
        said=said,
        finish=finish_reason(told),
        hidden=_hidden_tokens(told),
        fingerprint=str(told.get("system_fingerprint") or ""),
    ), raw.body


def _hidden_tokens(told: dict[str, Any]) -> int:
    try:
        count = told["usage"]["completion_tokens_details"]["reasoning_tokens"]
    except (KeyError, TypeError):
        return 0
    return count if isinstance(count, int) else 0


def _named(body: bytes, sent: tuple[str, ...]) -> str | None:
    """The first field of ours that an error speaks of."""
    text = body[:4000].decode(errors="replace")
    places = {name: found.start() for name in sent if (found := re.search(rf"\b{re.escape(name)}\b", text))}
    return min(places, key=lambda name: places[name], default=None)


def _without(request: Request, names: Iterable[str]) -> Request:
    """The request without some fields; the limit goes by its other name."""
    for name in names:
        if name == request.limit_field:
            other = "max_tokens" if name == "max_completion_tokens" else "max_completion_tokens"
            request = replace(request, limit_field=other)
        elif name == "seed":
            request = replace(request, send_seed=False)
        request = replace(
            request,
            sampling={k: v for k, v in request.sampling.items() if k != name},
            extra={k: v for k, v in request.extra.items() if k != name},
        )
    return request
