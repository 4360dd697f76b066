"""Checks of form: turns, prompts, traces, boxes, labels. Each returns, by name, the rows in which it found something."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from tracemill.inspect.block import ASSISTANT, SYSTEM, UNKNOWN, USER, Block, Ints, text_array
from tracemill.record import CATEGORIES

Found = dict[str, Any]
"""Rows by the name of a check; as an array, or as a dict with evidence by row."""

_CONVERSATION = re.compile(r"s*(?:u(?:ct*)*a?)*u(?:ct*)*[ac]")
"""What turns may follow one another: s system, u user, a assistant, c assistant that calls tools, t tool.

A user may speak twice; a last call may stay without its result, as in single-turn tool data.
"""
_LETTERS = "suat?"

LICENSES = re.compile(
    r"cc-?by(-?sa)?(-?\d\.\d)?|cc0(-?1\.0)?|odc-?by(-?1\.0)?|odbl|apache-?2\.0|mit|bsd(-\d-clause)?|public[- ]domain|"
    r"unlicense|nvidia-open-model-license|cdla-(permissive|sharing)-\d\.\d|pddl|gpl-?[23](\.0)?|lgpl-?[23](\.\d)?|mpl-?2\.0",
    re.IGNORECASE,
)
"""Licences that allow redistribution, as datasets spell them. Several may stand in one value, with commas or "and"."""
_PARTS = re.compile(r"\s*(?:,|;|/|\band\b|\bAND\b|\+)\s*")


def turns(block: Block) -> Found:
    """Roles and their order."""
    roles, starts, count = block.roles, block.starts, np.diff(block.starts)
    found: Found = {"messages_empty": np.flatnonzero(count == 0)}
    unknown = np.unique(block.row_of[np.flatnonzero(roles == UNKNOWN)])
    found["role_unknown"] = unknown
    padded = np.append(roles, np.full(3, UNKNOWN, np.int8))
    first = starts[:-1]
    plain = (count == 2) & (padded[first] == USER) & (padded[first + 1] == ASSISTANT)
    plain |= (count == 3) & (padded[first] == SYSTEM) & (padded[first + 1] == USER) & (padded[first + 2] == ASSISTANT)
    rest = ~plain & (count > 0)
    rest[unknown] = False
    no_user = rest & (block.first_user < 0)
    found["user_missing"] = np.flatnonzero(no_user)
    last = np.where(count > 0, padded[np.maximum(starts[1:] - 1, 0)], UNKNOWN)
    unanswered = rest & ~no_user & (last != ASSISTANT)
    found["assistant_missing"] = np.flatnonzero(unanswered)
    wrong = []
    for row in np.flatnonzero(rest & ~no_user & ~unanswered).tolist():
        order = "".join(
            "c" if role == ASSISTANT and calls else _LETTERS[role]
            for role, calls in zip(
                roles[starts[row] : starts[row + 1]].tolist(), block.calls[starts[row] : starts[row + 1]], strict=True
            )
        )
        if not _CONVERSATION.fullmatch(order):
            wrong.append(row)
    found["turn_order"] = _rows(wrong)
    return found


def prompts(block: Block) -> Found:
    """Withheld and empty prompts."""
    user = block.first_user
    short = np.flatnonzero((user >= 0) & (block.content.sizes[user] <= 16)) if block.messages else _rows([])
    empty, dash = [], []
    for row in short.tolist():
        text = block.content[int(user[row])].decode(errors="replace").strip()
        if not text:
            empty.append(row)
        elif text == "-":
            dash.append(row)
    return {"prompt_empty": _rows(empty), "prompt_placeholder": _rows(dash)}


def traces(block: Block) -> Found:
    """Think tags against the row's `reasoning`, and what is left outside them."""
    tags, count = block.tags, block.rows
    reasoning = block.texts("reasoning")
    on = _is(reasoning, "on")
    off = _is(reasoning, "off")
    neither = ~on & ~off & _truth(pc.is_valid(reasoning))

    def rows(messages: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
        held = np.zeros(count, np.bool_)
        held[block.row_of[np.flatnonzero(messages)]] = True
        return held

    unclosed, unopened, empty = rows(tags.unclosed), rows(tags.unopened), rows(tags.empty)
    trace = rows((tags.inline & ~tags.empty) | tags.beside)
    spoken = block.last_assistant >= 0
    found: Found = {
        "reasoning_unknown": np.flatnonzero(neither),
        "think_in_off": np.flatnonzero(off & (trace | unclosed | unopened)),
        "think_unclosed": np.flatnonzero(unclosed & ~off),
        "think_unopened": np.flatnonzero(unopened & ~off),
        "think_empty": np.flatnonzero(empty & ~trace),
        "think_missing": np.flatnonzero(on & spoken & ~(trace | unclosed | unopened | empty)),
        "think_repeated": np.flatnonzero(rows(tags.repeated)),
    }
    last = np.maximum(block.last_assistant, 0)
    if block.messages:
        blank = np.zeros(count, np.bool_)
        whole = spoken & ~tags.unclosed[last] & (block.calls[last] == 0)
        chosen = np.flatnonzero(whole)
        blank[chosen] = block.blank(block.visible_start[last[chosen]], block.content.ends[last[chosen] + 1])
        ends_so = np.append(block.roles, np.int8(UNKNOWN))[np.maximum(block.starts[1:] - 1, 0)] == ASSISTANT
        found["answer_missing"] = np.flatnonzero(blank & ends_so)
    return found


def boxes(block: Block) -> Found:
    """Boxes that were asked for and not given. Rows that end in no answer have enough against them."""
    prompts = block.prompts
    asked = np.unique(prompts.owners(prompts.find(b"\\boxed", prompts.places(b"\\"))))
    missing = [row for row in asked.tolist() if b"\\boxed" not in (answer := block.answers[row]) and answer.strip()]
    return {"boxed_missing": _rows(missing)}


def labels(block: Block) -> Found:
    """uuid, licence, category and metadata."""
    found: Found = {"uuid_missing": np.flatnonzero(_blank(block.texts("uuid")))}
    license_ = block.texts("license")
    missing = _blank(license_)
    found["license_missing"] = np.flatnonzero(missing)
    unknown = [value for value in _distinct(license_) if value and value.strip() and not redistributable(value)]
    found["license_unknown"] = _where(license_, unknown)
    category, split = block.texts("category"), block.batch.shard.split
    if split in CATEGORIES or split.startswith("multilingual_"):
        known = [*CATEGORIES, *(v for v in _distinct(category) if v and v.startswith("multilingual_"))]
        own = _where(block.texts("domain"), [split])
        wrong = _where(category, [name for name in known if name != split])
        # Our own translations keep their parent's category; only NVIDIA's name the language in it.
        if split.startswith("multilingual_"):
            wrong = _where(category, [n for n in known if n.startswith("multilingual_") and n != split])
        found["category_differs"] = np.setdiff1d(wrong, own)
    found["metadata_not_json"], found["benchmark_split"] = _metadata(block)
    return found


def redistributable(license_: str) -> bool:
    """Whether each licence that a value names is one of those known to allow redistribution."""
    return all(LICENSES.fullmatch(part.strip()) for part in _PARTS.split(license_.strip()) if part.strip())


def _metadata(block: Block) -> tuple[dict[int, str], Ints]:
    broken: dict[int, str] = {}
    tests = []
    known: dict[str, int] = {"{}": 0, "": 0}
    for row, text in enumerate(block.texts("metadata").to_pylist()):
        if text is None:
            continue
        verdict = known.get(text)
        if verdict is None:
            verdict = _judged(text)
            if len(known) < 1000:
                known[text] = verdict
        if verdict == 1:
            broken[row] = text[:80]
        elif verdict == 2:
            tests.append(row)
    return broken, _rows(tests)


def _judged(text: str) -> int:
    """0 well, 1 no JSON object, 2 an object that names a test split."""
    try:
        held = orjson.loads(text)
    except orjson.JSONDecodeError:
        return 1
    if not isinstance(held, dict):
        return 1
    split = held.get("split")
    return 2 if isinstance(split, str) and split.strip().lower() == "test" else 0


def _rows(rows: Collection[int]) -> Ints:
    return np.fromiter(rows, np.int64, len(rows))


def _truth(array: pa.Array) -> npt.NDArray[np.bool_]:
    return np.asarray(pc.fill_null(array, False).to_numpy(zero_copy_only=False), np.bool_)


def _is(array: pa.Array, value: str) -> npt.NDArray[np.bool_]:
    return _truth(pc.equal(array, value))


def _blank(array: pa.Array) -> npt.NDArray[np.bool_]:
    return np.asarray(pc.fill_null(pc.equal(pc.utf8_trim_whitespace(array), ""), True).to_numpy(zero_copy_only=False))


def _distinct(array: pa.Array) -> list[str | None]:
    held: list[str | None] = array.unique().to_pylist()
    return held


def _where(array: pa.Array, values: list[str]) -> Ints:
    if not values:
        return _rows([])
    return np.flatnonzero(_truth(pc.is_in(array, value_set=text_array(values))))
