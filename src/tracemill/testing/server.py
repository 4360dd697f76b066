"""A real HTTP server on 127.0.0.1 that speaks the OpenAI chat API, answers from a script, misbehaves on schedule.

It replies to `POST /v1/chat/completions` (without streaming) and `GET /v1/models`, and to `GET /stats` with its
counters. What it says follows from the requests and its settings alone. As a program, see --help:

    python -m tracemill.testing.server --answers arithmetic --latency-ms 20 --fault throttle=0.05
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Sequence
from concurrent.futures import Future
from types import TracebackType
from typing import Self

from tracemill.testing.answers import Body
from tracemill.testing.connection import Connection
from tracemill.testing.endpoint import Endpoint, Script, Stats
from tracemill.testing.events import Event, EventLog
from tracemill.testing.faults import Faults


class ScriptedServer:
    """An endpoint of known behaviour; runs in a thread of its own from `with` to the block's end.

    Leaving the block drops every connection. Entering it again goes on at the same port, counters and attempts as they
    were: an outage.
    """

    def __init__(
        self,
        answers: Script,
        *,
        latency: float = 0.0,
        faults: Faults | None = None,
        log: str | os.PathLike[str] | None = None,
        port: int = 0,
        models: Sequence[str] = ("scripted",),
        truncates: bool = True,
        keep: bool = True,
        owned_by: str = "tracemill",
        slots: int | None = None,
    ) -> None:
        """Prepare; nothing listens before `with`.

        Args:
            answers: Called in the server's thread with each body; an answer, or a whole response. What it raises goes
                into `errors`, and the client gets 400.
            latency: Seconds from a request's last byte to its response.
            log: File to append one line per event to, as `read_log` reads it.
            port: 0 for a free one.
            models: What GET /v1/models lists; requests may name any model.
            truncates: Whether answers are cut at `max_tokens` words.
            keep: False saves memory in long runs: `requests` and `log` stay empty.
            owned_by: What GET /v1/models says of each model's owner.
            slots: Requests that are worked on at a time; the others wait their turn, as in vLLM, and GET /metrics tells
                how many. None: all at once.
        """
        self.port = port
        self._events = EventLog(log, keep)
        self._endpoint = Endpoint(
            answers, latency, faults or Faults(), self._events, models, truncates, keep, owned_by, slots
        )
        self._open: set[Connection] = set()
        self._thread: threading.Thread | None = None

    @property
    def url(self) -> str:
        """Base URL for clients, e.g. "http://127.0.0.1:40123/v1"."""
        return f"http://127.0.0.1:{self.port}/v1"

    @property
    def requests(self) -> list[Body]:
        """The bodies of the chat requests so far, in order of arrival."""
        return self._endpoint.requests.copy()

    @property
    def log(self) -> list[Event]:
        """The events so far."""
        return self._events.events.copy()

    @property
    def errors(self) -> list[Exception]:
        """What `answers` and `Faults.script` have raised so far."""
        return self._endpoint.errors.copy()

    def stats(self) -> Stats:
        """The counters now. Read between two requests they add up; read in the midst of one, nearly."""
        return self._endpoint.stats()

    def __enter__(self) -> Self:
        if self._thread is not None:
            raise RuntimeError("this server runs already")
        self._events.open()
        started: Future[None] = Future()
        self._thread = threading.Thread(target=self._run, args=(started,), name="scripted-server", daemon=True)
        self._thread.start()
        try:
            started.result()
        except OSError:
            self._join()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._join()

    def _join(self) -> None:
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        self._events.close()

    def _run(self, started: Future[None]) -> None:
        try:
            asyncio.run(self._serve(started))
        except Exception as error:
            if started.done():
                raise
            started.set_exception(error)

    async def _serve(self, started: Future[None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        listener = await self._loop.create_server(self._connect, "127.0.0.1", self.port, backlog=4096)
        self.port = listener.sockets[0].getsockname()[1]
        started.set_result(None)
        await self._stop.wait()
        # A connection in the midst of being accepted has a task, which would leak its socket if the listener closed now.
        while accepting := asyncio.all_tasks() - {asyncio.current_task()}:
            await asyncio.gather(*accepting, return_exceptions=True)
        listener.close()
        connections = tuple(self._open)
        for connection in connections:
            connection.abort()
        await asyncio.gather(*(connection.gone.wait() for connection in connections))
        await listener.wait_closed()

    def _connect(self) -> Connection:
        connection = Connection(self._endpoint.take, self._open.discard)
        self._open.add(connection)
        self._endpoint.opened += 1
        return connection


if __name__ == "__main__":
    from tracemill.testing.program import main

    raise SystemExit(main())
