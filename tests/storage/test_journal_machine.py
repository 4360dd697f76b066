"""Builds, deaths and edits in any order, against a simple model of what must be served and what must be asked.

A build here is a new door over the journal; a death is a copy of the journal's files, taken at some instant, with which
the next build goes on.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

import orjson
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from tracemill.models.door import Door, NotStored
from tracemill.models.teachers import open_pools
from tracemill.models.wire import Failure, Raw, Request, TransportError
from tracemill.recipe import Recipe
from tracemill.storage.compact import compact
from tracemill.storage.journal import Journal
from tracemill.upkeep import holds_answer

HOMES = ["0" * 64, "f" * 64]
PROMPTS = range(6)
LIMITS = (100, 200, 400)
WAYS = ("here", "there")
KINDS = ("ended", "cut", "refused", "timeout", "malformed")
"""What an endpoint may make of a request; the last is a page that holds no answer, with status 200."""
RECIPE = Recipe(
    name="machine",
    license="CC0-1.0",
    prompts={"generate": "word_problems", "count": 1},
    teachers={w: {"url": "http://127.0.0.1:9/v1", "model": "m", "headers": {"x-way": w}, "attempts": 1} for w in WAYS},
)
OUTCOMES = st.lists(st.sampled_from(KINDS), min_size=len(PROMPTS), max_size=len(PROMPTS))
SOME = st.sets(st.sampled_from(PROMPTS), min_size=1)


@dataclass(frozen=True)
class Record:
    """What the model remembers of one reply or failure."""

    kind: str
    limit: int
    way: str
    text: str


class Endpoint:
    """Answers each prompt as it was told to, and remembers that it was asked."""

    def __init__(self, machine):
        self.machine, self.asked = machine, []

    async def send(self, request):
        number = int(request.messages[0]["content"])
        kind = self.machine.coming[number]
        self.machine.count += 1
        text = f"{kind} {self.machine.count}"
        self.asked.append(number)
        self.machine.answered[number] = Record(kind, request.max_tokens, request.teacher, text)
        if kind == "timeout":
            raise TransportError("timeout", text)
        finish = {"ended": "stop", "cut": "length"}.get(kind)
        message = {"choices": [{"message": {"content": text}, "finish_reason": finish}]}
        body = text.encode() if kind in ("malformed", "refused") else orjson.dumps(message)
        return Raw(400 if kind == "refused" else 200, body, 0.0, "endpoint")

    async def close(self):
        pass


class Machine(RuleBasedStateMachine):
    """See the module."""

    @initialize()
    def begin(self):
        self.place = Path(tempfile.mkdtemp(prefix="machine-"))
        self.lives = 0
        self.limit, self.way, self.count = LIMITS[0], WAYS[0], 0
        self.model = {number: [] for number in PROMPTS}
        self.answered, self.coming = {}, []
        Journal.create(self.directory, 20_000)
        self.journal = Journal(self.directory)

    @property
    def directory(self):
        return self.place / f"{self.lives}"

    def request(self, number):
        return Request(
            teacher=self.way, model="m", messages=({"role": "user", "content": f"{number}"},), reasoning="off", seed=1,
            max_tokens=self.limit, home=HOMES[number % 2],
        )  # fmt: skip

    # the model

    def served(self, number):
        """The record that answers now, if there is one."""
        records = self.model[number]
        ended = [r for r in records if r.kind == "ended"]
        long_enough = [r for r in records if r.kind == "cut" and r.limit >= self.limit]
        longest = max((r.limit for r in long_enough), default=0)
        return next(iter(ended), None) or next((r for r in long_enough if r.limit == longest), None)

    def failures(self, number):
        return [r for r in self.model[number] if r.kind not in ("ended", "cut")]

    def final(self, number, replayed=False):
        """The last failure's kind, where there is no answer and it is known that asking again brings none."""
        failures = self.failures(number)
        refused = [r for r in failures if r.kind == "refused" and r.limit <= self.limit and r.way == self.way]
        return failures[-1].kind if refused or (replayed and failures) else None

    def said(self, number, got, record):
        if record.kind in ("ended", "cut"):
            assert got.content == record.text
        else:
            assert (got.kind, got.attempts) == (record.kind, len(self.failures(number)))

    # what is done

    def door(self, mode="ask"):
        endpoint = Endpoint(self)
        return endpoint, Door(self.journal, open_pools(RECIPE, sender=endpoint), mode)

    def to_be_asked(self, numbers):
        return {n for n in numbers if not self.served(n) and not self.final(n)}

    @rule(numbers=SOME, coming=OUTCOMES)
    def build(self, numbers, coming):
        """Each request is served, known to fail, or asked for once and stored."""
        self.coming, self.answered = coming, {}
        wanted = self.to_be_asked(numbers)
        endpoint, door = self.door()
        order = sorted(numbers)

        async def ask():
            return await asyncio.gather(*(door(self.request(n)) for n in order))

        got = dict(zip(order, asyncio.run(ask()), strict=True))
        assert sorted(endpoint.asked) == sorted(wanted)
        for number in order:
            if number in wanted:
                self.model[number].append(self.answered[number])
                self.said(number, got[number], self.answered[number])
            elif record := self.served(number):
                self.said(number, got[number], record)
            else:
                assert isinstance(got[number], Failure)
                assert got[number].kind == self.final(number)

    @rule(numbers=SOME, coming=OUTCOMES, turns=st.integers(0, 40))
    def build_and_die(self, numbers, coming, turns):
        """What was handed on before the death is there after it; what was not may be, and nothing else is."""
        self.coming, self.answered = coming, {}
        _, door = self.door()
        before = self.directory

        async def ask():
            tasks = {n: asyncio.create_task(door(self.request(n))) for n in numbers}
            for _ in range(turns):
                await asyncio.sleep(0)
            handed_on = {n for n, task in tasks.items() if task.done()}
            self.lives += 1
            shutil.copytree(before, self.directory, ignore=shutil.ignore_patterns("*-shm"))
            answered = dict(self.answered)
            await asyncio.gather(*tasks.values())
            return handed_on, answered

        handed_on, answered = asyncio.run(ask())
        self.journal.close()
        shutil.rmtree(before)
        self.journal = Journal(self.directory)
        for number, record in self.answered.items():
            request = self.request(number)
            bodies = [entry.body.decode() for entry in self.journal.entries(request.key, request.home)]
            known = len(self.model[number])
            assert len(bodies) in (known, known + 1)
            if len(bodies) > known:
                assert record.text in bodies[-1]
                self.model[number].append(record)
            else:
                assert number not in handed_on or number not in answered

    @rule()
    def resume(self):
        """An orderly end, and another process."""
        self.journal.close()
        self.journal = Journal(self.directory)

    @rule(limit=st.sampled_from(LIMITS))
    def edit_the_limit(self, limit):
        self.limit = limit

    @rule(way=st.sampled_from(WAYS))
    def edit_the_way_to_the_teacher(self, way):
        self.way = way

    @rule()
    def edit_a_verifier(self):
        """All is worked again: whatever has an answer, or a final failure, is asked nothing."""
        known = set(PROMPTS) - self.to_be_asked(PROMPTS)
        if known:
            self.build(known, ["timeout"] * len(PROMPTS))

    @rule()
    def replay(self):
        """As the audit does: nobody is asked, and the answers are those of a build."""
        endpoint, door = self.door("replay")

        async def ask(number):
            try:
                return await door(self.request(number))
            except NotStored:
                return None

        for number in PROMPTS:
            got = asyncio.run(ask(number))
            if record := self.served(number):
                self.said(number, got, record)
            else:
                assert (got and got.kind) == self.final(number, replayed=True)
        assert endpoint.asked == []

    @rule()
    def compact(self):
        """Nothing that the model serves, or knows to be final, may change; only what is dead is forgotten."""
        self.journal.close()
        compact(self.directory, holds_answer)
        self.journal = Journal(self.directory)
        for number, records in self.model.items():
            ended = [r for r in records if r.kind == "ended"]
            cut = [r for r in records if r.kind == "cut"]
            longest = max(cut, key=lambda r: r.limit, default=None)
            left = ended[:1] or [r for r in records if r.kind != "cut" or r is longest]
            request = self.request(number)
            stored = [entry.body.decode() for entry in self.journal.entries(request.key, request.home)]
            assert len(stored) == len(left)
            assert all(record.text in body for record, body in zip(left, stored, strict=True))
            self.model[number] = left

    @invariant()
    def the_journal_holds_what_the_model_remembers(self):
        if hasattr(self, "journal"):
            counts = self.journal.counts()
            assert sum(counts.values()) == sum(map(len, self.model.values()))

    def teardown(self):
        if hasattr(self, "journal"):
            assert self.journal.check() == []
            self.journal.close()
            shutil.rmtree(self.place)


def drive(examples, steps):
    run_state_machine_as_test(
        Machine,
        settings=settings(
            max_examples=examples, stateful_step_count=steps, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )


def test_whatever_happens_in_whatever_order_the_model_agrees():
    drive(6, 25)


@pytest.mark.storm
@pytest.mark.timeout(3600)
def test_whatever_happens_in_long_lives_the_model_agrees():
    drive(int(os.environ.get("EXAMPLES", "1500")), 60)
