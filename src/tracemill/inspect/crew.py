"""Worker processes that look at pieces of a dataset.

A worker is a fresh interpreter that reads one task a line, as JSON, and answers in one line. A damaged file that takes
its worker down costs that piece: it is said to be unreadable, and another worker goes on.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from queue import SimpleQueue
from typing import Any

from tracemill import errors
from tracemill.errors import TracemillError, UsageError
from tracemill.reading.batch import Piece
from tracemill.reading.shards import Shard

Job = dict[str, Any]
Answer = dict[str, Any]
SMALL = 48_000_000
"""Bytes; what is less is looked at by this process alone, since a worker takes most of a second to start."""

SETTINGS = {
    "OPENBLAS_NUM_THREADS": "1",
    "MALLOC_MMAP_THRESHOLD_": str(1 << 28),
    "MALLOC_TRIM_THRESHOLD_": str(1 << 28),
}
"""Of a worker, unless its user has set them: no threads for algebra that nobody does, and memory of one batch is kept for
the next one, for which the kernel would have to clear it again.
"""


def pack_piece(piece: Piece) -> list[Any]:
    """A piece as plain JSON values."""
    shard = piece.shard
    told = [os.fsencode(shard.path).decode("latin-1"), shard.name, shard.kind, shard.split, shard.language]
    return [told, piece.first, piece.last, piece.row]


def unpack_piece(told: Sequence[Any]) -> Piece:
    """The piece that was packed."""
    from pathlib import Path

    (path, name, kind, split, language), first, last, row = told
    place = Path(os.fsdecode(path.encode("latin-1")))
    return Piece(Shard(place, name, kind, split, language), first, last, row)


def worker_count(workers: int | None) -> int:
    """How many workers are meant: as many as there are cores, at most 4, where nothing is said; 0 is none at all."""
    if workers is None:
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        return min(cores, 4)
    if workers < 0:
        raise UsageError(f"workers={workers}: 0 is this process alone, more are processes of their own")
    return workers


def answers(
    job: Job, pieces: Sequence[Piece], workers: int, here: Callable[[Job, int, Piece], Answer]
) -> Iterator[tuple[int, Answer]]:
    """(number of a piece, what the job made of it), as they come.

    Args:
        here: Does one piece in this process; used where there are no workers.
    Raises:
        TracemillError: Workers cannot even start.
    """
    if workers == 0 or len(pieces) == 0:
        for number, piece in enumerate(pieces):
            yield number, here(job, number, piece)
        return
    crew = _Crew(job, pieces, min(workers, len(pieces)))
    try:
        yield from crew.results()
    finally:
        crew.stop()


def _error(answer: Answer) -> TracemillError | None:
    """What a worker could not do, as the error that it met: a full disk, or a defect of ours."""
    if "refused" in answer:
        kind: type[TracemillError] = getattr(errors, answer["refused"])
        return kind(answer["text"])
    return TracemillError(answer["failure"]) if "failure" in answer else None


class _Crew:
    def __init__(self, job: Job, pieces: Sequence[Piece], count: int) -> None:
        self.job, self.pieces, self.count = job, pieces, count
        self._next = iter(range(len(pieces)))
        self._lock = threading.Lock()
        self._done: SimpleQueue[tuple[int, Answer | BaseException]] = SimpleQueue()
        self._running: set[subprocess.Popen[bytes]] = set()
        self._stopped = False
        for process in [self._start() for _ in range(count)]:
            threading.Thread(target=self._serve, args=[process], daemon=True).start()

    def results(self) -> Iterator[tuple[int, Answer]]:
        for _ in self.pieces:
            number, answer = self._done.get()
            if isinstance(answer, BaseException):
                raise answer
            yield number, answer

    def stop(self) -> None:
        self._stopped = True
        for process in list(self._running):
            process.kill()

    def _start(self) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "tracemill.inspect.worker"]
        surroundings = {**SETTINGS, **os.environ}
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=surroundings)
        self._running.add(process)
        self._say(process, self.job)
        return process

    def _say(self, process: subprocess.Popen[bytes], told: Any) -> None:
        assert process.stdin is not None
        with suppress(BrokenPipeError):
            process.stdin.write(json.dumps(told).encode() + b"\n")
            process.stdin.flush()

    def _serve(self, process: subprocess.Popen[bytes] | None) -> None:
        """One worker's life, and that of those who come after it."""
        try:
            while not self._stopped:
                with self._lock:
                    number = next(self._next, None)
                if number is None:
                    break
                process = process or self._start()
                self._say(process, [number, pack_piece(self.pieces[number])])
                assert process.stdout is not None
                line = process.stdout.readline()
                if line.endswith(b"\n"):
                    answer = json.loads(line)
                    self._done.put((number, _error(answer) or answer))
                    continue
                self._close(process)
                self._done.put((number, {"died": process.returncode}))
                process = None
        except BaseException as exc:
            self._done.put((-1, exc))
        finally:
            if process is not None:
                self._close(process)

    def _close(self, process: subprocess.Popen[bytes]) -> None:
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                with suppress(OSError):
                    pipe.close()
        process.wait()
        self._running.discard(process)
