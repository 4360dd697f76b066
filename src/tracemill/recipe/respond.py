"""How prompts are answered: how often, in which modes, and in how many turns."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from tracemill.recipe.parts import Category, Model, Slug, at_key


def _on_off(value: object) -> object:
    """YAML 1.1 reads a bare on or off as a boolean."""
    return {True: "on", False: "off"}.get(value, value) if isinstance(value, bool) else value


class ToolLoop(Model):
    """How an answer that calls tools goes on. In a prompt with a world the calls are made there; a simulated tool is a
    teacher that is asked what the tool would say; without either, an answer ends with its calls.
    """

    simulated_by: Slug | None = None
    """A teacher of the recipe that plays the tools of prompts without a world. It then answers no prompts."""
    most_steps: int = Field(default=12, ge=1, le=100)
    """Answers of the teacher to one turn of the user; whoever still calls tools in the last is dropped."""


class Conversation(Model):
    """A user who is played by a teacher, and goes on asking."""

    played_by: Slug
    """A teacher of the recipe that plays the user. It then answers no prompts."""
    turns: tuple[Annotated[int, Field(ge=1, le=32)], Annotated[int, Field(ge=1, le=32)]] = (2, 5)
    """The least and the most turns of the user, the prompt's own last one included; drawn for each sample index by hash.
    The user may be content earlier, but not below the least."""
    categories: tuple[Category, ...] = ("chat",)
    """Categories whose prompts are talked about."""
    personas: tuple[str, ...] = ()
    """Who the user may be, one sentence each; one is drawn for each prompt by hash, and held. Left out: built-in ones."""

    @model_validator(mode="after")
    def _least_before_most(self) -> Self:
        if self.turns[0] > self.turns[1]:
            raise at_key("turns", f"the least comes first; it is {list(self.turns)}")
        return self


class Respond(Model):
    """How prompts are answered."""

    reasoning: Annotated[Literal["on", "off", "both"], BeforeValidator(_on_off)] = "on"
    samples: int = Field(default=1, gt=0, le=1024)
    """Samples of each prompt and reasoning mode, from each teacher that answers it."""
    assign: Literal["weighted", "every"] = "weighted"
    """weighted: one teacher answers a prompt, drawn by weight. every: every teacher answers every prompt."""
    ask_anew: int = Field(default=2, ge=0, le=10)
    """How often a sample is asked anew, with another seed, after an empty reply; or a truncated one, if that is wanted."""
    agree: int | None = Field(default=None, ge=1, le=1024)
    """Stop asking for samples of a prompt and mode once so many of them are right: kept, and with no verdict against
    them. They are asked in rounds, each of as many as are still lacking; the other samples are rejected as `surplus`.
    With `assign: every` the teachers come one after the other, and the later ones only get what is lacking."""
    ahead: int = Field(default=0, ge=0, le=1024)
    """With `agree`: so many more samples in each round than are lacking. Sooner done, for more money."""
    truncated: Literal["reject", "extend", "resample"] = "reject"
    """What becomes of a reply that was cut at `max_tokens`. reject: it is dropped. extend: asked once more with twice the
    limit. resample: asked anew with another seed."""
    templates: dict[Category, str] = {}
    """Template files by category, with the one placeholder {problem}; the built-in ones are the articles'."""
    system: dict[Category, str] = {}
    """System prompts by category. Chat has the article's unless it is set here; "" means none."""
    tools: ToolLoop = ToolLoop()
    """How an answer that calls tools goes on."""
    user: Conversation | None = None
    """A user who goes on asking; none unless it is given."""

    @model_validator(mode="after")
    def _enough_to_agree(self) -> Self:
        if self.agree is not None and self.agree > self.samples:
            raise at_key("agree", f"{self.agree} samples cannot agree where {self.samples} are asked for (`samples`)")
        return self

    def roles(self) -> dict[str, str]:
        """The teachers that play tools or the user, by the key that names them."""
        told = {"respond.tools.simulated_by": self.tools.simulated_by}
        if self.user is not None:
            told["respond.user.played_by"] = self.user.played_by
        return {key: name for key, name in told.items() if name is not None}
