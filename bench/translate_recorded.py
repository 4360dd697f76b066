"""What real engines said, through the gates: recorded German and Japanese, and Apertium's way back from human translations.

FLORES-200 with what Bergamot and Argos made of each line; NTREX and MGSM as people translated them. The bounds of length
were read from these sets' human translations, and the threshold for translating back from FLORES in Spanish; no others.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import mean, quantiles

from bench.translating import DATA, lines_of, translator
from tracemill.legible import one_line
from tracemill.models.wire import Failure, Reply, Request
from tracemill.recipe import Back
from tracemill.record import Message, Sample
from tracemill.segments.masks import bare, mask
from tracemill.translation.back import closeness, words
from tracemill.translation.gates import Refused
from tracemill.translation.stage import Translator
from tracemill.translators import Failure as NoTranslation
from tracemill.translators import TranslatorError
from tracemill.translators.apertium import apertium
from tracemill.translators.command import CommandTranslator

Pairs = Sequence[tuple[str, str]]
"""Sources and translations."""
ENGINES = {
    "de": ("mt_bergamot_tiny_de", "mt_bergamot_base_memory_de"),
    "ja": ("mt_argos_ja", "mt_bergamot_base_ja", "mt_bergamot_base_memory_ja"),
}
"""The columns of FLORES by language, in the order of the route."""
FAIR = ("fr", "es", "de", "it", "ja")
LINES = 5
"""Lines of FLORES that make a row: a prompt of one, an answer of four."""


@dataclass
class Recorded:
    """A door to what was recorded; what was not has no brackets."""

    said: Mapping[tuple[str, str], str]
    """By teacher and masked text."""

    async def __call__(self, request: Request) -> Reply | Failure:
        """The reply."""
        text = request.messages[-1]["content"].partition("\nText:\n")[2]
        found = self.said.get((request.teacher, text))
        content = "I do not know this line." if found is None else f"〘{found}〙"
        return Reply(request.key, content, None, "stop", request.model)


@dataclass
class Replayed:
    """One language of FLORES."""

    rows: int = 0
    bytes: int = 0
    lost: Counter[str] = field(default_factory=Counter)
    """Rows and bytes that were lost, by rule."""
    bad: Counter[str] = field(default_factory=Counter)
    """Rows that were kept with a line that is nothing like the human one, by rule."""
    remarks: list[str] = field(default_factory=list)

    def figures(self, rule: str) -> dict[str, float]:
        """In percent."""
        lost, bad = self.lost[rule], self.bad[rule]
        return {
            "lost": 100 * lost / self.rows,
            "bytes": 100 * self.lost[f"{rule} bytes"] / self.bytes,
            "bad": 100 * bad / self.rows,
            "good": 100 * (self.rows - lost - bad) / self.rows,
        }


def there() -> bool:
    """Whether the recorded lines are beside the project."""
    return (DATA / "flores" / "flores_dev.jsonl.gz").exists()


def replay(code: str, ladder: str, first_engine: Sequence[str], most: int | None = None) -> Replayed:
    """Rows of FLORES through the stage, with a route of recorded engines.

    Args:
        ladder: The name of our rule.
        first_engine: The names of the rules that keep whatever the first engine said: every line has its brackets.
        most: So many lines.
    """
    held = [row for name in ("dev", "test") for row in lines_of(DATA / "flores" / f"flores_{name}.jsonl.gz")][:most]
    route = ENGINES[code]
    stage = translator(Recorded(_said(held, route)), (code,), route=route)
    unlike = _unlike([row[code] for row in held])
    out = Replayed()
    lost: list[str] = []
    for at in range(0, len(held) - LINES + 1, LINES):
        part = held[at : at + LINES]
        turns = (
            Message("user", part[0]["en"]),
            Message("assistant", "\n".join(row["en"] for row in part[1:]), reasoning="So it is."),
        )
        sample = Sample(f"{at:08d}-0000-4000-8000-000000000000", "chat", "on", turns, domain="chat")
        got = asyncio.run(stage(sample, code))
        size = got.measured["bytes"]
        out.rows, out.bytes = out.rows + 1, out.bytes + size
        right = {row["en"]: row[code] for row in part}
        if got.drop is not None:
            out.lost[ladder] += 1
            out.lost[f"{ladder} bytes"] += size
            lost.append(f"{got.drop.reason}, {one_line(got.drop.evidence, 160)}")
        elif any(closeness(right[source], text) <= unlike for source, text in got.pairs):
            out.bad[ladder] += 1
        for rule in first_engine:
            out.bad[rule] += any(closeness(row[code], row[route[0]]) <= unlike for row in part)
    if lost:
        out.remarks.append(
            f"FLORES, {code}, lost after all engines of the route: `{'; '.join(lost).replace('`', chr(39))}`."
        )
    out.remarks += _by_engine(stage, code, held)
    return out


def _said(held: Iterable[Mapping[str, str]], route: Sequence[str]) -> dict[tuple[str, str], str]:
    said = {}
    for row in held:
        masked = mask(row["en"])
        for engine in route:
            said[engine, masked.text] = masked.hide(row[engine])
    return said


def _unlike(references: Sequence[str]) -> float:
    """How near two different lines of a language are: the chrF that 95 % of such pairs do not reach."""
    step = len(references) // 2
    return quantiles([closeness(a, b) for a, b in zip(references, references[step:], strict=False)], n=20)[-1]


def _by_engine(stage: Translator, code: str, held: Sequence[Mapping[str, str]]) -> list[str]:
    """What each engine alone would lose, and how near its refused and its other lines are to the human ones."""
    gates = stage.climb(code).gates
    told = []
    for engine in ENGINES[code]:
        near: dict[bool, list[float]] = {True: [], False: []}
        reasons: Counter[str] = Counter()
        for row in held:
            got = gates.judge_own(mask(row["en"]), row[engine])
            refused = isinstance(got, Refused)
            near[refused].append(100 * closeness(row[code], row[engine]))
            reasons.update([got.reason] if isinstance(got, Refused) else [])
        by = ", ".join(f"{reason} {number}" for reason, number in reasons.most_common())
        told.append(
            f"FLORES, {code}, {engine.removeprefix('mt_')} alone: {len(near[True])} of {len(held):,} lines refused ({by}); "
            f"mean chrF to the human translation {mean(near[True] or [0]):.0f} for those, {mean(near[False] or [0]):.0f} for "
            "the others."
        )
    return told


def fair(most: int | None = None) -> list[str]:
    """How many lines of fair translations the gates refuse, by set and language.

    Args:
        most: So many lines of each set.
    """
    flores = [row for name in ("dev", "test") for row in lines_of(DATA / "flores" / f"flores_{name}.jsonl.gz")]
    sets = {
        "FLORES by people": (flores, "{}"),
        "FLORES by Bergamot tiny": (flores, "mt_bergamot_tiny_{}"),
        "NTREX by people": (lines_of(DATA / "ntrex" / "ntrex.jsonl.gz"), "{}"),
        "MGSM by people": (lines_of(DATA / "mgsm" / "mgsm_parallel.jsonl.gz"), "{}"),
    }
    stages = translator(Recorded({}), FAIR)
    told = []
    for name, (rows, column) in sets.items():
        parts = []
        for code in FAIR:
            both = [(row["en"], row[column.format(code)]) for row in rows if row.get(column.format(code))][:most]
            gates = stages.climb(code).gates
            refused = Counter(
                got.reason for source, text in both if isinstance(got := gates.judge_own(mask(source), text), Refused)
            )
            if both:
                numbers = f", {refused['numbers']} by numbers" if refused else ""
                parts.append(
                    f"{code} {100 * refused.total() / len(both):.1f} % ({refused.total()} of {len(both):,}{numbers})"
                )
        told.append(f"Fair lines refused, {name}: {'; '.join(parts)}.")
    return told


def ways_back(most: int | None = None) -> list[str]:
    """How well translating back by a real engine parts translations from those of another line, by language and set.

    Args:
        most: So many lines of each set.
    """
    flores = lines_of(DATA / "flores" / "flores_test.jsonl.gz")
    sets = {
        "NTREX by people": (lines_of(DATA / "ntrex" / "ntrex.jsonl.gz"), "{}"),
        "MGSM by people": (lines_of(DATA / "mgsm" / "mgsm_parallel.jsonl.gz"), "{}"),
        "FLORES test by Bergamot": (flores, "mt_bergamot_tiny_{}"),
    }
    told = []
    for code in ("es", "fr", "it"):
        try:
            engine = apertium([(code, "en")])
        except TranslatorError:
            continue
        for name, (rows, column) in sets.items():
            both = [(row["en"], row[column.format(code)]) for row in rows if row.get(column.format(code))][:most]
            if both:
                told.append(_way_back(f"{code}, {name}", both, asyncio.run(_back(engine, both, code))))
    return told or ["Apertium is not installed, so no real way back was measured."]


async def _back(engine: CommandTranslator, both: Pairs, code: str) -> list[str | NoTranslation]:
    try:
        return await engine.translate([text.replace("\n", " ") for _, text in both], code, "en")
    finally:
        await engine.close()


def _way_back(name: str, both: Pairs, came: Sequence[str | NoTranslation]) -> str:
    """Each line's own translation must pass; that of another line, the next in length, must not."""
    settings = Back(teacher="x")
    whole = [(words(bare(mask(source).text)), words(bare(mask(back).text)), len(text))
             for (source, text), back in zip(both, came, strict=True) if isinstance(back, str)]  # fmt: skip
    long = sorted((one for one in whole if sum(map(str.isalpha, one[0])) >= settings.letters), key=lambda one: one[2])
    lost = sum(closeness(source, back) < settings.least for source, back, _ in long)
    shifted = [*long[1:], *long[:1]]
    caught = sum(closeness(one[0], other[1]) < settings.least for one, other in zip(long, shifted, strict=True))
    return (
        f"Back by Apertium, {name}, {len(long):,} lines: the translation of another line, next in length, is caught in "
        f"{100 * caught / len(long):.1f} %; the right one is refused in {100 * lost / len(long):.1f} %."
    )
