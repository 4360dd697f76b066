"""Finished rows as the input of a run: worked by the build's own steps, a piece of a file at a time, where they lie."""
