"""Is an answer in the language that its row claims? Rows that are plainly in another are found, see `identify.screen`.

Most answers are in their own language. So the words of a whole batch are counted at once, roughly, and only where these
counts leave it open is a text read as `identify.screen` reads it.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tracemill.inspect.block import Block, Bools, Ints

LOOK = 3000
"""Bytes of an answer that are looked at."""
_MANY = 8
"""So many common words make a language, in `identify.screen`."""
_CJK = 20
"""So many characters of Chinese, Japanese or Korean decide nothing yet, there."""
_FORMAL = (b"$", b"`", b"\\(", b"\\[", b"http")
"""Where none of these is, there is nothing formal to be taken out."""

_LETTERS = np.zeros(256, np.uint8)
_LETTERS[ord("a") : ord("z") + 1] = np.arange(ord("a"), ord("z") + 1)
_LETTERS[ord("A") : ord("Z") + 1] = np.arange(ord("a"), ord("z") + 1)
"""Each byte as a small letter, or 0."""
_LONGEST = 8
_MASKS = np.array([(1 << 8 * size) - 1 for size in range(_LONGEST + 1)] + [0], np.uint64)
_SLOTS = 12
"""Bits of the table of known words."""
_ACCENT = 0xC3
"""The byte with which all letters beyond ASCII of common words begin (U+00C0 to U+00FF)."""


def mismatches(block: Block, languages: Sequence[str]) -> dict[int, str]:
    """Rows whose answer is in another language than theirs, where that is said anywhere but by silence.

    Args:
        languages: The language of each row; rows of a split without a language are English and are not asked.
    """
    stated = block.texts("language").is_valid().to_numpy(zero_copy_only=False)
    named = block.batch.shard.language is not None
    asked = [row for row, language in enumerate(languages) if language != "en" or named or stated[row]]
    if not asked:
        return {}
    from tracemill.identify.screen import spoken  # its package takes half a second to load, and v1 states no language

    answers = [block.answers[row][:LOOK] for row in asked]
    found = {}
    for number in np.flatnonzero(_open(answers, [languages[row] for row in asked])).tolist():
        row, language = asked[number], languages[asked[number]]
        seen = spoken(answers[number].decode(errors="ignore"), language)
        if seen is not None and seen != language:
            found[row] = f"{language} is claimed, {seen} is seen"
    return found


def _open(texts: list[bytes], claimed: list[str]) -> Bools:
    """Which texts may be in another language than the one claimed."""
    buffer, ends = _buffer(texts)
    places = np.flatnonzero((buffer >= 0xE3) & (buffer <= 0xED))
    foreign = _by_owner(places, ends)
    from tracemill.identify.screen import COMMON, MARGIN

    numbers = {language: number for number, language in enumerate(COMMON)}
    known = np.array([numbers.get(language, -1) for language in claimed], np.int64)
    least, most = _counts(buffer, ends)
    own = np.where(known >= 0, least[known, np.arange(len(texts))], 0)
    others = np.where(known == np.arange(len(COMMON))[:, None], 0, most).max(axis=0, initial=0)
    differs = (known >= 0) & (others >= np.maximum(_MANY, MARGIN * own))
    return np.asarray((foreign > _CJK) | differs | np.isin(claimed, ("ja", "zh", "ko")))


def _buffer(texts: list[bytes]) -> tuple[npt.NDArray[np.uint8], Ints]:
    """Texts without what is formal, each with a blank after it, and where they end; a blank before, eight after all."""
    from tracemill.identify.screen import without_formal

    parts = [
        without_formal(text.decode(errors="ignore")).encode() if any(sign in text for sign in _FORMAL) else text
        for text in texts
    ]
    ends = np.cumsum([1, *(len(part) + 1 for part in parts)])
    return np.frombuffer(b" ".join([b"", *parts, b" " * _LONGEST]), np.uint8), np.asarray(ends, np.int64)


def _by_owner(places: Ints, ends: Ints) -> Ints:
    """How many ascending places lie in each text."""
    return np.diff(np.searchsorted(places, ends))


def _counts(buffer: npt.NDArray[np.uint8], ends: Ints) -> tuple[Ints, Ints]:
    """(at least, at most) so many common words of each language are in each text; a row for each language.

    Here every byte but an ASCII letter ends a word. So a word that stands between two ASCII signs is one, and one beside
    another character may be a part of a longer one. Words with other letters are counted by what these begin with.
    """
    table = _table()
    letters = _LETTERS[buffer]
    inside = letters != 0
    edges = np.flatnonzero(inside[1:] != inside[:-1]) + 1
    starts, stops = edges[::2], edges[1::2]
    eights: npt.NDArray[np.uint64] = np.ndarray((len(letters) - 7,), "<u8", letters.data, strides=(1,))
    keys = eights[starts] & _MASKS[np.minimum(stops - starts, _LONGEST + 1)]
    slots = (keys * table.factor) >> np.uint64(64 - _SLOTS)
    spoken_in = np.where(table.words[slots] == keys, table.languages[slots], 0)
    hits = np.flatnonzero(spoken_in)
    spoken_in, starts, stops = spoken_in[hits], starts[hits], stops[hits]
    sure = (buffer[starts - 1] < 128) & (buffer[stops] < 128)
    accents = _by_owner(np.flatnonzero(buffer == _ACCENT), ends)
    least, most = [], []
    for number in range(table.many):
        own = (spoken_in >> number & 1).astype(np.bool_)
        most.append(_by_owner(starts[own], ends) + accents)
        least.append(_by_owner(starts[own & sure], ends))
    return np.array(least), np.array(most)


class _Table(NamedTuple):
    """Common words of ASCII letters, hashed without collisions."""

    factor: np.uint64
    words: npt.NDArray[np.uint64]
    """By slot."""
    languages: npt.NDArray[np.uint8]
    """By slot, a bit for each."""
    many: int
    """Languages."""


@cache
def _table() -> _Table:
    from tracemill.identify.screen import COMMON

    words: dict[int, int] = {}
    for number, common in enumerate(COMMON.values()):
        for word in set(common.split()):
            if word.isascii() and len(word) <= _LONGEST:
                key = int.from_bytes(word.encode(), "little")
                words[key] = words.get(key, 0) | 1 << number
    factor = 0x9E3779B97F4A7C15
    while len({_slot(key, factor) for key in words}) < len(words):
        factor += 2
    keys, languages = np.zeros(1 << _SLOTS, np.uint64), np.zeros(1 << _SLOTS, np.uint8)
    for key, bits in words.items():
        slot = _slot(key, factor)
        keys[slot], languages[slot] = key, bits
    return _Table(np.uint64(factor), keys, languages, len(COMMON))


def _slot(key: int, factor: int) -> int:
    return (key * factor & 0xFFFFFFFFFFFFFFFF) >> (64 - _SLOTS)
