r"""What a scripted server says: answers as values, and ready-made ways to pick one for a request.

One line of a file of answers, as `read_table` takes it:

    {"prompt": "What is 2 + 2?", "answers": [{"content": "\\boxed{4}", "reasoning": "Two and two make four."}]}
"""

from __future__ import annotations

import dataclasses
import os
import random
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import Any, Literal, get_args

import orjson

from tracemill.record import ToolCall, Usage
from tracemill.testing.events import body_hash

ReasoningField = Literal["reasoning_content", "reasoning", "thinking", "inline", "inline_no_open"]

REASONING_FIELDS: tuple[ReasoningField, ...] = get_args(ReasoningField)


@dataclass(frozen=True, slots=True)
class Answer:
    """What the assistant says to one request."""

    content: str
    reasoning: str | None = None
    finish_reason: str = "stop"
    reasoning_field: ReasoningField = "reasoning_content"
    """Where the trace goes: a field of the message, or into the content between <think> tags ("inline"), or there
    with the closing tag alone, as where the chat template has opened it ("inline_no_open")."""
    usage: Usage | None = None
    """None: words are counted as tokens."""
    model: str | None = None
    """The model that the response names. None: the one that was asked for."""
    tool_calls: tuple[ToolCall, ...] = ()

    def __post_init__(self) -> None:
        if self.reasoning_field not in REASONING_FIELDS:
            raise ValueError(f"reasoning_field is {self.reasoning_field!r}, not one of {', '.join(REASONING_FIELDS)}")


Body = dict[str, Any]
Answers = Callable[[Body], Answer]


def text_of(message: Mapping[str, Any]) -> str:
    """The content of a wire message as one text; parts other than text count as nothing."""
    content = message.get("content")
    if isinstance(content, list):
        return "".join(str(part.get("text", "")) for part in content if isinstance(part, dict))
    return content if isinstance(content, str) else ""


def last_user_text(body: Body) -> str:
    """The last user message, "" if there is none."""
    return next((text_of(m) for m in reversed(body["messages"]) if m.get("role") == "user"), "")


def wants_reasoning(body: Body) -> bool:
    """False if the request turns thinking off by a usual switch.

    Those are `enable_thinking` or `thinking` among `chat_template_kwargs`, an effort of "none", and "/no_think" or
    "detailed thinking off" in a message of the system or the user.
    """
    routed = body.get("reasoning")
    if "none" in (body.get("reasoning_effort"), routed.get("effort") if isinstance(routed, dict) else None):
        return False
    switches = body.get("chat_template_kwargs") or {}
    if switches.get("enable_thinking") is False or switches.get("thinking") is False:
        return False
    asked = " ".join(text_of(m) for m in body["messages"] if m.get("role") in ("system", "user"))
    return "/no_think" not in asked and "detailed thinking off" not in asked


def by_seed(body: Body, answers: Sequence[Answer]) -> Answer:
    """The answer at the request's seed modulo their number; the first one if no seed was sent."""
    seed = body.get("seed")
    return answers[seed % len(answers) if isinstance(seed, int) else 0]


def from_table(
    table: Mapping[str, Sequence[Answer]], choose: Callable[[Body, Sequence[Answer]], Answer] = by_seed
) -> Answers:
    """Answer each question from a table, whatever template has put around it.

    The question is the key that the last user message is, else the longest key that is the message's end from some
    line's start on, else the longest key at its very end, else the longest key anywhere in it. White space at the ends
    of keys and of the message does not count.

    Args:
        choose: Picks one of the question's answers.

    Returns:
        A function that raises LookupError for a message that holds no key; the server then replies with 400.
    """
    known = {key.strip(): tuple(answers) for key, answers in table.items()}
    if not known or "" in known or not all(known.values()):
        raise ValueError("a table of answers has at least one prompt, none of them empty and each with an answer")
    width = min(24, *map(len, known))
    starts: dict[str, list[str]] = {}
    for key in known:
        starts.setdefault(key[:width], []).append(key)

    @lru_cache(maxsize=4096)
    def question(text: str) -> str:
        begin = 0
        while text[begin:] not in known:
            begin = text.find("\n", begin) + 1
            if not begin:
                break
        else:
            return text[begin:]
        places = ((i, key) for i in range(len(text)) for key in starts.get(text[i : i + width], ()))
        held = [key for i, key in places if text.startswith(key, i)]
        if not held:
            raise LookupError(f"no prompt of the table is in the last user message: {text[-200:]!r}")
        return max(held, key=lambda key: (text.endswith(key), len(key)))

    return lambda body: choose(body, known[question(last_user_text(body).strip())])


def read_table(path: str | os.PathLike[str]) -> dict[str, list[Answer]]:
    """The table in a JSONL file. The answers of lines with equal prompts follow one another.

    Raises:
        ValueError: A line does not hold what it should; names file and line.
    """
    table: dict[str, list[Answer]] = {}
    for number, line in enumerate(Path(path).read_bytes().splitlines(), 1):
        if line.strip():
            try:
                row = orjson.loads(line)
                table.setdefault(row["prompt"], []).extend(_answer(fields) for fields in row["answers"])
            except (ValueError, TypeError, KeyError) as error:
                detail = f"{type(error).__name__}: {error}"
                raise ValueError(f"{os.fspath(path)}:{number}: not a prompt with its answers ({detail})") from error
    return table


