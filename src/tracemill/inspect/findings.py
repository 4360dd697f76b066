"""The report of a validation: findings with counts, shares and examples, lengths, the article's metrics; as text and
as JSON. As a page: `inspect.page`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tracemill.inspect.checks import CHECKS, TRAPS
from tracemill.inspect.page import page
from tracemill.inspect.sketch import Sketch
from tracemill.inspect.tally import EXAMPLES, Article, Example, Finding, Tally
from tracemill.legible import how_many, one_line

PARTS = ("messages", "prompt", "trace", "answer")
"""What lengths are told of: number of messages, and characters."""


@dataclass(frozen=True, slots=True)
class CheckResult:
    """What one check found."""

    name: str
    level: str
    of: str
    """"row", "file" or "dataset"."""
    meaning: str
    count: int
    share: float
    """Of all rows, those that could not be read included; or of all files. 1 for what the dataset as a whole has."""
    limit: float
    """The share that is allowed."""
    splits: dict[str, int]
    examples: list[dict[str, str]]
    """uuid, place and evidence of the first ones."""

    @property
    def over(self) -> bool:
        """Whether there is more of it than allowed."""
        return self.share > self.limit

    @property
    def traps(self) -> list[int]:
        """The numbers of the known traps that this check looks for."""
        return [number for number, names in TRAPS.items() if self.name in names]

    def to_json(self) -> dict[str, Any]:
        """The result as plain JSON values."""
        return {
            "check": self.name,
            "level": self.level,
            "of": self.of,
            "meaning": self.meaning,
            "count": self.count,
            "share": self.share,
            "limit": self.limit,
            "over": self.over,
            "traps": self.traps,
            "splits": self.splits,
            "examples": self.examples,
        }


@dataclass(frozen=True)
class ValidationReport:
    """Everything that was found in a dataset."""

    data: str
    files: int
    rows: int
    """Rows that could be read."""
    bad: int
    """Lines that are no rows."""
    splits: dict[str, int]
    findings: list[CheckResult]
    """What was found at all, errors first; checks that found nothing are left out."""
    lengths: dict[str, dict[str, Sketch]]
    """By split and part; "" is all splits."""
    article: dict[str, Any]
    """The metrics of the article on v1, under its names."""
    article_splits: dict[str, dict[str, Any]]
    values: dict[str, dict[str, int]] = field(default_factory=dict)
    """Rows by value, for licence, generator, version, category and reasoning."""
    left_out: list[str] = field(default_factory=list)
    """Checks that were not made."""

    @property
    def ok(self) -> bool:
        """Whether nothing is over its limit."""
        return not any(finding.over for finding in self.findings)

    def finding(self, check: str) -> CheckResult | None:
        """What a check found; None for nothing."""
        return next((finding for finding in self.findings if finding.name == check), None)

    def to_json(self) -> dict[str, Any]:
        """The report as plain JSON values."""
        return {
            "data": self.data,
            "ok": self.ok,
            "files": self.files,
            "rows": self.rows,
            "bad": self.bad,
            "splits": self.splits,
            "findings": [finding.to_json() for finding in self.findings],
            "lengths": {
                split or "(all)": {part: sketch.to_json() for part, sketch in parts.items()}
                for split, parts in self.lengths.items()
            },
            "article": self.article,
            "article_splits": self.article_splits,
            "values": self.values,
            "left_out": self.left_out,
        }

    def to_text(self) -> str:
        """The report for a terminal."""
        told = ", ".join(f"{name} {count:,}" for name, count in self.splits.items()) or "no split"
        lines = [
            f"{self.data}: {how_many(self.rows, 'row')} in {how_many(self.files, 'file')} ({told});"
            f" lines that are no rows: {self.bad:,}"
        ]
        lines += [f"not looked for: {', '.join(self.left_out)}"] if self.left_out else []
        for finding in self.findings:
            mark = "OVER" if finding.over else "    "
            count = f"{finding.count:>10,} {'' if finding.of == 'dataset' else format(finding.share, '.3%'):>8}"
            lines.append(f"{mark} {finding.level:<7} {finding.name:<24}{count}  {finding.meaning}")
            for example in finding.examples[:2]:
                where = " ".join(part for part in (example["uuid"], example["place"], example["evidence"]) if part)
                lines.append(f"{'':13}{one_line(where, 180)}")
        lines += ["", f"{'characters':<12}{'mean':>12}{'median':>10}{'95 %':>10}{'99 %':>10}{'most':>12}"]
        for part, sketch in self.lengths.get("", {}).items():
            quantiles = "".join(f"{sketch.quantile(share):>10,}" for share in (0.5, 0.95, 0.99))
            lines.append(f"{part:<12}{sketch.mean:>12,.1f}{quantiles}{sketch.most:>12,}")
        lines += ["", "the article's metrics: " + ", ".join(f"{k} {_number(v)}" for k, v in self.article.items())]
        lines.append("nothing is over its limit" if self.ok else "some findings are OVER their limit")
        return "\n".join(lines)

    def to_html(self) -> str:
        """The report as one page that loads nothing."""
        return page(self.to_json())


def made_report(
    data: str, tally: Tally, files: int, allowed: Mapping[str, float], left_out: Sequence[str] = ()
) -> ValidationReport:
    """The report of a tally."""
    rows, bad = tally.rows.total(), tally.bad.total()
    found: dict[str, dict[str, Finding]] = {}
    for (check, split), finding in tally.findings.items():
        found.setdefault(check, {})[split] = finding
    results = [_result(check, found[check], rows + bad, files, allowed) for check in CHECKS if check in found]
    order = ("error", "warning", "note")
    results.sort(key=lambda result: (not result.over, order.index(result.level)))
    lengths: dict[str, dict[str, Sketch]] = {"": {part: Sketch() for part in PARTS}}
    for (split, part), sketch in sorted(tally.lengths.items(), key=lambda item: (item[0][0], PARTS.index(item[0][1]))):
        lengths.setdefault(split, {})[part] = sketch
        lengths[""][part].merge(sketch)
    whole = Article()
    for article in tally.article.values():
        whole.merge(article)
    return ValidationReport(
        data=data,
        files=files,
        rows=rows,
        bad=bad,
        splits=dict(sorted((tally.rows + tally.bad).items())),
        findings=results,
        lengths=lengths,
        article=whole.to_json(),
        article_splits={split: article.to_json() for split, article in sorted(tally.article.items())},
        values={label: dict(counts.most_common(50)) for label, counts in sorted(tally.values.items())},
        left_out=[*left_out],
    )


def _result(
    check: str, by_split: Mapping[str, Finding], rows: int, files: int, allowed: Mapping[str, float]
) -> CheckResult:
    told = CHECKS[check]
    count = sum(finding.count for finding in by_split.values())
    of = 1 if told.of == "dataset" else rows if told.of == "row" else files
    examples: list[Example] = sorted(example for f in by_split.values() for example in f.examples)[:EXAMPLES]
    return CheckResult(
        name=check,
        level=told.level,
        of=told.of,
        meaning=told.meaning,
        count=count,
        share=min(count / max(of, 1), 1.0),
        limit=allowed.get(check, allowed[told.level]),
        splits={split: finding.count for split, finding in sorted(by_split.items())},
        examples=[{"uuid": uuid, "place": place, "evidence": evidence} for _, _, uuid, place, evidence in examples],
    )


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:,.1f}" if isinstance(value, float) else f"{value:,}"
