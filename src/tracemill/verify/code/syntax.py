"""Does a text parse? By tree-sitter, whose grammars read eight languages without running anything. Where it is not
installed, Python is still read, by its own parser.
"""

from __future__ import annotations

import ast
import warnings
from collections.abc import Iterator, Mapping
from functools import cache
from importlib import import_module
from typing import Any

from tracemill.code_task import Language
from tracemill.errors import MissingExtra

INSTALL = "python -m pip install 'tracemill[code]'"
_GRAMMARS: Mapping[Language, tuple[str, str]] = {
    "python": ("tree_sitter_python", "language"),
    "javascript": ("tree_sitter_javascript", "language"),
    "typescript": ("tree_sitter_typescript", "language_typescript"),
    "java": ("tree_sitter_java", "language"),
    "c": ("tree_sitter_c", "language"),
    "cpp": ("tree_sitter_cpp", "language"),
    "go": ("tree_sitter_go", "language"),
    "rust": ("tree_sitter_rust", "language"),
}
LONGEST = 1_000_000
"""Characters that are parsed; no answer is that long."""


@cache
def _parser(language: Language) -> Any:
    module, name = _GRAMMARS[language]
    try:
        from tree_sitter import Language as Grammar
        from tree_sitter import Parser

        return Parser(Grammar(getattr(import_module(module), name)()))
    except ImportError as exc:
        raise MissingExtra(
            f"code is parsed by tree-sitter, and {exc.name} is not installed. Install it: {INSTALL}; "
            "or set verify.code.policy to off."
        ) from exc


@cache
def here() -> bool:
    """Whether tree-sitter is installed, with its grammars."""
    try:
        needs()
    except MissingExtra:
        return False
    return True


def needs() -> None:
    """Raise MissingExtra where code cannot be parsed, before anything is paid for."""
    for language in _GRAMMARS:
        _parser(language)


def tree(code: str, language: Language) -> Any:
    """The root node of a text's syntax tree; offsets are bytes of its UTF-8.

    Raises:
        MissingExtra: tree-sitter is not installed.
    """
    return _parser(language).parse(code.encode(errors="replace")).root_node


def syntax_error(code: str, language: Language) -> str | None:
    """Where a text stops being code of a language, e.g. "line 3: 'retrun x'"; None where it parses.

    Raises:
        MissingExtra: tree-sitter is not installed, and this is not Python.
    """
    if len(code) > LONGEST:
        return f"longer than {LONGEST:,} characters"
    if language == "python" and not here():
        return _by_python(code)
    root = tree(code, language)
    if not root.has_error:
        return None
    node = next(_wrong(root), root)
    line = node.start_point[0]
    said = code.splitlines()[line].strip()[:80] if line < len(code.splitlines()) else ""
    return f"line {line + 1}: {f'{node.type} is missing' if node.is_missing else repr(said)}"


def _wrong(node: Any) -> Iterator[Any]:
    """The innermost first nodes that are no code."""
    waiting = [node]
    while waiting:
        here = waiting.pop()
        if here.is_missing or (here.is_error and not any(child.has_error for child in here.children)):
            yield here
        elif here.has_error:
            waiting += reversed(here.children)


def _by_python(code: str) -> str | None:
    """What Python's own parser says; it builds a tree, and runs nothing."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of escapes that are none, in what a model wrote
            ast.parse(code)
    except SyntaxError as exc:
        return f"line {exc.lineno or 1}: {(exc.text or exc.msg).strip()[:80]!r}"
    except (ValueError, RecursionError, MemoryError) as exc:
        return f"Python cannot read it: {type(exc).__name__}"
    return None
