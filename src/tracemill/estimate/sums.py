"""Tokens, money, disk and time of what is still to be asked, lot by lot."""

from __future__ import annotations

from collections.abc import Callable

from tracemill.estimate.follows import VERDICT
from tracemill.estimate.lots import FEW, Lot, places
from tracemill.estimate.tokens import HIGH, LATIN, LOW, Range
from tracemill.recipe import Recipe

STORED = (500, 0.6)
ROW = (550, 0.85)
"""Bytes of a reply in the journal, and of its row in the unit and the dataset together: for each, and for each character
of the reply. Measured with solutions of 300 to 11,000 characters; they differ by a third with what is written."""
OFF = 1 / 3
_JUDGED = ("judge", "canaries")


class Sums:
    """Adds up what the lots tell.

    Args:
        latency: Seconds that a reply takes, where that is known; else as measured.
        reply_tokens: Tokens of an answer, where that is known; else as measured.
    """

    def __init__(self, recipe: Recipe, lots: list[Lot], latency: float | None, reply_tokens: float | None) -> None:
        self.recipe, self.lots = recipe, lots
        self.latency, self.reply_tokens = latency, reply_tokens
        self.open = [lot for lot in lots if lot.calls.high]
        self.basis: list[str] = []
        """What the estimates rest on."""
        self.missing: list[str] = []
        """What is not known, and what would tell it."""

    def calls(self) -> Range:
        """Calls to ask."""
        if any(lot.part != "answers" for lot in self.open):
            self.basis.append(
                "what follows from answers that nobody has yet (later turns, tools and users that are played, verdicts) is "
                "estimated by rules, and counted where it is stored"
            )
        return self._sum(lambda lot: lot.calls)

    def prompts(self) -> Range:
        """Tokens of all prompts."""
        if any(lot.counted < FEW for lot in self.open):
            self.basis.append(
                f"prompt tokens are estimated from characters, by script; the truth lies between {LOW} and {HIGH} times that"
            )
        if any(lot.counted >= FEW for lot in self.open):
            self.basis.append("prompt tokens are estimated from characters, at the rate that the stored prompts had")
        if any(lot.part in ("turns", "tools", "user", "judge") and lot.counted < FEW for lot in self.open):
            self.basis.append(
                "prompts of later turns and of verdicts are longer by the answers in them, which are not counted"
            )
        return self._sum(lambda lot: lot.prompt_tokens)

    def replies(self) -> Range | None:
        """Tokens of all replies."""
        unknown = [lot for lot in self.open if self._reply(lot) is None]
        if unknown:
            self.missing.append(
                f"how long replies are ({_names(unknown)}): --pilot 20 with --out measures it, --reply-tokens N tells it"
            )
            return None
        if self.reply_tokens is not None and not all(map(_is_verdict, self.open)):
            self.basis.append("replies are as long as --reply-tokens says")
        elif measured := sum(lot.counted for lot in self.open if not self._by_rule(lot)):
            self.basis.append(f"replies are as {measured:,} stored ones were")
        if any(lot.part in _JUDGED and self._by_rule(lot) for lot in self.open):
            self.basis.append(f"a verdict has {VERDICT.low:g} to {VERDICT.high:g} tokens")
        return self._sum(self._reply)

    def cost(self) -> tuple[Range | None, float | None]:
        """(money, money if every reply were as long as it may be)."""
        cost, most = Range(), 0.0
        teachers = self.recipe.teachers
        unpriced = [lot for lot in self.open if teachers[lot.teacher].price is None]
        if self.open and len(unpriced) == len(self.open) and not any(map(self._waited_for, self.open)):
            return None, None
        if paid_for := list(filter(self._waited_for, unpriced)):
            names = sorted({lot.teacher for lot in paid_for})
            self.missing.append("what tokens cost: set " + ", ".join(f"teachers.{name}.price" for name in names))
            return None, None
        for lot in self.open:
            price, replies = teachers[lot.teacher].price, self._reply(lot)
            if price is None:
                continue
            prompts = lot.prompt_tokens
            most += price.of(prompts.high, lot.reply_limit)
            cost += prompts.times(price.of(1, 0)) + (replies or Range()).times(price.of(0, 1))
        return (None if any(self._reply(lot) is None for lot in self.open) else cost), most

    def disk(self) -> Range | None:
        """Bytes of journal, units and dataset, for the replies to come. The input lies there already."""
        likely = 0.0
        for lot in self.open:
            if self._by_rule(lot):
                characters = VERDICT.likely * LATIN
            elif self.reply_tokens is not None and not _is_verdict(lot):
                characters = self.reply_tokens * LATIN
            elif lot.replies >= FEW:
                characters = lot.characters / lot.replies
            else:
                return None
            each, by_character = STORED
            if lot.part not in _JUDGED:  # a verdict is a line in a row, not a row
                each, by_character = each + (ROW[0] if lot.part == "answers" else 0), by_character + ROW[1]
            likely += lot.calls.likely * (each + by_character * characters)
        if self.open:
            self.basis.append("disk is by bytes for each character of a reply, as measured on other solutions")
        return Range(likely * (1 - OFF), likely, likely * (1 + OFF))

    def time(self) -> tuple[float | None, float | None]:
        """(seconds, those of the slowest replies at their end). Teachers are asked side by side: the one that takes longest
        decides. Each has all its places taken until the last replies, which are its slow ones.
        """
        longest, slowest = 0.0, 0.0
        known = [lot.latency for lot in self.lots if lot.latency is not None]
        for name in self.recipe.teachers:
            lots = [lot for lot in self.open if lot.teacher == name]
            if not lots or not self._waited_for(lots[0]):
                continue
            work = 0.0
            slow = 0.0
            for lot in lots:
                each = self.latency if self.latency is not None else lot.latency
                if each is None and known and _is_verdict(lot):
                    each = max(known)  # a line takes no longer than an answer
                if each is None:
                    self.missing.append(
                        f"how long a reply takes ({_names(lots)}): --pilot 20 with --out measures it, --latency S tells it"
                    )
                    return None, None
                work += lot.calls.likely * each
                slow = max(slow, self.latency or lot.slow or each)
            took = work / places(self.recipe, name) + slow
            if took > longest:
                longest, slowest = took, slow
        if longest:
            room = ", ".join(f"{n} {places(self.recipe, n):,}" for n in {lot.teacher: None for lot in self.open})
            self.basis.append(
                f"time is latency times calls over requests in flight ({room}), if the endpoints bear that many without "
                "slowing down, and then the slowest replies"
            )
        return (longest, slowest) if longest or not self.open else (None, None)

    def _sum(self, of: Callable[[Lot], Range | None]) -> Range:
        return sum((of(lot) or Range() for lot in self.open), Range())

    def _by_rule(self, lot: Lot) -> bool:
        """Whether the length of a lot's replies is known before there is any."""
        return _is_verdict(lot) and lot.reply_tokens is None

    def _reply(self, lot: Lot) -> Range | None:
        """Tokens of all replies to ask of a lot: as told, or as its stored ones were, with their 95 % interval."""
        if self._by_rule(lot):
            each = VERDICT
        elif self.reply_tokens is not None and not _is_verdict(lot):
            each = Range(*(self.reply_tokens,) * 3)
        elif (seen := lot.reply_tokens) is None:
            return None
        else:
            low, high = (seen.value if end is None else end for end in (seen.low, seen.high))
            each = Range(low, seen.value, high)
        calls = lot.calls
        return Range(each.low * calls.low, each.likely * calls.likely, each.high * calls.high)

    def _waited_for(self, lot: Lot) -> bool:
        """Whether a lot costs money and time: the built-in teacher answers at once and for nothing."""
        return self.recipe.teachers[lot.teacher].url != "builtin"


def _is_verdict(lot: Lot) -> bool:
    """Whether replies are verdicts alone, without a trace before them."""
    return lot.part in _JUDGED and lot.mode == "off"


def _names(lots: list[Lot]) -> str:
    return ", ".join(
        f"{lot.teacher} {lot.mode}" if lot.part == "answers" else f"{lot.teacher} {lot.part}" for lot in lots
    )
