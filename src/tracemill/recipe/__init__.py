"""The recipe: one YAML file that says what is asked of whom, how it is checked, and how it is published.

These models build recipes in Python, and `recipe_file` reads them from YAML. Unknown keys are errors. Secrets are never
literals: they are written `${env:NAME}` and read from the environment at the moment of asking, so no stored recipe ever
holds one.
"""

from tracemill.recipe.dialects import Asked, Dialects, Family, Impossible, Server, Switch, shipped
from tracemill.recipe.limits import Limits
from tracemill.recipe.parts import LARGEST_NUMBER, Category, Model, Plain, Share, Slug
from tracemill.recipe.refine import Only, Refine
from tracemill.recipe.respond import Conversation, Respond, ToolLoop
from tracemill.recipe.secrets import ENV_REFERENCE, resolve_secret, secret_texts
from tracemill.recipe.sources import (
    LANGUAGE,
    RESERVED_METADATA,
    CodeFields,
    Fields,
    GeneratedPrompts,
    PromptFiles,
    PromptSource,
    Rows,
)
from tracemill.recipe.teacher import DEFAULT_SAMPLING, MODES, USUAL_TRACE_FIELDS, Sampling, Slips, Teacher
from tracemill.recipe.translate import Back, Gates, Ladder, Localise, Translate
from tracemill.recipe.verify import ChoiceCheck, CodeCheck, Judge, ToolCheck, UnitCheck
from tracemill.recipe.whole import MathCheck, Publish, Recipe, Verify

__all__ = [
    "DEFAULT_SAMPLING",
    "ENV_REFERENCE",
    "LANGUAGE",
    "LARGEST_NUMBER",
    "MODES",
    "RESERVED_METADATA",
    "USUAL_TRACE_FIELDS",
    "Asked",
    "Back",
    "Category",
    "ChoiceCheck",
    "CodeCheck",
    "CodeFields",
    "Conversation",
    "Dialects",
    "Family",
    "Fields",
    "Gates",
    "GeneratedPrompts",
    "Impossible",
    "Judge",
    "Ladder",
    "Limits",
    "Localise",
    "MathCheck",
    "Model",
    "Only",
    "Plain",
    "PromptFiles",
    "PromptSource",
    "Publish",
    "Recipe",
    "Refine",
    "Respond",
    "Rows",
    "Sampling",
    "Server",
    "Share",
    "Slips",
    "Slug",
    "Switch",
    "Teacher",
    "ToolCheck",
    "ToolLoop",
    "Translate",
    "UnitCheck",
    "Verify",
    "resolve_secret",
    "secret_texts",
    "shipped",
]
