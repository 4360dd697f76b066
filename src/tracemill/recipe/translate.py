"""How finished rows are put into other languages."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from tracemill.recipe.parts import Category, Model, Share, Slug, at_key

STAGE = "translate"
"""The stage of translations, in ledgers and rejected rows."""
DEFAULT = "default"
"""The route of every language that has none of its own."""


def _as_list(value: object) -> object:
    return value.split(",") if isinstance(value, str) else value


def _routes(value: object) -> object:
    """A route may be one name, and one route may stand for all."""
    told = value if isinstance(value, dict) else {DEFAULT: value}
    return {key: [names] if isinstance(names, str) else names for key, names in told.items()}


class Ladder(Model):
    """What is done with a segment that a gate refuses, before its row is given up."""

    samples: int = Field(default=2, ge=1, le=10)
    """How often each model is asked with the segment alone, each time with another seed."""
    context: int = Field(default=3, ge=0, le=50)
    """Segments before it that go along, not to be translated, when the first model is asked once more; 0: it is not."""
    sentences: bool = True
    """Whether the last model is asked sentence by sentence in the end."""


class Gates(Model):
    """What a translation must satisfy. Gates without a setting are always on."""

    length: bool = True
    """Whether the length must lie within the bounds of the language's file."""
    copied: Share = 0.6
    """A segment is refused as copied when it shares more than this of its words with the source, in their order; 1: off."""
    script: bool = True
    """Whether letters must be of the target's scripts, as the language's file bounds it."""
    address: bool = False
    """Whether the reader must be addressed as the language's file says."""
    language: bool = True
    """Whether the translated prompt, the answer, and each longer segment must be in the target language."""
    language_letters: int = Field(default=20, ge=1)
    """Letters of prose that a single segment must have before its language is judged."""


class Back(Model):
    """Each line that passed the gates is translated back and compared with its source. A fluent line of a fair length in the
    right language, with the right numbers, that says something else is seen by nothing else; it takes one more request.
    """

    teacher: Slug
    """Who translates back; best a model that did not translate there."""
    least: Share = 0.3
    """How much of the source must come back: chrF, from 0 to 1. Of 400 lines of FLORES that Bergamot put into Spanish and
    Apertium back, the least was 0.32 and half were above 0.63; beside another line of that length, the most was 0.29."""
    samples: int = Field(default=2, ge=1, le=10)
    """How often it is tried before a line is refused: the fault may be on the way back."""
    letters: int = Field(default=12, ge=1)
    """Letters that a source must have before it is compared: of a word or two, a synonym leaves nothing."""


class Localise(Model):
    """Names, money and measures of a row are adapted to the readers of each language before it is translated, its trace
    included. Numbers stay, so the answer does too, and must pass the row's own check again. What cannot be adapted
    whole stays as it was, or drops the row where a part is left over.
    """

    teacher: Slug | None = None
    """Who says what is put for what, once for each row and language; left out: the language files, for names that they
    list."""
    prompt: str = "localise"
    """How the teacher is asked: the built-in prompt, or a template file."""
    names: bool = True
    """Whether given names become names of the language's file, of the same gender."""
    money: bool = True
    """Whether dollars become the currency of the language's file, at one to one."""
    units: bool = True
    """Whether feet become meters, and so on, at one to one; not where a row has two units of one kind, for then it may
    convert one into the other."""


class Translate(Model):
    """Rows in other languages: prompts and answers are translated, traces stay as they are."""

    to: Annotated[tuple[str, ...], BeforeValidator(_as_list)] = Field(min_length=1)
    """Languages by their code, or paths of language files: [fr, es, my-language.yaml]."""
    source: str = "en"
    """Rows in this language are translated; others stay as they are."""
    categories: tuple[Category, ...] | None = None
    """Rows of these categories alone are translated; left out: all are."""
    routes: Annotated[dict[str, tuple[Slug, ...]], BeforeValidator(_routes)] = {}
    """By language, or `default`: the teachers that translate, the first one first. They answer no prompts. Left out,
    nobody is asked, and only what `memory` has is translated."""
    prompt: str = "nemotron-v2"
    """How a segment is put to a model: the name of a built-in prompt, or a template file."""
    granularity: Literal["line", "paragraph", "message"] = "line"
    """What one request holds: a line; the lines of a paragraph; all lines of a message, numbered."""
    context: int = Field(default=0, ge=0, le=50)
    """Lines before it that go along with each, not to be translated. Equal lines are then asked once only where the
    lines before them are equal too."""
    ladder: Ladder = Ladder()
    gates: Gates = Gates()
    back: Back | None = None
    """Whether, and how, lines are translated back and compared; left out: they are not."""
    glossary: dict[str, dict[str, str]] = {}
    """By language: words that must be translated so wherever they occur."""
    memory: tuple[str, ...] = ()
    """Files with translations that are used before any model is asked: TMX, XLIFF or JSONL, as `--pairs` writes them;
    the first that has a segment wins. Or directories of earlier runs, whose stored replies are used again. `builtin`
    stands for the sentences of generated word problems and their answers, in fr, es, de, it and ja."""
    languages: tuple[str, ...] = ()
    """Language files that add to ours, or take the place of one of the same code."""
    system: bool = False
    """Whether system messages are translated too."""
    traces: bool = False
    """Whether reasoning traces are translated too; they stay as they are by default, as in Nemotron v2."""
    comments: bool = False
    """Whether comments and docstrings inside fenced code are translated."""
    localise: Localise | None = None
    """Whether, and how, rows are adapted to the readers of each language; left out: they are not."""

    @model_validator(mode="after")
    def _once(self) -> Self:
        twice = sorted({code for code in self.to if self.to.count(code) > 1})
        if twice:
            raise at_key("to", f"{twice[0]!r} is given twice")
        if self.source in self.to:
            raise at_key("to", f"{self.source!r} is the source's own language")
        if not self.routes and not self.memory:
            raise at_key("routes", "nobody translates; name the teachers of a route, or a `memory`")
        if (
            self.routes
            and DEFAULT not in self.routes
            and (lost := [code for code in self.to if code not in self.routes])
        ):
            raise at_key("routes", f"no model translates into {lost[0]!r}; add a route {lost[0]!r} or {DEFAULT!r}")
        return self

    def route(self, code: str) -> tuple[str, ...]:
        """The teachers that translate into a language, the first one first."""
        return self.routes.get(code) or self.routes.get(DEFAULT, ())

    def takes(self, category: str) -> bool:
        """Whether rows about this are translated."""
        return self.categories is None or category in self.categories

    def translators(self) -> frozenset[str]:
        """All teachers that translate."""
        back = () if self.back is None else (self.back.teacher,)
        local = (self.localise.teacher,) if self.localise is not None and self.localise.teacher is not None else ()
        return frozenset((*back, *local, *(name for route in self.routes.values() for name in route)))
