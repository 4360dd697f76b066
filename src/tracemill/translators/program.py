"""A program that reads lines and writes lines, one of ours for each of its own.

Nothing such a program writes is believed by its place alone. Sentences with a number, markers, go along and must come out
where they went in: a program that drops a line, or cuts one in two, is found out. Only faults that cancel one another between
two markers are not; with a marker for each line there are none.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import signal
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal

from tracemill.legible import one_line, quoted
from tracemill.translators.translator import Failure, TranslatorError

FIRST_MARKER = 41_003
LONGEST = 100_000
"""Bytes of a line that comes out."""
KEPT_NAMES = re.compile(r"PATH|HOME|TMPDIR|LANG|LC_\w+|LD_LIBRARY_PATH|VIRTUAL_ENV|CUDA_VISIBLE_DEVICES")
"""What a program sees of our environment: no keys."""
DIGITS = re.compile(r"\d")


@dataclass(frozen=True, slots=True)
class Program:
    """How a program is called.

    Args:
        command: Program and arguments; no shell is between.
        life: "run": it is started once and answers each line as it comes. "batch": it answers when its input ends, so
            it is started anew for each batch.
        seconds: For a start and the first line; each further line has a fiftieth of it.
        markers: Lines between two markers; 0, for a program that cannot keep numbers: there are none. 1 also keeps one
            line from changing how the next is translated, since the end of a sentence is always between them.
        apart: Whether an empty line follows each line, for a program that would join them.
        lines: Most lines at a time.
    """

    command: tuple[str, ...]
    life: Literal["run", "batch"] = "run"
    seconds: float = 60.0
    markers: int = 8
    apart: bool = False
    lines: int = 500


class Process:
    """A program at work. One user at a time."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self._running: asyncio.subprocess.Process | None = None
        self._errors: asyncio.Task[bytes] | None = None
        self._number = 0

    async def answers(self, lines: Sequence[str]) -> list[str] | Failure:
        """One line for each line, or why there are none. After a failure the program is ended.

        Raises:
            TranslatorError: The program cannot be started.
        """
        asked, places = self._with_markers(lines)
        end = "\n\n" if self.program.apart else "\n"
        data = "".join(line + end for line in asked).encode(errors="replace")
        limit = self.program.seconds * (1 + len(asked) / 50)
        ended = True
        try:
            async with asyncio.timeout(limit):
                told = await self._told(data, len(asked) * len(end))
            result = told if isinstance(told, Failure) else _kept(asked, told, places, len(end))
            if isinstance(result, Failure) and result.reason == "died":
                result = Failure("died", await self._last_words())
            ended = isinstance(result, Failure) or self.program.life == "batch"
        except TimeoutError:
            hint = (
                "" if self.program.life == "batch" else '; if it answers only when its input ends, its life is "batch"'
            )
            result = Failure("timeout", f"{len(lines)} lines in {limit:g} s{hint}")
        finally:
            if ended:
                await self.close()
        return result

    def _with_markers(self, lines: Sequence[str]) -> tuple[list[str], dict[int, str]]:
        """What is sent, and the number that must come back at each place of a marker."""
        asked: list[str] = []
        places: dict[int, str] = {}
        every = self.program.markers
        for at in range(len(lines) + 1):
            if every and (at % every == 0 or at == len(lines)):
                self._number += 1
                places[len(asked)] = str(FIRST_MARKER + 7 * (self._number % 7001))
                asked.append(f"{places[len(asked)]}.")
            asked += lines[at : at + 1]
        return asked, places

    async def _told(self, data: bytes, count: int) -> list[bytes] | Failure:
        """The lines that come out, without their ends."""
        running = await self._started()
        assert running.stdin is not None
        assert running.stdout is not None
        sending = asyncio.ensure_future(self._send(running.stdin, data))
        try:
            told: list[bytes] = []
            batch = self.program.life == "batch"
            while batch or len(told) < count:
                line = await running.stdout.readline()
                if not line.endswith(b"\n"):
                    told += [line] if line else []
                    if batch:
                        break
                    return Failure("died")
                told.append(line[:-1])
                if len(told) > 2 * count + 10:
                    return Failure("misaligned", f"{count} lines went in, more than {2 * count + 10} came out")
        except ValueError:
            return Failure("too_long", f"more than {LONGEST:,} bytes")
        finally:
            sending.cancel()
            with suppress(asyncio.CancelledError):
                await sending
        if not batch:
            return told
        code = await running.wait()
        return Failure("died") if code or (count and not told) else told

    async def _send(self, stdin: asyncio.StreamWriter, data: bytes) -> None:
        with suppress(ConnectionError):
            stdin.write(data)
            await stdin.drain()
            if self.program.life == "batch":
                stdin.close()
                await stdin.wait_closed()

    async def _started(self) -> asyncio.subprocess.Process:
        if self._running is not None and self._running.returncode is None:
            return self._running
        await self.close()
        name, *arguments = self.program.command
        if shutil.which(name) is None:
            raise TranslatorError(f"the program {quoted(name)} is not on the path; install it, or give its whole path")
        shown = {key: value for key, value in os.environ.items() if KEPT_NAMES.fullmatch(key)}
        try:
            self._running = await asyncio.create_subprocess_exec(
                *(name, *arguments),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                env={"LC_ALL": "C.UTF-8", "PYTHONUNBUFFERED": "1", **shown},
                limit=LONGEST,
                start_new_session=True,
            )
        except OSError as exc:
            raise TranslatorError(f"{quoted(name)} cannot be started: {exc.strerror or exc}") from exc
        assert self._running.stderr is not None
        self._errors = asyncio.ensure_future(_tail(self._running.stderr))
        return self._running

    async def _last_words(self) -> str:
        """How it ended, and the end of what it wrote to stderr."""
        running, code = self._running, None
        if running is None:
            return ""
        with suppress(TimeoutError):
            async with asyncio.timeout(2):
                code = await running.wait()
                said = one_line((await self._errors).decode(errors="replace"), 200) if self._errors else ""
                return f"exit {code}" + (f": {said}" if said else "")
        return "it closed its output"

    async def close(self) -> None:
        """End the program and all that it started."""
        running, self._running = self._running, None
        errors, self._errors = self._errors, None
        if running is not None:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(running.pid, signal.SIGKILL)
            await running.wait()
            if running.stdin is not None:
                running.stdin.close()
            transport = getattr(running, "_transport", None)
            if transport is not None:
                transport.close()
        if errors is not None:
            errors.cancel()
            with suppress(asyncio.CancelledError):
                await errors


async def _tail(stream: asyncio.StreamReader) -> bytes:
    """The end of what is written there; all of it is read, so that nobody waits for us."""
    kept = b""
    while block := await stream.read(8192):
        kept = (kept + block)[-2000:]
    return kept


def _kept(asked: Sequence[str], told: Sequence[bytes], places: dict[int, str], step: int) -> list[str] | Failure:
    """The answers without those to markers and between lines, if all are in their places."""
    if len(told) != step * len(asked):
        return Failure("misaligned", f"{step * len(asked)} lines went in, {len(told)} came out")
    if step == 2 and any(line.strip() for line in told[1::2]):
        return Failure("misaligned", "there is text where an empty line went in")
    kept = []
    for at, line in enumerate(told[::step]):
        try:
            text = line.decode().removesuffix("\r")
        except UnicodeDecodeError:
            return Failure("not_text", one_line(repr(line), 100))
        if at not in places:
            kept.append(text)
        elif "".join(DIGITS.findall(text)) != places[at]:
            return Failure("misaligned", f"{places[at]} went in, {quoted(text)} came out in its place")
    return kept
