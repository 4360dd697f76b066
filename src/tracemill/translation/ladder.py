"""The ladder: what is tried for a segment until a translation passes all gates, and in which order.

alone -> alone, another sample -> with the lines before it -> the next model of the route ... -> sentence by sentence
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from tracemill.languages import Language
from tracemill.models.wire import Failure, Reply
from tracemill.recipe import Ladder
from tracemill.segments.masks import PLACEHOLDER, Masked, has_words
from tracemill.segments.sentences import sentences
from tracemill.translation.asking import Asking, count_tokens
from tracemill.translation.back import BackCheck
from tracemill.translation.gates import Refused, SegmentGates
from tracemill.translation.memory import NOTHING, Memory
from tracemill.translation.prompting import Prompt

REMEMBERED = 4000
"""Segments of one language whose memory is kept at hand."""


@dataclass(frozen=True, slots=True)
class Rung:
    """One way to ask."""

    teacher: str
    sample: int = 0
    context: int = 0
    sentences: bool = False

    @property
    def name(self) -> str:
        """For the evidence: alone, again, context or sentences, and who is asked."""
        how = "sentences" if self.sentences else "context" if self.context else "again" if self.sample else "alone"
        return f"{how} at {self.teacher}"


def rungs(route: Sequence[str], ladder: Ladder, context: int = 0) -> list[Rung]:
    """All rungs, the first one first.

    Args:
        route: Teachers.
        context: Lines that go along each time.
    """
    out = []
    for number, teacher in enumerate(route):
        out += [Rung(teacher, sample, context) for sample in range(ladder.samples)]
        if number == 0 and ladder.context and not context:
            out.append(Rung(teacher, ladder.samples, ladder.context))
    if ladder.sentences and route:
        out.append(Rung(route[-1], 0, context, sentences=True))
    return out


@dataclass(slots=True)
class Tried:
    """What became of one segment."""

    text: str | None = None
    """The translation; None if none passed."""
    refused: Refused | None = None
    """The last refusal."""
    failure: Failure | None = None
    """The last request that got no answer."""
    asked: int = 0
    """Requests whose replies were looked at, stored ones too."""
    tokens: Counter[str] = field(default_factory=Counter)
    """Of these replies, as the endpoints counted them: "prompt tokens TEACHER" and "completion tokens TEACHER"."""
    reasons: Counter[str] = field(default_factory=Counter)
    """Refusals by reason."""
    rung: str = ""
    """Where it ended."""
    remembered: bool = False
    """Whether a memory of translations had it."""
    looked_at: bool = False
    """Whether a person had been asked to look at a model's translation; and left it as it was."""
    agreed: bool = False


