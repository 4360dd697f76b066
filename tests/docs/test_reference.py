"""docs/recipes.md is what docs/make_reference.py writes."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from tracemill.recipe_file import load_recipe

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "docs" / "make_reference.py"
PAGE = ROOT / "docs" / "recipes.md"


@pytest.fixture(scope="module")
def reference():
    spec = importlib.util.spec_from_file_location("make_reference", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_is_fresh(reference):
    assert PAGE.read_text(encoding="utf-8") == reference.page(), "run: python docs/make_reference.py"


def test_every_key_of_every_model_is_there(reference):
    page = PAGE.read_text(encoding="utf-8")
    for section in reference.sections():
        for name in section.model.model_fields:
            assert f"\n| `{name}` | " in page, f"{section.path}.{name}"


def test_no_meaning_is_left_over(reference):
    there = {f"{s.model.__name__}.{name}" for s in reference.sections() for name in s.model.model_fields}
    assert set(reference.MEANINGS) <= there


@pytest.mark.parametrize("recipe", sorted((ROOT / "src/tracemill/recipes").glob("*.yaml")), ids=lambda p: p.name)
def test_every_recipe_that_we_ship_can_be_read(recipe):
    assert load_recipe(recipe).name
