"""The public face: complete, documented, typed, and quick to load."""

from __future__ import annotations

import ast
import inspect
import subprocess
import sys
import time
from dataclasses import is_dataclass
from pathlib import Path

import pytest

import tracemill
from tracemill import errors

PUBLIC = sorted(tracemill.__all__)
HEAVY = ("pyarrow", "aiohttp", "math_verify", "sympy", "datasets", "pydantic", "numpy", "rich", "orjson", "yaml")
SELDOM = {"exercises", "identify", "languages", "multilingual", "sandbox", "segments", "translation", "word_problems"}
START_SECONDS = 0.3
"""For `tracemill --help`, on an idle machine."""


@pytest.mark.parametrize("name", PUBLIC)
def test_every_public_name_can_be_had(name):
    assert getattr(tracemill, name) is not None
    assert name in dir(tracemill)


def test_the_face_tells_type_checkers_what_it_loads():
    tree = ast.parse(Path(tracemill.__file__).read_text(encoding="utf-8"))
    [block] = [n for n in tree.body if isinstance(n, ast.If) and ast.unparse(n.test) == "TYPE_CHECKING"]
    typed = {
        alias.name: node.module.removeprefix("tracemill.")
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert typed == tracemill._HOMES
    assert set(typed) | {"__version__"} == set(tracemill.__all__)
    assert len(tracemill.__all__) == len(set(tracemill.__all__))


def test_a_star_import_gives_exactly_the_public_names():
    space: dict[str, object] = {}
    exec("from tracemill import *", space)
    assert set(space) - {"__builtins__"} == set(PUBLIC)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'bild'"):
        _ = tracemill.bild


def test_every_error_is_public():
    ours = {name for name, value in vars(errors).items() if inspect.isclass(value)}
    assert ours <= set(tracemill.__all__)


def _callables():
    for name in PUBLIC:
        value = getattr(tracemill, name)
        if inspect.isfunction(value):
            yield name, value
        elif inspect.isclass(value) and value.__module__.startswith("tracemill"):
            for own, member in vars(value).items():
                member = getattr(member, "__func__", member)
                if inspect.isfunction(member) and not own.startswith("_"):
                    yield f"{name}.{own}", member


@pytest.mark.parametrize(("name", "function"), [*_callables()], ids=lambda v: v if isinstance(v, str) else "")
def test_a_public_function_is_documented_and_typed(name, function):
    assert inspect.getdoc(function), f"{name} has no docstring"
    signature = inspect.signature(function)
    assert signature.return_annotation is not inspect.Signature.empty, f"{name} does not say what it returns"
    for parameter in signature.parameters.values():
        if parameter.name not in ("self", "cls"):
            assert parameter.annotation is not inspect.Parameter.empty, f"{name}: {parameter.name} has no type"


@pytest.mark.parametrize("name", [n for n in PUBLIC if inspect.isclass(getattr(tracemill, n))])
def test_a_public_class_is_documented(name):
    own = vars(getattr(tracemill, name)).get("__doc__") or ""
    assert own.strip(), name
    assert not (is_dataclass(getattr(tracemill, name)) and own.startswith(f"{name}(")), f"{name}: a generated docstring"


@pytest.mark.parametrize("module", ["tracemill", "tracemill.cli.app"])
def test_loading_is_light(module):
    told = f"import sys, {module}; print(*[m for m in {HEAVY!r} if m in sys.modules])"
    loaded = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, check=True).stdout.split()
    assert loaded == []


def test_a_build_loads_no_room_that_only_some_recipes_need():
    """Each costs every build its time, and every process its memory."""
    told = (
        "import sys, tracemill.cli.build; print(*{m.split('.')[1] for m in sys.modules if m.startswith('tracemill.')})"
    )
    loaded = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, check=True).stdout.split()
    assert "recipe" in loaded
    assert not set(loaded) & SELDOM


def test_help_answers_at_once():
    for _ in range(10):  # the best of a few: other processes may keep the machine busy
        begun = time.perf_counter()
        subprocess.run([sys.executable, "-m", "tracemill", "--help"], capture_output=True, check=True)
        if (took := time.perf_counter() - begun) < START_SECONDS:
            return
    pytest.fail(f"tracemill --help took {took:.2f} s")
