"""One entry of the journal: what it holds, which of several serves, and its row in SQLite."""

from __future__ import annotations

import time
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import zstandard

from tracemill.errors import CorruptRun
from tracemill.storage.dictionaries import Unpacker

REPLY = "reply"
IMPORTED = "imported:"
"""What the endpoint of an answer begins with that was bought elsewhere."""
COLUMNS = (
    "key, outcome, status, max_tokens, finish_reason, prompt_tokens, completion_tokens, attempt, latency_ms, at, "
    "teacher, endpoint, model, body, crc"
)
LARGEST_INTEGER = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Entry:
    """One reply, or one failed attempt, as the journal keeps it."""

    key: str
    outcome: str
    """"reply" for an HTTP 200 with an answer; else the class of the failure, `models.outcomes`."""
    max_tokens: int
    attempt: int
    body: bytes = b""
    status: int | None = None
    finish_reason: str | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    latency_ms: int | None = None
    at: float = 0.0
    """Unix time; for people only, never published."""
    teacher: str = ""
    endpoint: str = ""
    model: str | None = None


def serving(entries: Sequence[Entry], max_tokens: int) -> Entry | None:
    """Which of a request's entries, oldest first, answers it with this limit.

    A reply serves if it ended by itself, or was cut at or above the limit asked now. Among several, the first that
    ended by itself; else the one with the highest limit; else the last that does not say how it ended.
    """
    cut: Entry | None = None
    silent: Entry | None = None
    for entry in entries:
        if entry.outcome != REPLY:
            continue
        if entry.finish_reason is None:
            silent = entry
        elif entry.finish_reason != "length":
            return entry
        elif entry.max_tokens >= max_tokens and (cut is None or entry.max_tokens > cut.max_tokens):
            cut = entry
    return cut or silent


def row_of(entry: Entry, zipper: zstandard.ZstdCompressor) -> tuple[Any, ...]:
    values = (
        bytes.fromhex(entry.key),
        entry.outcome,
        entry.status,
        entry.max_tokens,
        _storable(entry.finish_reason),
        _storable(entry.prompt_tokens),
        _storable(entry.completion_tokens),
        entry.attempt,
        entry.latency_ms,
        float(entry.at or time.time()),
        entry.teacher,
        entry.endpoint,
        _storable(entry.model),
        zipper.compress(entry.body) if entry.body else None,
    )
    return (*values, checksum(values))


def _storable(told: Any) -> Any:
    """What a server said of itself, cut to what SQLite can hold: a strange number must not cost a paid reply."""
    if isinstance(told, int) and abs(told) > LARGEST_INTEGER:
        return None
    return told.encode(errors="replace").decode() if isinstance(told, str) else told


def checksum(values: Sequence[Any]) -> int:
    """Checksum of a row. SQLite has none of its own, and a changed bit in a row would go unseen."""
    *told, body = values
    return zlib.crc32(body or b"", zlib.crc32(repr(told).encode(errors="backslashreplace")))


def entry_of(row: tuple[Any, ...], unpacker: Unpacker) -> Entry:
    """An entry from its row. Raises CorruptRun if the row is damaged."""
    key, outcome, status, max_tokens, finish, prompt, completion, attempt, latency, at, *who, body, crc = row
    if crc != checksum(row[:-1]):
        raise CorruptRun(f"the entry of request {key.hex() if isinstance(key, bytes) else key!r} is damaged")
    return Entry(
        key=key.hex(),
        outcome=outcome,
        status=status,
        max_tokens=max_tokens,
        finish_reason=finish,
        prompt_tokens=prompt,
        completion_tokens=completion,
        attempt=attempt,
        latency_ms=latency,
        at=at,
        teacher=who[0],
        endpoint=who[1],
        model=who[2],
        body=unpacker.decompress(body) if body else b"",
    )
