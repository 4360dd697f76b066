"""Columns of a corpus that say how answers in code are checked, as the text of a `CodeTask`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tracemill.code_task import Case, CodeTask
from tracemill.recipe import CodeFields

COLUMNS = ("tests", "setup", "entry", "context", "cases", "solution", "baseline")
_NAMES = (("stdin", "stdout"), ("input", "output"))


def columns_of(code: CodeFields) -> list[tuple[str, str]]:
    """(what it holds, the column's name) of each column that is named."""
    return [(name, column) for name in COLUMNS if (column := getattr(code, name)) is not None]


def expected_code(code: CodeFields, values: Mapping[str, Any]) -> str | tuple[str, str]:
    """The expected text of a row, or (reason, evidence) why there is none.

    Args:
        values: What the row has in the named columns; None where it has none, which says nothing.
    """
    texts = {}
    for name, value in values.items():
        if name == "cases" or value is None:
            continue
        text = "\n".join(value) if isinstance(value, list) and all(isinstance(v, str) for v in value) else value
        if not isinstance(text, str):
            return "wrong_type", f"{name!r} is text, or a list of texts; there is {value!r}"
        texts[name] = text.replace("\r\n", "\n")
    cases = _cases(values.get("cases"))
    if cases is None:
        return "wrong_type", f"'cases' is a list of {{stdin, stdout}}; there is {values['cases']!r}"
    setup = texts.pop("setup", "")
    tests = texts.pop("tests", "")
    if setup.strip() and tests:
        tests = f"{setup}\n{tests}"
    task = CodeTask(code.language, code.kind, tests=tests, cases=cases, **texts)
    if task.kind == "optimise" and not (task.baseline and task.tested):
        return "missing_field", "to optimise, a row needs a baseline and tests"
    return task.text()


def _cases(told: Any) -> tuple[Case, ...] | None:
    if told is None:
        return ()
    if not isinstance(told, list):
        return None
    out = []
    for each in told:
        names = next(
            (n for n in _NAMES if isinstance(each, dict) and all(isinstance(each.get(k), str) for k in n)), None
        )
        if names is None:
            return None
        out.append(Case(each[names[0]], each[names[1]]))
    return tuple(out)
