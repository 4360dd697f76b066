"""A few prompts of a spool, drawn by hash, as a spool of their own: any engine can work them like a whole run."""

from __future__ import annotations

import heapq
import json
from collections.abc import Iterator
from pathlib import Path

from tracemill import identity
from tracemill.gather.spool import DIGITS, Spool, _Partitions, load_spool
from tracemill.gather.spooled import spooled
from tracemill.ledger import Ledger
from tracemill.record import Prompt
from tracemill.storage.fs import REAL, Fs


def draw(spool: Spool, count: int, seed: int, fs: Fs = REAL) -> list[Prompt]:
    """So many different prompts, in key order: those whose hashes, hashed again with the seed, come first.

    Each prompt is as likely as any other, wherever it stands in the input, and a greater `count` draws the same and more.
    Of equal prompts the first is drawn.
    """
    chosen = heapq.nsmallest(
        count, ((identity.digest(["pilot", seed, p.hash]), p) for p in _different(spool, fs)), _rank
    )
    return sorted((prompt for _, prompt in chosen), key=lambda prompt: prompt.hash)


def _rank(drawn: tuple[str, Prompt]) -> str:
    return drawn[0]


def _different(spool: Spool, fs: Fs) -> Iterator[Prompt]:
    for unit in spool.units(1):
        for prompt in spool.read(unit, fs):
            if not prompt.occurrence:
                yield prompt


def lay_out(prompts: list[Prompt], directory: Path, fs: Fs = REAL) -> Spool:
    """Write prompts as a spool into a new directory below `directory`, named for what is in it."""
    about = identity.digest([prompt.hash for prompt in prompts])
    place = directory / f"pilot-{about[:16]}"
    if place.exists():
        fs.remove_tree(place)
    fs.mkdir(place)
    partitions = _Partitions(place, fs)
    for order, prompt in enumerate(prompts, 1):
        partitions.add(prompt.hash[:DIGITS], spooled(prompt, order))
    partitions.flush()
    told = {
        "inputs": [{"name": "pilot", "generated": about}],
        "partitions": partitions.counts,
        "ledger": list(Ledger().lines()),
    }
    fs.replace(place / "spool.json", json.dumps(told, sort_keys=True).encode())
    return load_spool(place, fs)
