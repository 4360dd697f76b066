"""Translation of text as it arrives: each segment is asked for as soon as it is whole, and handed on in its order.

Half a line, an open fence or an open formula waits for its end, so what comes out is what translating the whole text at
once would give, byte for byte, but for the gates of whole messages.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable
from dataclasses import dataclass

from tracemill.segments.masks import mask
from tracemill.segments.splitting import split
from tracemill.translation.gates import Refused
from tracemill.translation.ladder import Climb

AHEAD = 16
"""Segments that may be asked for at once, before the first of them has come."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of the translated text."""

    text: str
    """What to show: a translation, or what is never translated, as it is."""
    source: str
    refused: Refused | None = None
    """Why no translation passed; `text` is then the source."""


async def live(parts: AsyncIterable[str], climb: Climb) -> AsyncGenerator[Piece, None]:
    """Translate a stream of source text.

    Args:
        parts: The text, in pieces of any size.
        climb: From `Translator.climb`: asks, gates and asks again.
    Yields:
        Pieces in the order of the source; their texts, put together, are the translation. Who stops listening has no more
        asked for; requests under way come to their end, because they are stored and another row may wait for them.
    Raises:
        Whatever a request raises that stops all asking.
    """
    waiting: asyncio.Queue[asyncio.Future[Piece] | None] = asyncio.Queue(AHEAD)
    reader = asyncio.create_task(_read(parts, climb, waiting))
    try:
        while (coming := await waiting.get()) is not None:
            yield await coming
        await reader
    finally:
        reader.cancel()
        await asyncio.gather(reader, return_exceptions=True)
        left = [coming for _ in range(waiting.qsize()) if (coming := waiting.get_nowait()) is not None]
        for coming in left:
            coming.cancel()
        await asyncio.gather(*left, return_exceptions=True)


async def _read(parts: AsyncIterable[str], climb: Climb, waiting: asyncio.Queue[asyncio.Future[Piece] | None]) -> None:
    """Cut the stream into segments and ask for each, in order."""
    held, looked = "", 0
    before: list[str] = []
    try:
        async for part in parts:
            held += part
            whole, held = _whole_lines(held, looked)
            looked = len(held) if not whole else 0
            await _ask(whole, climb, before, waiting)
        await _ask(held, climb, before, waiting)
    except Exception:
        await waiting.put(None)
        raise
    await waiting.put(None)


async def _ask(
    text: str, climb: Climb, before: list[str], waiting: asyncio.Queue[asyncio.Future[Piece] | None]
) -> None:
    for segment in split(text) if text else ():
        work = (
            _translated(segment.text, tuple(before[-AHEAD:]), climb)
            if segment.translatable
            else _as_it_is(segment.text)
        )
        await waiting.put(asyncio.ensure_future(work))
        if segment.translatable:
            before.append(segment.text)


async def _as_it_is(text: str) -> Piece:
    return Piece(text, text)


async def _translated(text: str, before: tuple[str, ...], climb: Climb) -> Piece:
    tried = await climb(mask(text), before)
    if tried.text is not None:
        return Piece(tried.text, text)
    why = tried.refused or Refused("endpoint", tried.failure.detail if tried.failure is not None else "")
    return Piece(text, text, why)


def _whole_lines(held: str, looked: int = 0) -> tuple[str, str]:
    """(what can be cut now, what must wait): all lines that are whole and after which no block is open.

    A line may begin a block whose end is still to come, so the text is cut only where what stands before is cut the same
    way with anything after it: at the last blank line outside of blocks, or line by line of plain prose.

    Args:
        looked: No end of a line among so many first characters is one to cut at; it was tried before.
    """
    end = held.rfind("\n") + 1
    while end > looked:
        head = held[:end]
        if _closed(head):
            return head, held[end:]
        end = held.rfind("\n", 0, end - 1) + 1
    return "", held


def _closed(head: str) -> bool:
    """Whether no fence, formula or table is open at the end of some whole lines."""
    probe = "\nThese are words\n"
    alone, more = split(head), split(head + probe)
    return (
        len(more) > len(alone)
        and more[: len(alone) - 1] == alone[:-1]
        and any(segment.kind == "prose" and segment.text == probe.strip() for segment in more[len(alone) - 1 :])
    )
