"""What an endpoint says of its own queue. vLLM, SGLang and llama.cpp never refuse: they let requests wait inside, where
more of them bring nothing but latency. Their /metrics tell how many wait.
"""

from __future__ import annotations

import asyncio
import math
import re
from collections.abc import Iterable

from tracemill.models.endpoint import Endpoint
from tracemill.models.pool import Lane

EVERY = 1.0
"""Seconds between two looks."""
LOOKS, SELDOM = 3, 30.0
"""After so many looks without an answer the next ones come so many seconds apart: it has none, or is down."""
_SAMPLE = re.compile(r"^([a-zA-Z_:][\w:]*)(?:\{[^}]*\})?\s+([0-9.eE+-]+)", re.MULTILINE)
RUNNING = frozenset({"vllm:num_requests_running", "sglang:num_running_reqs", "llamacpp:requests_processing"})
WAITING = frozenset({"vllm:num_requests_waiting", "sglang:num_queue_reqs", "llamacpp:requests_deferred"})


def queue_of(text: str) -> tuple[float, float] | None:
    """(running, waiting) requests in a Prometheus text, summed over its models; None where it does not tell."""
    running = waiting = 0.0
    told = False
    for name, value in _SAMPLE.findall(text):
        try:
            number = float(value)
        except ValueError:
            continue
        if not math.isfinite(number):
            continue
        if name in WAITING:
            waiting, told = waiting + number, True
        elif name in RUNNING:
            running += number
    return (running, waiting) if told else None


async def watch(lanes: Iterable[Lane]) -> None:
    """Look at the queues of these endpoints until cancelled, and let each one's pace hear of it."""
    await asyncio.gather(*(_watch(lane, lane.sender) for lane in lanes if isinstance(lane.sender, Endpoint)))


async def _watch(lane: Lane, endpoint: Endpoint) -> None:
    silent = 0
    while True:
        await asyncio.sleep(EVERY if silent < LOOKS else SELDOM)
        text = await endpoint.metrics()
        queue = None if text is None else queue_of(text)
        if queue is None:
            silent += 1
            continue
        silent = 0
        running, waiting = queue
        # Others may ask the same endpoint: of those that wait, ours are as many as our share of all.
        ours = waiting * min(1.0, lane.pace.in_flight / max(running + waiting, 1.0))
        lane.pace.queued(round(ours))
