"""Translating by programs that read lines and write lines: Apertium, or any other, as it is.

    CommandTranslator({("en", "es"): [Program(("apertium", "-u", "eng-spa"), life="batch")]})

Several programs for one pair of languages are a chain, such as English, Catalan, French.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tracemill.errors import UsageError
from tracemill.translators.program import Process, Program
from tracemill.translators.translator import Failure, TranslatorError

MOST_RUNS = 40
"""Runs that one batch may take until the lines that spoil it are found; after that the rest fails with them."""


@dataclass(slots=True)
class _Waiting:
    line: str
    result: asyncio.Future[str | Failure]


class Batcher:
    """One program, and the lines that wait for it. What comes while it works goes along in the next batch."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self._process = Process(program)
        self._waiting: deque[_Waiting] = deque()
        self._worker: asyncio.Task[None] | None = None

    async def translate(self, lines: Sequence[str]) -> list[str | Failure]:
        """One result for each line. A line without a word is handed back: programs lose them."""
        loop = asyncio.get_running_loop()
        results: list[str | Failure | asyncio.Future[str | Failure]] = []
        for line in lines:
            if not line.strip():
                results.append(line)
            elif len(line.splitlines()) != 1 or "\n" in line or "\r" in line:
                results.append(Failure("not_one_line"))
            else:
                waiting = _Waiting(line, loop.create_future())
                self._waiting.append(waiting)
                results.append(waiting.result)
        if self._waiting and (self._worker is None or self._worker.done()):
            self._worker = asyncio.ensure_future(self._work())
        return [await each if isinstance(each, asyncio.Future) else each for each in results]

    async def _work(self) -> None:
        while self._waiting:
            batch = [self._waiting.popleft() for _ in range(min(len(self._waiting), self.program.lines))]
            batch = [each for each in batch if not each.result.done()]
            try:
                told = await self._run([each.line for each in batch])
            except BaseException as exc:  # whoever waits must hear of it, a cancelled worker included
                problem = exc if isinstance(exc, Exception) else TranslatorError("the translator was closed")
                for each in (*batch, *self._waiting):
                    if not each.result.done():
                        each.result.set_exception(problem)
                self._waiting.clear()
                if not isinstance(exc, Exception):
                    raise
                return
            for each, result in zip(batch, told, strict=True):
                if not each.result.done():
                    each.result.set_result(result)

    async def _run(self, lines: Sequence[str]) -> list[str | Failure]:
        """One result for each line: a batch that fails is halved until the lines that spoil it are alone."""
        results: list[str | Failure] = [""] * len(lines)
        waiting = deque([range(len(lines))] if lines else [])
        runs = 0
        while waiting:
            part = waiting.popleft()
            told = await self._process.answers([lines[at] for at in part])
            runs += 1
            if isinstance(told, list):
                for at, text in zip(part, told, strict=True):
                    results[at] = text
            elif len(part) == 1 or runs >= MOST_RUNS:
                for at in part:
                    results[at] = told
            else:
                half = part.start + len(part) // 2
                waiting.extend((range(part.start, half), range(half, part.stop)))
        return results

    async def close(self) -> None:
        """End the program; who waits gets a TranslatorError."""
        worker, self._worker = self._worker, None
        if worker is not None and not worker.done():
            worker.cancel()
            await asyncio.gather(worker, return_exceptions=True)
        await self._process.close()


class CommandTranslator:
    """Translates by a chain of programs for each pair of languages.

    Args:
        pairs: By codes (source, target): the programs, each reading what the one before wrote.
        name: For a memory; by default the commands.
    """

    def __init__(self, pairs: Mapping[tuple[str, str], Sequence[Program]], name: str | None = None) -> None:
        for (source, target), programs in pairs.items():
            if not programs or not all(program.command for program in programs):
                raise UsageError(f"no command is given for {source} to {target}")
        self._pairs = {pair: tuple(programs) for pair, programs in pairs.items()}
        self.name = name or "; ".join(
            dict.fromkeys(" ".join(program.command) for programs in self._pairs.values() for program in programs)
        )
        self._batchers: dict[Program, Batcher] = {}

    async def translate(self, lines: Sequence[str], source: str, target: str) -> list[str | Failure]:
        """One result for each line, see `Translator.translate`."""
        programs = self._pairs.get((source, target))
        if programs is None:
            there = ", ".join(f"{a} to {b}" for a, b in self._pairs)
            raise TranslatorError(f"{self.name} does not translate {source} to {target}; it does {there}")
        results: list[str | Failure] = list(lines)
        for program in programs:
            batcher = self._batchers.setdefault(program, Batcher(program))
            at = [number for number, result in enumerate(results) if isinstance(result, str)]
            told = await batcher.translate([str(results[number]) for number in at])
            for number, result in zip(at, told, strict=True):
                results[number] = result
        return results

    async def close(self) -> None:
        """End all programs."""
        for batcher in self._batchers.values():
            await batcher.close()
