"""The report of a validation as one HTML page. It loads nothing and runs nothing, and every text in it is escaped."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from html import escape
from typing import Any

from tracemill.legible import how_many, printable

Told = Mapping[str, Any]
"""A part of the report as JSON has it."""

_STYLE = """
:root { color-scheme: light dark; }
body { font: 15px/1.45 system-ui, sans-serif; max-width: 72rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; width: 100%; margin: .5rem 0 1.5rem; }
th, td { text-align: left; padding: .25rem .6rem; border-bottom: 1px solid #8884; vertical-align: top; }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
code { font-size: .9em; overflow-wrap: anywhere; }
.over { font-weight: 600; } .error { color: #c33; } .warning { color: #a60; } .note { color: #578; }
.bar { background: #69c; height: .8em; display: inline-block; vertical-align: baseline; }
summary { cursor: pointer; }
"""
_POLICY = "default-src 'none'; style-src 'unsafe-inline'"


def page(report: Told) -> str:
    """The whole page.

    Args:
        report: As `ValidationReport.to_json` gives it: the page and the JSON never differ.
    """
    verdict = "Nothing is over its limit." if report["ok"] else "Some findings are over their limit."
    splits = _table(("split", "rows"), ((name, f"{count:,}") for name, count in report["splits"].items()))
    body = [
        f"<h1>{_safe(report['data'])}</h1>",
        f"<p>{how_many(report['rows'], 'row')} in {how_many(report['files'], 'file')}; lines that are no rows:"
        f" {report['bad']:,}. <b>{verdict}</b></p>",
        f"<p>Not looked for: {', '.join(report['left_out'])}.</p>" if report["left_out"] else "",
        "<h2>Findings</h2>",
        *map(_finding, report["findings"]),
        "" if report["findings"] else "<p>None.</p>",
        "<h2>Splits</h2>",
        splits,
        "<h2>Lengths</h2>",
        *(_lengths(split, parts) for split, parts in report["lengths"].items()),
        "<h2>The article's metrics</h2>",
        _table(("metric", "value"), ((name, _number(value)) for name, value in report["article"].items())),
        "<h2>Labels</h2>",
        *(
            f"<h3>{_safe(label)}</h3>" + _table(("value", "rows"), ((v, f"{n:,}") for v, n in counts.items()))
            for label, counts in report["values"].items()
        ),
    ]
    head = (
        f'<meta charset="utf-8"><meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        f'<meta name="viewport" content="width=device-width"><title>{_safe(report["data"])}</title>'
        f"<style>{_STYLE}</style>"
    )
    return f'<!doctype html><html lang="en"><head>{head}</head><body>\n' + "\n".join(body) + "\n</body></html>\n"


def _finding(finding: Told) -> str:
    over = " over" if finding["over"] else ""
    rows = (
        f"<tr><td><code>{_safe(example['uuid'])}</code></td><td>{_safe(example['place'])}</td>"
        f"<td>{_safe(example['evidence'])}</td></tr>"
        for example in finding["examples"]
    )
    splits = ", ".join(f"{_safe(name)} {count:,}" for name, count in finding["splits"].items())
    share = "" if finding["of"] == "dataset" else f" ({finding['share']:.3%}, limit {finding['limit']:.3%})"
    return (
        f'<details{" open" if finding["over"] else ""}><summary class="{finding["level"]}{over}">'
        f"<code>{finding['check']}</code> {finding['count']:,}{share} - {_safe(finding['meaning'])}</summary>"
        f"<p>{splits}</p><table><tr><th>uuid</th><th>place</th><th>evidence</th></tr>{''.join(rows)}</table></details>"
    )


def _lengths(split: str, parts: Mapping[str, Told]) -> str:
    lines = []
    for part, told in parts.items():
        quantiles = (f"{told['quantiles'][share]:,}" for share in ("0.05", "0.5", "0.95", "0.99"))
        lines.append((part, f"{told['count']:,}", f"{told['mean']:,.1f}", *quantiles, f"{told['most']:,}"))
    heads = ("characters", "texts", "mean", "5 %", "median", "95 %", "99 %", "most")
    bars = "".join(
        f"<h4>{_safe(part)}</h4>{_histogram(told['histogram'])}" for part, told in parts.items() if told["count"]
    )
    return f"<details><summary>{_safe(split)}</summary>{_table(heads, lines)}{bars}</details>"


def _histogram(bars: Iterable[tuple[int, int, int]]) -> str:
    bars = [*bars]
    most = max((count for _, _, count in bars), default=1)
    rows = (
        f'<tr><td class="n">{low:,} to {high - 1:,}</td><td class="n">{count:,}</td>'
        f'<td style="width:60%"><span class="bar" style="width:{100 * count / most:.1f}%"></span></td></tr>'
        for low, high, count in bars
    )
    return f"<table>{''.join(rows)}</table>"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:,.2f}".rstrip("0").rstrip(".")


def _table(heads: Iterable[str], lines: Iterable[Iterable[str]]) -> str:
    def cells(tag: str, texts: Iterable[str]) -> str:
        return "".join(f"<{tag}{' class=n' if i else ''}>{_safe(text)}</{tag}>" for i, text in enumerate(texts))

    body = "".join(f"<tr>{cells('td', line)}</tr>" for line in lines)
    return f"<table><tr>{cells('th', heads)}</tr>{body}</table>"


def _safe(text: str) -> str:
    return escape(printable(text), quote=True)
