"""What became of the rows that were translated, from the manifest and the journal of a run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tracemill.charter import open_plan
from tracemill.errors import UsageError
from tracemill.ledger import Ledger
from tracemill.models.budget import Account, money, paid
from tracemill.publish.exclusion import TRANSLATE, Excluded, exclusion
from tracemill.storage.manifest import newest


@dataclass(frozen=True)
class TranslationReport:
    """What a run's translations came to."""

    out: Path
    rows: dict[str, int]
    """Translated rows that are in the dataset, by language."""
    table: list[Excluded]
    reasons: dict[str, dict[str, int]]
    """Rows lost, by language and then "stage: reason"."""
    refused: dict[str, dict[str, int]]
    """Translations of single segments that a gate refused, by language and then gate: most were asked again."""
    segments: dict[str, int]
    """By language."""
    asked: dict[str, int]
    """Requests whose replies the rows are made of, by language; a reply that many rows use counts for each."""
    remembered: dict[str, int]
    """Segments that came from a memory of translations, by language."""
    replies: int
    """Replies that were paid for, in all."""
    spent: Mapping[str, Account]
    """By teacher that translates, earlier calls included."""
    sent: int | None = None
    """Requests that this call sent; None if it sent none because it only looks."""

    @property
    def kept(self) -> int:
        """Translated rows in the dataset."""
        return sum(self.rows.values())

    @property
    def calls_saved(self) -> int:
        """Requests that the rows needed and nobody paid for; none where earlier calls paid for rows that are gone."""
        return max(0, sum(self.asked.values()) + sum(self.remembered.values()) - self.replies)

    @property
    def hit_rate(self) -> float:
        """The share of the segments' requests that another row had asked already, or a memory knew."""
        wanted = sum(self.asked.values()) + sum(self.remembered.values())
        return self.calls_saved / wanted if wanted else 0.0

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        tokens = sum(account.prompt_tokens + account.completion_tokens for account in self.spent.values())
        return {
            "out": str(self.out),
            "rows": self.rows,
            "exclusion": [cell.to_json() for cell in self.table],
            "lost": self.reasons,
            "refused_segments": self.refused,
            "segments": self.segments,
            "asked": self.asked,
            "remembered": self.remembered,
            "replies_paid": self.replies,
            "calls_saved": self.calls_saved,
            "hit_rate": round(self.hit_rate, 4),
            "attempts_per_segment": _each(sum(self.asked.values()), sum(self.segments.values())),
            "calls_per_row": _each(self.replies, self.kept),
            "tokens_per_row": _each(tokens, self.kept),
            "requests_sent": self.sent,
            "teachers": {name: account.to_json(self.kept) for name, account in self.spent.items()},
        }

    def to_text(self) -> str:
        """For a terminal."""
        told = ", ".join(f"{code} {rows:,}" for code, rows in self.rows.items()) or "none"
        lines = [
            f"{self.kept:,} translated rows ({told})" + ("" if self.sent is None else f"; {self.sent:,} requests sent")
        ]
        lines += [
            "",
            f"{'language':<9} {'category':<13} {'rows':>8} {'lost':>6} {'share':>8} {'of bytes':>9} {'article':>8}",
        ]
        for cell in self.table:
            article = "" if cell.article is None else f"{cell.article:.2f} %"
            lines.append(
                f"{cell.language:<9} {cell.category:<13} {cell.rows:>8,} {cell.lost:>6,} {cell.share:>8.2%} "
                f"{cell.share_of_bytes:>9.2%} {article:>8}"
            )
        lines += ["", "segments refused by a gate, most of them asked again:"]
        lines += [f"  {code}  {_counts(gates)}" for code, gates in self.refused.items()] or ["  none"]
        if self.reasons:
            lines += ["rows lost:", *(f"  {code}  {_counts(reasons)}" for code, reasons in self.reasons.items())]
        return "\n".join([*lines, *self._effort(), *self._lengths()])

    def _effort(self) -> list[str]:
        told = self.to_json()
        out = [
            f"{sum(self.segments.values()):,} segments, {told['attempts_per_segment'] or 0:.3f} requests each; "
            f"{self.replies:,} replies paid, {told['calls_saved']:,} saved ({self.hit_rate:.1%})"
        ]
        if self.kept:
            out.append(f"for each kept row: {told['calls_per_row']:.2f} calls, {told['tokens_per_row']:,.0f} tokens")
        cost = [account.cost for account in self.spent.values() if account.cost is not None]
        if cost and self.kept:
            out.append(f"cost {money(sum(cost))}, {money(sum(cost) / self.kept)} for each kept row")
        return out

    def _lengths(self) -> list[str]:
        """How long the lost rows were beside the kept ones: a loss that prefers long rows is a bias."""
        lost, rows = sum(c.lost for c in self.table), sum(c.rows for c in self.table)
        if not lost or lost == rows:
            return []
        size, gone = sum(c.bytes for c in self.table), sum(c.bytes_lost for c in self.table)
        return [
            f"mean length of the source: kept {(size - gone) / (rows - lost):,.0f} bytes, lost {gone / lost:,.0f} bytes"
        ]


