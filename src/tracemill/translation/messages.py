"""What of a row is translated, and how the row is put together again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

from tracemill import identity
from tracemill.record import Message, Sample, Verdict
from tracemill.segments.masks import Masked, mask
from tracemill.segments.segment import Segment, join
from tracemill.segments.splitting import split
from tracemill.translation.gates import Refused

ROLES = ("user", "assistant")
"""Whose words are translated; what tools said, and what was called, stays as it is."""


Field = Literal["content", "reasoning"]


class Part(NamedTuple):
    """One text that is translated: a message's content, or its trace."""

    message: int
    field: Field
    segments: tuple[Segment, ...]


@dataclass(frozen=True, slots=True)
class Piece:
    """One segment that is translated, in its place."""

    message: int
    masked: Masked
    before: tuple[str, ...]
    """The lines before it in its message, as they stand; the nearest last."""


@dataclass(frozen=True, slots=True)
class Taken:
    """A row taken apart."""

    parent: Sample
    parts: tuple[Part, ...]
    """The texts that are translated, in order."""
    pieces: tuple[Piece, ...]

    @property
    def source_bytes(self) -> int:
        """UTF-8 bytes of the messages that are translated."""
        texts = (text_of(self.parent.messages[part.message], part.field) for part in self.parts)
        return sum(len(text.encode(errors="replace")) for text in texts)


def text_of(message: Message, field: Field) -> str:
    """One text of a message; "" where it has none."""
    return message.content if field == "content" else message.reasoning or ""


def take_apart(parent: Sample, near: int, system: bool = False, traces: bool = False, comments: bool = False) -> Taken:
    """The segments of a row's prompt and answers.

    Args:
        near: How many lines before each segment are kept as its context.
        system: Whether system messages are translated too.
        traces: Whether reasoning traces are.
        comments: Whether comments and docstrings inside fenced code are.
    """
    roles = (*ROLES, "system") if system else ROLES
    fields: tuple[Field, ...] = ("reasoning", "content") if traces else ("content",)
    parts = tuple(
        Part(number, field, split(text, comments))
        for number, message in enumerate(parent.messages)
        for field in fields
        if message.role in roles and (text := text_of(message, field)).strip()
    )
    return Taken(parent, parts, tuple(piece for n, _, segments in parts for piece in _pieces(n, segments, near)))


def _pieces(number: int, segments: Sequence[Segment], near: int) -> Iterator[Piece]:
    lines: list[str] = []
    for segment in segments:
        if segment.translatable:
            yield Piece(number, mask(segment.text), tuple(lines[-near:]) if near else ())
            lines.append(segment.text)


def put_together(taken: Taken, translations: Sequence[str], code: str, evidence: str) -> Sample:
    """The translated row: a child of its parent, with the parent's calls and ids, and with its traces unless these were taken
    apart too.

    Args:
        translations: One for each piece, in order.
        evidence: What the row says of how it was made.
    """
    left = iter(translations)
    messages = list(taken.parent.messages)
    for number, field, segments in taken.parts:
        text = join(segments, [next(left) for segment in segments if segment.translatable])
        old = messages[number]
        messages[number] = replace(old, content=text) if field == "content" else replace(old, reasoning=text)
    child = child_of(taken.parent, code)
    verdict = Verdict("translate", True, evidence)
    return replace(child, messages=tuple(messages), verdicts=(*child.verdicts, verdict))


def child_of(parent: Sample, code: str) -> Sample:
    """The row that a translation becomes, with the parent's messages still in it. What the parent's answer took in
    requests and tokens is told by the parent alone.
    """
    spelled = "".join(c if c.isalnum() else "_" for c in code.lower())
    return replace(
        parent,
        uuid=identity.translation_uuid(parent.uuid, code),
        category=f"multilingual_{spelled}",
        language=code,
        domain=parent.domain or parent.category,
        parent=parent.uuid,
        requests=(),
        usage=None,
    )


def untouched(parent: Sample, child: Sample, traces: bool = False) -> Refused | None:
    """What of the child differs that no translation may touch: None if traces, roles, calls, ids and tools are equal.

    Args:
        traces: Whether traces were to be translated.
    """
    if len(parent.messages) != len(child.messages):
        return Refused("trace", f"{len(parent.messages)} messages became {len(child.messages)}")
    for number, (before, after) in enumerate(zip(parent.messages, child.messages, strict=True)):
        if _fixed(before, traces) != _fixed(after, traces):
            return Refused("trace", f"messages[{number}] differs in more than its content")
    return None if parent.tools == child.tools else Refused("trace", "the tools differ")


def _fixed(message: Message, traces: bool) -> Message:
    trace = "" if traces and message.reasoning is not None else message.reasoning
    return replace(message, content="", reasoning=trace)
