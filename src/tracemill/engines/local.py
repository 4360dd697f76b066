"""The local engine: worker processes on this machine, each with an event loop, fed unit by unit.

The parent does no work of its own: it hands out units, watches the disk, shows progress, and turns signals into an
orderly end. What a worker was doing when it died is given to another.
"""

from __future__ import annotations

import asyncio
import json
import os
import pickle
import signal
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import asdict
from typing import Any

from tracemill.engines import worker
from tracemill.engines.child import Child, start
from tracemill.engines.messages import LARGEST, NO_SUMS, Order, Progress
from tracemill.errors import BudgetSpent, DiskError, Interrupted, TracemillError
from tracemill.gather.spool import Unit
from tracemill.models.budget import Budget, spent_before
from tracemill.models.teachers import most_workers
from tracemill.plan import Plan
from tracemill.storage.flight import prepare
from tracemill.storage.fs import REAL, Fs
from tracemill.storage.layout import RunPaths

GRACE = 30.0
"""Seconds that requests in flight get to end after a signal or an error. After a spent budget they get all they need."""
MOST_DEATHS = 3
"""Worker deaths in a row, without a unit done between them, after which the run gives up."""
RESERVE_BYTES = 64 * 1024 * 1024
RESERVE_SHARE = 0.05
"""A run stops while this much of the disk, whichever is less, is still free: enough to store what is in flight."""
TICK = 0.25

SIGNALS = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGHUP: 129}


class _Child:
    def __init__(self, number: int, process: Child) -> None:
        self.number, self.process = number, process
        self.units: dict[str, Unit] = {}
        self.stats: dict[str, float] = {}
        self.fates: dict[str, int] = {}
        self.told_last = False

    def tell(self, **message: Any) -> None:
        stdin = self.process.stdin
        if not stdin.is_closing():
            stdin.write(json.dumps(message).encode() + b"\n")


class LocalEngine:
    """Runs units in worker processes.

    Args:
        workers: Processes at most; never more than there are units.
        lock_fd: Descriptor of the run's lock, inherited so that the lock lives as long as any worker.
        watch: Called about four times a second.
        wait: Seconds to wait for a teacher that does not answer; see `Pool`.
    """

    def __init__(
        self,
        workers: int,
        lock_fd: int | None = None,
        watch: Callable[[Progress], None] = lambda progress: None,
        fs: Fs = REAL,
        wait: float | None = None,
    ) -> None:
        self.workers, self.lock_fd, self.watch, self.fs, self.wait = workers, lock_fd, watch, fs, wait

    def run(self, plan: Plan, paths: RunPaths, units: list[Unit]) -> Progress:
        """Work `units` to their end.

        Raises:
            Interrupted: a signal came; replies are stored, units that were not finished are not committed.
            EndpointError, DiskError, TracemillError: as the workers met them.
        """
        run = _Run(self, plan, paths, units)
        return asyncio.run(run.run()) if _has_main_thread() else _in_a_thread(run)


def _has_main_thread() -> bool:
    """Whether an event loop of ours can run here, and take the signals. In a notebook another one runs already."""
    with suppress(RuntimeError):
        asyncio.get_running_loop()
        return False
    return threading.current_thread() is threading.main_thread()


def _in_a_thread(run: _Run) -> Progress:
    """Run in a thread of its own, waiting for it here. Signals, which only the main thread hears, are handed on."""
    result: list[Progress | BaseException] = []
    ended = threading.Event()

    def work() -> None:
        try:
            result.append(asyncio.run(run.run(signals=())))
        except BaseException as exc:
            result.append(exc)
        ended.set()

    before = {}
    if threading.current_thread() is threading.main_thread():
        before = {number: signal.signal(number, lambda told, _: run.interrupt(told)) for number in SIGNALS}
    try:
        threading.Thread(target=work, name="engine").start()
        while not ended.is_set():
            ended.wait(TICK)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if isinstance(result[0], BaseException):
        raise result[0]
    return result[0]


