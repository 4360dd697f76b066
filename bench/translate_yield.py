"""What a bad translator costs: our ladder, the article's rule and the released script's, on the same replies.

    python -m bench.translate_yield [ROWS] [LANGUAGE...]

The translator fails at known rates (1 % of requests without brackets, 0.5 % each with a lost mark, a changed number, another
language, 0.2 % each answering, copying and obeying). By the article's rule a row with one line without brackets is lost, and
nothing else is looked at; the released script keeps whatever came. A reply that was bad and is in a row is a miss.
"""

from __future__ import annotations

import asyncio
import sys
from collections import Counter
from dataclasses import dataclass, field, replace

from bench.translating import Bad, rows, translator
from tracemill.recipe import Gates
from tracemill.record import Sample
from tracemill.segments.masks import Masked
from tracemill.testing.translator import Faulty, Pretender
from tracemill.translation.gates import Refused, SegmentGates
from tracemill.translation.messages import take_apart
from tracemill.translation.stage import Translator

FAULTS = Faulty(
    no_brackets=0.01, broken_placeholder=0.005, changed_number=0.005, wrong_language=0.005, answered=0.002, copied=0.002,
    obeyed=0.002,
)  # fmt: skip
RULES = ("ours", "article", "script")


@dataclass(frozen=True)
class Watching(SegmentGates):
    """The gates, and what they said of bad replies."""

    kinds: dict[tuple[str, str], str] = field(default_factory=dict)
    """By masked source and reply."""
    caught: Counter[str] = field(default_factory=Counter)
    missed: list[tuple[str, str, str]] = field(default_factory=list)
    wrong: list[tuple[str, str, Refused]] = field(default_factory=list)
    """Good replies that were refused: source, reply, why."""

    def judge(self, masked: Masked, reply: str, *, bracketed: bool = True) -> str | Refused:
        """As ever."""
        said = super().judge(masked, reply, bracketed=bracketed)
        kind = self.kinds.get((masked.text, reply), "")
        if kind and isinstance(said, Refused):
            self.caught[kind] += 1
        elif kind:
            self.missed.append((kind, masked.source, reply))
        elif isinstance(said, Refused):
            self.wrong.append((masked.source, reply, said))
        return said


@dataclass
class Remembering(Bad):
    """A door that tells the gates which reply was bad."""

    kinds_by_text: dict[tuple[str, str], str] = field(default_factory=dict)
    first: dict[str, str] = field(default_factory=dict)
    """The kind of the first reply to each text."""

    async def __call__(self, request):  # type: ignore[no-untyped-def]
        """As ever."""
        got = await super().__call__(request)
        text = request.messages[-1]["content"].partition("\nText:\n")[2]
        self.kinds_by_text[text, got.content] = self.kinds[request.key]
        if request.retry == 0 and request.teacher == "small":
            self.first.setdefault(text, self.kinds[request.key])
        return got


@dataclass
class Cell:
    """One rule, one category."""

    rows: int = 0
    lost: int = 0
    bytes: int = 0
    bytes_lost: int = 0
    bad_rows: int = 0
    """Rows that were kept with a bad line in them."""


def _watched(stage: Translator, code: str, door: Remembering) -> Watching:
    climb = stage._climbs[code]
    gates = climb.gates
    watching = Watching(
        gates.settings, gates.source, gates.target, gates.among, gates.glossary, gates.rules, door.kinds_by_text
    )
    stage._climbs[code] = replace(climb, gates=watching)
    return watching


async def _measure(samples: list[Sample], code: str) -> tuple[dict[tuple[str, str], Cell], Watching, Remembering]:
    door = Remembering(Pretender(FAULTS))
    stage = translator(door, (code,))
    gates = _watched(stage, code, door)
    cells: dict[tuple[str, str], Cell] = {}
    for sample in samples:
        got = await stage(sample, code)
        size = got.measured["bytes"]
        texts = [piece.masked.text for piece in take_apart(sample, 0).pieces]
        first = [door.first.get(text, "") for text in texts]
        missed = {(source, reply) for _, source, reply in gates.missed}
        bad = any(source in {p.masked.source for p in take_apart(sample, 0).pieces} for source, _ in missed)
        told = {
            "ours": (got.drop is not None or got.failure is not None, bad),
            "article": ("no_brackets" in first, any(kind and kind != "no_brackets" for kind in first)),
            "script": (False, any(first)),
        }
        for rule, (lost, spoiled) in told.items():
            cell = cells.setdefault((rule, sample.category), Cell())
            cell.rows += 1
            cell.bytes += size
            cell.lost += lost
            cell.bytes_lost += size if lost else 0
            cell.bad_rows += spoiled and not lost
    return cells, gates, door


def main() -> int:
    """Measure and print."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
    say = sys.stdout.write
    samples = rows(count)
    sizes = sorted(len(take_apart(sample, 0).pieces) for sample in samples)
    say(
        f"{count:,} rows of {sizes[0]} to {sizes[-1]} segments, half of them {sizes[len(sizes) // 2]} or fewer; {Gates()!r}\n"
    )
    for code in sys.argv[2:] or ["fr"]:
        cells, gates, door = asyncio.run(_measure(samples, code))
        say(f"\n{code:<10}{'category':<10}{'rows':>7}{'lost':>8}{'of bytes':>10}{'kept with a bad line':>22}\n")
        for rule in RULES:
            for (named, category), cell in cells.items():
                if named == rule:
                    say(
                        f"{rule:<10}{category:<10}{cell.rows:>7,}{cell.lost / cell.rows:>8.2%}"
                        f"{cell.bytes_lost / cell.bytes:>10.2%}{cell.bad_rows:>22,}\n"
                    )
        missed = Counter(kind for kind, _, _ in gates.missed)
        for kind in door.pretender.planned:
            seen = gates.caught[kind] + missed[kind]
            say(f"  {kind:<20} {gates.caught[kind]:>5} of {seen:>5} caught\n")
        segments = sum(sizes)
        say(
            f"  {sum(door.asked.values()):,} requests for {segments:,} segments; good replies refused: {len(gates.wrong)}\n"
        )
        for kind, source, reply in gates.missed[:12]:
            say(f"  missed {kind}: {source[:70]!r} -> {reply[:70]!r}\n")
        for source, reply, why in gates.wrong[:6]:
            say(f"  refused for {why.reason} ({why.detail[:60]}): {source[:60]!r} -> {reply[:60]!r}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
