"""One validation, for `bench.validate` to measure: `python -m bench.validated DATA PROCESSES [structure]`."""

from __future__ import annotations

import sys

from tracemill.inspect.validate import validate

if __name__ == "__main__":
    report = validate(sys.argv[1], workers=int(sys.argv[2]), duplicates="structure" not in sys.argv[3:])
    sys.stdout.write(f"{report.rows} {[(f.name, f.count) for f in report.findings]}\n")
