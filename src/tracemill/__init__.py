"""Tracemill: prompts in, verified reasoning data out."""

__version__ = "0.1.0"