def translation_report(root: str | Path, sent: int | None = None) -> TranslationReport:
    """What the translations of the run in `root` came to.

    Raises:
        UsageError: There is no run, nothing is published yet, or nothing was to be translated.
    """
    paths, plan = open_plan(root)
    manifest = newest(paths)
    if manifest is None:
        raise UsageError(f"{paths.root}: nothing is published yet; the same command goes on")
    wanted = plan.recipe.translate
    if wanted is None:
        raise UsageError(f"{paths.root}: nothing was translated here; its recipe has no `translate`")
    ledger = Ledger.from_lines(manifest.content["ledger"])
    own = {place for place in ledger.places() if place[0] == TRANSLATE}
    codes = sorted({code for _, _, code in own})
    reasons: dict[str, Counter[str]] = {}
    for (stage, _, code, reason), count in (*ledger.dropped.items(), *ledger.failed.items()):
        if code in codes and stage != "gather" and (stage == TRANSLATE or code != wanted.source):
            reasons.setdefault(code, Counter())[f"{stage}: {reason}"] += count
    table = exclusion(ledger)
    rows = {code: sum(cell.rows - cell.lost for cell in table if cell.language == code) for code in codes}
    spent = {
        name: account for name, account in paid(paths.journal, plan.recipe).items() if name in wanted.translators()
    }
    return TranslationReport(
        out=paths.root,
        rows=rows,
        table=table,
        reasons={code: dict(counts) for code, counts in reasons.items()},
        refused=_refused(ledger, codes),
        segments=_measured(ledger, "segments", codes),
        asked=_measured(ledger, "asked", codes),
        remembered=_measured(ledger, "remembered", codes),
        replies=sum(account.replies for account in spent.values()),
        spent=spent,
        sent=sent,
    )


def _measured(ledger: Ledger, name: str, codes: list[str]) -> dict[str, int]:
    out: Counter[str] = Counter()
    for (stage, _, code, what), amount in ledger.measured.items():
        if stage == TRANSLATE and what == name:
            out[code] += amount
    return {code: out[code] for code in codes}


def _refused(ledger: Ledger, codes: list[str]) -> dict[str, dict[str, int]]:
    out: dict[str, Counter[str]] = {}
    for (stage, _, code, what), amount in sorted(ledger.measured.items()):
        if stage == TRANSLATE and what.startswith("refused ") and code in codes:
            out.setdefault(code, Counter())[what.removeprefix("refused ")] += amount
    return {code: dict(counts) for code, counts in out.items()}


def _each(amount: int, of: int) -> float | None:
    return round(amount / of, 4) if of else None


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in sorted(counts.items(), key=lambda c: (-c[1], c[0])))
