"""Repetition loops: a model that says one thing again and again, until it is cut off.

A loop shows in one of two ways: the beginning of a line or sentence comes back very often in its text, or the last
characters of a text or of its trace stand many times in the kilobyte before them. Both are cheap to
ask of all texts. What they point at is then read: a loop is a unit that follows upon itself, or 30 words that return.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tracemill.inspect.block import ASSISTANT, Block, Bytes, Ints, Texts

LEAST_BYTES = 600
"""Shorter texts are not looked at."""
STARTS = 15
"""Equal beginnings of lines or sentences in one text that make it suspicious."""
PROBE, BEFORE, ECHOES = 12, 1024, 8
"""The last PROBE bytes stand ECHOES times in the last BEFORE bytes: suspicious."""
NEAR = BEFORE // (ECHOES - 1)
"""What follows upon itself evenly, so often, is no longer than this. Echoes at uneven distances are no loop to `_unit`."""
MOST_PLACES = 8
"""Places of a text that are looked at closely because of how lines begin there."""
REPEATS, UNIT_BYTES, SPAN = 10, 4000, 300
"""A loop: a unit of at most UNIT_BYTES that follows upon itself REPEATS times, over at least SPAN bytes."""
WORDS, RETURNS = 30, 20
"""A loop too: so many words in a row, so many times. As OpenEuroLLM's filter of Nemotron data has it."""
_DECORATION = frozenset(b" \t\r\n-=_*#.~|+:`")
"""Units of these alone are rules and tables; they count from 2,000 bytes on."""
LAST_SIGN = ord("-")
"""What is not above it is white space, a quotation mark, a list sign, a table row or a rule."""
SCAN = 1 << 18
"""Bytes that are looked at in one go, so that what is noted of them stays near the processor."""
Keys = npt.NDArray[np.uint64]
_MIX = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xC2B2AE3D27D4EB4F), np.uint64(0x165667B19E3779F9)


def loops(block: Block) -> dict[int, str]:
    """What is repeated, by row."""
    found: dict[int, str] = {}
    said = block.roles == ASSISTANT
    for texts in (block.content, block.traces):
        chosen = np.flatnonzero(said & (texts.sizes >= LEAST_BYTES))
        if not len(chosen):
            continue
        echoing, recurring = _echoing(block, texts, chosen), _recurring(texts, chosen)
        for message in {**echoing, **recurring}:
            row = int(block.row_of[message])
            places = [*recurring.get(message, ())[:MOST_PLACES], *echoing.get(message, ())]
            if row not in found and (unit := _loop(texts, message, places)) is not None:
                found[row] = unit
    return found


