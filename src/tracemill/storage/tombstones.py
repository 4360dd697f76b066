"""Tombstones: which rows were taken down, so that no later publication of the run brings one back.

`.tracemill/tombstones.json` lies in the run and is never published, so it may say when. What of it changes published
bytes is only which rows and prompts are meant.

    {"format": 1, "stones": [{"kind": "uuid", "value": "6f1f...", "manifest": 2, "at": "2026-11-22T10:00:00+00:00"}]}
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Collection, Iterable
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, Literal

import pyarrow as pa
import pyarrow.compute as pc

from tracemill import identity
from tracemill.errors import CorruptRun
from tracemill.storage.fs import REAL, Fs
from tracemill.storage.layout import RunPaths

FORMAT = 1
Kind = Literal["uuid", "prompt_hash"]
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
PROMPT_HASH = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Stone:
    """One row, or all rows of one prompt, that must not be published."""

    kind: Kind
    value: str
    manifest: int
    """Number of the first manifest without it."""
    at: str
    """When it was asked for, ISO 8601."""


@dataclass(frozen=True)
class Gone:
    """Tombstones as a publication reads them: rows by their uuid, and by the key of their prompt. A row that was
    translated takes its translations along.
    """

    uuids: frozenset[str] = frozenset()
    keys: frozenset[str] = frozenset()

    def mask(self, table: pa.Table | pa.RecordBatch) -> pa.ChunkedArray | pa.Array | None:
        """Which rows stay; None where all do."""
        if not (self.uuids or self.keys) or not table.num_rows:
            return None
        lost = pc.is_in(table.column("uuid"), value_set=self._of(self.uuids))
        if "parent_uuid" in table.schema.names:
            lost = pc.or_(lost, pc.is_in(table.column("parent_uuid"), value_set=self._of(self.uuids)))
        if self.keys:
            lost = pc.or_(lost, pc.is_in(table.column("prompt_key"), value_set=self._of(self.keys)))
        return pc.invert(lost) if pc.any(lost).as_py() else None

    def _of(self, values: frozenset[str]) -> pa.Array:
        return pa.array(sorted(values), pa.string())


@dataclass(frozen=True)
class Tombstones:
    """All tombstones of a run, by (kind, value)."""

    stones: dict[tuple[str, str], Stone]

    @classmethod
    def load(cls, paths: RunPaths, fs: Fs = REAL) -> Tombstones:
        """Those of a run; none where nothing was ever taken down. Raises CorruptRun if they cannot be read."""
        try:
            told = json.loads(fs.read(paths.tombstones))
            if told["format"] > FORMAT:
                raise CorruptRun(f"{paths.tombstones}: written by a newer Tracemill (format {told['format']}); upgrade")
            return cls({(s["kind"], s["value"]): Stone(**s) for s in told["stones"]})
        except FileNotFoundError:
            return cls({})
        except (ValueError, KeyError, TypeError) as exc:
            if isinstance(exc, CorruptRun):
                raise
            raise CorruptRun(f"{paths.tombstones}: cannot be read ({exc}); bring it back from a copy: without it, what"
                             " was taken down would be published again") from exc  # fmt: skip

    def plus(self, asked: Iterable[tuple[Kind, str]], manifest: int) -> Tombstones:
        """With more of them; those that are there stay as they are."""
        now = time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime())
        more = {(kind, value): Stone(kind, value, manifest, now) for kind, value in asked}
        return Tombstones(more | self.stones)

    def save(self, paths: RunPaths, fs: Fs = REAL) -> None:
        """Put them in place at once."""
        ordered = sorted(self.stones.values(), key=lambda s: (s.manifest, s.kind, s.value))
        told = {"format": FORMAT, "stones": [asdict(stone) for stone in ordered]}
        fs.replace(paths.tombstones, json.dumps(told, indent=1).encode())

    def until(self, manifest: int) -> Tombstones:
        """Those that a manifest of this number knew."""
        return Tombstones({place: stone for place, stone in self.stones.items() if stone.manifest <= manifest})

    @cached_property
    def identity(self) -> str | None:
        """Hex; equal for equal rows and prompts, whenever they were taken down. None where there are none."""
        return identity.digest(sorted(self.stones)) if self.stones else None

    def gone(self, keys_of: Callable[[str], Iterable[str]]) -> Gone:
        """The rows that are meant.

        Args:
            keys_of: The keys of all prompts with a hash.
        """
        uuids = frozenset(value for kind, value in self.stones if kind == "uuid")
        hashes = (value for kind, value in self.stones if kind == "prompt_hash")
        return Gone(uuids, frozenset(key for value in hashes for key in keys_of(value)))

    def stone_of(self, uuid: str, prompt_hash: str | None, parent: str | None = None) -> Stone | None:
        """The tombstone of a row, or of the one that it translates, the oldest where several mean it; None where it was never
        taken down.
        """
        places: Collection[Any] = (("uuid", uuid), ("prompt_hash", prompt_hash), ("uuid", parent))
        found = [self.stones[place] for place in places if place in self.stones]
        return min(found, key=lambda stone: stone.manifest, default=None)
