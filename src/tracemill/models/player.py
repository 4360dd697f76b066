"""A teacher in another role than answering: it judges, or plays tools or a user. What it is shown is data, quoted between
two lines that nobody could foresee, and it must answer in JSON.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from tracemill import identity
from tracemill.models.wire import Request
from tracemill.recipe import Recipe
from tracemill.recipe.dialects import Impossible
from tracemill.record import Message, Reasoning


@dataclass(frozen=True, slots=True)
class Player:
    """One teacher, asked for something else than an answer."""

    name: str
    """The teacher's name in the recipe."""
    recipe: Recipe

    @property
    def mode(self) -> Reasoning:
        """Without reasoning where that can be had: nobody reads its trace."""
        try:
            self.recipe.teachers[self.name].asked("off")
        except Impossible:
            return "on"
        return "off"

    @property
    def model(self) -> str:
        """The model that is asked."""
        return self.recipe.teachers[self.name].model

    def max_tokens(self, category: str) -> int:
        """Tokens that a reply may have."""
        return int(self.recipe.teachers[self.name].sampling_for(category).model_dump()["max_tokens"])

    def request(
        self, text: str, category: str, home: str, seed: int, *, index: int = 0, retry: int = 0, step: int = 0
    ) -> Request:
        """Ask with one message of the user.

        Args:
            category: Of the sample, whose sampling is used.
            home, seed, index, retry, step: As in `Request`.
        """
        teacher, mode = self.recipe.teachers[self.name], self.mode
        asked = teacher.asked(mode)
        sampling = teacher.sampling_for(category).model_dump(exclude_none=True)
        limit = sampling.pop("max_tokens")
        return Request(
            teacher=self.name,
            model=teacher.model,
            revision=teacher.revision,
            messages=tuple(identity.wire_message(m) for m in asked.headed((Message("user", text),))),
            reasoning=mode,
            seed=seed,
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


def filled(template: str, values: Mapping[str, str]) -> str:
    """Put each value in place of its {name}, in one pass: what stands in a value is text."""
    return re.sub(r"\{(" + "|".join(values) + r")\}", lambda found: values[found[1]], template)


def json_in(text: str) -> Any:
    """The one JSON value that a reply is, fenced or bare.

    Raises:
        ValueError: it is none.
    """
    fenced = re.fullmatch(r"```(?:json)?\s*\n(.*?)\n?\s*```", text.strip(), re.DOTALL)
    return orjson.loads(fenced[1] if fenced else text)
