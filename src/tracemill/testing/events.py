"""What a scripted server saw: one event when a request is whole, one when its response is out or lost.

One line of the log, as it reads:

    {"t":8123.402,"event":"sent","hash":"9f2c...","status":200,"fault":null}

Every "received" is followed by exactly one "sent" or "aborted" with the same hash, unless the server itself was killed.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import orjson

from tracemill import identity

EventKind = Literal["received", "sent", "aborted"]


@dataclass(frozen=True, slots=True)
class Event:
    """One line of the log."""

    t: float
    """Seconds of CLOCK_MONOTONIC: comparable between the processes of one machine, not across a reboot."""
    event: EventKind
    """"sent": the kernel has the response's last byte. "aborted": it never will, whoever hung up."""
    hash: str
    """`body_hash` of the request."""
    status: int
    """HTTP status of the response, whole or not; 0 where no byte of one was written."""
    fault: str | None
    """The kind of fault that the request met, None for an honest answer."""


def body_hash(body: Mapping[str, Any]) -> str:
    """Hex sha256 of the canonical JSON of a request's body without `max_tokens`."""
    return identity.digest({name: value for name, value in body.items() if name != "max_tokens"})


class EventLog:
    """Events in memory and, line by line and unbuffered, in a file that other processes may append to as well."""

    def __init__(self, path: str | os.PathLike[str] | None, keep: bool) -> None:
        self._path = path
        self._keep = keep
        self._fd = -1
        self.events: list[Event] = []

    def open(self) -> None:
        """Begin to write to the file, if there is one, at its end."""
        if self._path is not None:
            self._fd = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)

    def close(self) -> None:
        """Let the file go; the events in memory stay."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def add(self, kind: EventKind, digest: str, status: int, fault: str | None) -> None:
        """Note what happened just now."""
        event = Event(time.monotonic(), kind, digest, status, fault)
        if self._keep:
            self.events.append(event)
        if self._fd >= 0:
            os.write(self._fd, orjson.dumps(event, option=orjson.OPT_APPEND_NEWLINE))


def read_log(path: str | os.PathLike[str]) -> list[Event]:
    """The events of a log, in the order they were written.

    A last line without its newline was torn by a kill and is left out.

    Raises:
        ValueError: Another line is not an event; names file and line.
    """
    *lines, _torn = Path(path).read_bytes().split(b"\n")
    events = []
    for number, line in enumerate(lines, 1):
        try:
            events.append(Event(**orjson.loads(line)))
        except (ValueError, TypeError) as error:
            raise ValueError(f"{os.fspath(path)}:{number}: not an event: {line[:80]!r}") from error
    return events