def _answer(fields: dict[str, Any]) -> Answer:
    calls = tuple(ToolCall(**call) for call in fields.get("tool_calls") or ())
    usage = Usage(**fields["usage"]) if fields.get("usage") else None
    return Answer(**{**fields, "tool_calls": calls, "usage": usage})


_PROSE = (
    "the model then checks each step of proof again and notes that x must be even so we factor n squared minus one "
    "into two terms which cannot both prime unless equals therefore sum is given first number divide by three keep rest"
)


def arithmetic(
    *, content_bytes: int = 80, reasoning_bytes: int = 240, reasoning_field: ReasoningField = "reasoning_content"
) -> Answers:
    r"""Answer everything, solving nothing: some prose, and an integer from 0 to 999 in \boxed{}.

    The integer depends on the last user message alone, so that the samples of one question agree; the prose depends on
    the whole request. No trace comes where `wants_reasoning` says no.

    Args:
        content_bytes: Exact size of the content in bytes, if that is enough for the number and its sentence.
        reasoning_bytes: The same for the trace; 0 for none.
    """
    words, rng = _PROSE.split(), random.Random(0)
    prose = ""
    while len(prose) < max(content_bytes, reasoning_bytes) + (1 << 17):
        prose += " ".join(rng.choices(words, k=rng.randint(8, 16))) + ".\n"

    def fill(start: str, end: str, drawn: bytes, size: int) -> str:
        begin = prose.index(" ", int.from_bytes(drawn, "big")) + 1
        middle = prose[begin : begin + max(0, size - len(start) - len(end))]
        return start + middle[:-1] + "."[: len(middle)] + end

    def answer(body: Body) -> Answer:
        drawn = bytes.fromhex(body_hash(body))
        number = int.from_bytes(sha256(last_user_text(body).encode()).digest()[:4], "big") % 1000
        reasoning = None
        if reasoning_bytes and wants_reasoning(body):
            start = f"Let me take this step by step, on sheet {drawn.hex()[:12]}.\n"
            reasoning = fill(start, f"\nSo the answer is {number}.", drawn[:2], reasoning_bytes)
        content = fill("", f"\n\nThe answer is \\boxed{{{number}}}.", drawn[2:4], content_bytes)
        return Answer(content, reasoning, reasoning_field=reasoning_field)

    return answer


def completion(body: Body, answer: Answer, digest: str, truncates: bool) -> dict[str, Any]:
    """The chat completion that says `answer`; the same bytes for the same request, `created` included.

    Args:
        digest: `body_hash` of `body`.
        truncates: Whether an answer of more words than `max_tokens` or `max_completion_tokens`, the trace's before the
            content's, is cut after that many words. Its finish_reason is then "length", and an inline trace that was
            cut has no closing tag.
    """
    limit = body.get("max_tokens", body.get("max_completion_tokens"))
    answer, whole, words = _cut(answer, limit if truncates else None)
    message: dict[str, Any] = {"role": "assistant", "content": answer.content}
    if answer.reasoning is not None:
        if answer.reasoning_field in ("inline", "inline_no_open"):
            opening = "<think>\n" if answer.reasoning_field == "inline" else ""
            closing = f"\n</think>\n\n{answer.content}" if whole else ""
            message["content"] = f"{opening}{answer.reasoning}{closing}"
        else:
            message[answer.reasoning_field] = answer.reasoning
    if answer.tool_calls:
        message["content"] = message["content"] or None
        message["tool_calls"] = [
            {"id": call.id, "type": call.type, "function": {"name": call.name, "arguments": call.arguments}}
            for call in answer.tool_calls
        ]
    usage = answer.usage or Usage(sum(len(text_of(m).split()) for m in body["messages"]), words)
    return {
        "id": f"chatcmpl-{digest[:24]}",
        "object": "chat.completion",
        "created": 1_700_000_000,
        "model": answer.model if answer.model is not None else body.get("model"),
        "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": answer.finish_reason}],
        "usage": {
            "prompt_tokens": usage.prompt_tokens,
            "completion_tokens": usage.completion_tokens,
            "total_tokens": usage.prompt_tokens + usage.completion_tokens,
        },
    }


def _cut(answer: Answer, limit: Any) -> tuple[Answer, bool, int]:
    """The answer within `limit` words, whether its trace came to an end, and its number of words."""
    thought = len((answer.reasoning or "").split())
    said = len(answer.content.split())
    if not isinstance(limit, int) or thought + said <= limit:
        return answer, True, thought + said
    if thought >= limit and answer.reasoning is not None:
        trace = _first_words(answer.reasoning, limit)
        cut = dataclasses.replace(answer, content="", reasoning=trace, finish_reason="length", tool_calls=())
        return cut, False, limit
    content = _first_words(answer.content, limit - thought)
    return dataclasses.replace(answer, content=content, finish_reason="length", tool_calls=()), True, limit


def _first_words(text: str, count: int) -> str:
    last = next(islice(re.finditer(r"\S+", text), count - 1, count), None) if count > 0 else None
    return text[: last.end()] if last else ""
