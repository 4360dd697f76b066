"""Broken versions of a right solution: tests that cannot tell them from it are no tests.

The hollow ones return or print nothing. The others differ by one operator, constant or statement, by the syntax tree, the
same for all languages. Some of those behave as the original does, so not each must fail; see `verifier.validity`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from hashlib import sha256

from tracemill.code_task import CodeTask, Language
from tracemill.verify.code.syntax import here, syntax_error, tree

_SWAPS: Mapping[str, str] = {
    "<": ">=",
    ">": "<=",
    "<=": ">",
    ">=": "<",
    "==": "!=",
    "!=": "==",
    "===": "!==",
    "!==": "===",
    "+": "-",
    "-": "+",
    "*": "+",
    "/": "*",
    "%": "*",
    "//": "*",
    "**": "*",
    "<<": ">>",
    ">>": "<<",
    "&": "|",
    "|": "&",
    "^": "&",
    "+=": "-=",
    "-=": "+=",
    "*=": "+=",
    "and": "or",
    "or": "and",
    "&&": "||",
    "||": "&&",
    "true": "false",
    "false": "true",
    "True": "False",
    "False": "True",
    "in": "not in",
    "not in": "in",
    "is": "is not",
    "is not": "is",
}
_WITHIN = frozenset({"binary_expression", "binary_operator", "comparison_operator", "boolean_operator"})
_WITHIN_ASSIGNMENT = frozenset({"augmented_assignment", "augmented_assignment_expression", "assignment_expression"})
_TEXTS = frozenset({"string_content", "string_fragment", "interpreted_string_literal_content"})
_INTEGER = re.compile(r"\d{1,18}")
_PRINTS_NOTHING: Mapping[Language, str] = {
    "python": "pass\n",
    "javascript": ";\n",
    "typescript": ";\n",
    "c": "int main(void) { return 0; }\n",
    "cpp": "int main() { return 0; }\n",
    "java": "public class Main { public static void main(String[] a) { } }\n",
    "go": "package main\nfunc main() { }\n",
    "rust": "fn main() { }\n",
}


def hollow(task: CodeTask, program: str, names: tuple[str, ...]) -> list[str]:
    """Versions that do nothing: of a program, one that prints nothing; of functions, one that returns none."""
    if task.cases:
        return [_PRINTS_NOTHING[task.language]]
    if task.language == "python":
        return [program + "".join(f"\n\ndef {name}(*a, **k):\n    return None\n" for name in names)]
    return [program + "".join(f"\n;{name} = function () {{ return undefined; }};\n" for name in names)]


def mutants(program: str, language: Language) -> list[str]:
    """Versions of a program that differ in one place and parse, spread over it by hash: the same for the same program. None
    where tree-sitter is not installed.
    """
    if not here():
        return []
    data = program.encode()
    made: dict[str, None] = {}
    for start, end, other in _changes(program, language):
        text = (data[:start] + other.encode() + data[end:]).decode(errors="replace")
        if text != program and text not in made and syntax_error(text, language) is None:
            made[text] = None
    return sorted(made, key=lambda text: sha256(text.encode()).digest())


def _changes(program: str, language: Language) -> Iterator[tuple[int, int, str]]:
    """(start, end, other text) of each place that can be changed."""
    waiting = [tree(program, language)]
    while waiting:
        node = waiting.pop()
        waiting += reversed(node.children)
        said = node.text.decode(errors="replace") if not node.children else ""
        parent = node.parent.type if node.parent is not None else ""
        if said in _SWAPS and (not node.is_named or said.lower() in ("true", "false")):
            operator = parent in _WITHIN or parent in _WITHIN_ASSIGNMENT
            if operator or said.lower() in ("true", "false"):
                yield node.start_byte, node.end_byte, _SWAPS[said]
        elif _INTEGER.fullmatch(said) and node.is_named and parent not in ("sized_type_specifier",):
            yield node.start_byte, node.end_byte, str(int(said) + 1)
        elif node.type in _TEXTS and said:
            yield node.end_byte, node.end_byte, "x"
        elif node.type == "expression_statement" and parent != "module":
            yield node.start_byte, node.end_byte, "pass" if language == "python" else ";"
        elif node.type in ("return_statement", "return_expression") and node.named_child_count == 1:
            value = node.named_children[0]
            yield value.start_byte, value.end_byte, _nothing(language)


def _nothing(language: Language) -> str:
    return {"python": "None", "javascript": "undefined", "typescript": "undefined"}.get(language, "0")
