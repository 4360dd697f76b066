"""What a step is: one question asked of one sample, or of the samples of one prompt together.

A step takes a sample and returns it (perhaps changed), or says why not. It counts nothing, writes nothing and registers
itself nowhere: the unit that runs it does the counting.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from tracemill.record import Sample


@dataclass(frozen=True, slots=True)
class Drop:
    """A sample refused by a step."""

    reason: str
    """A word that the step declares in `drops`."""
    evidence: str = ""
    """What a reader needs to agree or disagree, e.g. "expected 18, found 26"."""


class Step(Protocol):
    """A question asked of one sample."""

    @property
    def name(self) -> str:
        """The stage under which the ledger counts it."""
        ...

    @property
    def drops(self) -> frozenset[str]:
        """Every reason that it may give."""
        ...

    async def __call__(self, sample: Sample, /) -> Sample | Drop: ...


class SiblingStep(Protocol):
    """A question that needs the other samples of the same prompt and reasoning mode: a vote, or duplicates."""

    @property
    def name(self) -> str: ...

    @property
    def drops(self) -> frozenset[str]: ...

    async def __call__(self, samples: Sequence[Sample], asked: int, /) -> Sequence[Sample | Drop]:
        """One result per sample, in order. `asked`: how many samples were asked for, dropped ones included."""
        ...
