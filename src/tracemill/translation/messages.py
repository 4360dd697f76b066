"""What of a row is translated, and how the row is put together again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from tracemill import identity
from tracemill.record import Message, Sample, Verdict
from tracemill.segments.masks import Masked, mask
from tracemill.segments.segment import Segment, join
from tracemill.segments.splitting import split
from tracemill.translation.gates import Refused

ROLES = ("user", "assistant")
"""Whose words are translated; what tools said, and what was called, stays as it is."""


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
    segments: tuple[tuple[int, tuple[Segment, ...]], ...]
    """Of each message that is translated: its number, and its segments."""
    pieces: tuple[Piece, ...]

    @property
    def source_bytes(self) -> int:
        """UTF-8 bytes of the messages that are translated."""
        return sum(len(self.parent.messages[n].content.encode(errors="replace")) for n, _ in self.segments)


def take_apart(parent: Sample, near: int, system: bool = False) -> Taken:
    """The segments of a row's prompt and answers.

    Args:
        near: How many lines before each segment are kept as its context.
        system: Whether system messages are translated too.
    """
    roles = (*ROLES, "system") if system else ROLES
    parts = [(n, split(m.content)) for n, m in enumerate(parent.messages) if m.role in roles and m.content.strip()]
    return Taken(parent, tuple(parts), tuple(piece for n, segments in parts for piece in _pieces(n, segments, near)))


def _pieces(number: int, segments: Sequence[Segment], near: int) -> Iterator[Piece]:
    lines: list[str] = []
    for segment in segments:
        if segment.translatable:
            yield Piece(number, mask(segment.text), tuple(lines[-near:]) if near else ())
            lines.append(segment.text)


def put_together(taken: Taken, translations: Sequence[str], code: str, evidence: str) -> Sample:
    """The translated row: a child of its parent, with the parent's traces, calls and ids.

    Args:
        translations: One for each piece, in order.
        evidence: What the row says of how it was made.
    """
    left = iter(translations)
    messages = list(taken.parent.messages)
    for number, segments in taken.segments:
        mine = [next(left) for segment in segments if segment.translatable]
        messages[number] = replace(messages[number], content=join(segments, mine))
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


def untouched(parent: Sample, child: Sample) -> Refused | None:
    """What of the child differs that no translation may touch: None if traces, roles, calls, ids and tools are equal."""
    if len(parent.messages) != len(child.messages):
        return Refused("trace", f"{len(parent.messages)} messages became {len(child.messages)}")
    for number, (before, after) in enumerate(zip(parent.messages, child.messages, strict=True)):
        if _fixed(before) != _fixed(after):
            return Refused("trace", f"messages[{number}] differs in more than its content")
    return None if parent.tools == child.tools else Refused("trace", "the tools differ")


def _fixed(message: Message) -> Message:
    return replace(message, content="")
