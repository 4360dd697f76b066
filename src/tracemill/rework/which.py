"""Prompts to be asked, or finished rows? What only rows need is loaded for them alone: a build begins sooner."""

from __future__ import annotations

from pathlib import Path

from tracemill.gather.spool import load_spool
from tracemill.models.wire import Ask
from tracemill.plan import Pipeline, Plan
from tracemill.recipe import Recipe
from tracemill.storage.fs import REAL, Fs
from tracemill.storage.layout import STOCK
from tracemill.verify.math_checker import MathChecker


def plan_at(recipe: Recipe, place: Path, limit: int | None, fs: Fs = REAL) -> Plan:
    """The plan of a recipe over the spool or the stock that lies in `place`."""
    if recipe.refine is not None or (place / STOCK).exists():
        from tracemill.rework.plan import RowsPlan
        from tracemill.rework.stock import load_stock

        return RowsPlan(recipe, load_stock(place, fs).first(limit), limit)
    return Plan(recipe, load_spool(place, fs), limit)


def pipeline_of(plan: Plan, ask: Ask, checker: MathChecker, window: int) -> Pipeline:
    """The steps of a plan, for one process."""
    if type(plan) is Plan:
        return Pipeline(plan, ask, checker, window)
    from tracemill.rework.plan import RowsPipeline

    return RowsPipeline(plan, ask, checker, window)
