"""The recipe as one value."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from tracemill.recipe.dialects import Dialects, Impossible, shipped
from tracemill.recipe.limits import Limits
from tracemill.recipe.parts import Model, Slug, at_key
from tracemill.recipe.refine import Refine
from tracemill.recipe.respond import Respond
from tracemill.recipe.sources import PromptSource, Rows
from tracemill.recipe.teacher import Teacher
from tracemill.recipe.translate import Translate
from tracemill.recipe.verify import ChoiceCheck, CodeCheck, Judge, ToolCheck, UnitCheck
from tracemill.record import Reasoning


def _as_list(value: object) -> object:
    return [value] if isinstance(value, dict) else value


class MathCheck(Model):
    """How answers to math prompts are checked."""

    majority: float = Field(default=0.5, gt=0, le=1)
    """Without an expected answer: the share of the asked samples that must agree. Ties are dropped."""
    wall_clock: float = Field(default=5.0, gt=0)
    """Seconds that one symbolic comparison may take before its process is killed."""


class Verify(Model):
    """How samples are checked."""

    math: MathCheck = MathCheck()
    code: CodeCheck = CodeCheck()
    choices: ChoiceCheck = ChoiceCheck()
    """How multiple choice is checked."""
    units: UnitCheck = UnitCheck()
    """How answers of science and the humanities are checked."""
    tools: ToolCheck = ToolCheck()
    """How tool calls are checked."""
    duplicates: bool = True
    """Drop rows that say exactly what an earlier row says."""


class Publish(Model):
    """How the dataset is written."""

    layout: Literal["full", "v1", "v2", "v3"] = "full"
    """full: v1's columns with ours appended; v1, v2, v3: exactly theirs."""
    row_group_rows: int = Field(default=2000, ge=1000, le=4000)
    shard_bytes: int = Field(default=500_000_000, ge=1_000_000)
    """Uncompressed size at which a split goes on in its next file."""


