"""What a code prompt carries to check its answers, as the JSON text of `expected`: language, tests, and a right solution.

{"kind": "solve", "language": "python", "tests": "assert double(2) == 4", "solution": "def double(n): return 2 * n"}
{"kind": "solve", "language": "c", "cases": [{"stdin": "2\\n", "stdout": "4\\n"}]}
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, get_args

import orjson

Kind = Literal["solve", "explain", "optimise"]
Language = Literal["python", "javascript", "typescript", "java", "c", "cpp", "go", "rust"]
KINDS: tuple[Kind, ...] = get_args(Kind)
LANGUAGES: tuple[Language, ...] = get_args(Language)


@dataclass(frozen=True, slots=True)
class Case:
    """One run of a program that reads stdin and writes stdout."""

    stdin: str
    stdout: str


@dataclass(frozen=True, slots=True)
class CodeTask:
    """How an answer to a code prompt is checked. Without tests and cases only its syntax is."""

    language: Language = "python"
    kind: Kind = "solve"
    """solve: a program; explain: words, perhaps with code; optimise: a program that takes fewer steps than `baseline`."""
    tests: str = ""
    """Code in the same language (Python, JavaScript or TypeScript) that calls functions of the answer by name, and raises
    where one is wrong."""
    entry: str = ""
    """The function that is tested, where the tests do not name it: as HumanEval's `check(candidate)`."""
    context: str = ""
    """Code that the prompt begins with and that an answer may go on from, or leave out."""
    cases: tuple[Case, ...] = ()
    solution: str = ""
    """A right answer, to test the tests with; "" where there is none. As `context` is followed by it, or whole."""
    baseline: str = ""
    """Of optimise: the program to be faster than."""

    @property
    def tested(self) -> bool:
        return bool(self.tests or self.cases)

    def text(self) -> str:
        """The JSON, without what says nothing."""
        told = {name: value for name, value in asdict(self).items() if value not in ("", ())}
        return orjson.dumps(told, option=orjson.OPT_SORT_KEYS).decode()


def read_task(text: str) -> CodeTask:
    """The task in an `expected` text.

    Raises:
        ValueError: it is none; the message says why.
    """
    try:
        told = orjson.loads(text)
    except orjson.JSONDecodeError as exc:
        raise ValueError(f"no JSON: {exc}") from exc
    if not isinstance(told, dict):
        raise ValueError("no JSON object")
    known = {field.name for field in fields(CodeTask)}
    if unknown := sorted(set(told) - known):
        raise ValueError(f"unknown keys {', '.join(map(repr, unknown))}; there are {', '.join(sorted(known))}")
    for name, allowed in (("language", LANGUAGES), ("kind", KINDS)):
        if name in told and told[name] not in allowed:
            raise ValueError(f"{name} is {told[name]!r}, not one of {', '.join(allowed)}")
    cases = told.pop("cases", ())
    if not isinstance(cases, list | tuple) or not all(map(_is_case, cases)):
        raise ValueError("cases is no list of objects with the texts stdin and stdout")
    if wrong := [name for name, value in told.items() if not isinstance(value, str)]:
        raise ValueError(f"{wrong[0]} is no text")
    task = CodeTask(**told, cases=tuple(Case(case["stdin"], case["stdout"]) for case in cases))
    if task.kind == "optimise" and not (task.baseline and task.tested):
        raise ValueError("kind optimise needs a baseline and tests")
    return task


def _is_case(value: Any) -> bool:
    return isinstance(value, Mapping) and all(isinstance(value.get(name), str) for name in ("stdin", "stdout"))
