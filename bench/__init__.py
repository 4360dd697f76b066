"""Measurements. Each prints a ratio against a named baseline of the same run: `python -m bench`."""