class Recipe(Model):
    """A whole run as one value."""

    name: Slug
    version: str = "0.1"
    license: str
    """Licence of the rows as released; an SPDX id where there is one."""
    description: str = ""
    contact: str | None = None
    """Where people can ask for a row to be taken out. The card prints it, or says that none is given."""
    citation: str | None = None
    """BibTeX for the card; made from name and version if it is not given."""
    seed: int = Field(default=0, ge=0)
    prompts: Annotated[tuple[PromptSource, ...], BeforeValidator(_as_list)] = Field(min_length=1)
    teachers: dict[Slug, Teacher] = {}
    respond: Respond = Respond()
    verify: Verify = Verify()
    judge: Judge | None = None
    """Who judges what no rule can; nobody unless it is given."""
    translate: Translate | None = None
    """Other languages that the rows are put into; none unless it is given."""
    refine: Refine | None = None
    """How finished rows are refined, for `tracemill refine`."""
    publish: Publish = Publish()
    budget: Limits = Limits()
    """What the run may spend."""
    dialects: Dialects = Dialects()

    @model_validator(mode="after")
    def _dialects_can(self) -> Recipe:
        """What a dialect cannot do is told before anything is paid for."""
        table = self.dialects.over(shipped()) if self.dialects != Dialects() else None
        modes: tuple[Reasoning, ...] = ("on", "off") if self.respond.reasoning == "both" else (self.respond.reasoning,)
        for name, teacher in self.teachers.items():
            self.teachers[name] = bound = teacher.in_table(table)
            try:
                bound.check(modes)
            except Impossible as exc:
                raise at_key(f"teachers.{name}.{exc.key}", str(exc)) from exc
        return self

    @model_validator(mode="after")
    def _somebody_is_there(self) -> Recipe:
        """Whoever is needed to answer or to translate has a name."""
        if self.has_rows and not all(isinstance(source, Rows) for source in self.prompts):
            raise at_key("prompts", "rows of a dataset and prompts that are to be answered do not go into one run")
        if self.refine is not None and (len(self.prompts) > 1 or not self.has_rows):
            raise at_key("refine", "what is refined is one source of finished rows, `prompts: {rows: PATH}`")
        if self.refine is not None and (self.answering or self.translate or self.respond != Respond()):
            told = (
                "nobody is asked but a judge when rows are refined; take out other `teachers`, `respond`, `translate`"
            )
            raise at_key("refine", told)
        if not self.has_rows and not self.answering:
            told = "; those that `translate.routes` names only translate" if self.teachers else ""
            raise at_key("teachers", f"at least 1 item is wanted: nobody is there to answer the prompts{told}")
        if self.judge is not None and self.judge.teacher not in self.teachers:
            raise at_key("judge.teacher", f"there is no teacher {self.judge.teacher!r} in `teachers`")
        for key, name in self.respond.roles().items():
            if name not in self.teachers:
                raise at_key(key, f"there is no teacher {name!r} in `teachers`")
        for code, route in (self.translate.routes if self.translate else {}).items():
            if unknown := [name for name in route if name not in self.teachers]:
                raise at_key(f"translate.routes.{code}", f"there is no teacher {unknown[0]!r} in `teachers`")
        back = self.translate.back if self.translate else None
        if back is not None and back.teacher not in self.teachers:
            raise at_key("translate.back.teacher", f"there is no teacher {back.teacher!r} in `teachers`")
        local = self.translate.localise if self.translate else None
        if local is not None and local.teacher is not None and local.teacher not in self.teachers:
            raise at_key("translate.localise.teacher", f"there is no teacher {local.teacher!r} in `teachers`")
        return self

    @model_validator(mode="after")
    def _cost_is_known(self) -> Recipe:
        unpriced = [n for n, t in self.teachers.items() if t.price is None and t.url != "builtin"]
        if self.budget.cost is not None and unpriced:
            raise at_key(
                "budget.cost", f"what teacher {unpriced[0]!r} costs is not known; set teachers.{unpriced[0]}.price"
            )
        return self

    @model_validator(mode="after")
    def _names_differ(self) -> Recipe:
        names = [p.name for p in self.prompts]
        twice = sorted({n for n in names if names.count(n) > 1})
        if twice:
            raise at_key("prompts", f"two prompt sources are named {twice[0]!r}; give each its own `name`")
        return self

    @property
    def has_rows(self) -> bool:
        """Whether the input is finished rows, which nobody has to answer."""
        return any(isinstance(source, Rows) for source in self.prompts)

    @property
    def answering(self) -> dict[str, Teacher]:
        """The teachers that answer prompts: all but those that translate, judge, or play tools or the user."""
        translators = self.translate.translators() if self.translate else ()
        others = {*translators, *self.respond.roles().values(), self.judge.teacher if self.judge else None}
        return {name: teacher for name, teacher in self.teachers.items() if name not in others}

    def rows_identity(self) -> dict[str, Any]:
        """Whatever of the recipe can change a row. Endpoints, pace, contact and citation cannot."""
        whole = self.model_dump(
            mode="json", exclude={"description", "contact", "citation", "publish", "dialects", "budget"}
        )
        whole["teachers"] = {name: teacher.rows_identity() for name, teacher in self.teachers.items()}
        if self.translate is None:
            del whole["translate"]
        else:
            for files in ("to", "source", "prompt", "languages", "memory"):
                del whole["translate"][files]  # what stands in them the plan knows
            for option in ("back", "traces", "comments", "categories", "localise"):
                if not getattr(self.translate, option):
                    del whole["translate"][option]
            whole["translate"].get("localise", {}).pop("prompt", None)
        if self.refine is None:
            del whole["refine"]
        if self.judge is None:
            del whole["judge"]
        else:
            del whole["judge"]["rubrics"]  # the plan knows the texts
        for name, field in Respond.model_fields.items():
            if name in ("agree", "ahead", "tools", "user") and getattr(self.respond, name) == field.default:
                del whole["respond"][name]
        del whole["respond"]["templates"]  # where their texts lie; the plan knows the texts
        for source in whole["prompts"]:
            for about in ("path", "rows", "url", "citation"):
                source.pop(about, None)
        return whole
