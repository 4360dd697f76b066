"""Answers on their way from files to requests: a temporary table on the disk, so that memory does not grow with them."""

# ruff: noqa: S608  all that is put into queries are our own names of columns
from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from tracemill.exchange.lines import BadLine, Format, Line, asked, body_hash, read_line, read_lines
from tracemill.legible import one_line
from tracemill.models.masking import Mask
from tracemill.models.replies import finish_reason, usage
from tracemill.models.wire import Request
from tracemill.storage.sqlite import disk_error
from tracemill.upkeep import holds_answer

REASONS = {
    "imported": "stored now",
    "stored": "an answer to the same request was in the journal already",
    "duplicate": "the same request was answered before in these files",
    "surplus": "more answers to a question than the recipe asks for",
    "cut_short": "cut off below the limit that the recipe asks now",
    "no_request": "the recipe asks no such thing",
    "no_custom_id": "neither a custom_id nor a request: nobody can tell what was asked",
    "ambiguous": "its custom_id stands for two different requests",
    "other_request": "its custom_id is a key of ours, its request is another",
    "other_model": "another model than the recipe's has answered",
    "malformed": "status 200, but no answer in it",
    "expired": "the batch ended before it was asked",
    "cancelled": "the batch was cancelled before it was asked",
    "error": "an error in place of an answer",
    "unreadable": "not a line of such a file",
}
"""What becomes of a line."""
EXAMPLES = 3

_TABLES = """
CREATE TABLE requests (custom_id TEXT PRIMARY KEY, question TEXT, seed TEXT, max_tokens INTEGER, ambiguous INTEGER);
CREATE TABLE answers (
    id INTEGER PRIMARY KEY, place TEXT, name TEXT, custom_id TEXT, question TEXT, seed TEXT, max_tokens INTEGER,
    ended INTEGER, length INTEGER, hash BLOB, body BLOB, fate TEXT
);
CREATE TABLE asked (question TEXT PRIMARY KEY);
CREATE INDEX by_name ON answers (custom_id, fate);
CREATE INDEX by_question ON answers (question, seed, fate);
"""
_OFFER = "id, name, body, ended, coalesce(max_tokens, length)"
_WAITING = "fate = ''"
_LIKE_OURS = "length(custom_id) = 64 AND custom_id NOT GLOB '*[^0-9a-f]*'"
_POOL = f"question = ? AND seed IS NULL AND {_WAITING} AND (custom_id IS NULL OR NOT ({_LIKE_OURS}))"
"""Answers to a question that name no sample of it. A custom_id like our keys names one, be it of another recipe."""


@dataclass(frozen=True, slots=True)
class Offer:
    """An answer that fits a request."""

    id: int
    name: str
    """Name of the file that it came in."""
    body: bytes
    ended: bool
    max_tokens: int
    """The limit that it was asked with; where no request tells it, its own length."""

    def serves(self, request: Request) -> bool:
        """Whether it ended by itself, or was cut at or above the limit asked now."""
        return self.ended or self.max_tokens >= request.max_tokens


