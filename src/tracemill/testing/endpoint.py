"""What a scripted server does with a request: note it, draw its fault, wait, answer, and note how that ended."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import orjson

from tracemill.testing.answers import Answer, Body, completion
from tracemill.testing.connection import Connection, Received, Response
from tracemill.testing.events import EventLog, body_hash
from tracemill.testing.faults import AT_ONCE, TOO_MANY, Faults, error_response, spoil

Script = Callable[[Body], Answer | Response]
"""What a server says to a request: an answer, or a whole response of any status."""


@dataclass(frozen=True, slots=True)
class Stats:
    """Counters of chat requests since the server was made: received == sent + aborted + in_flight."""

    received: int
    sent: int
    aborted: int
    in_flight: int
    peak_in_flight: int
    """The most requests at a time; those refused because of `max_in_flight` do not count."""
    distinct: int
    """Number of different request hashes, refused ones included."""
    connections: int
    """Connections that were ever opened."""
    faults: Mapping[str, int]
    """Requests by the kind of fault that they met."""
    statuses: Mapping[int, int]
    """Responses that were sent whole, by status."""


@dataclass(slots=True, eq=False)
class _Exchange:
    """One request between its arrival and the moment its response is out or lost."""

    connection: Connection
    body: Body
    digest: str
    fault: str | None
    status: int = 0
    timer: asyncio.TimerHandle | None = None
    delay: float = 0.0
    working: bool = False


class Endpoint:
    """The state behind the wire. All methods but `stats` belong to the thread of the event loop."""

    def __init__(
        self,
        answers: Script,
        latency: float,
        faults: Faults,
        events: EventLog,
        models: Sequence[str],
        truncates: bool,
        keep: bool,
        owned_by: str = "tracemill",
        slots: int | None = None,
    ) -> None:
        self._owned_by = owned_by
        self._slots = slots
        self._working = 0
        self._queue: deque[_Exchange] = deque()
        self._answers = answers
        self._latency = latency
        self._faults = faults
        self._events = events
        self._models = tuple(models)
        self._truncates = truncates
        self._keep = keep
        self._attempts: dict[str, int] = {}
        self._fault_counts: Counter[str] = Counter()
        self._statuses: Counter[int] = Counter()
        self._received = self._sent = self._aborted = self._peak = 0
        self.opened = 0
        """Connections so far."""
        self.requests: list[Body] = []
        self.errors: list[Exception] = []

    def stats(self) -> Stats:
        """The counters now."""
        return Stats(
            received=self._received,
            sent=self._sent,
            aborted=self._aborted,
            in_flight=self._received - self._sent - self._aborted,
            peak_in_flight=self._peak,
            distinct=len(self._attempts),
            connections=self.opened,
            faults=dict(self._fault_counts),
            statuses=dict(self._statuses),
        )

    def take(self, connection: Connection, received: Received) -> None:
        """Answer one request, now or later."""
        match received.method, received.path.partition("?")[0]:
            case "POST", "/v1/chat/completions":
                try:
                    body = _chat_body(received.body)
                    digest = body_hash(body)
                except (ValueError, TypeError) as error:
                    connection.reply(error_response(400, "invalid_request_error", str(error)))
                else:
                    self._begin(connection, body, digest)
            case "GET", "/v1/models":
                rows = [
                    {"id": name, "object": "model", "created": 0, "owned_by": self._owned_by} for name in self._models
                ]
                connection.reply(Response(200, orjson.dumps({"object": "list", "data": rows})))
            case "GET", "/metrics":
                connection.reply(Response(200, self._metrics(), "text/plain; version=0.0.4"))
            case "GET", "/stats":
                connection.reply(Response(200, orjson.dumps(self.stats(), option=orjson.OPT_NON_STR_KEYS)))
            case method, path:
                connection.reply(error_response(404, "not_found_error", f"There is no {method} {path} here."))

    def _metrics(self) -> bytes:
        """How full it is, in vLLM's words."""
        waiting = len(self._queue)
        running = self._received - self._sent - self._aborted - waiting
        name = f'{{model_name="{self._models[0] if self._models else ""}"}}'
        return (
            "# TYPE vllm:num_requests_running gauge\n"
            f"vllm:num_requests_running{name} {float(running)}\n"
            "# TYPE vllm:num_requests_waiting gauge\n"
            f"vllm:num_requests_waiting{name} {float(waiting)}\n"
        ).encode()

    def _begin(self, connection: Connection, body: Body, digest: str) -> None:
        attempt = self._attempts.setdefault(digest, 0)
        limit = self._faults.max_in_flight
        busy = self._received - self._sent - self._aborted
        fault, error = None, None
        if limit is not None and busy >= limit:
            fault = TOO_MANY
        else:
            self._attempts[digest] = attempt + 1
            self._peak = max(self._peak, busy + 1)
            try:
                fault = self._faults.draw(body, digest, attempt)
            except Exception as raised:  # of the user's script: the server lives on, and `errors` tells
                error = raised
        if fault is not None:
            self._fault_counts[fault] += 1
        if self._keep:
            self.requests.append(body)
        self._received += 1
        self._events.add("received", digest, 0, fault)
        exchange = _Exchange(connection, body, digest, fault)
        connection.settle = partial(self._settle, exchange)
        delay = self._faults.delay(fault, self._latency)
        if error is not None:
            self._reply(exchange, self._excuse(error))
        elif delay > 0 and fault not in AT_ONCE:
            exchange.delay = delay
            self._queue.append(exchange)
            self._work()
        else:
            self._end(exchange)

    def _work(self) -> None:
        """Begin what waits, as far as there are slots."""
        while self._queue and (self._slots is None or self._working < self._slots):
            exchange = self._queue.popleft()
            if exchange.connection.gone.is_set():
                continue
            self._working += 1
            exchange.working = True
            exchange.timer = asyncio.get_running_loop().call_later(exchange.delay, self._end, exchange)

    def _end(self, exchange: _Exchange) -> None:
        """The time for an answer has come."""
        if exchange.fault == "hang":
            exchange.connection.close()
            return
        if exchange.fault == "reset":
            exchange.connection.reset()
            return
        response = self._faults.response(exchange.fault) if exchange.fault is not None else None
        if response is None:
            try:
                answer = self._answers(exchange.body)
                response = self._said(exchange, answer)
            except Exception as raised:  # of the user's answers, as above
                response = self._excuse(raised)
        self._reply(exchange, response)

    def _said(self, exchange: _Exchange, answer: Answer | Response) -> Response:
        if isinstance(answer, Response):
            return answer
        return spoil(exchange.fault, completion(exchange.body, answer, exchange.digest, self._truncates))

    def _reply(self, exchange: _Exchange, response: Response) -> None:
        exchange.status = response.status
        if exchange.fault == "partial":
            exchange.connection.reply_half(response)
        elif exchange.fault == "stall":
            exchange.connection.reply_half(response, hang_up=False)
            exchange.timer = asyncio.get_running_loop().call_later(self._faults.hang_seconds, exchange.connection.close)
        else:
            exchange.connection.reply(response)

    def _excuse(self, error: Exception) -> Response:
        self.errors.append(error)
        return error_response(400, "invalid_request_error", f"No answer: {type(error).__name__}: {error}")

    def _settle(self, exchange: _Exchange, sent: bool) -> None:
        if exchange.timer is not None:
            exchange.timer.cancel()
        if exchange.working:
            exchange.working = False
            self._working -= 1
            self._work()
        elif exchange in self._queue:
            self._queue.remove(exchange)
        if sent:
            self._sent += 1
            self._statuses[exchange.status] += 1
        else:
            self._aborted += 1
        self._events.add("sent" if sent else "aborted", exchange.digest, exchange.status, exchange.fault)


def _chat_body(raw: bytes) -> Body:
    """The parsed body. Raises ValueError for what is no chat request, or one that we do not speak."""
    body = orjson.loads(raw)
    messages = body.get("messages") if isinstance(body, dict) else None
    if not isinstance(messages, list) or not messages or not all(isinstance(m, dict) for m in messages):
        raise ValueError("The body has no list of messages.")
    if body.get("stream"):
        raise ValueError("Streaming is not spoken here.")
    return dict(body)