@dataclass(frozen=True)
class Climb:
    """Asks for segments of one language pair.

    Args:
        prompt: For one segment.
        numbered: For several.
        rules: Sentences that the language adds to each request.
        back: Has what passed the gates translated back, where the recipe wants that.
    """

    asking: Asking
    prompt: Prompt
    numbered: Prompt
    source: Language
    target: Language
    gates: SegmentGates
    rungs: Sequence[Rung]
    rules: tuple[str, ...] = ()
    memory: Memory = NOTHING
    back: BackCheck | None = None
    recalled: dict[str, str | Refused | None] = field(default_factory=dict)
    """What the memory has for the segments that were looked for last, gates passed: many rows share them."""

    async def __call__(self, masked: Masked, before: Sequence[str], start: int = 0) -> Tried:
        """Climb until a translation passes.

        Args:
            before: The lines before it, as they stand.
            start: The rung to begin at.
        """
        known = self.remembered(masked) if not start or not self.rungs else None
        if isinstance(known, str):
            said = self.memory.said(masked.source, self.source.code, self.target.code)
            agreed = said is not None and said.strip() == known.strip()
            return Tried(text=known, rung="memory", remembered=True, looked_at=said is not None, agreed=agreed)
        tried = Tried()
        if not self.rungs:
            refused = known or Refused("memory", "no memory has it, and no model may be asked")
            return Tried(refused=refused, rung="memory", reasons=Counter({refused.reason: 1}))
        deaf: set[str] = set()
        for rung in self.rungs[start:]:
            if rung.teacher in deaf or (rung.context and not before and rung.context not in (0, self.rungs[0].context)):
                continue
            if rung.sentences:
                got = await self._by_sentence(masked, before, rung, tried)
            else:
                got = await self._once(masked, before, rung, tried)
            tried.rung = rung.name if got is not None else tried.rung
            if isinstance(got, str):
                tried.text = got
                return tried
            if isinstance(got, Failure):
                tried.failure = got
                deaf.add(rung.teacher)
            elif got is not None:
                tried.refused = got
                tried.reasons[got.reason] += 1
        return tried

    def remembered(self, masked: Masked) -> str | Refused | None:
        """The translation that a memory has, if it passes the gates, or what they say; None if there is none."""
        if not self.memory:
            return None
        if masked.source not in self.recalled:
            if len(self.recalled) >= REMEMBERED:
                self.recalled.clear()
            known = self.memory.find(masked.source, self.source.code, self.target.code)
            self.recalled[masked.source] = None if known is None else self.gates.judge_own(masked, known)
        return self.recalled[masked.source]

    async def _once(self, masked: Masked, before: Sequence[str], rung: Rung, tried: Tried) -> str | Refused | Failure:
        tried.asked += 1
        got = await self.ask(masked.text, before, rung, tried, self.prompt)
        if isinstance(got, Failure):
            return got
        if got.finish_reason == "length":
            return Refused("truncated", f"cut at its limit of tokens: {got.content[:80]!r}")
        judged = self.gates.judge(masked, got.content, bracketed=self.asking.brackets(rung.teacher))
        return await self.backed(masked, judged, tried) if isinstance(judged, str) else judged

    async def backed(self, masked: Masked, text: str, tried: Tried) -> str | Refused | Failure:
        """A translation that passed the gates, if it says the same when it is translated back, or nobody wants to know."""
        if self.back is None:
            return text
        refused = await self.back(masked, text, tried)
        return text if refused is None else refused

    async def ask(self, text: str, before: Sequence[str], rung: Rung, tried: Tried, prompt: Prompt) -> Reply | Failure:
        """The reply to one request, whose tokens are counted.

        Args:
            text: Masked; one segment, or several in the numbered form.
        """
        rules = [*self.rules, *(f'Translate "{a}" as "{b}".' for a, b in self.gates.terms(text).items())]
        near = before[-rung.context :] if rung.context else ()
        request = self.asking.request(
            rung.teacher,
            prompt,
            text,
            self.source,
            self.target,
            rules=rules,
            before=near,
            sample=rung.sample,
        )
        got = await self.asking(request)
        count_tokens(tried.tokens, rung.teacher, got)
        return got

    async def _by_sentence(
        self, masked: Masked, before: Sequence[str], rung: Rung, tried: Tried
    ) -> str | Refused | Failure | None:
        """Sentence by sentence, each with as many samples as the ladder gives. None if it is one sentence.

        The last refusal is counted by the caller, as for any rung.
        """
        parts = sentences(masked.text, self.source.sentence_ends)
        if sum(part.translatable for part in parts) < 2:
            return None
        samples = 1 + max(r.sample for r in self.rungs)
        out: list[str] = []
        near = list(before)
        for part in parts:
            if not part.translatable:
                out.append(part.text.replace("\u3000", " ") if self.target.spaces else "")
                continue
            if out and self.target.spaces and not self.source.spaces and not out[-1].isspace():
                out.append(" ")
            piece = renumbered(part.text, masked)
            got: str | Refused | Failure = piece.source
            for sample in range(samples if has_words(piece.source) else 0):
                if isinstance(got, Refused):
                    tried.reasons[got.reason] += 1
                got = await self._once(piece, near, Rung(rung.teacher, sample, rung.context), tried)
                if not isinstance(got, Refused):
                    break
            if not isinstance(got, str):
                return got
            out.append(got)
            near.append(piece.source)
        return "".join(out)


def renumbered(part: str, whole: Masked) -> Masked:
    """A part of a masked text as a masked text of its own."""
    numbers = [int(number) for number in PLACEHOLDER.findall(part)]
    own = iter(range(1, len(numbers) + 1))
    text = PLACEHOLDER.sub(lambda found: f"⟦{next(own)}⟧", part)
    source = PLACEHOLDER.sub(lambda found: whole.spans[int(found[1]) - 1], part)
    spans = tuple(whole.spans[number - 1] for number in numbers)
    return Masked(source, text, spans, tuple(whole.kinds[number - 1] for number in numbers))
