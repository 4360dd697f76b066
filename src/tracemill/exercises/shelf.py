"""All exercises: make prompts of them, and recognise one from what was said."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from hashlib import sha256
from random import Random
from typing import Any

from tracemill import word_problems
from tracemill.errors import RecipeError
from tracemill.exercises import chat, choices, code, stem, tools
from tracemill.exercises.form import Drawn, Form, Params, Worked
from tracemill.identity import canonical
from tracemill.record import CATEGORIES, Prompt
from tracemill.word_problems.sentences import Telling, by_anchor, last_told

FORMS: Mapping[str, Form] = {form.name: form for room in (chat, choices, code, stem, tools) for form in room.FORMS}
"""Every form by its name. Math has families instead, in `word_problems`."""


def _told() -> Iterator[tuple[tuple[Form, int], Telling]]:
    """Every form with a telling, and 0; or with the first turns of one, and their number."""
    for form in FORMS.values():
        for telling in form.tellings:
            yield (form, 0), telling
            for turns in range(1, len(telling.sentences)) if form.opening else ():
                yield (form, turns), Telling(telling.sentences[:turns])


_ANCHORED = by_anchor(_told())
_BY_CATEGORY = {category: [f for f in FORMS.values() if f.category == category] for category in CATEGORIES}


@dataclass(frozen=True, slots=True)
class Found:
    """An exercise, read from what was said."""

    form: Form
    params: Params
    text: str
    results: tuple[str, ...] = ()
    """Of the tools that were called since the user spoke last."""
    turns: int = 0
    """How many turns of the user there were, where the point is still to come; else 0."""

    def worked(self, drawn: int = 0) -> Worked:
        """The right answer; which of its endings it has, a number decides."""
        if self.turns and self.form.opening is not None:
            return self.form.opening(self.params, self.turns, self.results)
        worked = self.form.work(self.params, self.text, self.results)
        endings = (worked.ending, *worked.others)
        return replace(worked, ending=endings[drawn % len(endings)])

    def wrong(self, drawn: int) -> Worked:
        """A wrong one; which, a number decides."""
        return self.form.slip(self.worked(), self.params, drawn)


def recognise(messages: Sequence[Mapping[str, Any]]) -> Found | None:
    """The exercise that a conversation, in OpenAI's form, has come to; None where it is none of ours."""
    said = [(str(m.get("role")), m.get("content")) for m in messages]
    asked = tuple(text for role, text in said if role == "user" and isinstance(text, str))
    last = max((place for place, (role, _) in enumerate(said) if role == "user"), default=0)
    results = tuple(str(text) for role, text in said[last:] if role == "tool")
    found = _recognised(asked)
    return replace(found, results=results) if found is not None and results else found


@lru_cache(maxsize=4096)
def _recognised(asked: tuple[str, ...]) -> Found | None:
    """In the last turn alone; or in all turns, where that has to be told from the beginning."""
    for text in (asked[-1] if asked else "", " ".join(asked)):
        told = last_told(text, _ANCHORED)
        if told is not None:
            (form, turns), params = told
            return Found(form, params, text, turns=turns)
    return None


def good_answer(conversation: Sequence[Mapping[str, Any]], answer: str) -> bool | None:
    """Whether a conversation of ours was answered as it should be; None where nobody here can tell."""
    found = recognise(conversation)
    if found is None or found.turns or not (holds := found.worked().holds):
        return None
    return all(text in answer for text in holds)


def make(
    count: int,
    seed: int,
    categories: Collection[str] | None = None,
    families: Collection[str] | None = None,
    difficulties: Collection[int] = word_problems.DIFFICULTIES,
) -> Iterator[Prompt]:
    """`count` prompts of the chosen categories in turn, with what their answers are checked by.

    Prompt i depends on seed, i, and what is chosen (in whatever order), never on `count`.

    Args:
        count: How many; none is made before it is asked for.
        seed: Any integer. Other seeds give other exercises.
        categories: None means all five.
        families, difficulties: Of math, see `word_problems.generate`.

    Raises:
        RecipeError: A category that there is none of, or none chosen. Raised at the call, not later.
    """
    chosen = sorted(set(CATEGORIES if categories is None else categories))
    if unknown := [name for name in chosen if name not in CATEGORIES] or not chosen:
        told = f"no category {unknown[0]!r}" if isinstance(unknown, list) else "nothing to make"
        raise RecipeError(f"exercises has {told} (it has: {', '.join(CATEGORIES)}).")
    return _made(count, seed, chosen, word_problems.generate(count, seed, families, difficulties))


def _made(count: int, seed: int, categories: list[str], problems: Iterator[Prompt]) -> Iterator[Prompt]:
    for index in range(count):
        category = categories[index % len(categories)]
        yield next(problems) if category == "math" else _prompt(seed, index, category, categories)


def _prompt(seed: int, index: int, category: str, categories: list[str]) -> Prompt:
    hashed = sha256(canonical(["exercise", str(seed), index, categories])).digest()
    rng = Random(int.from_bytes(hashed, "big"))
    form = rng.choice(_BY_CATEGORY[category])
    params = form.draw(rng)
    drawn: Drawn = form.drawn(params, rng.choice(form.tellings))
    return Prompt(
        category=category,
        messages=drawn.messages,
        expected=drawn.expected,
        tools=drawn.tools,
        source="exercises",
        source_id=f"{form.name}-{seed}-{index}",
        source_license="CC0-1.0",
        metadata={"family": form.name, **drawn.metadata},
        check=drawn.check,
    )
