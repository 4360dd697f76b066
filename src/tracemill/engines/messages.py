"""What the local engine and its workers say to each other."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Order:
    """The first line that a worker reads. Secrets are not in it: the worker reads its own environment."""

    root: str
    spool: str
    """Name of the spool's directory."""
    recipe: dict[str, Any]
    limit: int | None
    worker: int
    workers: int
    wait: float | None = None
    """Seconds to wait for a teacher that does not answer."""
    spent: dict[str, Any] = field(default_factory=dict)
    """What earlier calls have spent: the fields of `Spent`."""
    began: float | None = None
    """When this call began, Unix time."""

    def line(self) -> bytes:
        return json.dumps(asdict(self)).encode() + b"\n"

    @classmethod
    def parse(cls, line: bytes) -> Order:
        return cls(**json.loads(line))


def percentiles(latencies: Sequence[float]) -> dict[str, float]:
    """Median and 95th percentile in seconds; nothing if there are no latencies."""
    if not latencies:
        return {}
    ordered = sorted(latencies)
    return {"p50": round(ordered[len(ordered) // 2], 3), "p95": round(ordered[int(len(ordered) * 0.95)], 3)}


@dataclass
class Progress:
    """What a run has done so far; a fresh value each tick."""

    units: int = 0
    units_done: int = 0
    stats: dict[str, float] = field(default_factory=dict)
    """Sums over the workers: sent, replies, served, failed, throttled, in_flight, limit, tokens; p50 and p95 are the
    largest of any worker."""
    fates: dict[str, int] = field(default_factory=dict)
    """Samples by what became of them in this process: "kept", or the reason."""
    draining: bool = False

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)
