"""Equal uuids and equal prompts across any number of rows, in bounded memory.

Each row leaves 16 bytes on the disk: a 64-bit hash, and its number. Hashes are sorted a part at a time. That two
different texts share a hash has a chance of 2e-5 in all of v1's 25.7 million rows.
"""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import blake2b
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tracemill.inspect.block import Ints, Texts
from tracemill.storage.fs import REAL, Fs

PART = 2_000_000
"""About how many hashes are sorted at once."""
FLUSH = 1 << 16
ROW_BITS = 32
"""A row's number is its piece's number, then 32 bits for its place in it."""

UUID_BYTES = 36
_ODD = np.array(
    [0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB, 0xD6E8FEB86659FD93, 0xA0761D6478BD642F], np.uint64
)

Hashes = npt.NDArray[np.uint64]


def hashes(texts: Texts, rows: Ints) -> Hashes:
    """A 64-bit hash of each of the texts in `rows`. Texts as long as a uuid are hashed all at once, with other sums."""
    as_uuid = texts.sizes[rows] == UUID_BYTES
    if as_uuid.all() and len(rows):
        return _of_uuids(texts, rows)
    found = _one_by_one(texts, rows)
    found[as_uuid] = _of_uuids(texts, rows[as_uuid])
    return found


def _of_uuids(texts: Texts, rows: Ints) -> Hashes:
    """Multiplied word by word, then mixed as MurmurHash3 ends."""
    places = texts.ends[rows][:, None] + np.arange(UUID_BYTES)
    padded = np.zeros((len(rows), 40), np.uint8)
    padded[:, :UUID_BYTES] = texts.data[places]
    mixed: Hashes = (padded.view("<u8") * _ODD).sum(axis=1, dtype=np.uint64)
    for factor in (np.uint64(0xFF51AFD7ED558CCD), np.uint64(0xC4CEB9FE1A85EC53)):
        mixed = (mixed ^ (mixed >> np.uint64(33))) * factor
    return mixed ^ (mixed >> np.uint64(33))


def _one_by_one(texts: Texts, rows: Ints) -> Hashes:
    raw, ends = texts.raw, texts.ends.tolist()
    whole = b"".join(blake2b(raw[ends[row] : ends[row + 1]], digest_size=8).digest() for row in rows.tolist())
    return np.frombuffer(whole, "<u8").copy()


class Spill:
    """Where one process leaves hashes of one kind."""

    def __init__(self, path: Path, fs: Fs = REAL) -> None:
        self.path, self.fs = path, fs
        self._held: list[npt.NDArray[np.uint64]] = []
        self._count = 0

    def add(self, found: Hashes, piece: int, rows: Ints) -> None:
        """The hashes of some rows of a piece."""
        pairs = np.empty((len(found), 2), "<u8")
        pairs[:, 0] = found
        pairs[:, 1] = (np.uint64(piece) << np.uint64(ROW_BITS)) | rows.astype(np.uint64)
        self._held.append(pairs)
        self._count += len(pairs)
        if self._count >= FLUSH:
            self.flush()

    def flush(self) -> None:
        """Put what is held on the disk."""
        if self._count:
            self.fs.append(self.path, np.concatenate(self._held).tobytes())
        self._held, self._count = [], 0


def later_ones(files: list[Path]) -> Iterator[npt.NDArray[np.uint64]]:
    """The numbers of all rows whose hash an earlier row has, in parts; within a part in no order."""
    held = [np.memmap(file, "<u8", "r").reshape(-1, 2) for file in files if file.exists() and file.stat().st_size]
    total = sum(map(len, held))
    parts = max(1, -(-total // PART))
    for part in range(parts):
        low, high = (np.uint64(((1 << 64) - 1) * k // parts) for k in (part, part + 1))
        chosen = []
        for pairs in held:
            for start in range(0, len(pairs), PART):
                some = pairs[start : start + PART]
                kept = (some[:, 0] >= low) & ((some[:, 0] < high) | (part == parts - 1))
                chosen.append(some[kept] if not kept.all() else np.asarray(some))
        if not chosen:
            return
        pairs = np.concatenate(chosen)
        order = np.lexsort((pairs[:, 1], pairs[:, 0]))
        ranked = pairs[order]
        again = np.flatnonzero(ranked[1:, 0] == ranked[:-1, 0]) + 1
        yield ranked[again, 1]
