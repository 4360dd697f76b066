"""Which prompts are wanted, and which were found: one SQLite file, so that neither has to fit in memory."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from hashlib import sha256
from pathlib import Path

import orjson

from tracemill.restoring.keys import Key

FOUND, MISSING, AMBIGUOUS, CHANGED = "restored", "missing", "ambiguous", "changed"
STATES = (FOUND, MISSING, AMBIGUOUS, CHANGED)
COMMIT_EVERY = 50_000


class Index:
    """Prompts by source and key."""

    def __init__(self, path: Path) -> None:
        self._base = sqlite3.connect(path)
        self._base.execute("PRAGMA journal_mode=OFF")
        self._base.execute("PRAGMA synchronous=OFF")  # it lives for one run, which can be repeated
        self._base.execute("PRAGMA cache_size=-32000")
        self._base.execute(
            "CREATE TABLE prompts (source TEXT, key TEXT, state TEXT, sha256 TEXT, pinned TEXT, text TEXT,"
            " PRIMARY KEY (source, key)) WITHOUT ROWID"
        )
        self._added = 0

    def close(self) -> None:
        """End it."""
        self._base.close()

    def want(self, keys: Iterable[tuple[str, str]]) -> None:
        """Ask for prompts; each is asked for once."""
        self._base.executemany("INSERT OR IGNORE INTO prompts VALUES (?, ?, 'missing', NULL, NULL, NULL)", keys)
        self._base.commit()

    def wanted(self, source: str) -> int:
        """How many different prompts of a source are asked for."""
        (count,) = self._base.execute("SELECT count(*) FROM prompts WHERE source = ?", (source,)).fetchone()
        return int(count)

    def pin(self, source: str, key: str, hashed: str) -> None:
        """What hash a prompt must have, by an earlier record."""
        self._base.execute("UPDATE prompts SET pinned = ? WHERE source = ? AND key = ?", (hashed, source, key))

    def offer(self, source: str, key: str, text: str) -> None:
        """A text that a source holds. Of two different ones under a key, none is taken."""
        told = self._base.execute(
            "SELECT state, sha256, pinned FROM prompts WHERE source = ? AND key = ?", (source, key)
        ).fetchone()
        if told is None:
            return
        state, known, pinned = told
        hashed = sha256(text.encode(errors="surrogatepass")).hexdigest()
        if state == MISSING:
            state = FOUND if pinned in (None, hashed) else CHANGED
        elif known != hashed:
            state = AMBIGUOUS
        kept = text if state == FOUND else None
        self._base.execute(
            "UPDATE prompts SET state = ?, sha256 = ?, text = ? WHERE source = ? AND key = ?",
            (state, hashed, kept, source, key),
        )
        self._added += 1
        if self._added % COMMIT_EVERY == 0:
            self._base.commit()

    def offer_hash(self, source: str, key: str, hashed: str) -> None:
        """The hash of what a source holds, where the text itself is taken from the source again."""
        self._base.execute(
            "UPDATE prompts SET state = CASE WHEN state = 'missing' THEN (CASE WHEN pinned IS NULL OR pinned = ?1 THEN"
            " 'restored' ELSE 'changed' END) WHEN sha256 <> ?1 THEN 'ambiguous' ELSE state END, sha256 = ?1"
            " WHERE source = ?2 AND key = ?3",
            (hashed, source, key),
        )

    def mark_written(self, source: str, key: str) -> None:
        """Its row has been written: `states` no longer tells of it, `counts` and `record` still do."""
        self._base.execute("UPDATE prompts SET text = '' WHERE source = ? AND key = ?", (source, key))

    def states(self, source: str, keys: Sequence[str]) -> dict[str, str]:
        """Those of some keys that are wanted and not written yet, with their states."""
        found = self._base.execute(
            "SELECT key, state FROM prompts WHERE source = ? AND text IS NULL AND key IN (SELECT value FROM json_each(?))",
            (source, orjson.dumps(keys).decode()),
        )
        return dict(found.fetchall())

    def text(self, key: Key) -> tuple[str, str | None, str | None]:
        """(state, text, sha256) of a prompt that is wanted."""
        told = self._base.execute(
            "SELECT state, text, sha256 FROM prompts WHERE source = ? AND key = ?", key
        ).fetchone()
        return told if told is not None else (MISSING, None, None)

    def counts(self) -> dict[str, Counter[str]]:
        """Different prompts by source and state."""
        found: dict[str, Counter[str]] = {}
        for source, state, count in self._base.execute(
            "SELECT source, state, count(*) FROM prompts GROUP BY source, state ORDER BY source, state"
        ):
            found.setdefault(source, Counter())[state] = count
        return found

    def record(self) -> Iterator[tuple[str, str, str, str | None]]:
        """(source, key, state, sha256) of every prompt that was wanted, sorted."""
        yield from self._base.execute("SELECT source, key, state, sha256 FROM prompts ORDER BY source, key")
