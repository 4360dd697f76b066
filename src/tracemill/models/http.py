"""HTTP/1.1 to one server, for thousands of requests at once: kept connections, one write and few callbacks each.

Written for the one thing that asking does, POST and read the whole reply, because it is the largest part of what a
sample costs: `bench/ask.py` holds it beside a general client. The parsing is llhttp's (httptools).
"""

from __future__ import annotations

import asyncio
import ssl
import zlib
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import cast
from urllib.parse import urlsplit

import httptools

KEEP_ALIVE = 4.0
"""Seconds. vLLM's HTTP server closes idle connections after 5; ours must be the one that closes first."""
LARGEST_BODY = 32 * 1024 * 1024
"""Bytes. A longer reply is cut off: no answer is that long, and a hostile server must not fill the memory."""
CONNECT_SECONDS = 30.0
CONNECTING = 8
"""Connections that are being made at a time. Small servers (llama.cpp, Python's own) queue five, and what comes beyond
that may wait for its deadline without anybody knowing of it."""
_READ = frozenset({b"retry-after", b"content-type", b"location"})
_OPENED = {b"gzip": 31, b"x-gzip": 31, b"deflate": 15}
"""Content encodings that we can read, with zlib's `wbits` for each."""


class HttpError(Exception):
    """No whole response came. `kind` is one of `TransportError`'s."""

    def __init__(self, kind: str, detail: str) -> None:
        super().__init__(detail)
        self.kind = kind


@dataclass(slots=True)
class Response:
    """A whole response."""

    status: int
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)
    """Those that anybody here reads, by lower-case name."""


class Server:
    """The connections to one base URL. Use inside one running event loop.

    Args:
        headers: Sent with every request. Values as they are: whoever gives them has checked that they hold no line end.
    """

    def __init__(self, base_url: str, headers: Mapping[str, str]) -> None:
        parts = urlsplit(base_url)
        self._host = parts.hostname or ""
        secure = parts.scheme == "https"
        self._port = parts.port or (443 if secure else 80)
        self._ssl: ssl.SSLContext | None = ssl.create_default_context() if secure else None
        self._base = parts.path.rstrip("/")
        named = f"[{self._host}]" if ":" in self._host else self._host
        host = named if parts.port is None else f"{named}:{self._port}"
        told = {"host": host, "accept": "*/*", "accept-encoding": "gzip, deflate", "user-agent": "tracemill", **headers}
        self._headers = "".join(f"{name}: {value}\r\n" for name, value in told.items())
        self._heads: dict[tuple[str, str], bytes] = {}
        self._idle: deque[tuple[float, _Connection]] = deque()
        self._open: set[_Connection] = set()
        self._connecting = asyncio.Semaphore(CONNECTING)
        self._reaper: asyncio.TimerHandle | None = None

    async def send(self, method: str, path: str, body: bytes = b"", seconds: float = 60.0) -> Response:
        """Send one request and read its response, whatever its status. Redirects are not followed.

        Args:
            seconds: For the whole response, from sending on. To connect has `CONNECT_SECONDS` of its own.
        Raises:
            HttpError: no connection, or it broke before the whole response came.
        """
        head = self._heads.get((method, path))
        if head is None:
            head = f"{method} {self._base}{path} HTTP/1.1\r\n{self._headers}".encode("latin-1")
            self._heads[method, path] = head
        connection = self._kept() or await self._connect()
        try:
            response = await connection.exchange(b"%bcontent-length: %d\r\n\r\n%b" % (head, len(body), body), seconds)
        except BaseException:
            self._drop(connection)
            raise
        if connection.reusable:
            self._keep(connection)
        else:
            self._drop(connection)
        return response

    def close(self) -> None:
        """Let go of all connections."""
        if self._reaper is not None:
            self._reaper.cancel()
            self._reaper = None
        for connection in list(self._open):
            self._drop(connection)
        self._idle.clear()

    async def _connect(self) -> _Connection:
        loop = asyncio.get_running_loop()
        try:
            async with self._connecting, asyncio.timeout(CONNECT_SECONDS):
                _, connection = await loop.create_connection(
                    _Connection,
                    self._host,
                    self._port,
                    ssl=self._ssl,
                    server_hostname=self._host if self._ssl else None,
                )
        except TimeoutError:
            raise HttpError("unreachable", f"no connection within {CONNECT_SECONDS:g} s") from None
        except (OSError, UnicodeError) as exc:
            raise HttpError("unreachable", f"no connection: {_said(exc)}") from None
        self._open.add(connection)
        return connection

    def _kept(self) -> _Connection | None:
        """A connection from before that is still open: the one used last, so that the others grow old."""
        while self._idle:
            _, connection = self._idle.pop()
            if connection.reusable:
                return connection
            self._drop(connection)
        return None

    def _keep(self, connection: _Connection) -> None:
        loop = asyncio.get_running_loop()
        self._idle.append((loop.time(), connection))
        if self._reaper is None:
            self._reaper = loop.call_later(KEEP_ALIVE / 4, self._reap)

    def _reap(self) -> None:
        loop = asyncio.get_running_loop()
        too_old = loop.time() - KEEP_ALIVE * 3 / 4
        while self._idle and self._idle[0][0] < too_old:
            self._drop(self._idle.popleft()[1])
        self._reaper = loop.call_later(KEEP_ALIVE / 4, self._reap) if self._idle else None

    def _drop(self, connection: _Connection) -> None:
        self._open.discard(connection)
        connection.abort()


