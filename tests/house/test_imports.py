"""Imports run downwards only: the floors of the house, as one table."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

SRC = Path(__file__).resolve().parents[2] / "src" / "tracemill"

FLOORS = (
    ("errors", "legible", "record", "recipes", "tasks", "words"),
    ("identity", "columns", "code_task", "segments", "tool_schemas"),
    ("think", "metadata", "step", "ledger", "recipe"),
    ("schema", "recipe_file"),
    ("layouts", "languages", "word_problems", "worlds"),
    ("storage", "sandbox", "exercises", "identify", "translators"),
    ("models",),
    ("gather", "respond", "verify", "sift", "publish", "translation", "fate"),
    ("plan", "testing", "reading"),
    ("inspect", "evaluate"),
    ("rework",),
    ("charter", "engines"),
    ("mill", "upkeep", "restoring", "takedown", "search"),
    ("exchange", "estimate", "report", "refinery", "glean"),
    ("multilingual",),
    ("__init__",),
    ("cli",),
    ("__main__",),
)
"""From the ground up. A module or room imports from lower floors only; those on one floor never import one another.
Inside a room its modules may import each other. `__init__` is the public face, `import tracemill`."""

HEIGHT = {name: height for height, names in enumerate(FLOORS) for name in names}

EXCEPTIONS = {
    ("testing/engine.py", "engines"): "a fake of the engines' own seam: it is an engine",
    ("testing/engine.py", "plan"): "a fake of the engines' own seam: an engine is handed a plan",
}
"""(file, room that it should not import): why it does. An entry that nothing needs any more fails a test."""


def place(file: Path) -> str:
    """The name under which a file stands in `FLOORS`: its room, or its own name."""
    return file.relative_to(SRC).parts[0].removesuffix(".py")


FILES = sorted(SRC.rglob("*.py"))


@cache
def imports(file: Path) -> tuple[tuple[int, str], ...]:
    """(line, imported place) of every import of our own package in a file, those inside functions too."""
    return tuple(_imports(ast.parse(file.read_text(encoding="utf-8"))))


def _imports(tree: ast.AST) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                first, *rest = alias.name.split(".")
                if first == "tracemill":
                    yield node.lineno, rest[0] if rest else "__init__"
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: relative imports hide the room that they come from"
            first, *rest = (node.module or "").split(".")
            if first == "tracemill":
                for alias in node.names:
                    yield node.lineno, rest[0] if rest else alias.name if alias.name in HEIGHT else "__init__"


def test_the_table_names_every_module_and_room_and_no_other():
    there = {place(file) for file in FILES}
    assert there == set(HEIGHT)


def test_the_design_page_shows_the_same_floors():
    page = (SRC.parents[1] / "docs" / "design.md").read_text(encoding="utf-8")
    shown = {}
    for height, names in re.findall(r"^\| (\d+) \| (.+?) \|", page, re.MULTILINE):
        for name in re.findall(r"`(\w+)/?`", names):
            shown["__init__" if name == "tracemill" else name] = int(height)
    assert shown == HEIGHT


def test_no_name_stands_on_two_floors():
    assert sum(map(len, FLOORS)) == len(HEIGHT)


def only_version(file: Path) -> bool:
    """Whether a file uses the face for nothing but `tracemill.__version__`."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    uses = [n for n in ast.walk(tree) if isinstance(n, ast.Name) and n.id == "tracemill"]
    attributes = [n for n in ast.walk(tree) if isinstance(n, ast.Attribute) and n.value in uses]
    return len(uses) == len(attributes) and all(a.attr == "__version__" for a in attributes)


@pytest.mark.parametrize("file", FILES, ids=lambda f: f.relative_to(SRC).as_posix())
def test_imports_run_downwards(file):
    wrong = []
    here = place(file)
    for line, target in imports(file):
        if target == here and file.parent != SRC:
            continue
        if target == "__init__" and only_version(file):
            continue
        if (file.relative_to(SRC).as_posix(), target) in EXCEPTIONS:
            continue
        if HEIGHT[target] >= HEIGHT[here]:
            wrong.append(f"line {line} imports {target} (floor {HEIGHT[target]}) into {here} (floor {HEIGHT[here]})")
    assert not wrong


@pytest.mark.parametrize(("file", "target"), EXCEPTIONS)
def test_an_exception_is_still_needed(file, target):
    assert target in {found for _, found in imports(SRC / file)}, "the import is gone: strike it from EXCEPTIONS"


def test_the_product_does_not_import_its_fakes():
    assert [f for f in FILES if place(f) != "testing" and "testing" in {t for _, t in imports(f)}] == []


@pytest.mark.parametrize("file", [f for f in FILES if f.name == "__init__.py"], ids=lambda f: place(f))
def test_a_room_says_what_it_is_for(file):
    assert ast.get_docstring(ast.parse(file.read_text(encoding="utf-8")))


def test_an_import_inside_a_function_is_seen():
    tree = ast.parse("def f():\n    from tracemill.cli.app import app\n    import tracemill.mill\n")
    assert sorted(_imports(tree)) == [(2, "cli"), (3, "mill")]
