"""Write the tables of docs/benchmarks.md from bench/results: `python -m bench.tables`.

A table stands between `<!-- NAME -->` and `<!-- end of NAME -->`; the rest of the page is written by hand.
"""

from __future__ import annotations

import re
import sys
from textwrap import fill

from bench.processes import ROOT
from bench.result import RESULTS, Result, read_result

PAGE = ROOT / "docs" / "benchmarks.md"
WIDTH = 120
NAMES = (
    "ask", "peers", "journal", "verify", "code", "publish",
    "validate", "identify", "consume", "translate_yield", "translate_speed",
)  # fmt: skip


def section(result: Result) -> str:
    """Everything between the markers of one result."""
    load = result.noise["load_before"][0]
    made = (
        f"`python -m bench {result.name}`, {result.date}: medians of {result.pairs} interleaved pairs, "
        f"Python {result.python}, {result.cores} cores, {result.system}; load before {load:g}."
    )
    if load > result.cores:
        made += " The machine had other work too: what is bound by its processor is slower here than it would be alone."
    return "\n".join(
        [
            fill(result.about, WIDTH),
            "",
            *result.table(),
            "",
            *(_bullet(sentence) for sentence in [*result.sentences(), *result.remarks]),
            "",
            fill(made, WIDTH),
        ]
    )


def _bullet(sentence: str) -> str:
    return fill(sentence, WIDTH, initial_indent="- ", subsequent_indent="  ")


def page(text: str) -> str:
    """A page with its tables as the results now are."""
    for name in NAMES:
        file = RESULTS / f"{name}.json"
        inside = section(read_result(file)) if file.exists() else f"Not run yet: `python -m bench {name}`."
        between = re.compile(rf"(<!-- {name} -->\n).*?(<!-- end of {name} -->)", re.DOTALL)
        if len(between.findall(text)) != 1:
            raise ValueError(f"{PAGE.name} must hold the markers of {name!r} once")
        text = between.sub(rf"\g<1>\n{inside.replace(chr(92), chr(92) * 2)}\n\n\g<2>", text)
    return text


def main() -> None:
    """Write the page."""
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    sys.stdout.write(f"{PAGE.name} written\n")


if __name__ == "__main__":
    main()