def _recurring(texts: Texts, chosen: Ints) -> dict[int, list[int]]:
    """Messages in which one beginning of a line or sentence is found again and again, and where that is."""
    anchors, keys = _starts(texts.data)
    in_each = np.diff(np.searchsorted(anchors, texts.ends))
    enough = np.zeros(texts.count, np.bool_)
    enough[chosen] = True
    enough &= in_each >= STARTS
    wanted = np.repeat(enough, in_each)
    anchors, keys = anchors[wanted], keys[wanted]
    if not len(anchors):
        return {}
    owners = np.repeat(np.flatnonzero(enough), in_each[enough])
    keys ^= owners.astype(np.uint64) * _MIX[2]
    ranked = np.sort(keys)
    often = np.unique(ranked[STARTS - 1 :][ranked[STARTS - 1 :] == ranked[: 1 - STARTS]])
    found: dict[int, list[int]] = {}
    for key in often.tolist():
        places = anchors[keys == key]
        found.setdefault(int(texts.owners(places[:1])[0]), []).extend(places[:: max(1, len(places) // 8)].tolist())
    return found


def _starts(data: Bytes) -> tuple[Ints, Keys]:
    """Where lines and sentences begin, 16 bytes before the end or earlier, and what the 16 bytes there come to; not those
    that begin with white space, list signs, table rows or rules.
    """
    if len(data) < 18:
        return np.zeros(0, np.int64), np.zeros(0, np.uint64)
    found: list[Ints] = []
    keys: list[Keys] = []
    words: Keys = np.ndarray((len(data) - 7,), "<u8", data.data, strides=(1,))
    one, two = np.empty(SCAN, np.bool_), np.empty(SCAN, np.bool_)
    for begin in range(0, len(data) - 17, SCAN):
        size = min(SCAN, len(data) - 17 - begin)
        here, held, some = data[begin : begin + size], one[:size], two[:size]
        np.equal(here, ord("."), out=held)
        np.equal(data[begin + 1 : begin + 1 + size], ord(" "), out=some)
        np.logical_and(held, some, out=held)
        np.equal(here, ord("\n"), out=some)
        np.logical_or(held, some, out=held)
        starts = held.nonzero()[0]
        starts += here[starts] == ord(".")
        starts += begin + 1
        starts = starts[data[starts] > LAST_SIGN]
        found.append(starts)
        keys.append(words[starts] * _MIX[0] ^ words[starts + 8] * _MIX[1])  # while these bytes are near
    return np.concatenate(found), np.concatenate(keys)


def _echoing(block: Block, texts: Texts, chosen: Ints) -> dict[int, list[int]]:
    """Messages whose end, or whose trace's end, repeats what stands just before it."""
    raw, ends = texts.raw, texts.ends.tolist()
    closes = block.tags.first_close.tolist() if texts is block.content else None
    found: dict[int, list[int]] = {}
    for message in chosen.tolist():
        begin, end = ends[message], ends[message + 1]
        probes = [end]
        if closes is not None and closes[message] > begin + LEAST_BYTES:
            probes.append(closes[message])
        for place in probes:
            tail = raw[place - PROBE - 2 : place - 2]  # a newline or full stop may end the loop
            if raw.find(tail, max(begin, place - PROBE - 2 - NEAR), place - 3) < 0:
                continue  # nearly always, and soon told
            if raw.count(tail, max(begin, place - BEFORE), place) >= ECHOES:
                found.setdefault(message, []).append(place - PROBE - 2)
    return found


def _loop(texts: Texts, message: int, places: list[int]) -> str | None:
    """The beginning of what is repeated at one of `places` in a message, or None."""
    raw, begin, end = texts.raw, int(texts.ends[message]), int(texts.ends[message + 1])
    for place in places:
        if (unit := _unit(raw, begin, end, place)) is not None:
            return unit[:60].decode(errors="replace")
    for place in places[:2]:
        words = raw[place : min(end, place + 1000)].split()[:WORDS]
        if len(words) < WORDS:
            continue
        length = raw.index(words[-1], place + sum(map(len, words[:-1]))) + len(words[-1]) - place
        if raw.count(raw[place : place + length], begin, end) >= RETURNS:
            return raw[place : place + 60].decode(errors="replace")
    return None


def _unit(raw: bytes, begin: int, end: int, place: int) -> bytes | None:
    """What follows upon itself around `place`."""
    probe = raw[place : place + PROBE]
    before, after = raw.rfind(probe, max(begin, place - UNIT_BYTES), place + PROBE - 1), -1
    if before < 0:
        after = raw.find(probe, place + 1, min(end, place + UNIT_BYTES))
        if after < 0:
            return None
    size = place - before if before >= 0 else after - place
    unit = raw[place : place + size] if before < 0 else raw[before:place]
    least = max(SPAN, 600 if size < 8 else 0, 2000 if set(unit) <= _DECORATION else 0, REPEATS * size)
    anchor = place if before < 0 else before
    first, last = anchor, anchor + size
    while last - first < least and first - size >= begin and raw[first - size : first] == unit:
        first -= size
    while last - first < least and last + size <= end and raw[last : last + size] == unit:
        last += size
    return unit if last - first >= least else None
