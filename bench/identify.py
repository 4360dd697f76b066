"""How often the language of a text is told right: ours, against the bare engines on the text as it stands."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Sequence

from bench.identify_texts import MINE, SETS, Text, texts, there
from bench.result import Figures, Line, Measure, Result, compared, load
from tracemill.identify import Identifier, fasttext, identifier, identify, lingua

COLUMNS = ("identify", "lid.176, p >= 0.5, text as it stands", "lingua of the run's six, text as it stands")
RATE = Measure("rate", "texts/s of one processor", headline=True)
Told = str | None


def measure(quick: bool, pairs: int, most: int | None = None) -> Result:
    """Every set, the half that set no threshold.

    Args:
        pairs: How often the speed is measured; everything else comes out the same each time.
        most: Texts of each set and language; by default all, or 40 if it is to be quick.
    """
    before = load()
    limit = most or (40 if quick else None)
    taken: dict[str, list[Text]] = defaultdict(list)
    seen: Counter[tuple[str, str]] = Counter()
    for text in texts() if there() else ():
        if text.half == 1 and (limit is None or seen[text.kind, text.language] < limit):
            seen[text.kind, text.language] += 1
            taken[text.kind].append(text)
    lines = _speed([text for kind in SETS for text in taken[kind]][:: 1 if quick else 10], pairs)
    remarks: list[str] = [] if taken else ["The texts are not beside the project, so nothing was measured."]
    for kind in SETS:
        own = [text for text in taken[kind] if text.language in MINE]
        if not own:
            continue
        columns = [[tell(text.text) for text in own] for tell in (_ours, _bare, _lingua)]
        shares = [_shares(own, told) for told in columns]
        for name, which in (("right, %", 0), ("wrong, %", 1), ("no opinion, %", 2)):
            lines.append(Line(f"{kind}: {name}", 2, [share[which] for share in shares], [None] * len(shares)))
        remarks.append(_by_language(kind, own, columns[0]))
    others = [text for kind in SETS for text in taken[kind] if text.language not in MINE and "lingua" not in kind]
    if others:
        remarks.append(_off_target(others))
    if taken:
        remarks.append(_without_masks(taken))
    return Result(
        name="identify",
        about=(
            "Texts in English, French, Spanish, German, Italian and Japanese. Thresholds were chosen on one half of the "
            "texts; these figures are from the other. Wrong: a language is named, and it is not the text's; such a text "
            "would be dropped. No opinion: nothing is said, and nothing dropped. MT-Bench: answers of two models as they "
            "came, many of them bare code or JSON, of which nothing should be said. LaTeX-heavy, code-heavy: three to six "
            "human sentences among real formulas or programs."
        ),
        columns=list(COLUMNS),
        lines=lines,
        settings={"engines": identifier().name, "languages": list(MINE)},
        pairs=pairs,
        quick=quick,
        noise={"load_before": before, "load_after": load()},
        remarks=remarks,
    )


def _ours(text: str) -> Told:
    return identify(text, MINE).language


def _bare(text: str) -> Told:
    found = fasttext().candidates(text)
    return found[0].language if found and found[0].probability >= 0.5 else None


def _lingua(text: str) -> Told:
    found = lingua().candidates(text, MINE)
    return found[0].language if found else None


def _shares(own: Sequence[Text], told: Sequence[Told]) -> tuple[float, float, float]:
    right = sum(text.language == said for text, said in zip(own, told, strict=True))
    silent = sum(said is None for said in told)
    return tuple(round(100 * n / len(own), 4) for n in (right, len(own) - right - silent, silent))  # type: ignore[return-value]


def _by_language(kind: str, own: Sequence[Text], told: Sequence[Told]) -> str:
    """How many of those about which something is said are right, by language."""
    said: dict[str, list[bool]] = defaultdict(list)
    for text, language in zip(own, told, strict=True):
        if language is not None:
            said[text.language].append(language == text.language)
    parts = [f"{code} {sum(said[code])} of {len(said[code])}" for code in MINE if said[code]]
    return f"{kind}, right of those told: {', '.join(parts)}."


def _off_target(others: Sequence[Text]) -> str:
    """How often a text in a language that is none of the run's is taken for one of them."""
    taken = Counter(text.language for text in others if identify(text.text, MINE).language in MINE)
    of = Counter(text.language for text in others)
    parts = [f"{code} {taken[code]} of {of[code]}" for code in sorted(of)]
    return f"Texts in other languages that are taken for one of the six: {', '.join(parts)}."


def _without_masks(taken: dict[str, list[Text]]) -> str:
    """What our own rules would do on the text as it stands, formulas and all."""
    bare = Identifier(fasttext(), lingua(), cut=_nothing)
    parts = []
    for kind in ("LaTeX-heavy", "code-heavy", "TheoremQA solution", "MT-Bench answer"):
        own = [text for text in taken[kind] if text.language in MINE]
        for name, tell in (("masked", identify), ("as it stands", bare)):
            wrong = sum(tell(text.text, MINE).denies(text.language) for text in own)
            parts.append(f"{kind} {name} {wrong} of {len(own)}")
    return f"False drops, by the same rules with and without masks: {', '.join(parts)}."


def _nothing(text: str) -> str:
    return " ".join(text.split())[:1000]


def _speed(some: Sequence[Text], pairs: int) -> list[Line]:
    """Texts a second; the prose is cut out in ours alone."""
    if not some:
        return []
    runs: dict[str, list[Figures]] = {column: [] for column in COLUMNS}
    told = dict(zip(COLUMNS, (_ours, _bare, _lingua), strict=True))
    for number in range(pairs):
        for column in COLUMNS if number % 2 == 0 else reversed(COLUMNS):
            begun = time.process_time()
            for text in some:
                told[column](text.text)
            runs[column].append({"rate": len(some) / max(1e-9, time.process_time() - begun)})
    return compared(runs, [RATE])
