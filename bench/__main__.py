"""`python -m bench [ask peers journal verify code publish validate ...] [--quick] [--pairs N] [--out DIRECTORY]`."""

from __future__ import annotations

import argparse
import sys
from importlib import import_module
from pathlib import Path

from bench.result import RESULTS, Result
from bench.tables import NAMES

BY_NAME = ("peers", "translate_yield")
"""Those that run only when they are named: they take a quarter of an hour, and `peers` installs other tools."""


def main() -> int:
    """Measure what is asked for, print each table, and write its JSON."""
    parser = argparse.ArgumentParser(prog="python -m bench", description="Measure, and compare with named baselines.")
    parser.add_argument("names", nargs="*", metavar="|".join(NAMES), help=f"by default all but {', '.join(BY_NAME)}")
    parser.add_argument("--quick", action="store_true", help="fewer rows; writes no JSON unless --out says where")
    parser.add_argument("--pairs", type=int, default=5, help="interleaved runs of each column (default 5)")
    parser.add_argument("--out", type=Path, help="directory for the JSON (default bench/results)")
    options = parser.parse_args()
    if unknown := [name for name in options.names if name not in NAMES]:
        parser.error(f"there is no benchmark {unknown[0]!r}; there are {', '.join(NAMES)}")
    if options.pairs < 1:
        parser.error("--pairs must be at least 1")
    out = options.out or (None if options.quick else RESULTS)
    for name in options.names or [name for name in NAMES if name not in BY_NAME]:
        result: Result = import_module(f"bench.{name}").measure(options.quick, options.pairs)
        said = "\n".join([f"## {name}", "", *result.table(), "", *result.sentences(), *result.remarks, ""])
        sys.stdout.write(said + "\n")
        sys.stdout.flush()
        if out is not None:
            out.mkdir(parents=True, exist_ok=True)
            (out / f"{name}.json").write_text(result.to_json(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
