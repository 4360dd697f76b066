"""A row of math for readers elsewhere: its names, money and measures are put into theirs, before it is translated.

    Natalia sold clips for $5 each, 2 miles from home.  ->  Camille sold clips for €5 each, 2 kilometers from home.

What is put for what is a table: from the language files, or as a teacher says. It holds no digit, so every number stays, and
with them the answer. The trace is adapted by the same table. Nothing inside code, formulas and addresses is touched; where
a word of the table stands there, the row is dropped, for half of it would be of one place and half of another.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from tracemill import identity
from tracemill.languages import Culture, Language, Unit
from tracemill.legible import one_line
from tracemill.models.wire import Failure
from tracemill.recipe import Localise
from tracemill.record import Sample, Verdict
from tracemill.segments.masks import mask
from tracemill.segments.splitting import split
from tracemill.step import Drop
from tracemill.translation.asking import Asking, count_tokens
from tracemill.translation.prompting import Prompt
from tracemill.translation.rules import number_format

STAGE = REASON = "localise"
MOST_WORDS, LONGEST = 60, 60
"""A table of a teacher has so many entries at most, of so many characters each."""
COINS = re.compile(r"(?<!\w)(?:quarters?|dimes?|nickels?|penn(?:y|ies))(?!\w)", re.IGNORECASE)
"""Coins of one country; where they are counted, its money stays."""
CENTS = re.compile(r"(?<!\w)cents?(?!\w)|\$\s?\d[\d,]*\.\d\d?(?!\d)|¢", re.IGNORECASE)
SIGN = r"(?<!\w)\$(?=\s?[\d⟦]|\s?\.\d)"
"""A dollar before an amount."""
WHOSE = re.compile(
    r"USD|usd|DOLLAR|(?<!\w)U\.?S\.?\s?\$|\b[A-Z]{1,3}\$\s?\d"
    r"|(?:U\.?S\.?|American|Australian|Canadian|Hong Kong|New Zealand|Singapore)\s+[Dd]ollar"
)
"""Dollars that say whose they are, and those in capitals, would stay beside another currency; where they stand, all stay."""
COUNTED = r"(?:\d|⟧|many|much|more|fewer|per|square|cubic|one|two|three|four|five|six|seven|eight|nine|ten|twenty|half|hundred)"
"""What stands before a measure that is one: of "2 feet", not of "his feet"."""
END = r"(?!\w|['’]t\b)"
"""Of a whole word: "Don" is none of "Don't"."""
PLAIN = re.compile(r"[^\W\d_]+(?:[ '’.-][^\W\d_]+)*|[$€£¥₩₹]")


@dataclass(frozen=True)
class Adapting:
    """Adapts the rows of one language.

    Args:
        settings: What is adapted, and who says how.
        prompt: For the teacher.
    """

    settings: Localise
    asking: Asking
    prompt: Prompt
    source: Language
    target: Language

    async def __call__(self, parent: Sample, measured: Counter[str]) -> Sample | Drop | Failure:
        """The row as readers of the language would have it; the same row where nothing is to be adapted.

        Args:
            measured: Where the request to a teacher is counted.
        """
        text = "\n".join(_texts(parent))
        if self.settings.teacher is None:
            table: Mapping[str, str] | Drop | Failure = self.by_files(text, parent.uuid)
        else:
            said = "\n".join(message.content for message in parent.messages)
            table = await self._by_teacher(said, self.settings.teacher, measured)
        if not isinstance(table, Mapping):
            return table
        return adapted(parent, table) if table else parent

    def by_files(self, text: str, about: str) -> dict[str, str]:
        """What the language files put for what, of a text.

        Args:
            about: Decides which name stands for which.
        """
        here, there = self.source.culture or Culture(), self.target.culture or Culture()
        out: dict[str, str] = {}
        if self.settings.names:
            out |= _names(text, here, there, about)
        if self.settings.money:
            out |= _money(text, here, there)
        if self.settings.units and there.metric:
            out |= _units(text, here)
        return out

    async def _by_teacher(self, text: str, teacher: str, measured: Counter[str]) -> dict[str, str] | Drop | Failure:
        got = await self.asking(self.asking.request(teacher, self.prompt, text, self.source, self.target))
        measured["asked"] += 1
        count_tokens(measured, teacher, got)
        if isinstance(got, Failure):
            return got
        start, end = got.content.find("{"), got.content.rfind("}")
        try:
            told = json.loads(got.content[start : end + 1])
        except (ValueError, RecursionError):
            return Drop(REASON, f"no table: {one_line(got.content, 120)}")
        return _sound(told, text, self.source)


def adapted(parent: Sample, table: Mapping[str, str]) -> Sample | Drop:
    """A row with every word of a table replaced, traces included."""
    pattern = _any_of(table)
    messages = []
    stays: list[str] = []
    for message in parent.messages:
        new = replace(
            message,
            content=_replaced(message.content, pattern, table, stays),
            reasoning=None if message.reasoning is None else _replaced(message.reasoning, pattern, table, stays),
        )
        messages.append(new)
    for left in filter(None, map(pattern.search, stays)):
        return Drop(REASON, f"{left[0]} is left inside a formula, code or an address")
    told = "; ".join(f"{old} -> {new}" for old, new in table.items())
    return replace(parent, messages=tuple(messages), verdicts=(*parent.verdicts, Verdict(STAGE, True, told)))


def _replaced(text: str, pattern: re.Pattern[str], table: Mapping[str, str], stays: list[str]) -> str:
    """`text` with the words of its prose, and the signs of its sums, replaced; what is not touched is added to `stays`."""
    out = []
    for segment in split(text):
        if segment.translatable or segment.kind == "number":
            masked = mask(segment.text)
            stays.extend(masked.spans)
            out.append(masked.unmask(pattern.sub(lambda word: table[word[0]], masked.text)))
        else:
            stays.append(segment.text)
            out.append(segment.text)
    return "".join(out)


def _texts(parent: Sample) -> Iterable[str]:
    for message in parent.messages:
        yield message.content
        yield message.reasoning or ""


def _any_of(words: Iterable[str]) -> re.Pattern[str]:
    """Any of some words, whole; the dollar sign before an amount."""
    ordered = sorted(words, key=lambda word: (-len(word), word))
    parts = [SIGN if word == "$" else rf"(?<!\w){re.escape(word)}{END}" for word in ordered]
    return re.compile("|".join(parts))


def _names(text: str, here: Culture, there: Culture, about: str) -> dict[str, str]:
    """Each listed name in the text with one of the same gender, all different and none of them there already."""
    out: dict[str, str] = {}
    for known, instead in ((here.she, there.she), (here.he, there.he)):
        found = [name for name in known if re.search(rf"(?<!\w){name}{END}", text)]
        free = [name for name in instead if name not in found and not re.search(rf"(?<!\w){name}(?!\w)", text)]
        free.sort(key=lambda name: identity.digest(["localise", about, name]))
        if len(found) <= len(free):
            out |= dict(zip(found, free, strict=False))
    return out


def _money(text: str, here: Culture, there: Culture) -> dict[str, str]:
    """Dollars as another currency; nothing where the amounts would not be amounts of it."""
    old, new = here.currency, there.currency
    if old is None or new is None or COINS.search(text) or WHOSE.search(text):
        return {}
    if not new.cents and CENTS.search(text):
        return {}
    table = {old.sign: new.sign, old.one: new.one, old.many: new.many}
    table |= {word.capitalize(): instead.capitalize() for word, instead in ((old.one, new.one), (old.many, new.many))}
    return {word: instead for word, instead in table.items() if _any_of([word]).search(text)}


def _units(text: str, here: Culture) -> dict[str, str]:
    """The metric measure for each customary one, where only one of its kind is there, and always as a measure."""
    out: dict[str, str] = {}
    for units in here.units.values():
        for one, many, metric, metrics in _alone(units, text):
            times = len(_any_of((one, many)).findall(text))
            counted = re.findall(rf"{COUNTED}[\s-](?:{one}|{many})(?!\w)|(?<!\w)an? (?:{one})(?!\w)", text)
            if len(counted) == times and not _any_of((metric, metrics)).search(text):
                out |= {word: new for word, new in ((one, metric), (many, metrics)) if _any_of([word]).search(text)}
    return out


def _sound(told: object, text: str, source: Language) -> dict[str, str] | Drop:
    """A table as a teacher gave it, if it is one of words; of it names, money and measures, but for those measures of
    which the text has two of a kind, and for words that are numbers. Any other word would change what is asked.
    """
    here, numbers = source.culture or Culture(), number_format(source)
    units = [unit for of_kind in here.units.values() for unit in _alone(of_kind, text)]
    ours = here.currency if not WHOSE.search(text) else None
    money = {"cent", "cents", *((ours.sign, ours.one, ours.many) if ours else ())}
    known = money | {word for unit in units for word in unit[:2]}
    if not isinstance(told, dict) or len(told) > MOST_WORDS:
        return Drop(REASON, f"no table: {one_line(str(told), 120)}")
    out: dict[str, str] = {}
    for old, new in told.items():
        if not isinstance(new, str) or max(len(old), len(new)) > LONGEST:
            return Drop(REASON, f"no word for a word: {one_line(f'{old}: {new}', 120)}")
        if not (PLAIN.fullmatch(old) and PLAIN.fullmatch(new)):
            return Drop(REASON, f"more than words: {one_line(f'{old}: {new}', 120)}")
        name = old[0].isupper() and new[0].isupper() and not numbers.spelled(old) and not numbers.spelled(new)
        if old != new and (name or old.lower() in known) and _any_of([old]).search(text):
            out[old] = new
    there = [new for new in out.values() if new[0].isupper() and new not in out and _any_of([new]).search(text)]
    if there or len({new.casefold() for new in out.values()}) < len({old.casefold() for old in out}):
        return Drop(REASON, f"two become one: {one_line(json.dumps(out, ensure_ascii=False), 160)}")
    return out


def _alone(units: Iterable[Unit], text: str) -> list[Unit]:
    """The measure of one kind that a text has, if it is the only one: where there are two, it may convert."""
    found = [unit for unit in units if _any_of(unit[:2]).search(text)]
    return found if len(found) == 1 else []
