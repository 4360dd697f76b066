"""The names of all that can be found, and what each means: the vocabulary of `tracemill validate`."""

from __future__ import annotations

from typing import Literal, NamedTuple

from tracemill.reading.json_lines import REASONS

Level = Literal["error", "warning", "note"]


class Check(NamedTuple):
    """Something that can be wrong."""

    level: Level
    """An error spoils the row or file, a warning may, a note is something to know before reading."""
    of: Literal["row", "file", "dataset"]
    meaning: str


def _row(level: Level, meaning: str) -> Check:
    return Check(level, "row", meaning)


CHECKS: dict[str, Check] = {
    "file_unreadable": Check("error", "file", "the file is damaged or cut short, or is no data"),
    "file_differs": Check(
        "error", "file", "the file has not the length or sha256 that the manifest, or restored.json, says"
    ),
    "file_empty": Check("error", "file", "the file holds no row"),
    "file_stray": Check("warning", "file", "the file belongs to no split of the card, or to no language"),
    "types_differ": Check("warning", "file", "a column has another type here than in most shards"),
    "column_extra": Check("warning", "file", "a column that most other shards do not have"),
    "column_missing": Check("warning", "file", "a column of most other shards is not here"),
    "versions_mixed": Check("warning", "dataset", "some shards have tool_calls as v1 has, others none as v2"),
    "no_train_split": Check("note", "dataset", 'no split is called "train", which much code asks for'),
    "order_effect": Check("warning", "dataset", "the first tenth of a split is of another kind than the rest"),
    **{name: _row("error", meaning) for name, meaning in REASONS.items() if name != "unreadable"},
    "messages_as_text": _row("note", "messages are JSON text, not a list"),
    "messages_empty": _row("error", "there is no message"),
    "role_unknown": _row("error", "a role is not system, user, assistant or tool"),
    "user_missing": _row("error", "there is no user turn"),
    "assistant_missing": _row("error", "the last turn is not an assistant's"),
    "turn_order": _row("error", "turns follow in an order that no conversation has"),
    "uuid_missing": _row("error", "the row has no uuid"),
    "uuid_duplicate": _row("error", "an earlier row has the same uuid"),
    "prompt_empty": _row("error", "the first user turn is empty: its text was withheld or lost"),
    "prompt_placeholder": _row("error", 'the first user turn is "-": its text was withheld'),
    "prompt_duplicate": _row("warning", "an earlier row has the same first user turn"),
    "think_missing": _row("error", "reasoning is on, and no turn holds a trace"),
    "think_unclosed": _row("error", "<think> is never closed"),
    "think_unopened": _row("error", "</think> without a <think>"),
    "think_empty": _row("warning", "the think tags hold nothing"),
    "think_in_off": _row("error", "reasoning is off, and there is a trace"),
    "think_repeated": _row("warning", "think tags stand in the text a second time, or not at its head"),
    "reasoning_unknown": _row("error", "reasoning is neither on nor off"),
    "answer_missing": _row("error", "nothing is left of the last turn outside the trace"),
    "answer_truncated": _row("warning", "the answer ends in mid-sentence, in an open code block or in an open box"),
    "boxed_missing": _row("error", "the prompt asks for \\boxed{}, and the answer has none"),
    "repetition_loop": _row("warning", "a text follows upon itself again and again"),
    "identity_leak": _row("warning", "the answer says which company's model it is"),
    "script_leak": _row("warning", "at least 5 % of the answer is Chinese, Japanese or Korean where nobody wrote so"),
    "language_differs": _row("warning", "the answer is not in the language of its split"),
    "instructions_contradict": _row("warning", "the prompt asks for things that cannot all be done"),
    "benchmark_split": _row("warning", "the metadata says that the prompt is a test item of its source"),
    "benchmark_item": _row("warning", "13 words in a row of the prompt stand in a benchmark that was given"),
    "metadata_not_json": _row("error", "the metadata is no JSON object"),
    "tools_not_json": _row("error", "the tools are no JSON list of objects"),
    "tools_as_text": _row("note", "tools are JSON text where other rows have a list; some readers then find null"),
    "tools_missing": _row("warning", "a tool is called, and no tool is declared"),
    "call_unknown_tool": _row("error", "a tool is called that is not declared"),
    "call_arguments_differ": _row("error", "arguments do not fit the schema of their tool"),
    "arguments_not_json": _row("error", "the arguments of a call are no JSON object"),
    "arguments_as_text": _row("note", "arguments are JSON text; chat templates expect objects"),
    "license_missing": _row("warning", "the row names no licence"),
    "license_unknown": _row("warning", "the licence is none that we know to allow redistribution"),
    "category_differs": _row("warning", "the category is that of another split"),
    "text_damaged": _row("warning", "a text holds NUL or the sign for characters that were lost (U+FFFD)"),
}
"""In the order in which reports show them."""

TRAPS: dict[int, tuple[str, ...]] = {
    1: ("no_train_split",),
    2: ("prompt_placeholder", "prompt_empty"),
    3: ("messages_as_text",),
    4: ("types_differ",),
    5: ("tools_as_text", "tools_missing"),
    6: ("not_json",),
    7: ("think_empty", "think_unclosed", "think_in_off", "think_missing"),
    8: ("boxed_missing",),
    9: ("repetition_loop",),
    10: ("prompt_duplicate", "uuid_duplicate"),
    11: ("answer_missing",),
    12: ("identity_leak",),
    13: ("benchmark_split", "benchmark_item"),
    14: ("file_unreadable", "file_differs"),
    15: ("column_extra", "file_stray"),
    16: ("script_leak",),
    17: ("instructions_contradict",),
    18: ("order_effect",),
    19: ("arguments_as_text",),
    20: ("versions_mixed",),
}
"""The known traps of the Nemotron sets, by the numbers of docs/traps.md, and the checks that find them."""
