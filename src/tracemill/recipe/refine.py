"""How finished rows are refined."""

from __future__ import annotations

from pydantic import Field

from tracemill.recipe.parts import Category, Model

WITHHELD = ("prompt_placeholder", "prompt_empty")
"""Findings of rows whose prompt was withheld."""
BROKEN = ("user_missing", "turn_order", "think_unclosed", "think_unopened", "answer_missing")
"""Findings of rows that are no whole conversation."""


class Only(Model):
    """Which rows are wanted. A key that is left out wants all; of a key that is given, the value must be in the list."""

    language: tuple[str, ...] = ()
    """Codes as the rows have them, "fr"; rows that say nothing are English."""
    category: tuple[str, ...] = ()
    """Categories, or of a translation that of its original."""
    license: tuple[str, ...] = ()
    """Licences, as the rows spell them."""
    generator: tuple[str, ...] = ()
    """Models, as the rows spell them."""
    reasoning: tuple[str, ...] = ()
    """`"on"` or `"off"`, in quotes."""


class Refine(Model):
    """How finished rows are refined by `tracemill refine`. Nobody is asked. The steps are those of a build: the row must
    be wanted (`only`), nothing of `findings` may be found in it, then come `complete`, `sound` and the checks, and over
    all rows `duplicates`.
    """

    only: Only = Only()
    """Which rows are wanted; the others are rejected by stage `select`."""
    more_categories: tuple[str, ...] = ()
    """Categories that rows may have besides ours and `multilingual_LANGUAGE`; each becomes a split."""
    findings: tuple[str, ...] = (*WITHHELD, *BROKEN)
    """Checks of `tracemill validate`, by name: a row in which one of them finds something is rejected by stage
    `structure`, the first in this order being the reason."""
    expected: tuple[str, ...] = ("expected_answer",)
    """Where the right answer stands: a column of that name, or else that key of the row's metadata, where a dot leads
    further in. The first that holds one counts. A row without one stays unchecked."""
    expected_after: str | None = Field(default=None, min_length=1)
    """If set, the expected answer is what follows the last occurrence of this text."""
    must_check: tuple[Category, ...] = ()
    """Categories whose rows are rejected if no verifier could check them. The others are kept, with the verdict
    `unchecked`."""
    skip: tuple[str, ...] = ()
    """Steps that are left out, by name: `sound`, `verify_math`. `complete` always stays: without it a row might be one that
    cannot be written."""
