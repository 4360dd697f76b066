"""What a row brings besides a question: options, tools, wanted calls; and rows that hold several prompts, or a whole talk."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import orjson

from tracemill.recipe import Fields
from tracemill.tool_schemas import tool_name, tools_in
from tracemill.worlds import WORLDS

Wrong = tuple[str, str]
"""(reason, evidence) why a row cannot be a prompt."""
MOST_OPTIONS = 26
_LETTERED = re.compile(r"\s*\(?([A-Z])\s*[).:]\s*(.*)", re.DOTALL)


def each_of(row: dict[str, Any], columns: tuple[str, ...]) -> Iterator[dict[str, Any]]:
    """The rows in a row whose columns hold lists of one length; without such columns the row itself."""
    lists = [row.get(name) for name in columns]
    held = [each for each in lists if isinstance(each, list)]
    if not columns or len(held) != len(lists) or len({len(each) for each in held}) != 1:
        yield row
        return
    for values in zip(*held, strict=True):
        yield {**row, **dict(zip(columns, values, strict=True))}


def opening(asked: Any) -> Any:
    """Of a recorded conversation, what comes up to its first user turn."""
    if not isinstance(asked, list):
        return asked
    first = next((i for i, turn in enumerate(asked) if isinstance(turn, dict) and turn.get("role") == "user"), None)
    return asked if first is None else asked[: first + 1]


def options_in(told: Any) -> dict[str, str] | None:
    """Options by letter from a list of texts, a mapping, {"label": [...], "text": [...]}, or the JSON text of one."""
    told = _parsed(told)
    if isinstance(told, Mapping) and isinstance(told.get("text"), list) and isinstance(told.get("label"), list):
        told = dict(zip(map(str, told["label"]), told["text"], strict=False))
    if isinstance(told, list):
        texts = [str(each) for each in told]
        found = [_LETTERED.fullmatch(text) for text in texts]
        letters = [chr(ord("A") + i) for i in range(len(texts))]
        if all(match and match[1] == letter for match, letter in zip(found, letters, strict=True)):
            texts = [match[2] for match in found if match]
        told = dict(zip(letters, texts, strict=True))
    if not isinstance(told, Mapping) or not 2 <= len(told) <= MOST_OPTIONS:
        return None
    options = {str(letter): str(text).strip() for letter, text in told.items()}
    return options if all(len(letter) == 1 and letter.isalpha() for letter in options) else None


def letter_of_answer(answer: str, options: Mapping[str, str]) -> str | None:
    """The letter that a known answer names: by letter, by number from 0, or by text."""
    answer = answer.strip()
    if answer.upper() in options:
        return answer.upper()
    if answer.isdecimal() and len(answer) < 3 and int(answer) < len(options):
        return list(options)[int(answer)]
    same = [letter for letter, text in options.items() if text == answer]
    return same[0] if len(same) == 1 else None


def with_options(question: str, options: Mapping[str, str]) -> str:
    """A question with its options below it, one a line."""
    return question.rstrip() + "\n\n" + "\n".join(f"{letter}) {text}" for letter, text in options.items())


def calls_in(told: Any) -> list[dict[str, Any]] | None:
    """Wanted calls, each argument with a list of accepted values, from any of the forms that sets have:

    [{name: {argument: [values]}}], [{"name", "arguments"}], [{"name", "kwargs"}], [{"Action", "Action_Input"}].
    """
    told = _parsed(told)
    if not isinstance(told, list):
        return None
    out = []
    for call in told:
        made = _call(call) if isinstance(call, Mapping) else None
        if made is None:
            return None
        out.append(made)
    return out


def _call(told: Mapping[str, Any]) -> dict[str, Any] | None:
    for name, arguments in (("name", "arguments"), ("name", "kwargs"), ("Action", "Action_Input")):
        if isinstance(told.get(name), str) and arguments in told:
            given = _parsed(told[arguments])
            if not isinstance(given, Mapping):
                return None
            return {"name": tool_name(told[name]), "arguments": {key: [value] for key, value in given.items()}}
    if len(told) == 1:
        ((named, given),) = told.items()
        if isinstance(given, Mapping):
            values = {key: value if isinstance(value, list) else [value] for key, value in given.items()}
            return {"name": tool_name(str(named)), "arguments": values}
    return None


def checks_in(
    fields: Fields, row: Mapping[str, Any], expected: str | None, get: Callable[[str], Any]
) -> tuple[dict[str, Any], tuple[dict[str, Any], ...], str | None] | Wrong:
    """(what the checks need, the tools, the expected answer) of a row, or what is wrong with it.

    Args:
        get: The value of a column.
    """
    check: dict[str, Any] = {}
    tools: tuple[dict[str, Any], ...] = ()
    if fields.choices:
        options = options_in(get(fields.choices))
        if options is None:
            return "wrong_type", f"{fields.choices!r} holds no options: {get(fields.choices)!r}"
        check["choices"] = options
        if expected is not None:
            letter = letter_of_answer(expected, options)
            if letter is None:
                return "missing_field", f"the answer {expected!r} is none of {', '.join(options)}"
            expected = letter
    if fields.tools:
        declared = tools_in(get(fields.tools))
        if declared is None:
            return "wrong_type", f"{fields.tools!r} holds no tools: {get(fields.tools)!r}"
        tools = tuple(declared)
    if fields.calls and (told := get(fields.calls)) is not None:
        calls = calls_in(told)
        if calls is None:
            return "wrong_type", f"{fields.calls!r} holds no calls: {told!r}"
        check["calls"] = calls
    if any(str(get(column)) in values for column, values in fields.no_call.items()):
        check["calls"] = []
    if fields.acts and "calls" in check:
        check["acts"] = list(fields.acts)
        check["calls"] = [call for call in check["calls"] if call["name"] in fields.acts]
    if fields.world and (told := _parsed(get(fields.world))) is not None:
        world = WORLDS.get(str(told.get("name"))) if isinstance(told, Mapping) else None
        if world is None or not isinstance(told.get("seed", 0), int):
            return "wrong_type", f"{fields.world!r} holds no world (there is: {', '.join(WORLDS)}): {told!r}"
        check["world"] = dict(told)
        tools = tools or tuple(dict(tool) for tool in world.tools)
    if fields.turns and (told := _parsed(get(fields.turns))) is not None:
        if not isinstance(told, list) or not all(isinstance(text, str) and text.strip() for text in told):
            return "wrong_type", f"{fields.turns!r} holds no list of texts: {told!r}"
        check["turns"] = told
    return check, tools, expected


def _parsed(told: Any) -> Any:
    """The value of a JSON text, or what is no text as it is."""
    if not isinstance(told, str):
        return told
    try:
        return orjson.loads(told)
    except orjson.JSONDecodeError:
        return None
