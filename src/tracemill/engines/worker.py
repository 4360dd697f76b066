"""One worker process of the local engine: works the units it is given, in one event loop.

    python -m tracemill.engines.worker

It speaks JSON lines: on stdin its order and then units, on stdout what it wants and what it has done. It dies with its
parent, and leaves Ctrl-C to it.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import pickle
import signal
import sys
import time
import traceback
from collections import Counter
from collections.abc import Coroutine, Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tracemill.engines.child import die_with_parent
from tracemill.engines.messages import Order, percentiles
from tracemill.errors import TracemillError
from tracemill.fate import Failed, Fate, Rejected
from tracemill.gather.spool import Unit
from tracemill.models.budget import Budget, Spent, spent_by
from tracemill.models.door import Door
from tracemill.models.metrics import watch
from tracemill.models.pool import GateClosed, Pool
from tracemill.models.sharing import Sharing
from tracemill.models.teachers import open_pools
from tracemill.models.wire import Ask
from tracemill.plan import Pipeline
from tracemill.recipe import Recipe
from tracemill.respond.answer import at_once_per_prompt
from tracemill.rework.which import pipeline_of, plan_at
from tracemill.storage.claims import Claims
from tracemill.storage.flight import FlightRecorder
from tracemill.storage.journal import Journal
from tracemill.storage.layout import RunPaths
from tracemill.storage.parquet import give_memory_back
from tracemill.storage.units import UnitStore
from tracemill.storage.verdicts import Verdicts
from tracemill.verify.math_checker import MathChecker

SELDOM = (100_000, 50, 50)
"""Python's search for cycles, less often: thousands of rows are under way at once, and hardly any is part of one."""
OPEN_UNITS = 16
"""Units that may be open at once: a few slow answers must not leave the window empty, nor fill the memory."""
SWITCH = 0.001
"""Seconds that the event loop may keep the journal's thread from running: what has come is to be on the disk soon."""
TELL_EVERY = 0.5
"""Seconds between two reports."""


