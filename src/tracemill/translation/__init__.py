"""Rows into other languages: prompts and answers segment by segment, each one gated; traces are not even read."""