class _Run:
    def __init__(self, engine: LocalEngine, plan: Plan, paths: RunPaths, units: list[Unit]) -> None:
        self.engine, self.plan, self.paths = engine, plan, paths
        self.pending = deque(units)
        self.total = len(units)
        self.workers = min(engine.workers, self.total, most_workers(plan.recipe))
        self.done = 0
        self.children: list[_Child] = []
        self.tasks: set[asyncio.Task[None]] = set()
        self.past_stats: Counter[str] = Counter()
        self.past_fates: Counter[str] = Counter()
        self.deaths = 0
        self.began = time.time()
        self.budget = Budget(plan.recipe.budget, began=self.began)
        self.spent: dict[str, Any] = {}
        if plan.recipe.budget.any():
            self.spent = asdict(spent_before(paths.journal, plan.recipe, engine.fs))
        prepare(paths.flight, self.workers, engine.fs, anew=True)
        self.error: TracemillError | None = None
        self.signals = 0
        self.draining = False
        self.drain_since = 0.0
        self.loop: asyncio.AbstractEventLoop | None = None
        self.early: int | None = None
        """A signal that came before the loop did."""
        self.cancelled = False

    def interrupt(self, number: int) -> None:
        """A signal that another thread has heard."""
        if self.loop is None:
            self.early = number
        else:
            self.loop.call_soon_threadsafe(self._on_signal, number)

    async def run(self, signals: Iterable[signal.Signals] = tuple(SIGNALS)) -> Progress:
        self.loop = loop = asyncio.get_running_loop()
        if self.early is not None:
            self._on_signal(self.early)
        for signalled in signals:
            loop.add_signal_handler(signalled, self._on_signal, signalled)
        try:
            for number in range(self.workers):
                if not self.draining:
                    await self._start(number)
            while self.tasks:
                await asyncio.wait(self.tasks, timeout=TICK)
                self._tick()
        finally:
            self.draining = True
            for task in self.tasks:
                task.cancel()
            for signalled in signals:
                loop.remove_signal_handler(signalled)
            for child in list(self.children):
                if child.process.running:
                    child.process.kill()
                    await child.process.wait()
        self.engine.watch(self._progress())
        if isinstance(self.error, BudgetSpent):
            with suppress(TracemillError):
                self.error = self.budget.settled(self.error, spent_before(self.paths.journal, self.plan.recipe))
        if self.error is not None:
            raise self.error
        return self._progress()

    async def _start(self, number: int) -> None:
        process = await start("tracemill.engines.worker", worker.main, self.engine.lock_fd)
        child = _Child(number, process)
        self.children.append(child)
        order = Order(
            root=str(self.paths.root),
            spool=self.plan.spool.directory.name,
            recipe=self.plan.recipe.model_dump(mode="json"),
            limit=self.plan.limit,
            worker=number,
            workers=self.workers,
            wait=self.engine.wait,
            spent=self.spent,
            began=self.began,
        )
        process.stdin.write(order.line())
        if self.draining:
            child.tell(drain=True)  # the signal came while it was being started
        task = asyncio.create_task(self._attend(child))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def _attend(self, child: _Child) -> None:
        """One worker, from its first word to its end; what goes wrong here stops the run."""
        try:
            await self._listen(child)
        except TracemillError as exc:
            self._stop(exc)
        except Exception as exc:
            self._stop(TracemillError(f"a worker cannot be attended to: {type(exc).__name__}: {exc}"))

    async def _listen(self, child: _Child) -> None:
        """Everything that one worker says, until it ends."""
        while line := await child.process.stdout.readline():
            try:
                message = json.loads(line)
            except ValueError:
                child.process.kill()  # torn by its death, or not ours: it cannot be followed any more
                break
            if message.get("want"):
                self._feed(child)
            elif "done" in message:
                child.units.pop(message["done"], None)
                self.done += 1
                self.deaths = 0
            elif "stats" in message:
                child.stats, child.fates = message["stats"], message["fates"]
            elif "error" in message:
                self._stop(pickle.loads(bytes.fromhex(message["error"])))  # noqa: S301  our own worker's, over our pipe
            elif "crash" in message:
                self._stop(TracemillError(f"a worker met a defect of ours:\n{message['crash']}"))
        code = await child.process.wait()
        self.past_stats.update({k: v for k, v in child.stats.items() if k not in NO_SUMS})
        self.past_fates.update(child.fates)
        self.children.remove(child)
        self.pending.extendleft(child.units.values())
        if self.error is None and not self.draining and (child.units or code != 0):
            await self._replace(child, code)

    def _feed(self, child: _Child) -> None:
        if self.draining or self.error is not None:
            return
        if self.pending:
            unit = self.pending.popleft()
            child.units[unit.name] = unit
            child.tell(unit=asdict(unit))
        elif not child.told_last:
            child.told_last = True
            child.tell(last=True)

    async def _replace(self, child: _Child, code: int) -> None:
        self.deaths += 1
        if self.deaths > MOST_DEATHS:
            died = f"by signal {-code}" if code < 0 else f"with exit code {code}"
            names = ", ".join(sorted(child.units)) or "none"
            self._stop(
                TracemillError(
                    f"worker processes died {self.deaths} times in a row, lately {died}; open units: {names}"
                )
            )
            return
        await self._start(child.number)

    def _stop(self, error: TracemillError) -> None:
        """Keep the first error, and let every worker end."""
        if self.error is None:
            self.error = error
        self._drain()

    def _drain(self) -> None:
        if not self.draining:
            self.draining = True
            self.drain_since = asyncio.get_running_loop().time()
            for child in self.children:
                child.tell(drain=True)

    def _on_signal(self, number: int) -> None:
        self.signals += 1
        name = signal.Signals(number).name
        if self.signals == 1:
            self.drain_since = asyncio.get_running_loop().time()  # a drain that was patient is so no longer
            self._stop(Interrupted(f"stopped by {name}", SIGNALS[signal.Signals(number)]))
        elif self.signals == 2:
            for child in self.children:
                child.tell(cancel=True)
        else:
            for child in self.children:
                child.process.kill()
            os._exit(SIGNALS[signal.Signals(number)])

    def _tick(self) -> None:
        try:
            self._look()
        except TracemillError as exc:
            self._stop(exc)
        patient = isinstance(self.error, BudgetSpent) and not self.signals
        late = asyncio.get_running_loop().time() - self.drain_since > GRACE
        if self.draining and not patient and late and not self.cancelled:
            self.cancelled = True
            for child in self.children:
                child.tell(cancel=True)

    def _look(self) -> None:
        """Show how it goes, and look whether there is room for more."""
        self.engine.watch(self._progress())
        if not self.draining:
            self.budget.late()
        free, size = self.engine.fs.free_bytes(self.paths.root)
        if free < min(RESERVE_BYTES, size * RESERVE_SHARE) and not self.draining:
            self._stop(
                DiskError(
                    f"the disk is nearly full at {self.paths.root}: {free:,} bytes are left, and the last "
                    f"{int(min(RESERVE_BYTES, size * RESERVE_SHARE)):,} are kept for what is in flight. "
                    "Every reply is stored: free some space and run the same command again"
                )
            )

    def _progress(self) -> Progress:
        stats, fates = Counter(self.past_stats), Counter(self.past_fates)
        largest: dict[str, float] = {}
        for child in self.children:
            stats.update({k: v for k, v in child.stats.items() if k not in LARGEST})
            largest.update({k: max(v, largest.get(k, 0.0)) for k, v in child.stats.items() if k in LARGEST})
            fates.update(child.fates)
        return Progress(self.total, self.done, {**stats, **largest}, dict(fates), self.draining)
