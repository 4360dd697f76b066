"""The limit that Tracemill is held against: aiohttp, and every answer durably in a JSONL file. Nothing else.

    python -m bench.bare_client http://127.0.0.1:40123/v1 prompts.jsonl answers.jsonl 256

Answers are appended and `fdatasync`ed every 50 ms by a thread; a slot is free again when its answer has come, not when
the disk has it. There are no retries, no pace, no resuming, no checks and no dataset.
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import Any

import aiohttp
import orjson

SYNC_EVERY = 0.05


def body(question: str, seed: int) -> bytes:
    """A request like Tracemill's, without its template."""
    return orjson.dumps(
        {
            "model": "scripted",
            "messages": [{"role": "user", "content": question}],
            "temperature": 0.6,
            "top_p": 0.95,
            "max_tokens": 16_384,
            "seed": seed,
            "chat_template_kwargs": {"enable_thinking": True},
        }
    )


async def ask_all(url: str, prompts: Path, out: Path, in_flight: int) -> int:
    """Ask every prompt; returns how many answers are on the disk."""
    lines: list[bytes] = []
    stored = 0
    fd = os.open(out, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def store(group: list[bytes]) -> None:
        os.write(fd, b"".join(group))
        os.fdatasync(fd)

    async def store_all() -> None:
        nonlocal lines, stored
        group, lines = lines, []
        if group:
            await asyncio.to_thread(store, group)
            stored += len(group)

    async def store_often() -> None:
        while True:
            await asyncio.sleep(SYNC_EVERY)
            await asyncio.shield(store_all())

    async def work(session: aiohttp.ClientSession) -> None:
        for number, line in todo:
            question = orjson.loads(line)["question"]
            async with session.post(f"{url}/chat/completions", data=body(question, number)) as response:
                response.raise_for_status()
                told: dict[str, Any] = orjson.loads(await response.read())
            choice = told["choices"][0]
            row = {
                "number": number,
                "question": question,
                "content": choice["message"]["content"],
                "reasoning": choice["message"]["reasoning_content"],
                "finish_reason": choice["finish_reason"],
                "usage": told["usage"],
            }
            lines.append(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE))

    with prompts.open("rb") as file:
        todo = enumerate(file)
        connector = aiohttp.TCPConnector(limit=0)
        headers = {"content-type": "application/json"}
        async with aiohttp.ClientSession(connector=connector, headers=headers) as session:
            storing = asyncio.create_task(store_often())
            await asyncio.gather(*(work(session) for _ in range(in_flight)))
            storing.cancel()
            await asyncio.wait([storing])
    await store_all()
    os.close(fd)
    return stored


def main() -> None:
    """The process."""
    url, prompts, out, in_flight = sys.argv[1:]
    sys.stdout.write(f"{asyncio.run(ask_all(url, Path(prompts), Path(out), int(in_flight)))}\n")


if __name__ == "__main__":
    main()
