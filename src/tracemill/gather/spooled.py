"""One prompt as a line of the spool, and back."""

from __future__ import annotations

import orjson

from tracemill.record import Message, Prompt
from tracemill.schema import from_row, to_row


def spooled(prompt: Prompt, order: int) -> bytes:
    """The line of a prompt, with its number in input order."""
    told = {
        "order": order,
        "messages": [[m.role, m.content, m.reasoning, m.seam] for m in prompt.messages],
        "category": prompt.category,
        "expected": prompt.expected,
        "language": prompt.language,
        "tools": list(prompt.tools),
        "source": prompt.source,
        "source_id": prompt.source_id,
        "source_license": prompt.source_license,
        "metadata": dict(prompt.metadata),
        "check": dict(prompt.check),
        "hash": prompt.hash,
    }
    if prompt.given is not None:
        told["given"] = to_row(prompt.given)
    return orjson.dumps(told, default=str) + b"\n"


def unspooled(line: bytes) -> tuple[int, Prompt]:
    """(number in input order, prompt) of a line. Raises ValueError, KeyError or TypeError if it is none."""
    told = orjson.loads(line)
    order = told.pop("order")
    given = told.pop("given", None)
    messages = tuple(
        Message(role, content, reasoning, seam=None if seam is None else tuple(seam))
        for role, content, reasoning, seam in told.pop("messages")
    )
    return order, Prompt(
        messages=messages,
        tools=tuple(told.pop("tools")),
        given=None if given is None else from_row(given),
        **told,
    )
