"""Is a Python program so plain that its steps can be counted beside it? What could reach the counter is not."""

from __future__ import annotations

import ast

MODULES = frozenset(
    """abc array bisect cmath collections copy decimal enum fractions functools heapq itertools math numbers operator
    random re statistics string typing""".split()
)
"""What it may import: nothing of these reaches the interpreter's own works by a public name."""
_NOT = frozenset(
    """attrgetter breakpoint compile delattr dir eval exec format_map get_type_hints getattr globals input locals
    methodcaller open setattr settrace setprofile vars bltns builtins contextlib copyreg importlib modules os sre_compile
    sre_constants sre_parse sys threading types warnings weakref ag_frame ag_code cr_frame cr_code cr_await f_back f_builtins
    f_code f_globals f_locals f_trace f_trace_lines f_trace_opcodes gi_frame gi_code gi_yieldfrom tb_frame tb_next
    with_traceback""".split()
)
"""Names that reach further: ways to read or set by name, modules that the allowed ones have imported, and frames."""
_SPECIAL = frozenset(
    """__add__ __bool__ __call__ __contains__ __eq__ __ge__ __getitem__ __gt__ __hash__ __init__ __iter__ __le__ __len__
    __lt__ __main__ __missing__ __mul__ __name__ __ne__ __neg__ __next__ __repr__ __setitem__ __slots__ __str__
    __sub__""".split()
)


def beyond_plain(program: str) -> str | None:
    """What in a program could reach the counter, e.g. "import of sys"; None: nothing."""
    try:
        tree = ast.parse(program)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return "text that does not parse"
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            named = [node.module or "."] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names]
            if other := [name for name in named if name.partition(".")[0] not in MODULES]:
                return f"import of {other[0]}"
        for name in _names(node):
            if name in _NOT or (name.startswith("_") and name != "_" and name not in _SPECIAL and _reaches(node)):
                return f"the name {name}"
    return None


def _names(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Name):
        return [node.id]
    if isinstance(node, ast.Attribute):
        return [node.attr]
    if isinstance(node, ast.MatchClass):
        return node.kwd_attrs
    if isinstance(node, ast.alias):
        return [node.name.rpartition(".")[2]]
    return []


def _reaches(node: ast.AST) -> bool:
    """Whether a name with an underscore reaches into something: an attribute or an import. Our own variables do not, but
    for those with two, which Python keeps for itself.
    """
    return not isinstance(node, ast.Name) or node.id.startswith("__")
