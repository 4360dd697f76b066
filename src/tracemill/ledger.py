"""The ledger: what each stage took, made, kept and dropped.

    taken + spawned = kept + dropped + failed        for each stage, category and language

"Spawned" are children: a prompt goes on as its first sample, and each further sample is spawned. A ledger that does not
add up is our own broken promise and stops the run.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from tracemill.errors import TracemillError

Place = tuple[str, str, str]
"""(stage, category, language)."""


@dataclass
class Ledger:
    """Counts by place; `dropped` and `failed` also by reason or class."""

    taken: Counter[Place] = field(default_factory=Counter)
    spawned: Counter[Place] = field(default_factory=Counter)
    kept: Counter[Place] = field(default_factory=Counter)
    dropped: Counter[tuple[str, str, str, str]] = field(default_factory=Counter)
    failed: Counter[tuple[str, str, str, str]] = field(default_factory=Counter)
    measured: Counter[tuple[str, str, str, str]] = field(default_factory=Counter)
    """What a stage measured of its rows beside counting them, such as bytes; it need not add up."""

    def add(self, other: Ledger) -> None:
        """Count all that another ledger counted."""
        self.taken += other.taken
        self.spawned += other.spawned
        self.kept += other.kept
        self.dropped += other.dropped
        self.failed += other.failed
        self.measured += other.measured

    def places(self) -> list[Place]:
        """Every place that counted something, stages in the order in which they were first met."""
        lost = [key[:3] for key in (*self.dropped, *self.failed, *self.measured)]
        return list(dict.fromkeys([*self.taken, *self.spawned, *self.kept, *lost]))

    def lines(self) -> Iterator[dict[str, Any]]:
        """One plain dictionary per place."""
        for place in sorted(self.places()):
            stage, category, language = place
            measured = {k[3]: n for k, n in sorted(self.measured.items()) if k[:3] == place}
            yield {
                "stage": stage,
                "category": category,
                "language": language,
                "taken": self.taken[place],
                "spawned": self.spawned[place],
                "kept": self.kept[place],
                "dropped": {k[3]: n for k, n in sorted(self.dropped.items()) if k[:3] == place},
                "failed": {k[3]: n for k, n in sorted(self.failed.items()) if k[:3] == place},
                **({"measured": measured} if measured else {}),
            }

    @classmethod
    def from_lines(cls, lines: Iterable[dict[str, Any]]) -> Ledger:
        """The ledger that `lines` came from."""
        ledger = cls()
        for line in lines:
            place = (line["stage"], line["category"], line["language"])
            ledger.taken[place] += line["taken"]
            ledger.spawned[place] += line["spawned"]
            ledger.kept[place] += line["kept"]
            for reason, count in line["dropped"].items():
                ledger.dropped[(*place, reason)] += count
            for kind, count in line["failed"].items():
                ledger.failed[(*place, kind)] += count
            for what, amount in line.get("measured", {}).items():
                ledger.measured[(*place, what)] += amount
        return ledger

    def imbalance(self) -> list[str]:
        """One sentence for each place that does not add up."""
        wrong = []
        for line in self.lines():
            came = line["taken"] + line["spawned"]
            lost = sum(line["dropped"].values()) + sum(line["failed"].values())
            if came != line["kept"] + lost:
                wrong.append(
                    f"stage {line['stage']} ({line['category']}, {line['language']}): {line['taken']} taken and "
                    f"{line['spawned']} spawned, but {line['kept']} kept and {lost} dropped or failed"
                )
        return wrong

    def close(self) -> None:
        """Raises TracemillError if the counts do not add up."""
        wrong = self.imbalance()
        if wrong:
            raise TracemillError("the ledger does not add up: " + "; ".join(wrong))

    def by_reason(self) -> dict[tuple[str, str], int]:
        """Rows lost by (stage, reason or class)."""
        out: Counter[tuple[str, str]] = Counter()
        for (stage, _, _, reason), count in (*self.dropped.items(), *self.failed.items()):
            out[stage, reason] += count
        return dict(sorted(out.items()))
