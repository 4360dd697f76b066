"""How answers other than math are checked."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from tracemill.recipe.parts import Category, Model, Share, Slug


def _off(value: object) -> object:
    """YAML 1.1 reads a bare off as a boolean."""
    return "off" if value is False else value


class CodeCheck(Model):
    """How answers in code are checked: parsed, and where tests are known run in a sandbox, or not at all."""

    policy: Annotated[Literal["require", "annotate", "off"], BeforeValidator(_off)] = "annotate"
    """require: a row whose code does not pass is dropped, and one that cannot be run here as `unverified`. annotate: every
    row is kept, with the verdict. off: code is not looked at. Needs the extra `code` unless it is off."""
    cpu_seconds: int = Field(default=10, ge=1, le=600)
    """Processor time that one run of an answer may take."""
    wall_clock: float = Field(default=30.0, gt=0, le=3600)
    """Seconds that one run may take by the clock."""
    memory_mb: int = Field(default=512, ge=64, le=65536)
    """Memory that one run may hold."""


class ChoiceCheck(Model):
    """How answers to multiple choice are checked."""

    majority: float = Field(default=0.5, gt=0, le=1)
    """Without a known letter: the share of the asked samples that must agree. Ties are dropped."""


class UnitCheck(Model):
    """How answers of science and the humanities are checked: numbers with units, truth values, lists."""

    tolerance: float = Field(default=0.01, ge=0, le=0.2)
    """How far a measured number may be away, as a share of the expected one. A bare integer must be exact."""


class ToolCheck(Model):
    """How tool calls are checked."""

    unknown_arguments: bool = False
    """Let calls pass that give a tool arguments which it does not declare."""


class Judge(Model):
    """Who judges what no rule can: open answers, and chat. Nobody does unless this is given."""

    teacher: Slug
    """A teacher of the recipe, which then answers no prompts."""
    categories: tuple[Category, ...] = ("chat", "stem")
    """Categories whose answers are judged, where no other check has decided; of code only explanations."""
    rubrics: dict[Category, str] = {}
    """Rubric files by category, in YAML, or the name of a built-in one, such as `exercises`; a category that is left out
    has the built-in one of its own name."""
    passing: int = Field(default=4, ge=1, le=5)
    """The least score, of 5, that passes."""
    canaries: int = Field(default=10, ge=5, le=200)
    """Answers with a known verdict that are planted in each unit of about 1,000 rows, of five kinds in turn: empty, an
    opening alone, a bad one that tells the judge to pass it, a bad one, a good one."""
    false_passes: Share = 0.02
    """The share of a unit's bad canaries that may pass; the run stops above it. With fewer than 50 of them, the first that
    passes is above 2 %."""