class Worker:
    """Holds what the units of one process share."""

    def __init__(self, order: Order) -> None:
        self.paths = RunPaths(Path(order.root))
        recipe = Recipe.model_validate(order.recipe)
        self.plan = plan_at(recipe, self.paths.spool / order.spool, order.limit)
        self.store = UnitStore(self.paths.units / self.plan.shelf)
        self.journal = Journal(self.paths.journal)
        self.flight = FlightRecorder(self.paths.flight, order.worker, order.workers)
        self.pools = open_pools(recipe, order.worker, order.workers, order.wait)
        before = Spent(**order.spent)
        budget = Budget(recipe.budget, lambda: before + spent_by(self.flight.all()), order.began, self.flight.turn)
        self.door = Door(self.journal, self.pools, flight=self.flight, budget=budget)
        self.claims = Claims(self.paths.claims)
        self.fates: Counter[str] = Counter()
        most = sum(pool.most for pool in self.pools.values())
        self.window = max(4, (most + max(64, most // 4)) // at_once_per_prompt(recipe))
        self.failure: BaseException | None = None
        self._slots = asyncio.Semaphore(OPEN_UNITS)
        self._committing = asyncio.Lock()
        """One unit at a time becomes a file: several would be in memory twice, and on one disk none is sooner done."""
        self._over = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()

    async def serve(self, commands: asyncio.StreamReader) -> None:
        """Work until told that there is no more, or to stop."""
        reporter = asyncio.create_task(self._report())
        watcher = asyncio.create_task(watch(lane for pool in self.pools.values() for lane in pool.lanes))
        try:
            async with MathChecker(
                seconds=self.plan.recipe.verify.math.wall_clock, verdicts=Verdicts(self.paths.verdicts)
            ) as checker:
                ask: Ask = self.door
                if self.plan.translation is not None:
                    earlier = [
                        Journal(RunPaths(Path(run)).journal, writable=False) for run in self.plan.translation.runs
                    ]
                    ask = Sharing(self.door, self.claims, earlier)
                pipeline = pipeline_of(self.plan, ask, checker, self.window)
                listener = asyncio.create_task(self._listen(commands, pipeline))
                await self._want_more()
                await self._over.wait()
                while self._tasks:
                    await asyncio.wait(self._tasks)
                listener.cancel()
        finally:
            reporter.cancel()
            watcher.cancel()
            for pool in self.pools.values():
                await pool.shut()
            self.journal.close()
            self.claims.close()
            self._tell()

    async def _listen(self, commands: asyncio.StreamReader, pipeline: Pipeline) -> None:
        while line := await commands.readline():
            command = json.loads(line)
            if "unit" in command:
                told = command["unit"]
                self._begin(pipeline, Unit(told["name"], tuple(told["partitions"]), tuple(told["slice"])))
                continue
            self._over.set()
            if command.get("drain") or command.get("cancel"):
                self.door.stop()
            if command.get("cancel"):
                self._cancel()
        # The parent is gone: store what has come, and follow it.
        self.door.stop()
        self._over.set()
        self._cancel()

    def _cancel(self) -> None:
        for task in self._tasks:
            task.cancel()

    def _begin(self, pipeline: Pipeline, unit: Unit) -> None:
        begun = asyncio.Event()
        self._track(self._work(pipeline, unit, begun))

        async def then_more() -> None:
            await begun.wait()
            await self._want_more()

        self._track(then_more())

    def _track(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _want_more(self) -> None:
        await self._slots.acquire()
        if self.failure is None and not self.door.stopping:
            say(want=True)

    async def _work(self, pipeline: Pipeline, unit: Unit, begun: asyncio.Event) -> None:
        try:
            self.journal.look_anew()  # another worker may have begun this unit, and died
            outcome = await pipeline.work(unit, self._count, begun.set)
            self.fates["duplicate"] += sum(r.stage == "duplicates" for r in outcome.rejected)
            self.fates["kept"] -= sum(r.stage == "duplicates" for r in outcome.rejected)
            lines = list(outcome.ledger.lines())
            async with self._committing:
                await asyncio.to_thread(self.store.commit, unit.name, outcome.tables(), lines)
            say(done=unit.name)
        except asyncio.CancelledError:
            pass
        except GateClosed:
            if self.door.stopped is not None:
                self._fail(self.door.stopped)
        except BaseException as exc:
            self._fail(exc)
        finally:
            begun.set()
            self._slots.release()

    def _fail(self, exc: BaseException) -> None:
        """Tell the parent of the first error, and send nothing more."""
        if self.failure is None:
            self.failure = exc
            tell_failure(exc)
            self.door.stop(exc if isinstance(exc, TracemillError) else None)

    def _count(self, fates: Iterable[Fate]) -> None:
        for fate in fates:
            if isinstance(fate, Rejected):
                self.fates[fate.drop.reason] += 1
            elif isinstance(fate, Failed):
                self.fates[f"failed: {fate.failure.kind}"] += 1
            else:
                self.fates["kept"] += 1

    async def _report(self) -> None:
        while True:
            await asyncio.sleep(TELL_EVERY)
            self._tell()

    def _tell(self) -> None:
        tally = asdict(self.door.tally)
        latencies = tally.pop("latencies")
        told = {**tally, **state_of(self.pools.values()), **percentiles(latencies)}
        say(stats=told, fates=dict(self.fates))


def state_of(pools: Iterable[Pool]) -> dict[str, float]:
    """How asking stands: requests in flight, their limit, those that wait, and endpoints that do not answer."""
    pools = list(pools)
    paces = [lane.pace for pool in pools for lane in pool.lanes]
    down = [since for pool in pools for lane in pool.lanes if (since := lane.breaker.open_since) is not None]
    return {
        "in_flight": sum(pace.in_flight for pace in paces),
        "limit": sum(int(pace.limit) for pace in paces),
        "waiting": sum(pool.waiting for pool in pools),
        "down": len(down),
        "down_for": round(time.monotonic() - min(down), 1) if down else 0.0,
    }


_parent = sys.stdout


def keep_stdout() -> None:
    """Keep the pipe to the parent for messages alone: whatever else is printed here goes to stderr."""
    global _parent  # noqa: PLW0603  one process, one parent
    _parent = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)


def say(**message: Any) -> None:
    """One line to the parent."""
    _parent.write(json.dumps(message) + "\n")
    _parent.flush()


def tell_failure(exc: BaseException) -> None:
    """Hand an error to the parent, which raises it."""
    if isinstance(exc, TracemillError):
        say(error=pickle.dumps(exc).hex())
    else:
        say(crash="".join(traceback.format_exception(exc)))


def show_tasks() -> None:
    """On SIGUSR1: what every task is waiting for, on stderr, for whoever wonders why nothing moves."""
    for task in asyncio.all_tasks():
        waits: Any = task.get_coro()
        chain = []
        while getattr(waits, "cr_frame", None) is not None:
            chain.append(f"{waits.cr_code.co_qualname}:{waits.cr_frame.f_lineno}")
            waits = waits.cr_await
        sys.stderr.write(f"{' > '.join(chain)} > {type(waits).__name__}\n")
    sys.stderr.flush()


def new_loop() -> asyncio.AbstractEventLoop:
    """Uvloop's event loop: half the processor time for each reply. Windows has none; asyncio's own does the same work."""
    if sys.platform == "win32":
        return asyncio.new_event_loop()
    import uvloop

    return uvloop.new_event_loop()


async def run() -> None:
    """Read the order, then work."""
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGUSR1, show_tasks)
    commands = asyncio.StreamReader(limit=64 * 1024 * 1024)
    pipe, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(commands), sys.stdin)
    try:
        order = Order.parse(await commands.readline())
        await Worker(order).serve(commands)
    finally:
        pipe.close()


def main() -> None:
    """The process."""
    keep_stdout()
    give_memory_back()
    sys.setswitchinterval(SWITCH)
    gc.set_threshold(*SELDOM)
    for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ignored, signal.SIG_IGN)
    try:
        with asyncio.Runner(loop_factory=new_loop) as runner:
            runner.run(run())
    except TracemillError as exc:
        tell_failure(exc)
    except BrokenPipeError:
        os._exit(1)
    except BaseException as exc:
        tell_failure(exc)
        sys.exit(1)


if __name__ == "__main__":
    die_with_parent(os.getppid())
    main()
