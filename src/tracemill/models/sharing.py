"""A door for requests that several processes may want at the same time: one of them asks, the others take its reply."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from tracemill.models.door import Door
from tracemill.models.pool import GateClosed
from tracemill.models.wire import Failure, Reply, Request
from tracemill.storage.claims import Claims
from tracemill.storage.entries import IMPORTED, serving
from tracemill.storage.journal import Journal

WAIT = 0.02
"""Seconds between two looks whether another process has its reply."""


class Sharing:
    """Asks through a door, `shared` requests only once over all processes of a run.

    Args:
        claims: Those of this process.
        earlier: Journals of other runs: what they hold is stored here too, as bought elsewhere, and not asked for.
    """

    def __init__(self, door: Door, claims: Claims, earlier: Sequence[Journal] = ()) -> None:
        self.door, self.claims, self.earlier = door, claims, earlier

    async def __call__(self, request: Request) -> Reply | Failure:
        """As the door. Raises the same."""
        journal = self.door.journal
        if not request.shared or serving(journal.entries(request.key, request.home), request.max_tokens) is not None:
            return await self.door(request)
        while not self.claims.take(request.key):
            if self.door.stopping:
                raise GateClosed
            await asyncio.sleep(WAIT)
        try:
            journal.look_again(request.home)
            await self._take_over(request)
            return await self.door(request)
        finally:
            self.claims.give(request.key)

    async def _take_over(self, request: Request) -> None:
        """Store the reply of an earlier run, where ours has none."""
        journal = self.door.journal
        if not self.earlier or serving(journal.entries(request.key, request.home), request.max_tokens) is not None:
            return
        for other in self.earlier:
            found = serving(other.entries(request.key, request.home), request.max_tokens)
            if found is not None:
                name = other.directory.parent.parent.name
                await journal.store(replace(found, endpoint=f"{IMPORTED}{name}"), request.home)
                return
