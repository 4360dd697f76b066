"""Asking whether two answers are the same, without ever waiting for good.

Plain numbers and equal texts are decided here, in microseconds. The rest is asked of child processes (`math_worker`),
because algebra on hostile text can neither be interrupted nor bounded in memory from inside: each check has a wall
clock, and a worker that exceeds it is killed and replaced. What cannot be decided is never equal.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections import OrderedDict
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Literal, Self

from tracemill.errors import TracemillError
from tracemill.storage.verdicts import Verdicts
from tracemill.verify.answers import compared
from tracemill.verify.math_worker import too_complex

Method = Literal["number", "text", "math-verify", "timeout", "crashed", "too_complex"]

WORKER = (sys.executable, "-P", "-m", "tracemill.verify.math_worker")
"""-P: a `sympy.py` in the working directory is not imported."""
START_SECONDS = 60.0
"""For the imports of a worker, which take 0.3 s on an idle machine."""
RECYCLE = 500
"""Checks after which a worker is replaced: sympy's caches grow, and old state should not reach new answers."""
REMEMBERED = 4_096
"""Pairs whose comparison is remembered; at most 16 MB of text."""

_PASSED_ON = ("PATH", "PYTHONPATH", "LD_LIBRARY_PATH", "VIRTUAL_ENV", "SYSTEMROOT", "TMPDIR")
"""All that a worker gets of our environment: it reads hostile text, and keys are none of its business."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of comparing two answers."""

    equal: bool
    method: Method
    detail: str = ""
    """What a reader needs where the method is not enough, e.g. "a power tower"; often ""."""

    @property
    def decided(self) -> bool:
        """Whether the answers were compared at all, rather than given up on. An undecided pair is not equal."""
        return self.method in ("number", "text", "math-verify")


@dataclass(slots=True)
class _Worker:
    """One place for a child process, which comes and goes."""

    command: Sequence[str]
    process: Process | None = None
    checks: int = 0
    killed: list[Process] = field(default_factory=list)
    """Still to be waited for."""

    async def ask(self, request: dict[str, Any], seconds: float) -> dict[str, Any] | str:
        """The reply to one request, or "timeout", or how the child died. On cancellation the child is killed, so that
        its answer cannot reach the next asker.
        """
        process = await self.started()
        assert process.stdin is not None
        assert process.stdout is not None
        answered = False
        try:
            async with asyncio.timeout(seconds):
                process.stdin.write(json.dumps(request).encode() + b"\n")
                await process.stdin.drain()
                line = await process.stdout.readline()
            reply = json.loads(line) if line.endswith(b"\n") else None
            if isinstance(reply, dict) and reply.get("id") == request["id"]:
                self.checks += 1
                answered = True
                return reply
            return f"the worker {await self.ending(process)}"
        except TimeoutError:
            return "timeout"
        except (OSError, ValueError):
            return f"the worker {await self.ending(process)}"
        finally:
            if not answered or self.checks >= RECYCLE:
                self.kill()

    async def started(self) -> Process:
        """The child, alive and ready.

        Raises:
            TracemillError: It does not start, so that no answer could ever be checked.
        """
        await self.reap()
        if self.process is not None and self.process.returncode is None:
            return self.process
        self.kill()
        environment = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
        environment |= {"PYTHONHASHSEED": "0", "PYTHONUTF8": "1"}  # the same order of terms, and answers, each time
        self.process = process = await asyncio.create_subprocess_exec(
            *self.command, stdin=PIPE, stdout=PIPE, stderr=DEVNULL, env=environment
        )
        self.checks = 0
        ready = b""
        assert process.stdout is not None
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(START_SECONDS):
                    ready = await process.stdout.readline()
        finally:
            if not ready:
                self.kill()
        if not ready:
            raise TracemillError(
                f"The math worker does not start (it {await self.ending(process)}). "
                f"Run `{' '.join(self.command)} < /dev/null` to see why."
            )
        return process

    async def ending(self, process: Process) -> str:
        """How a child that fell silent ended, in words; one that still lives is killed."""
        with suppress(TimeoutError):
            async with asyncio.timeout(1):
                await process.wait()
        code = process.returncode
        if code is None:
            return "spoke out of turn"
        return f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"

    def kill(self) -> None:
        """End the child, without waiting for it."""
        if self.process is not None:
            with suppress(ProcessLookupError):
                self.process.kill()
            self.killed.append(self.process)
            self.process = None

    async def reap(self) -> None:
        """Wait for killed children, and read what they left: until its pipe is empty, asyncio holds a process open."""
        while self.killed:
            await self.killed[-1].communicate()
            self.killed.pop()


class MathChecker:
    """Compares answers: `async with MathChecker() as checker: await checker.same("18", "18.0")`.

    Args:
        workers: Child processes at most; each is started when first needed, and holds some 70 MB.
        seconds: Wall clock of one check. A check that takes longer counts as not equal.
        command: What to run as a worker, for tests.
        verdicts: Keeps what workers found, timeouts too, so that a run never changes its mind.
    """

    def __init__(
        self,
        workers: int = 1,
        seconds: float = 5.0,
        command: Sequence[str] = WORKER,
        verdicts: Verdicts | None = None,
    ) -> None:
        self.seconds = seconds
        self.verdicts = verdicts
        self._workers = [_Worker(command) for _ in range(workers)]
        self._free: asyncio.LifoQueue[_Worker] = asyncio.LifoQueue()
        for worker in self._workers:
            self._free.put_nowait(worker)
        self._ids = itertools.count(1)
        self._known: OrderedDict[tuple[str, str], Answer] = OrderedDict()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for worker in self._workers:
            worker.kill()
        for worker in self._workers:
            await worker.reap()
        if self.verdicts is not None:
            self.verdicts.close()

    async def same(self, expected: str, found: str) -> Answer:
        """Whether two answers are the same. The order of the two does not matter.

        An answer never comes later than the wall clock, a worker's start and the turns of those who asked before.

        Raises:
            TracemillError: No worker can be started.
        """
        fast = compared(expected, found)
        if fast is not None:
            return Answer(*fast)
        if why := too_complex(expected) or too_complex(found):
            return Answer(False, "too_complex", why)
        pair = (min(expected, found), max(expected, found))
        if pair in self._known:
            self._known.move_to_end(pair)
            return self._known[pair]
        question = ["math", *pair, self.seconds]
        if self.verdicts is not None and (kept := self.verdicts.get(question)) is not None:
            return Answer(*kept)
        answer = await self._checked(pair)
        if self.verdicts is not None:
            answer = Answer(*self.verdicts.put(question, [answer.equal, answer.method, answer.detail]))
        if answer.decided:
            self._known[pair] = answer
            if len(self._known) > REMEMBERED:
                self._known.popitem(last=False)
        return answer

    async def _checked(self, pair: tuple[str, str]) -> Answer:
        """What a worker says of a pair."""
        worker = await self._free.get()
        try:
            request = {"id": next(self._ids), "expected": pair[0], "found": pair[1]}
            reply = await worker.ask(request, self.seconds)
        finally:
            self._free.put_nowait(worker)
        if reply == "timeout":
            return Answer(False, "timeout", f"no answer within {self.seconds:g} s")
        if isinstance(reply, str):
            return Answer(False, "crashed", reply)
        return Answer(reply["equal"] is True, reply["method"], reply["detail"])
