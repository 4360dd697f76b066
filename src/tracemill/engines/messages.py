"""What the local engine and its workers say to each other."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from tracemill.models.budget import money


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


NO_SUMS = frozenset({"in_flight", "limit", "open", "waiting", "p50", "p95", "down", "down_for"})
"""Numbers of a worker that end with it; the others go on counting for the run."""
LARGEST = frozenset({"p50", "p95", "down", "down_for"})
"""Numbers of which the largest of any worker tells, not the sum."""


@dataclass(frozen=True)
class Progress:
    """What a run has done so far; a fresh value each tick."""

    units: int = 0
    units_done: int = 0
    stats: dict[str, float] = field(default_factory=dict)
    """Sums over the workers: sent, replies, served, failed, throttled, retried, in_flight, limit, waiting,
    prompt_tokens, completion_tokens, cost. The largest of any worker: p50 and p95 in seconds; down, endpoints that do
    not answer, and down_for, seconds since when."""
    fates: dict[str, int] = field(default_factory=dict)
    """Samples by what became of them in this call: "kept", or the reason."""
    draining: bool = False
    samples: int = 0
    """Samples that this call has to work; 0 if nobody has said."""
    rows_per_second: float = 0.0
    """Of late, as are the tokens; see `engines.meter`."""
    tokens_per_second: float = 0.0
    eta: float | None = None
    """Seconds until the units are done, as far as one can tell."""
    cost_before: float = 0.0
    """What earlier calls have cost."""
    cost_projected: float | None = None
    """What the run will have cost in all, if all that is left has to be asked. None: not known."""

    @property
    def rows(self) -> int:
        """Samples whose fate is known."""
        return sum(self.fates.values())

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {**asdict(self), "rows": self.rows}

    @classmethod
    def from_json(cls, told: Mapping[str, Any]) -> Progress:
        """From what `to_json` gave, whatever else stands beside it."""
        return cls(**{f.name: told[f.name] for f in fields(cls) if f.name in told})

    def lines(self) -> list[str]:
        """For a person: how far, what became of the rows, how it is asked, what it costs."""
        return [line for line in (self._far(), self._fates(), self._asking(), self._trouble(), self._cost()) if line]

    def _far(self) -> str:
        done = f"{self.rows:,}/{self.samples:,} rows" if self.samples else f"{self.rows:,} rows"
        share = f" ({min(1.0, self.rows / self.samples):.0%})" if self.samples else ""
        left = f"  {span(self.eta)} left" if self.eta is not None and not self.draining else ""
        return (
            f"{'stopping' if self.draining else 'working'}  {done}{share}  units {self.units_done}/{self.units}{left}"
        )

    def _fates(self) -> str:
        kept = self.fates.get("kept", 0)
        lost = sorted(((n, reason) for reason, n in self.fates.items() if reason != "kept" and n), reverse=True)
        share = f" ({kept / self.rows:.0%})" if self.rows else ""
        reasons = ", ".join(f"{reason} {count:,}" for count, reason in lost[:4]) + (", ..." if len(lost) > 4 else "")
        return f"kept {kept:,}{share}  dropped {sum(n for n, _ in lost):,}" + (f": {reasons}" if reasons else "")

    def _asking(self) -> str:
        stats = self.stats
        parts = [
            f"in flight {int(stats.get('in_flight', 0)):,}/{int(stats.get('limit', 0)):,}",
            f"{self.tokens_per_second:,.0f} tokens/s",
            f"{self.rows_per_second:,.1f} rows/s",
        ]
        if "p95" in stats:
            parts.append(f"latency {span(stats['p50'])}, 95 % below {span(stats['p95'])}")
        if stats.get("served"):
            parts.append(f"{int(stats['served']):,} from the journal")
        return "  ".join(parts)

    def _trouble(self) -> str:
        stats = self.stats
        parts = [f"{name} {int(stats[name]):,}" for name in ("throttled", "retried", "failed") if stats.get(name)]
        if stats.get("down"):
            who = "1 endpoint has" if stats["down"] == 1 else f"{int(stats['down'])} endpoints have"
            parts.append(f"{who} not answered for {span(stats.get('down_for', 0))}")
            if stats.get("waiting"):
                parts.append(f"{int(stats['waiting']):,} requests wait")
        return "  ".join(parts)

    def _cost(self) -> str:
        spent = self.cost_before + self.stats.get("cost", 0.0)
        if not spent:
            return ""
        whole = f", about {money(self.cost_projected)} when done" if self.cost_projected is not None else ""
        return f"spent {money(spent)}{whole}"


def span(seconds: float) -> str:
    """A length of time, short: 0.35 s, 12 s, 3 min 20 s, 2 h 5 min, 3 d 4 h."""
    if seconds < 10:
        return f"{seconds:.2g} s" if seconds else "0 s"
    whole = round(seconds)
    for size, name, smaller, below in ((86_400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s")):
        if whole >= size:
            return f"{whole // size} {name} {whole % size // smaller} {below}"
    return f"{whole} s"
