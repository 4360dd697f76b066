"""What translation lost, by language and category, in rows and in bytes: the article's table, and ours beside it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tracemill.ledger import Ledger

TRANSLATE = "translate"
ARTICLE: dict[tuple[str, str], float] = {
    ("de", "code"): 2.28, ("de", "qa"): 1.11, ("de", "math"): 2.47,
    ("es", "code"): 26.14, ("es", "qa"): 5.15, ("es", "math"): 6.38,
    ("fr", "code"): 11.01, ("fr", "qa"): 1.37, ("fr", "math"): 1.96,
    ("it", "code"): 4.94, ("it", "qa"): 1.36, ("it", "math"): 0.75,
    ("ja", "code"): 7.68, ("ja", "qa"): 2.51, ("ja", "math"): 3.86,
}  # fmt: skip
"""Percent of the bytes that NVIDIA's Post-Training Dataset v2 lost by the rule of brackets, as its article tells."""
AS_IN_ARTICLE = {"code": "code", "stem": "qa", "math": "math"}
"""Our categories by the article's."""


@dataclass(frozen=True, slots=True)
class Excluded:
    """One cell of the table."""

    language: str
    category: str
    rows: int
    """Rows that were to be translated."""
    lost: int
    """Of these, rows that were dropped, by a gate or by the check of their answer; and rows that failed."""
    bytes: int
    """UTF-8 bytes of prompts and answers of these rows, in the source language."""
    bytes_lost: int
    """The same of rows that a gate dropped or that failed. Rows whose answer no longer passed count by their mean."""
    article: float | None
    """The article's share of bytes for the same cell, in percent."""

    @property
    def share(self) -> float:
        """Of rows, 0 to 1."""
        return self.lost / self.rows if self.rows else 0.0

    @property
    def share_of_bytes(self) -> float:
        """Of bytes, 0 to 1."""
        return self.bytes_lost / self.bytes if self.bytes else 0.0

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "language": self.language, "category": self.category, "rows": self.rows, "lost": self.lost,
            "share": round(self.share, 6), "bytes": self.bytes, "bytes_lost": self.bytes_lost,
            "share_of_bytes": round(self.share_of_bytes, 6), "article_percent": self.article,
        }  # fmt: skip


def exclusion(ledger: Ledger) -> list[Excluded]:
    """The table of a run, by language and then category; empty where nothing was translated."""
    return list(_cells(ledger))


def _cells(ledger: Ledger) -> Iterator[Excluded]:
    for place in sorted((p for p in ledger.places() if p[0] == TRANSLATE), key=lambda p: (p[2], p[1])):
        _, category, language = place
        rows = ledger.spawned[place]
        gated = sum(n for key, n in (*ledger.dropped.items(), *ledger.failed.items()) if key[:3] == place)
        later = sum(
            n
            for key, n in ledger.dropped.items()
            if key[0] not in (TRANSLATE, "gather") and key[1] == category and key[2] == language
        )
        size, gone = ledger.measured[(*place, "bytes")], ledger.measured[(*place, "bytes lost")]
        gone += round(later * size / rows) if rows else 0
        article = ARTICLE.get((language, AS_IN_ARTICLE.get(category, "")))
        yield Excluded(language, category, rows, gated + later, size, gone, article)
