"""Starting a worker process: a copy of this one where that is safe, else a new interpreter.

A copy (fork) shares the memory of everything imported so far and starts in milliseconds; a new interpreter imports it
all again. Copying is safe on Linux while this process runs one thread only.
"""

from __future__ import annotations

import asyncio
import ctypes
import gc
import os
import signal
import sys
import threading
import traceback
import warnings
from collections.abc import Callable
from contextlib import suppress
from typing import NoReturn

LINE_LIMIT = 64 * 1024 * 1024
"""Bytes of one message: a unit with many partitions is one line."""


class Child:
    """A worker process and the two pipes to it."""

    def __init__(
        self,
        pid: int,
        stdin: asyncio.StreamWriter,
        stdout: asyncio.StreamReader,
        ended: asyncio.Future[int],
        kill: Callable[[], None],
    ) -> None:
        self.pid, self.stdin, self.stdout = pid, stdin, stdout
        self._ended, self._kill = ended, kill

    @property
    def running(self) -> bool:
        return not self._ended.done()

    def kill(self) -> None:
        """End it at once."""
        if self.running:
            self._kill()

    async def wait(self) -> int:
        """Its exit code; negative for a signal."""
        return await asyncio.shield(self._ended)


async def start(module: str, work: Callable[[], None], keep_fd: int | None) -> Child:
    """Start a process that runs `work`, which is what `python -m module` does.

    Args:
        keep_fd: A descriptor that it inherits, with stdin, stdout and stderr.
    """
    if can_copy():
        return await _copy(work, keep_fd)
    return await _new(module, keep_fd)


def can_copy() -> bool:
    """Whether this process may be forked now."""
    return sys.platform == "linux" and threading.active_count() == 1 and hasattr(os, "pidfd_open")


def die_with_parent(parent: int) -> None:
    """Ask Linux to kill this process when the thread that started it dies; elsewhere the end of stdin says it."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
        if os.getppid() != parent:
            os._exit(1)  # it died before we asked


async def _new(module: str, keep_fd: int | None) -> Child:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        module,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        pass_fds=() if keep_fd is None else (keep_fd,),
        limit=LINE_LIMIT,
    )
    assert process.stdin is not None
    assert process.stdout is not None

    def kill() -> None:
        with suppress(ProcessLookupError):
            process.kill()

    ended = asyncio.ensure_future(process.wait())
    return Child(process.pid, process.stdin, process.stdout, ended, kill)


async def _copy(work: Callable[[], None], keep_fd: int | None) -> Child:
    theirs_in, ours_out = os.pipe()
    ours_in, theirs_out = os.pipe()
    parent = os.getpid()
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            with suppress(OSError, ValueError):
                stream.flush()
    with warnings.catch_warnings():
        # Python warns of threads that libraries made (numpy's); those know what to do when they are forked.
        warnings.simplefilter("ignore", DeprecationWarning)
        pid = os.fork()
    if pid == 0:
        _become(work, theirs_in, theirs_out, keep_fd, parent)
    os.close(theirs_in)
    os.close(theirs_out)
    loop = asyncio.get_running_loop()
    stdout = asyncio.StreamReader(limit=LINE_LIMIT)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(stdout), os.fdopen(ours_in, "rb", 0))
    transport, protocol = await loop.connect_write_pipe(
        lambda: asyncio.streams.FlowControlMixin(loop), os.fdopen(ours_out, "wb", 0)
    )
    stdin = asyncio.StreamWriter(transport, protocol, None, loop)
    ended, watched = _end_of(pid, loop)

    def kill() -> None:
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(watched, signal.SIGKILL)

    return Child(pid, stdin, stdout, ended, kill)


def _end_of(pid: int, loop: asyncio.AbstractEventLoop) -> tuple[asyncio.Future[int], int]:
    """(a future of the exit code, a descriptor of the process), watched without signals or threads."""
    ended: asyncio.Future[int] = loop.create_future()
    watched = os.pidfd_open(pid)

    def collect() -> None:
        loop.remove_reader(watched)
        _, status = os.waitpid(pid, 0)
        if not ended.done():
            ended.set_result(os.waitstatus_to_exitcode(status))
        os.close(watched)

    loop.add_reader(watched, collect)
    return ended, watched


def _become(work: Callable[[], None], stdin: int, stdout: int, keep_fd: int | None, parent: int) -> NoReturn:
    """The rest of a forked process's life. Nothing of the parent's stack is gone back to."""
    code = 1
    try:
        die_with_parent(parent)
        signal.set_wakeup_fd(-1)
        os.dup2(stdin, 0)
        os.dup2(stdout, 1)
        for fd in _open_descriptors():
            if fd > 2 and fd != keep_fd:
                with suppress(OSError):
                    os.close(fd)
        sys.stdin = os.fdopen(0, closefd=False)
        sys.stdout = os.fdopen(1, "w", closefd=False)
        sys.stderr = os.fdopen(2, "w", buffering=1, closefd=False)
        gc.freeze()  # what the parent made is never collected here, so its memory stays shared
        work()
        code = 0
    except SystemExit as exc:
        code = exc.code if isinstance(exc.code, int) else 1
    except BaseException:
        traceback.print_exc()
    finally:
        with suppress(BaseException):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def _open_descriptors() -> list[int]:
    return [int(name) for name in os.listdir("/proc/self/fd")]