class _Connection(asyncio.Protocol):
    """One connection, one exchange at a time."""

    __slots__ = (
        "_body",
        "_complete",
        "_done",
        "_encoding",
        "_ends_with_connection",
        "_parser",
        "_response",
        "_size",
        "_started",
        "_transport",
        "reusable",
    )

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._done: asyncio.Future[Response] | None = None
        self.reusable = True

    async def exchange(self, request: bytes, seconds: float) -> Response:
        """Write a request, and wait for the response to it."""
        assert self._transport is not None
        loop = asyncio.get_running_loop()
        self._started = self._complete = False
        self._fresh_response()
        self._done = loop.create_future()
        deadline = loop.call_later(seconds, self._fail, f"no whole reply within {seconds:g} s", "timeout")
        self._transport.write(request)
        try:
            return await self._done
        finally:
            deadline.cancel()
            self._done = None

    def abort(self) -> None:
        """Close at once."""
        self.reusable = False
        if self._transport is not None:
            self._transport.abort()

    def _fresh_response(self) -> None:
        self._response = Response(0, b"")
        self._body: list[bytes] = []
        self._size = 0
        self._ends_with_connection = True
        self._encoding = b""

    # What the event loop tells

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's do not inherit from asyncio's

    def data_received(self, data: bytes) -> None:
        if self._done is None or self._done.done():
            self.abort()  # a word that nobody asked for: whatever follows could not be told apart from an answer
            return
        self._started = True
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._fail("the server switched to another protocol")
        except httptools.HttpParserCallbackError as exc:
            cause = exc.__context__
            self._fail(str(cause), cause.kind if isinstance(cause, HttpError) else "")
        except httptools.HttpParserError as exc:
            self._fail(f"not HTTP: {_said(exc)}")

    def eof_received(self) -> None:
        self._ended(None)

    def connection_lost(self, exc: Exception | None) -> None:
        self._ended(exc)

    def _ended(self, exc: Exception | None) -> None:
        self.reusable = False
        if self._done is None or self._done.done():
            return
        if exc is None and self._ends_with_connection and self._response.status:
            self._finish()
        else:
            self._fail(f"the connection was closed{f' ({_said(exc)})' if exc else ''} before the whole reply came")

    def _fail(self, detail: str, kind: str = "") -> None:
        self.reusable = False
        if self._done is not None and not self._done.done():
            self._done.set_exception(HttpError(kind or ("partial" if self._started else "connection"), detail))

    # What the parser tells

    def on_message_begin(self) -> None:
        if self._complete:
            self.reusable = False
            raise HttpError("partial", "more came than one response")

    def on_header(self, name: bytes, value: bytes) -> None:
        name = name.lower()
        if name in (b"content-length", b"transfer-encoding"):
            self._ends_with_connection = False
        elif name == b"content-encoding":
            self._encoding = value.strip().lower()
        elif name in _READ:
            self._response.headers[name.decode()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        self._response.status = self._parser.get_status_code()

    def on_body(self, data: bytes) -> None:
        self._size += len(data)
        if self._size > LARGEST_BODY:
            raise HttpError("oversize", f"the reply is longer than {LARGEST_BODY:,} bytes")
        self._body.append(data)

    def on_message_complete(self) -> None:
        if self._response.status < 200:  # "100 Continue" and its like announce the response proper
            self._fresh_response()
            return
        self.reusable = self._parser.should_keep_alive()
        self._complete = True
        self._finish()

    def _finish(self) -> None:
        if self._done is None or self._done.done():
            return
        body = self._body[0] if len(self._body) == 1 else b"".join(self._body)
        if self._encoding and self._encoding != b"identity":
            try:
                body = _opened(body, self._encoding)
            except HttpError as exc:
                self._fail(str(exc), exc.kind)
                return
            except (zlib.error, ValueError) as exc:
                self._fail(f"the reply's content encoding {self._encoding!r} cannot be undone: {exc}")
                return
        self._response.body = body
        self._done.set_result(self._response)


def _opened(body: bytes, encoding: bytes) -> bytes:
    """A compressed body, undone, if it is not longer than any answer."""
    if encoding not in _OPENED:
        raise ValueError("unknown")
    out = b""
    while body:  # gzip may come in several members
        unzip = zlib.decompressobj(_OPENED[encoding])
        out += unzip.decompress(body, LARGEST_BODY - len(out) + 1)
        if len(out) > LARGEST_BODY:
            raise HttpError("oversize", f"the reply is longer than {LARGEST_BODY:,} bytes once it is opened")
        if not unzip.eof:
            raise ValueError("it stops in the middle")
        body = unzip.unused_data
    return out


def _said(exc: BaseException) -> str:
    return f"{type(exc).__name__}: {exc}" if str(exc) else type(exc).__name__
