"""docs/laptop.md says what bench/results holds."""

from __future__ import annotations

import importlib.util
from pathlib import Path

SCRIPT = Path(__file__).resolve().parents[2] / "docs" / "make_laptop.py"


def test_the_figures_are_those_of_the_benchmarks():
    spec = importlib.util.spec_from_file_location("make_laptop", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    page = module.PAGE.read_text(encoding="utf-8")
    assert len(module.MARKED.findall(page)) == 1
    assert page == module.page(), "run: python docs/make_laptop.py"
    assert page.count("| `t") == len(module.STEPS)
