"""Is the answer whole? Not empty, not cut, and with a trace where one was asked for and only there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from tracemill.errors import LossyConversion
from tracemill.record import Sample
from tracemill.schema import check_row
from tracemill.step import Drop
from tracemill.think import CHANNEL, CLOSE, TAGS, holds_trace

ENDED = frozenset({"stop", "length", "tool_calls", "function_call", None})
"""How an answer may end; anything else (abort, error) is no whole answer."""

HEADS = (*(opening for opening, _ in TAGS), CHANNEL)
"""How a trace begins that was never ended, or whose server left marks that we cannot read."""


@dataclass(frozen=True, slots=True)
class Complete:
    """Refuses answers that lack a part, or hold one that they should not.

    Args:
        any_turn: A trace in any of the assistant's turns will do, as it does for whoever has tools: one may think before
            the call alone.
    """

    any_turn: bool = False
    name: ClassVar[str] = "complete"
    drops: ClassVar[frozenset[str]] = frozenset(
        {
            *("truncated", "empty", "trace_missing", "trace_leaked", "trace_ambiguous"),
            *("refused", "unfinished", "unwritable"),
        }
    )

    async def __call__(self, sample: Sample, /) -> Sample | Drop:
        turn = sample.messages[-1]
        if sample.finish_reason == "content_filter":
            return Drop("refused", f"the server's filter ended it: {turn.content[:200]}")
        if sample.finish_reason not in ENDED:
            return Drop("unfinished", f"the server ended it by {sample.finish_reason!r}")
        if sample.finish_reason == "length":
            tokens = sample.usage.completion_tokens if sample.usage else None
            inside = " inside its trace" if not turn.content or turn.content.lstrip().startswith(HEADS) else ""
            return Drop("truncated", f"cut off{inside} by the token limit{f' after {tokens} tokens' if tokens else ''}")
        if sample.reasoning == "off" and (turn.reasoning or holds_trace(turn.content)):
            where = "reasoning was switched off, and a trace came"
            alone = "" if turn.content.strip() or turn.tool_calls else ", and nothing else"
            return Drop("trace_leaked", f"{where}{alone}: {(turn.reasoning or turn.content)[:80]}")
        if not turn.content.strip() and not turn.tool_calls:
            return Drop("empty", f"no visible answer after {len(sample.requests)} requests")
        if turn.content.lstrip().startswith(HEADS):
            return Drop("trace_ambiguous", f"the visible answer begins as a trace does: {turn.content.lstrip()[:40]}")
        if (
            sample.reasoning == "on"
            and not turn.reasoning
            and not ((self.any_turn or sample.tools) and _thinks(sample))
        ):
            return Drop("trace_missing", "reasoning was asked for, and none came")
        try:
            check_row(sample)
        except LossyConversion as exc:
            if turn.reasoning is not None and CLOSE in turn.reasoning:
                return Drop(
                    "trace_ambiguous", f"{CLOSE} stands inside the trace, so that no reader could tell where it ends"
                )
            return Drop("unwritable", str(exc))
        return sample


def _thinks(sample: Sample) -> bool:
    """Whether any turn of the assistant holds a trace."""
    return any(message.reasoning for message in sample.messages if message.role == "assistant")
