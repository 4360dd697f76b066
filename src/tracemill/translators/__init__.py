"""Translators that are no chat models: lines in, the same number of lines out, or a failure for each that has none."""

from tracemill.translators.apertium import apertium
from tracemill.translators.command import CommandTranslator
from tracemill.translators.program import Program
from tracemill.translators.translator import Failure, Translator, TranslatorError

__all__ = ["CommandTranslator", "Failure", "Program", "Translator", "TranslatorError", "apertium"]