class Shelf:
    """Holds the answers of some files until requests come for them. Each is given out once.

    Args:
        mask: Hides the recipe's secrets, should a service have repeated one.
    """

    def __init__(self, mask: Mask) -> None:
        self._mask = mask
        self._bad: Counter[str] = Counter()
        self._examples: dict[str, list[str]] = {}
        self.requests = 0
        """Lines that hold a request alone."""
        self._db = sqlite3.connect("", isolation_level=None)  # SQLite's own temporary file, gone with the process
        self._db.executescript(_TABLES)
        self._rows("BEGIN")

    def close(self) -> None:
        """Forget everything."""
        self._db.close()

    def fill(self, path: Path, form: Format) -> None:
        """Take in the lines of a file: answers, and requests that say what other answers are to.

        Raises:
            UsageError: the file cannot be read.
        """
        for number, data in read_lines(path):
            place = f"{path.name}:{number}"
            try:
                if data is None:
                    raise BadLine("unreadable", "too long, or damaged")
                line = read_line(data, form)
                if line.body is None:
                    self._add_request(line)
                else:
                    self._add_answer(line, line.body, path.name, place)
            except BadLine as exc:
                self._bad[exc.reason] += 1
                self._example(exc.reason, place, exc.detail)

    def _add_request(self, line: Line) -> None:
        self.requests += 1
        told = line.asked
        assert told is not None  # a line without a body is a request
        known = self._rows("SELECT question, seed FROM requests WHERE custom_id = ?", line.custom_id)
        if not known:
            values = (line.custom_id, told.question, _text(told.seed), told.max_tokens)
            self._rows("INSERT INTO requests VALUES (?, ?, ?, ?, 0)", *values)
        elif known[0] != (told.question, _text(told.seed)):
            self._rows("UPDATE requests SET ambiguous = 1 WHERE custom_id = ?", line.custom_id)

    def _add_answer(self, line: Line, body: Mapping[str, Any], name: str, place: str) -> None:
        told = line.asked
        if line.custom_id is None and told is None:
            raise BadLine("no_custom_id")
        data = self._mask.body(orjson.dumps(body))
        if not holds_answer(data):
            raise BadLine("malformed", data[:200].decode(errors="replace"))
        body = orjson.loads(data)
        used = usage(body)
        asked = (told.question, _text(told.seed), told.max_tokens) if told else (None, None, None)
        length = used.completion_tokens if used else 0
        values = (_stored(place), _stored(name), line.custom_id, *asked, finish_reason(body) != "length", length)
        self._rows(
            "INSERT INTO answers VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, '')", *values, body_hash(body), data
        )

    def join(self) -> None:
        """Tell each answer what was asked, once all files are in."""
        unknown = "question IS NULL AND custom_id IN (SELECT custom_id FROM requests"
        self._rows(f"UPDATE answers SET fate = 'ambiguous' WHERE {unknown} WHERE ambiguous)")
        found = "SELECT question, seed, max_tokens FROM requests AS r WHERE r.custom_id = answers.custom_id"
        self._rows(f"UPDATE answers SET (question, seed, max_tokens) = ({found}) WHERE {unknown})")

    def expects(self, request: Request) -> bool:
        """Note that the recipe asks this. Whether answers without a seed may be meant for it."""
        question = asked(request.body()).question
        self._rows("INSERT OR IGNORE INTO asked VALUES (?)", question)
        return bool(self._rows(f"SELECT 1 FROM answers WHERE {_POOL} LIMIT 1", question))

    def held(self, request: Request, hashed: bytes) -> None:
        """The journal holds this body for a sample of the question: it is not for another one."""
        self._pool("stored", asked(request.body()).question, hashed)

    def served(self, request: Request) -> None:
        """The journal answers this request: what is here for it and for no other is not needed."""
        for offer in self._of(request):
            self._rows("UPDATE answers SET fate = 'stored' WHERE id = ?", offer.id)

    def give(self, request: Request) -> Offer | None:
        """The answer to a request: by its key, by its body and seed, or the next to its body without a seed.

        Of several that name it, the first that ended by itself serves, else the one with the highest limit.
        """
        own = self._of(request)
        best = max(own, key=lambda offer: (offer.ended, 0 if offer.ended else offer.max_tokens), default=None)
        if best is not None:
            good = best.serves(request)
            for offer in own:
                fate = "imported" if offer is best else "duplicate"
                self._rows("UPDATE answers SET fate = ? WHERE id = ?", fate if good else "cut_short", offer.id)
            if good:
                return best
        question = asked(request.body()).question
        while rows := self._rows(f"SELECT {_OFFER}, hash FROM answers WHERE {_POOL} ORDER BY id LIMIT 1", question):
            *told, hashed = rows[0]
            offer = Offer(*told)
            self._pool("duplicate", question, hashed)
            fate = "imported" if offer.serves(request) else "cut_short"
            self._rows("UPDATE answers SET fate = ? WHERE id = ?", fate, offer.id)
            if offer.serves(request):
                return offer
        return None

    def refuse(self, offer: Offer, reason: str) -> None:
        """An answer that was given out is not taken."""
        self._rows("UPDATE answers SET fate = ? WHERE id = ?", reason, offer.id)

    def _of(self, request: Request) -> list[Offer]:
        """The answers that name this very request, by key or seed."""
        told = asked(request.body())
        mine = [told.question, str(request.seed)]
        other = "question IS NOT NULL AND (question != ? OR (seed IS NOT NULL AND seed != ?))"
        self._rows(
            f"UPDATE answers SET fate = 'other_request' WHERE custom_id = ? AND {_WAITING} AND {other}",
            request.key, *mine,
        )  # fmt: skip
        query = f"SELECT {_OFFER} FROM answers WHERE {_WAITING} AND (custom_id = ? OR (question = ? AND seed = ?)) ORDER BY id"
        return [Offer(*row) for row in self._rows(query, request.key, *mine)]

    def _pool(self, fate: str, question: str, hashed: bytes) -> None:
        """Decide on the answers that say this to a question and name no sample of it."""
        self._rows(f"UPDATE answers SET fate = ? WHERE {_POOL} AND hash = ?", fate, question, hashed)

    def counts(self) -> dict[str, int]:
        """Lines by what became of them, in the order of `REASONS`, once all requests have come."""
        known = "seed IS NULL AND question IN (SELECT question FROM asked)"
        self._rows(f"UPDATE answers SET fate = CASE WHEN {known} THEN 'surplus' ELSE 'no_request' END WHERE {_WAITING}")
        found = Counter(self._bad)
        for fate, count in self._rows("SELECT fate, count(*) FROM answers GROUP BY fate"):
            found[fate] += count
        return {reason: found[reason] for reason in REASONS if found[reason]}

    def examples(self) -> dict[str, list[str]]:
        """Where the first lines of each reason stand that brought nothing."""
        query = "SELECT place FROM answers WHERE fate = ? ORDER BY id LIMIT ?"
        for reason in REASONS:
            if reason not in ("imported", "stored"):
                for (place,) in self._rows(query, reason, EXAMPLES):
                    self._example(reason, place, "")
        return {reason: self._examples[reason] for reason in REASONS if reason in self._examples}

    def _example(self, reason: str, place: str, detail: str) -> None:
        shown = self._examples.setdefault(reason, [])
        if len(shown) < EXAMPLES:
            shown.append(one_line(self._mask.text(f"{place}: {detail}" if detail else place), 160))

    def _rows(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        try:
            return self._db.execute(query, values).fetchall()
        except sqlite3.Error as exc:
            raise disk_error(Path("temporary table"), exc) from exc


def _text(seed: int | None) -> str | None:
    return None if seed is None else str(seed)


def _stored(text: str) -> str:
    """A name as SQLite can hold it, whatever bytes it has."""
    return text.encode(errors="replace").decode()
