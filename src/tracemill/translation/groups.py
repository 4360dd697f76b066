"""Several segments in one request: fewer calls, and each line sees its neighbours.

Every segment has to pass its gates alone, as ever. What does not pass, or does not come back, climbs the ladder by itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from tracemill.models.wire import Failure
from tracemill.segments.batches import Granularity, batches, numbered, parse_numbered
from tracemill.segments.masks import Masked
from tracemill.segments.problem import Problem
from tracemill.translation.gates import Refused
from tracemill.translation.ladder import Climb, Tried
from tracemill.translation.messages import Taken

TOGETHER = "together"
"""The rung of a segment that was asked with its neighbours."""


async def ask_together(climb: Climb, taken: Taken, granularity: Granularity) -> list[Tried | None]:
    """One result for each piece of a row: None where it was not asked together with others."""
    found: list[Tried | None] = [None] * len(taken.pieces)
    work = [_ask(climb, taken, group, found) for group in _groups(climb, taken, granularity) if len(group) > 1]
    await asyncio.gather(*work)
    return found


def _groups(climb: Climb, taken: Taken, granularity: Granularity) -> list[list[int]]:
    """Which pieces go into one request, by number; those that a memory knows go into none."""
    out: list[list[int]] = []
    first = 0
    for _, _, segments in taken.parts:
        places = [place for place, segment in enumerate(segments) if segment.translatable]
        for batch in batches(segments, granularity):
            pieces = [first + places.index(place) for place in batch]
            out.append([n for n in pieces if not isinstance(climb.remembered(taken.pieces[n].masked), str)])
        first += len(places)
    return out


async def _ask(climb: Climb, taken: Taken, group: Sequence[int], found: list[Tried | None]) -> None:
    masked = [taken.pieces[piece].masked for piece in group]
    tried = Tried(asked=1, rung=f"{TOGETHER} at {climb.rungs[0].teacher}")
    got = await climb.ask(numbered([one.text for one in masked]), (), climb.rungs[0], tried, climb.numbered)
    if isinstance(got, Failure):
        found[group[0]] = tried  # it climbs alone, which meets the same failure or does not
        return
    parts = parse_numbered(got.content, len(group))
    for place, (piece, one, part) in enumerate(zip(group, masked, parts, strict=True)):
        mine = tried if place == 0 else Tried(rung=tried.rung)
        found[piece] = await _told(mine, climb, one, part)


async def _told(mine: Tried, climb: Climb, masked: Masked, part: str | Problem) -> Tried:
    """What the gates say of one line of a reply."""
    if isinstance(part, Problem):
        mine.refused = Refused(part.reason, part.detail)
        mine.reasons[part.reason] += 1
        return mine
    judged: str | Refused | Failure = climb.gates.judge(masked, part, bracketed=False)
    if isinstance(judged, str):
        judged = await climb.backed(masked, judged, mine)
    if isinstance(judged, str):
        mine.text = judged
    elif isinstance(judged, Refused):
        mine.refused = judged
        mine.reasons[judged.reason] += 1
    return mine
