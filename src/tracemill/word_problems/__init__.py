"""Math word problems: made from templates, recognised by the same templates, solved exactly."""

from tracemill.word_problems.families import FAMILIES, Found, generate, recognise
from tracemill.word_problems.family import DIFFICULTIES, Family, Solution

__all__ = ["DIFFICULTIES", "FAMILIES", "Family", "Found", "Solution", "generate", "recognise"]
