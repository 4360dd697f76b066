"""Translations that are known before any model is asked: files by people, and the sentences of our own generator.

A run keeps its own copy of a file, so that it may change or go. What is held is whole segments, by their source text, or
sentences with slots; whether a translation is right, the gates decide like any other.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from tracemill import identity
from tracemill.errors import RecipeError
from tracemill.legible import one_line, quoted
from tracemill.storage.fs import REAL, Fs
from tracemill.translation.exchange import Pair, read_pairs, write_pairs
from tracemill.translation.phrasebook import Phrasebook, built_in

SUFFIX = ".memory.jsonl"
BUILT_IN = "builtin"
"""What stands for a file: the sentences of the built-in generator and teacher."""


@dataclass(frozen=True)
class Memory:
    """Translations by (source language, target language, source text). The first one that was read wins."""

    pairs: dict[tuple[str, str, str], str]
    machine: dict[tuple[str, str, str], str] = field(default_factory=dict)
    """Of those that a person was asked to look at: what a model had said."""
    phrases: Phrasebook | None = None
    """Sentences with slots, where the pairs have nothing."""

    def __bool__(self) -> bool:
        return bool(self.pairs) or self.phrases is not None

    @classmethod
    def of(cls, pairs: Iterable[Pair]) -> Memory:
        """Of some pairs, the first of equal ones first."""
        held: dict[tuple[str, str, str], str] = {}
        machine: dict[tuple[str, str, str], str] = {}
        for pair in pairs:
            key = (pair.source_language, pair.target_language, pair.source)
            if key not in held:
                held[key] = pair.target
                if pair.machine:
                    machine[key] = pair.machine
        return cls(held, machine)

    def said(self, text: str, source: str, target: str) -> str | None:
        """What a model had said of a segment that a person was asked to look at, or None."""
        return self.machine.get((source, target, text))

    def find(self, text: str, source: str, target: str) -> str | None:
        """The translation of a segment, or None."""
        known = self.pairs.get((source, target, text))
        return known if known is not None or self.phrases is None else self.phrases.find(text, source, target)

    def identity(self) -> str:
        """Hex; equal for equal translations."""
        own = identity.digest(sorted([*key, text, self.machine.get(key, "")] for key, text in self.pairs.items()))
        return own if self.phrases is None else identity.digest([own, self.phrases.identity])


NOTHING = Memory({})


def read_memory(files: Sequence[str], fs: Fs = REAL) -> Memory:
    """The translations in some files; `builtin` stands for the sentences of our own generator.

    Raises:
        RecipeError: A file cannot be read, or is none of TMX, XLIFF and JSONL.
    """
    held = Memory.of(pair for file in files if file != BUILT_IN for pair in _read(Path(file), fs)) if files else NOTHING
    return replace(held, phrases=built_in()) if BUILT_IN in files else held


def _read(path: Path, fs: Fs) -> Iterator[Pair]:
    try:
        yield from read_pairs(path.name, fs.read(path))
    except OSError as exc:
        raise RecipeError(
            f"translate.memory: {quoted(str(path), 200)} cannot be read: {exc.strerror or exc}", ("translate", "memory")
        ) from exc
    except ValueError as exc:
        raise RecipeError(
            f"translate.memory: {quoted(str(path), 200)}: {one_line(str(exc), 200)}", ("translate", "memory")
        ) from exc


def keep_memory(directory: Path, memory: Memory, fs: Fs = REAL) -> Path:
    """A run's own copy of the pairs of a memory, in a file named for what is in it."""
    pairs = [Pair(*key, text, machine=memory.machine.get(key, "")) for key, text in memory.pairs.items()]
    fs.mkdir(directory)
    place = directory / f"{memory.identity()[:16]}{SUFFIX}"
    fs.replace(place, write_pairs(place.name, pairs))
    return place
