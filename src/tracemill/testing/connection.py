"""The least of HTTP/1.1 that a scripted server needs, with an exact account of when a response has left.

Requests carry Content-Length bodies; connections are kept alive; a pipelined request waits for its turn. A client that
closes its end, even half of it, has gone away.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import cast

HEAD_LIMIT = 64 * 1024
BODY_LIMIT = 64 * 1024 * 1024
_REASONS = {status.value: status.phrase for status in HTTPStatus}


@dataclass(frozen=True, slots=True)
class Received:
    """One whole request."""

    method: str
    path: str
    headers: dict[str, str]
    """Names in lower case."""
    body: bytes


@dataclass(frozen=True, slots=True)
class Response:
    """One response, before it is written."""

    status: int
    body: bytes
    content_type: str = "application/json"
    headers: tuple[tuple[str, str], ...] = ()

    def head(self, close: bool) -> bytes:
        """Status line and headers, the blank line included; Content-Length is that of the whole body."""
        lines = [
            f"HTTP/1.1 {self.status} {_REASONS.get(self.status, 'Unknown')}",
            f"Content-Type: {self.content_type}",
            f"Content-Length: {len(self.body)}",
            *(f"{name}: {value}" for name, value in self.headers),
        ]
        if close:
            lines.append("Connection: close")
        return "\r\n".join([*lines, "", ""]).encode("latin-1")


class Connection(asyncio.Protocol):
    """One client: reads a request, hands it to `take`, and reads the next once the response is out.

    `take` ends each request with one of `reply`, `reply_half`, `close` and `reset`, now or later.
    """

    def __init__(self, take: Callable[[Connection, Received], None], lost: Callable[[Connection], None]) -> None:
        self._take = take
        self._lost = lost
        self._buffer = bytearray()
        self._need = 0
        self._reading = False
        self._busy = False
        self._draining = False
        self._last = False
        self.gone = asyncio.Event()
        """Set when the connection is lost, and its request settled."""
        self.settle: Callable[[bool], None] | None = None
        """Called once per request: True when the kernel has the whole response, False when it never will."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask to be told as soon as the write buffer is empty."""
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(high=0)

    def connection_lost(self, exc: Exception | None) -> None:
        """A response that was due, or not yet all in the kernel, is lost."""
        self._busy = True
        self._settle(False)
        self._lost(self)
        self.gone.set()

    def data_received(self, data: bytes) -> None:
        """Take whatever is whole."""
        self._buffer += data
        self._read()

    def resume_writing(self) -> None:
        """The write buffer is empty."""
        if self._draining:
            self._finish()

    def reply(self, response: Response) -> None:
        """Write a whole response. Does nothing if the client has gone, which settles the request anyway."""
        if self._transport.is_closing():
            return
        self._transport.write(response.head(self._last) + response.body)
        if self._transport.is_closing():
            return
        if self._transport.get_write_buffer_size():
            self._draining = True
        else:
            self._finish()

    def reply_half(self, response: Response, hang_up: bool = True) -> None:
        """Write the headers and the first half of the body, then hang up, or say nothing more."""
        if not self._transport.is_closing():
            self._transport.write(response.head(self._last) + response.body[: len(response.body) // 2])
            if hang_up:
                self._transport.close()

    def close(self) -> None:
        """Hang up politely: the client reads the end of the stream."""
        self._transport.close()

    def reset(self) -> None:
        """Hang up rudely: the client's next read fails with ECONNRESET."""
        sock = self._transport.get_extra_info("socket")
        if sock is not None and not self._transport.is_closing():
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._transport.abort()

    def abort(self) -> None:
        """Drop the connection and what is still to be written."""
        self._transport.abort()

    def _settle(self, sent: bool) -> None:
        settle, self.settle = self.settle, None
        if settle is not None:
            settle(sent)

    def _finish(self) -> None:
        self._draining = False
        self._settle(True)
        if self._last:
            self._transport.close()
        else:
            self._busy = False
            self._read()

    def _read(self) -> None:
        if self._reading:  # a reply made while we take a request comes back here; the loop below goes on
            return
        self._reading = True
        try:
            while not self._busy and self._next():
                pass
        finally:
            self._reading = False

    def _next(self) -> bool:
        """Take one request off the buffer. False: more bytes are needed first."""
        buffer = self._buffer
        if len(buffer) < self._need or not buffer:
            return False
        end = buffer.find(b"\r\n\r\n")
        if end < 0 or end > HEAD_LIMIT:
            return len(buffer) > HEAD_LIMIT and self._refuse(431)
        first, *lines = buffer[:end].decode("latin-1").split("\r\n")
        words = first.split(" ")
        headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        length = headers.get("content-length", "0")
        if len(words) != 3 or not words[2].startswith("HTTP/1.") or not length.isdecimal():
            return self._refuse(400)
        if "transfer-encoding" in headers:
            return self._refuse(411)
        if len(length) > 12 or int(length) > BODY_LIMIT:
            return self._refuse(413)
        whole = end + 4 + int(length)
        if len(buffer) < whole:
            if headers.get("expect", "").lower() == "100-continue":
                self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            self._need = whole
            return False
        body = bytes(buffer[end + 4 : whole])
        del buffer[:whole]
        self._need = 0
        self._last = words[2] == "HTTP/1.0" or headers.get("connection", "").lower() == "close"
        self._busy = True
        self._take(self, Received(words[0], words[1], headers, body))
        return True

    def _refuse(self, status: int) -> bool:
        """Say why this cannot be read, and hang up: where the next request begins is unknown."""
        self._busy = self._last = True
        self.reply(Response(status, b'{"error":{"message":"%s"}}' % _REASONS[status].encode()))
        return False
