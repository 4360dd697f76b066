"""Verdicts that took a clock to find, kept with the run: a comparison that timed out once is not tried again, so that a
busy machine cannot change the rows of a run, or make its audit doubt.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeVar

import orjson

from tracemill.storage.sqlite import BUSY_SECONDS, disk_error

T = TypeVar("T")


class Verdicts:
    """A table of verdicts by question, shared by the processes of a run. The first verdict stands.

    Args:
        replaying: Units are worked again to see whether they come out the same, so that even a verdict stands that says
            that nothing could be found out.
    """

    def __init__(self, path: Path, replaying: bool = False) -> None:
        self.path = path
        self.replaying = replaying
        self._connection: sqlite3.Connection | None = None

    def get(self, question: Any) -> Any | None:
        """What was found out about a question, or None."""
        if self._connection is None and not self.path.exists():
            return None
        query = "SELECT verdict FROM verdicts WHERE question = ?"
        row = self._told(lambda opened: opened.execute(query, (_key(question),)).fetchone())
        return orjson.loads(row[0]) if row else None

    def put(self, question: Any, verdict: Any, instead_of: Any = None) -> Any:
        """Keep a verdict, unless there is one other than `instead_of`; returns the one that stands."""
        row = (_key(question), orjson.dumps(verdict), None if instead_of is None else orjson.dumps(instead_of))
        self._told(lambda opened: opened.execute(_PUT, row))
        return self.get(question)

    def close(self) -> None:
        """Let go of the file."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _told(self, ask: Callable[[sqlite3.Connection], T]) -> T:
        try:
            if self._connection is None:
                self._connection = sqlite3.connect(self.path, timeout=BUSY_SECONDS, isolation_level=None)
                self._connection.execute(
                    "CREATE TABLE IF NOT EXISTS verdicts (question BLOB PRIMARY KEY, verdict BLOB NOT NULL) WITHOUT ROWID"
                )
            return ask(self._connection)
        except sqlite3.Error as exc:
            raise disk_error(self.path, exc) from exc


_PUT = (
    "INSERT INTO verdicts VALUES (?, ?) ON CONFLICT DO UPDATE SET verdict = excluded.verdict WHERE verdicts.verdict = ?"
)


def _key(question: Any) -> bytes:
    return sha256(orjson.dumps(question)).digest()
