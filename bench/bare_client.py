"""The limit that Tracemill is held against: aiohttp, and every answer durably stored. Nothing else.

    python -m bench.bare_client http://127.0.0.1:40123/v1 prompts.jsonl answers.jsonl 256 jsonl
    python -m bench.bare_client http://127.0.0.1:40123/v1 prompts.jsonl answers 256 journal

A slot is free again when its answer has come, not when the disk has it. There are no retries, no pace, no resuming, no
checks and no dataset.
"""

from __future__ import annotations

import asyncio
import os
import sys
from hashlib import sha256
from pathlib import Path
from typing import Any

import aiohttp
import orjson

from tracemill.storage.entries import REPLY, Entry
from tracemill.storage.journal import Journal

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


class Lines:
    """Answers as JSON lines, appended and `fdatasync`ed every 50 ms by a thread."""

    def __init__(self, out: Path) -> None:
        self._fd = os.open(out, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        self._lines: list[bytes] = []
        self._closing = False
        self._often = asyncio.create_task(self._store_often())

    def put(self, number: int, question: str, body: bytes) -> None:
        """Take one reply."""
        told: dict[str, Any] = orjson.loads(body)
        choice = told["choices"][0]
        row = {
            "number": number,
            "question": question,
            "content": choice["message"]["content"],
            "reasoning": choice["message"]["reasoning_content"],
            "finish_reason": choice["finish_reason"],
            "usage": told["usage"],
        }
        self._lines.append(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE))

    async def _store_often(self) -> None:
        while not self._closing:
            await asyncio.sleep(SYNC_EVERY)
            await self._store()

    async def _store(self) -> None:
        group, self._lines = self._lines, []
        if group:
            await asyncio.to_thread(self._write, group)

    def _write(self, group: list[bytes]) -> None:
        os.write(self._fd, b"".join(group))
        os.fdatasync(self._fd)

    async def close(self) -> None:
        """Store what is left."""
        self._closing = True
        await self._often
        await self._store()
        os.close(self._fd)


class Stored:
    """Answers in Tracemill's own journal: the same durable store, under a bare client."""

    def __init__(self, out: Path, prompts: int) -> None:
        Journal.create(out, prompts)
        self._journal = Journal(out)

    def put(self, number: int, question: str, body: bytes) -> None:
        """Take one reply."""
        told: dict[str, Any] = orjson.loads(body)
        choice, usage = told["choices"][0], told["usage"]
        key = sha256(question.encode()).hexdigest()
        entry = Entry(
            key=key,
            outcome=REPLY,
            max_tokens=16_384,
            attempt=1,
            body=body,
            status=200,
            finish_reason=choice["finish_reason"],
            prompt_tokens=usage["prompt_tokens"],
            completion_tokens=usage["completion_tokens"],
            model=told["model"],
        )
        self._journal.store(entry, home=key)

    async def close(self) -> None:
        """Store what is left."""
        self._journal.close()


async def ask_all(url: str, prompts: Path, out: Path, in_flight: int, store: str) -> None:
    """Ask every prompt, and store every answer."""
    with prompts.open("rb") as file:
        count = sum(1 for _ in file)
    stored: Lines | Stored = Stored(out, count) if store == "journal" else Lines(out)

    async def work(session: aiohttp.ClientSession) -> None:
        for number, line in todo:
            question = orjson.loads(line)["question"]
            async with session.post(f"{url}/chat/completions", data=body(question, number)) as response:
                response.raise_for_status()
                stored.put(number, question, await response.read())

    with prompts.open("rb") as file:
        todo = enumerate(file)
        connector = aiohttp.TCPConnector(limit=0)
        headers = {"content-type": "application/json"}
        async with aiohttp.ClientSession(connector=connector, headers=headers) as session:
            await asyncio.gather(*(work(session) for _ in range(in_flight)))
    await stored.close()


def main() -> None:
    """The process."""
    url, prompts, out, in_flight, store = sys.argv[1:]
    asyncio.run(ask_all(url, Path(prompts), Path(out), int(in_flight), store))


if __name__ == "__main__":
    main()
