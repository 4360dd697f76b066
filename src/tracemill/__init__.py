"""Tracemill: prompts in, verified reasoning data out.

    import tracemill

    recipe = tracemill.load_recipe("recipes/demo.yaml")
    report = tracemill.build(recipe, "runs/demo")
    assert tracemill.audit("runs/demo").ok

This is the public face. Each name is loaded when it is first used, so that `import tracemill` costs next to nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tracemill.errors import (
        BudgetSpent,
        CorruptRun,
        DataError,
        DiskError,
        EndpointError,
        Interrupted,
        JudgeUntrusted,
        Locked,
        LossyConversion,
        MissingExtra,
        RecipeError,
        TracemillError,
        UsageError,
    )
    from tracemill.estimate.forecast import Forecast, forecast
    from tracemill.exchange.exporting import export_requests
    from tracemill.exchange.importing import import_answers
    from tracemill.glean.run import GleanReport, glean
    from tracemill.inspect.stats import stats
    from tracemill.inspect.validate import measure, validate
    from tracemill.layouts import from_layout, to_layout
    from tracemill.mill import BuildReport, build
    from tracemill.multilingual.report import TranslationReport
    from tracemill.multilingual.run import translate
    from tracemill.reading.dataset import Dataset, open
    from tracemill.recipe import (
        Fields,
        GeneratedPrompts,
        PromptFiles,
        Publish,
        Recipe,
        Refine,
        Respond,
        Rows,
        Sampling,
        Teacher,
        Translate,
        Verify,
    )
    from tracemill.recipe_file import load_recipe
    from tracemill.record import Message, Prompt, Sample, ToolCall, Usage, Verdict
    from tracemill.refinery import refine
    from tracemill.report.audit import AuditReport, Check, audit
    from tracemill.report.doctor import doctor
    from tracemill.report.explain import Life, explain
    from tracemill.report.status import Status, status
    from tracemill.restoring.run import restore
    from tracemill.schema import SCHEMA
    from tracemill.search.run import ContainsReport, contains
    from tracemill.takedown.report import RemoveReport
    from tracemill.takedown.run import remove
    from tracemill.upkeep import compact

__version__ = "0.1.0"

__all__ = [
    "SCHEMA",
    "AuditReport",
    "BudgetSpent",
    "BuildReport",
    "Check",
    "ContainsReport",
    "CorruptRun",
    "DataError",
    "Dataset",
    "DiskError",
    "EndpointError",
    "Fields",
    "Forecast",
    "GeneratedPrompts",
    "GleanReport",
    "Interrupted",
    "JudgeUntrusted",
    "Life",
    "Locked",
    "LossyConversion",
    "Message",
    "MissingExtra",
    "Prompt",
    "PromptFiles",
    "Publish",
    "Recipe",
    "RecipeError",
    "Refine",
    "RemoveReport",
    "Respond",
    "Rows",
    "Sample",
    "Sampling",
    "Status",
    "Teacher",
    "ToolCall",
    "TracemillError",
    "Translate",
    "TranslationReport",
    "Usage",
    "UsageError",
    "Verdict",
    "Verify",
    "__version__",
    "audit",
    "build",
    "compact",
    "contains",
    "doctor",
    "explain",
    "export_requests",
    "forecast",
    "from_layout",
    "glean",
    "import_answers",
    "load_recipe",
    "measure",
    "open",
    "refine",
    "remove",
    "restore",
    "stats",
    "status",
    "to_layout",
    "translate",
    "validate",
]

_HOMES = {
    "AuditReport": "report.audit",
    "BudgetSpent": "errors",
    "BuildReport": "mill",
    "Check": "report.audit",
    "ContainsReport": "search.run",
    "CorruptRun": "errors",
    "DataError": "errors",
    "Dataset": "reading.dataset",
    "DiskError": "errors",
    "EndpointError": "errors",
    "Fields": "recipe",
    "Forecast": "estimate.forecast",
    "GeneratedPrompts": "recipe",
    "GleanReport": "glean.run",
    "Interrupted": "errors",
    "JudgeUntrusted": "errors",
    "Life": "report.explain",
    "Locked": "errors",
    "LossyConversion": "errors",
    "Message": "record",
    "MissingExtra": "errors",
    "Prompt": "record",
    "PromptFiles": "recipe",
    "Publish": "recipe",
    "Recipe": "recipe",
    "RecipeError": "errors",
    "Refine": "recipe",
    "RemoveReport": "takedown.report",
    "Respond": "recipe",
    "Rows": "recipe",
    "SCHEMA": "schema",
    "Sample": "record",
    "Sampling": "recipe",
    "Status": "report.status",
    "Teacher": "recipe",
    "ToolCall": "record",
    "TracemillError": "errors",
    "Translate": "recipe",
    "TranslationReport": "multilingual.report",
    "Usage": "record",
    "UsageError": "errors",
    "Verdict": "record",
    "Verify": "recipe",
    "audit": "report.audit",
    "build": "mill",
    "compact": "upkeep",
    "contains": "search.run",
    "doctor": "report.doctor",
    "explain": "report.explain",
    "export_requests": "exchange.exporting",
    "forecast": "estimate.forecast",
    "from_layout": "layouts",
    "glean": "glean.run",
    "import_answers": "exchange.importing",
    "load_recipe": "recipe_file",
    "measure": "inspect.validate",
    "open": "reading.dataset",
    "refine": "refinery",
    "remove": "takedown.run",
    "restore": "restoring.run",
    "stats": "inspect.stats",
    "status": "report.status",
    "to_layout": "layouts",
    "translate": "multilingual.run",
    "validate": "inspect.validate",
}
"""The module that each public name lives in."""


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
