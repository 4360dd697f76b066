"""The whole of an evaluation: every measure by language, system and domain, as a table and as JSON."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from tracemill.errors import UsageError
from tracemill.evaluate.lines import Line
from tracemill.evaluate.scores import DRAWS, Score, against_references, back_translation, tokenizer
from tracemill.identify import identifier, identify
from tracemill.languages import Language, codes, language
from tracemill.recipe import Gates
from tracemill.segments import check_message
from tracemill.segments.gates import copied, length, numbers, option_letters, pair, residue, script
from tracemill.segments.masks import mask
from tracemill.translation.rules import rules_between
from tracemill.translators import Translator

TEXT_GATES = (residue, numbers, option_letters, length, copied, script)
"""Gates that need no request: a translation is judged whoever made it, and however."""
SEED = 12345


@dataclass(frozen=True, slots=True)
class Share:
    """A mean over lines, with what 95 % of bootstrap samples of it lie between."""

    value: float
    low: float
    high: float
    of: int
    """Lines that it is taken over."""


@dataclass
class Group:
    """What was found of one system in one language, in all or in one domain."""

    language: str
    system: str
    domain: str
    """"" for all."""
    lines: int
    characters: int
    scores: dict[str, Score] = field(default_factory=dict)
    shares: dict[str, Share] = field(default_factory=dict)
    """In percent: `language` (in the right one, of those told), `told`, `gates` (that no gate refuses); 0 to 1:
    `similarity`, `comet`."""
    back_chrf: float | None = None
    refused: dict[str, int] = field(default_factory=dict)
    """Lines refused, by gate."""


@dataclass
class Report:
    """What `tracemill eval translation` says."""

    groups: list[Group]
    notes: list[str]
    identifier: str

    def ranking(self) -> dict[str, list[str]]:
        """By language, its systems, the best chrF2++ first; without references, the most that pass all gates."""
        told: dict[str, list[Group]] = {}
        for group in self.groups:
            if not group.domain:
                told.setdefault(group.language, []).append(group)
        return {code: [g.system for g in sorted(groups, key=_worth)] for code, groups in told.items()}

    def to_json(self) -> dict[str, Any]:
        """Everything, as JSON values; null where there was nothing to take a mean of."""
        groups = [_told(asdict(group)) for group in self.groups]
        return {"groups": groups, "ranking": self.ranking(), "notes": self.notes, "identifier": self.identifier}

    def to_text(self) -> str:
        """Tables: one line for each system and domain of each language."""
        lines = []
        for code in dict.fromkeys(group.language for group in self.groups):
            own = [group for group in self.groups if group.language == code]
            names = list(dict.fromkeys(name for group in own for name in (*group.scores, *group.shares)))
            lines += [f"{code}: {language_name(code)}", ""]
            rows = [["system", "domain", "lines", *names, *(["back chrF"] if any(g.back_chrf for g in own) else [])]]
            for group in sorted(own, key=lambda g: (_worth(g) if not g.domain else (0.0,), g.system, g.domain)):
                cells = [_cell(group.scores.get(name) or group.shares.get(name)) for name in names]
                back = [f"{group.back_chrf:.1f}"] if group.back_chrf is not None else []
                rows.append([group.system, group.domain or "all", f"{group.lines:,}", *cells, *back])
            lines += _table(rows)
            refused = {s: g.refused for g in own if not g.domain and g.refused for s in [g.system]}
            lines += ["", *(f"{system}: refused by {_counts(found)}" for system, found in refused.items()), ""]
        return "\n".join([*lines, *self.notes])


def evaluate(
    lines: Iterable[Line],
    *,
    source: str | Language = "en",
    languages: Mapping[str, Language] | None = None,
    back: Translator | None = None,
    similarity: Callable[[Sequence[str], Sequence[str]], list[float]] | None = None,
    comet: Callable[[Sequence[Line]], list[float]] | None = None,
    draws: int = DRAWS,
) -> Report:
    """Measure translations.

    Args:
        lines: Of one or more systems and languages. Systems that are to be compared translate the same sources.
        source: The language of the sources.
        languages: By code, those of the user's own files.
        back: Translates back into the source's language; chrF is taken of what comes.
        similarity: Cosines of sources and translations; where `back` is given, of sources and what came back.
        comet: Scores of lines.
        draws: Bootstrap samples of each figure; 0: no intervals.
    Raises:
        UsageError: There is nothing to evaluate.
        MissingExtra: What a measure needs is not installed.
        TranslatorError: Nothing can be translated back.
    """
    told: dict[tuple[str, str], list[Line]] = {}
    for line in lines:
        told.setdefault((line.language, line.system), []).append(line)
    if not told:
        raise UsageError("there are no translations: no row has a parent there, or no line a translation")
    own = dict(languages or {})
    first = language(source) if isinstance(source, str) else source
    report = Report([], [], identifier().name)
    for code in sorted({code for code, _ in told}):
        target = own.get(code) or language(code)
        systems = {system: found for (c, system), found in told.items() if c == code}
        groups = {s: _measured(s, "", found, first, target, draws) for s, found in systems.items()}
        _add_references(groups, systems, target, draws, report.notes)
        for system, found in systems.items():
            _add_models(groups[system], found, first.code, back, similarity, comet, draws)
            report.groups.append(groups[system])
            domains = sorted({line.domain for line in found} - {""})
            for domain in domains if len(domains) > 1 else ():
                some = [line for line in found if line.domain == domain]
                report.groups.append(_measured(system, domain, some, first, target, draws))
    return report


def _measured(system: str, domain: str, lines: Sequence[Line], source: Language, target: Language, draws: int) -> Group:
    """What needs neither references nor models."""
    group = Group(target.code, system, domain, len(lines), sum(len(line.translation) for line in lines))
    rules = rules_between(source, target, Gates())
    verdicts = [identify(line.translation, (source, target)) for line in lines]
    right = [100.0 * (not v.denies(target.code)) for v in verdicts if v.language is not None]
    group.shares["language"] = _mean(right, draws)
    group.shares["told"] = _mean([100.0 * (v.language is not None) for v in verdicts], draws)
    passed = []
    for line, verdict in zip(lines, verdicts, strict=True):
        reason = _reason(line, rules) or ("language" if verdict.denies(target.code) else None)
        passed.append(0.0 if reason else 100.0)
        if reason:
            group.refused[reason] = group.refused.get(reason, 0) + 1
    group.shares["gates"] = _mean(passed, draws)
    return group


def _reason(line: Line, rules: Any) -> str | None:
    """The first gate that refuses a translation; None if none does."""
    if not line.translation.strip():
        return "empty"
    found = check_message(line.source, line.translation)
    if found is not None:
        return str(found.reason)
    masked = mask(line.source)
    both = pair(masked, masked.hide(line.translation))
    for gate in TEXT_GATES:
        problem = gate(both, rules)
        if problem is not None:
            return str(problem.reason)
    return None


def _add_references(
    groups: Mapping[str, Group], systems: Mapping[str, Sequence[Line]], target: Language, draws: int, notes: list[str]
) -> None:
    references = {system: [line.reference for line in found] for system, found in systems.items()}
    right = next(iter(references.values()))
    if any(each is None for found in references.values() for each in found):
        return
    if any(found != right for found in references.values()):
        raise UsageError(f"{target.code}: the systems have different references, so they cannot be compared")
    texts = {system: [line.translation for line in found] for system, found in systems.items()}
    for system, scores in against_references(target, texts, [str(r) for r in right], draws).items():
        groups[system].scores = scores
    name, why = tokenizer(target)
    notes.append(f"{target.code}: BLEU cuts words by {name!r}" + (f"; {why}" if why else "") + ".")


def _add_models(
    group: Group,
    lines: Sequence[Line],
    source: str,
    back: Translator | None,
    similarity: Callable[[Sequence[str], Sequence[str]], list[float]] | None,
    comet: Callable[[Sequence[Line]], list[float]] | None,
    draws: int,
) -> None:
    originals, compared = [line.source for line in lines], [line.translation for line in lines]
    if back is not None:
        came = asyncio.run(_back(back, compared, group.language, source))
        kept = [at for at, text in enumerate(came) if text is not None]
        originals, compared = [originals[at] for at in kept], [str(came[at]) for at in kept]
        if kept:
            group.back_chrf = back_translation(originals, compared)
        if len(kept) < len(lines):
            group.refused["not translated back"] = len(lines) - len(kept)
    if similarity is not None and compared:
        group.shares["similarity"] = _mean(similarity(originals, compared), draws)
    if comet is not None:
        group.shares["comet"] = _mean(comet(lines), draws)


async def _back(back: Translator, texts: Sequence[str], language: str, source: str) -> list[str | None]:
    """Each text translated back, line by line; None where a line of it failed."""
    cut = [text.split("\n") for text in texts]
    try:
        told = iter(await back.translate([line for lines in cut for line in lines], language, source))
    finally:
        await back.close()
    joined: list[str | None] = []
    for lines in cut:
        came = [next(told) for _ in lines]
        joined.append("\n".join(map(str, came)) if all(isinstance(line, str) for line in came) else None)
    return joined


def _mean(values: Sequence[float], draws: int) -> Share:
    """The mean, and the interval that 95 % of the means of bootstrap samples lie in."""
    if not values:
        return Share(float("nan"), float("nan"), float("nan"), 0)
    mean = sum(values) / len(values)
    if not draws or min(values) == max(values):
        return Share(mean, mean, mean, len(values))
    draw = random.Random(SEED)
    means = sorted(sum(draw.choices(values, k=len(values))) / len(values) for _ in range(draws))
    return Share(mean, means[int(0.025 * draws)], means[min(draws - 1, int(0.975 * draws))], len(values))


def _told(value: Any) -> Any:
    """JSON knows no NaN."""
    if isinstance(value, dict):
        return {key: _told(inner) for key, inner in value.items()}
    return None if isinstance(value, float) and value != value else value


def _worth(group: Group) -> tuple[float, ...]:
    score = group.scores.get("chrF2++")
    return (-score.value if score else 0.0, -group.shares["gates"].value)


def language_name(code: str) -> str:
    """What a language is called in English; the code for one of the user's own."""
    return language(code).name if code in codes() else code


def _cell(found: Score | Share | None) -> str:
    if found is None or found.value != found.value:
        return "-"
    wide = abs(found.value) > 1 or isinstance(found, Score)
    digits = 1 if wide else 3
    star = f" p={found.p:.3f}" if isinstance(found, Score) and found.p is not None else ""
    return f"{found.value:.{digits}f} [{found.low:.{digits}f}, {found.high:.{digits}f}]{star}"


def _table(rows: Sequence[Sequence[str]]) -> list[str]:
    wide = [max(len(row[at]) for row in rows if at < len(row)) for at in range(len(rows[0]))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, wide, strict=False)).rstrip() for row in rows]


def _counts(found: Mapping[str, int]) -> str:
    return ", ".join(f"{reason} {count:,}" for reason, count in sorted(found.items(), key=lambda item: -item[1]))
