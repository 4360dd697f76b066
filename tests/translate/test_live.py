"""Text that is translated while it arrives."""

from __future__ import annotations

import asyncio
import time
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tracemill.models.wire import Reply
from tracemill.segments.masks import mask
from tracemill.testing.translator import Pretender
from tracemill.translation import live as live_module
from tracemill.translation.live import live
from tracemill.translation.stage import Translator, setup

from scenes import recipe  # isort: skip

TEXT = (
    "First we add the apples.\nThen the pears follow.\n\n```python\nx = 1\n\n\nprint(x)\n```\n"
    "Here is the sum:\n\\[\na + b\n\\]\n- one item of it\n- another item of it\n\n"
    "| fruit | number |\n| --- | --- |\n| plums | 7 |\n\nThat is all."
)


class Slow:
    """A door that takes its time: the first text the longest."""

    def __init__(self, seconds: float = 0.0) -> None:
        self.seconds, self.pretender = seconds, Pretender()
        self.answered: list[float] = []

    async def __call__(self, request):
        await asyncio.sleep(self.seconds / (1 + len(self.answered)))
        self.answered.append(time.monotonic())
        return Reply(request.key, self.pretender(request.body()).content, None, "stop")


def climb(ask, tmp_path):
    made = setup(recipe(tmp_path, "http://127.0.0.1:1/v1", ("fr",)))
    return Translator(made, ask).climb("fr")


async def collected(parts, into):
    async def stream():
        for part in parts:
            yield part

    return [piece async for piece in live(stream(), into)]


@settings(max_examples=30, deadline=None)
@given(cuts=st.lists(st.integers(0, len(TEXT)), max_size=12))
def test_however_the_text_arrives_the_translation_is_the_same(cuts, tmp_path_factory):
    into = climb(Slow(), tmp_path_factory.getbasetemp())
    places = [0, *sorted(cuts), len(TEXT)]
    parts = [TEXT[a:b] for a, b in pairwise(places)]
    at_once = asyncio.run(collected([TEXT], into))
    in_parts = asyncio.run(collected(parts, into))
    assert "".join(piece.text for piece in in_parts) == "".join(piece.text for piece in at_once)
    assert "".join(piece.source for piece in in_parts) == TEXT
    assert "x = 1\n\n\nprint(x)" in "".join(piece.text for piece in in_parts)


def test_pieces_come_in_order_and_the_first_before_the_text_is_whole(tmp_path):
    door = Slow(0.2)
    seen: list[float] = []

    async def go():
        async def stream():
            for line in TEXT.splitlines(keepends=True):
                yield line
                await asyncio.sleep(0.05)
            seen.append(time.monotonic())

        return [(time.monotonic(), piece) async for piece in live(stream(), climb(door, tmp_path))]

    got = asyncio.run(go())
    assert "".join(piece.source for _, piece in got) == TEXT
    first = next(at for at, piece in got if mask(piece.source).text != piece.source or piece.text != piece.source)
    assert first < seen[0], "the first segment is there before the last has arrived"


@pytest.mark.parametrize("kind", ["no_brackets", "changed_number"])
def test_a_segment_that_no_translation_passes_for_is_shown_as_it_was_and_says_why(kind, tmp_path):
    door = Slow()
    door.pretender.always = kind
    [piece] = asyncio.run(collected(["There are 12 apples and 15 pears in this basket."], climb(door, tmp_path)))
    assert piece.text == piece.source
    assert piece.refused.reason == {"no_brackets": "brackets", "changed_number": "numbers"}[kind]


def test_who_stops_listening_leaves_nothing_behind_but_requests_under_way(tmp_path):
    """Those end and are stored: another row may wait for them. Nor does it hang where more segments wait than may be
    asked for ahead."""
    asked, pretender, stopped = list[str](), Pretender(), asyncio.Event()

    async def door(request):
        asked.append(request.key)
        if "apple 0 " not in str(request.messages):
            await stopped.wait()
        return Reply(request.key, pretender(request.body()).content, None, "stop")

    async def go():
        async def stream():
            for number in range(60):
                yield f"We add apple {number} to it.\n"

        others = asyncio.all_tasks()
        pieces = live(stream(), climb(door, tmp_path))
        first = await anext(pieces)
        await pieces.aclose()
        left = asyncio.all_tasks() - others
        named = [task.get_coro().__name__ for task in left]
        under_way = len(asked)
        stopped.set()
        await asyncio.gather(*left)
        return first, named, under_way, asyncio.all_tasks() - others

    first, named, under_way, later = asyncio.run(asyncio.wait_for(go(), 10))
    assert first.source.startswith("We add")
    assert set(named) == {"door"}
    assert 1 < len(named) < under_way <= live_module.AHEAD + 2
    assert (later, len(asked)) == (set(), under_way), "nothing more is asked for"


def test_a_long_block_that_stays_open_is_read_once(tmp_path, monkeypatch):
    """Each end of a line is looked at once, however many parts come after it."""
    looked: list[str] = []
    closed = live_module._closed
    monkeypatch.setattr(live_module, "_closed", lambda head: looked.append(head) or closed(head))
    code = "```python\n" + "x = 1\n" * 100 + "```\n"
    got = asyncio.run(collected(list(code), climb(Slow(), tmp_path)))
    assert "".join(piece.text for piece in got) == code
    assert len(looked) <= 2 * 102
