"""docs/dialects.md is what docs/make_dialects.py writes, and its example is a recipe's."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import yaml

from tracemill.recipe import shipped
from tracemill.recipe_file import recipe_from

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "dialects.md").read_text(encoding="utf-8")


def test_the_page_is_fresh():
    spec = importlib.util.spec_from_file_location("make_dialects", ROOT / "docs" / "make_dialects.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.page() == PAGE, "run: python docs/make_dialects.py"


def test_every_row_of_the_table_is_there():
    for name in (*shipped().families, *shipped().servers):
        assert f"\n| `{name}` | " in PAGE


def test_the_examples_can_be_read():
    first, second = (yaml.safe_load(text) for text in re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL))
    told = {"name": "r", "license": "MIT", "prompts": {"path": "p"}, **first, **second}
    told["teachers"]["other"] = {"url": "http://h/v1", "model": "m", "family": "mine", "server": "ours"}
    recipe = recipe_from(told, "dialects.md")
    assert recipe.teachers["other"].asked("on").body == {"template_vars": {"deep": True}}
    assert recipe.teachers["main"].asked("off").body == {"reasoning_effort": "none"}
