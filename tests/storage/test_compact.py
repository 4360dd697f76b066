"""A journal made smaller: nothing that any build could need is gone, at whatever moment it is cut."""

from __future__ import annotations

import asyncio
import random
import shutil
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tracemill.errors import CorruptRun, DiskError, Locked, UsageError
from tracemill.identity import digest
from tracemill.models.door import Door, NotStored
from tracemill.models.teachers import open_pools
from tracemill.models.wire import Failure, Request
from tracemill.recipe import Recipe
from tracemill.storage.entries import REPLY, Entry
from tracemill.storage.fs import Fs
from tracemill.storage.journal import Journal
from tracemill.storage.lock import RunLock
from tracemill.upkeep import compact

HOME = "8" * 64
RECIPE = Recipe(
    name="ways",
    license="CC0-1.0",
    prompts={"generate": "word_problems", "count": 1},
    teachers={
        name: {"url": "http://127.0.0.1:9/v1", "model": "m", "headers": {"x-way": name}} for name in ("here", "there")
    },
)
WAYS = {name: pool.lanes[0].name for name, pool in open_pools(RECIPE).items()}
LIMITS = (50, 100, 150, 200, 400)


def body(content, finish="stop"):
    return orjson.dumps({"choices": [{"message": {"content": content}, "finish_reason": finish}]})


def request(limit=100, teacher="here", number=0):
    return Request(
        teacher=teacher, model="m", messages=({"role": "user", "content": f"{number}"},), reasoning="off", seed=1,
        max_tokens=limit, home=HOME,
    )  # fmt: skip


def entry(outcome, number, limit=100, teacher="here", key=None, text=None):
    """An entry of a kind: ended, cut, silent, no_answer, silent_no_answer, or a class of failure."""
    way = WAYS[teacher]
    told = {"key": key or request().key, "max_tokens": limit, "attempt": 1, "endpoint": way, "at": 1.0 + number}
    finish = {"ended": "stop", "no_answer": "stop", "cut": "length", "cut_no_answer": "length"}.get(outcome)
    if outcome in ("ended", "cut", "silent"):
        return Entry(
            outcome=REPLY, status=200, finish_reason=finish, body=body(text or f"{outcome} {number}", finish), **told
        )
    if outcome.endswith("no_answer"):
        made = orjson.dumps({"choices": [{"message": number, "finish_reason": finish}]})
        return Entry(outcome=REPLY, status=200, finish_reason=finish, body=made, **told)
    return Entry(outcome=outcome, body=f"HTTP: {number}".encode(), **told)


KINDS = (
    "ended", "cut", "silent", "no_answer", "cut_no_answer", "silent_no_answer", "refused", "timeout", "transient", "throttled",
)  # fmt: skip


def new_run(folder: Path, *entries: Entry, prompts: int = 1) -> Path:
    """A run directory that holds a journal and nothing else."""
    journal_at = folder / ".tracemill" / "journal"
    Journal.create(journal_at, prompts)
    journal = Journal(journal_at)

    async def run():
        await asyncio.gather(*(journal.store(made, HOME if prompts == 1 else made.key) for made in entries))

    asyncio.run(run())
    journal.close()
    return folder


class Asked(Exception):
    """The door asked."""


class Sender:
    async def send(self, asked):
        raise Asked

    async def close(self):
        pass


def outcomes(run: Path) -> dict:
    """What a door makes of the stored request: at every limit, by both ways, asking and replaying."""
    journal = Journal(run / ".tracemill" / "journal", writable=False)

    async def ask(door, asked):
        try:
            got = await door(asked)
        except (Asked, NotStored) as exc:
            return type(exc).__name__
        return got if isinstance(got, Failure) else got.content

    async def all_of_them():
        found = {}
        for mode in ("ask", "replay"):
            for limit in LIMITS:
                for way in RECIPE.teachers:
                    door = Door(journal, open_pools(RECIPE, sender=Sender()), mode)
                    found[mode, limit, way] = await ask(door, request(limit, way))
        return found

    try:
        return asyncio.run(all_of_them())
    finally:
        journal.close()


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from(KINDS), st.sampled_from(LIMITS), st.sampled_from(("here", "there"))),
        min_size=1,
        max_size=7,
    )
)
def test_no_door_can_tell_a_compacted_journal_from_the_one_before(tmp_path_factory, told):
    entries = [entry(kind, number, limit, way) for number, (kind, limit, way) in enumerate(told)]
    run = new_run(tmp_path_factory.mktemp("law"), *entries)
    before = outcomes(run)
    report = compact(run)
    assert outcomes(run) == before
    left = stored(run)
    assert [e for e in entries if e in left] == left
    assert len(entries) - sum(report.dropped.values()) == len(left) == report.after.replies + report.after.failures


def stored(run: Path) -> list[Entry]:
    journal = Journal(run / ".tracemill" / "journal", writable=False)
    try:
        assert journal.check() == []
        return journal.find(request().key)
    finally:
        journal.close()


GOES = {
    "failures before a reply that ended": (("timeout", 100), ("throttled", 100), ("ended", 100)),
    "cut replies before one that ended": (("cut", 50), ("cut", 100), ("ended", 400)),
    "a second reply that ended": (("ended", 100), ("ended", 100)),
    "shorter cut replies": (("cut", 50), ("cut", 200), ("cut", 100)),
    "a second one as long": (("cut", 100), ("cut", 100)),
}
STAYS = {
    "failures alone": (("timeout", 100), ("refused", 100)),
    "a refusal beside a cut reply": (("cut", 50), ("refused", 200)),
    "failures beside a cut reply": (("timeout", 100), ("cut", 50)),
    "all beside a reply that cannot be read": (("refused", 100), ("no_answer", 100), ("ended", 100)),
    "shorter ones beside a cut reply that cannot be read": (("cut", 100), ("cut_no_answer", 200)),
    "replies that do not say how they ended": (("silent", 100), ("silent", 100)),
}


@pytest.mark.parametrize(("kinds", "left"), [
    *((kinds, 1) for kinds in GOES.values()), *((kinds, len(kinds)) for kinds in STAYS.values()),
], ids=[*GOES, *STAYS])  # fmt: skip
def test_what_goes_and_what_stays(tmp_path, kinds, left):
    run = new_run(tmp_path, *(entry(kind, n, limit) for n, (kind, limit) in enumerate(kinds)))
    before = sum(kind not in ("timeout", "throttled", "refused") for kind, _ in kinds)
    report = compact(run)
    assert (report.before.replies, report.before.failures) == (before, len(kinds) - before)
    assert len(stored(run)) == left


def texts(count: int, seed: int = 1) -> list[Entry]:
    """Replies that share words, as replies do; every third after a failure."""
    draw, words = random.Random(seed), "so the sum of both is then divided by three apples and each costs more".split()
    out = []
    for number in range(count):
        told = " ".join(draw.choices(words, k=60)) + f" {draw.random()}"
        if number % 3 == 0:
            out.append(entry("timeout", number, key=digest(number)))
        out.append(entry("ended", number, key=digest(number), text=told))
    return out


def bytes_of(run: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in (run / ".tracemill" / "journal").iterdir()}


def replies_of(run: Path, count: int) -> list[list[Entry]]:
    journal = Journal(run / ".tracemill" / "journal", writable=False)
    try:
        return [[e for e in journal.entries(digest(n), digest(n)) if e.outcome == REPLY] for n in range(count)]
    finally:
        journal.close()


@pytest.mark.parametrize("prompts", [40_000, 200_000], ids=["4 files", "32 files with too little to learn from"])
def test_a_compacted_journal_is_smaller_and_says_the_same(tmp_path, prompts):
    run = new_run(tmp_path, *(replace(e) for e in texts(900)), prompts=prompts)
    before = replies_of(run, 900)
    report = compact(run)
    assert replies_of(run, 900) == before
    assert report.after.bytes < report.before.bytes * (0.8 if prompts == 40_000 else 1)
    assert report.after.bytes == sum(len(data) for name, data in bytes_of(run).items() if name.endswith(".sqlite"))
    assert (report.after.replies, report.after.failures) == (900, 0)
    assert report.dropped == {"timeout, then a reply that ended": 300}
    again = compact(run)
    assert (again.before, again.dropped) == (report.after, {})
    assert again.after.bytes <= report.after.bytes


def test_a_journal_of_format_1_is_read_compacted_and_then_of_format_2(tmp_path):
    run = new_run(tmp_path, *texts(300))
    place = run / ".tracemill" / "journal"
    (place / "journal.json").write_text('{"format": 1, "ranges": 1}')
    with closing(sqlite3.connect(place / "000.sqlite")) as opened:
        opened.execute("PRAGMA user_version=1")
    before = replies_of(run, 300)
    compact(run)
    assert replies_of(run, 300) == before
    with closing(sqlite3.connect(place / "000.sqlite")) as opened:
        assert opened.execute("PRAGMA user_version").fetchone()[0] == 2


def test_what_is_stored_later_lies_beside_what_was_compacted(tmp_path):
    run = new_run(tmp_path, *texts(300), prompts=1)
    compact(run)
    new_run(run, *texts(200, seed=2))
    assert [len(found) for found in replies_of(run, 300)] == [2] * 200 + [1] * 100
    before = [found[0] for found in replies_of(run, 300)]
    assert compact(run).dropped["reply, then a reply that ended"] == 200
    assert [found for [found] in replies_of(run, 300)] == before


def test_who_writes_or_reads_keeps_a_compaction_away(tmp_path):
    run = new_run(tmp_path, *texts(50))
    file = run / ".tracemill" / "journal" / "000.sqlite"
    with RunLock(run / ".tracemill" / "lock"), pytest.raises(Locked):
        compact(run)
    with closing(sqlite3.connect(file)) as reader:
        reader.execute("BEGIN")
        assert reader.execute("SELECT count(*) FROM replies").fetchone()[0] == 67
        with pytest.raises(Locked, match=r"000\.sqlite: another process is reading it"):
            compact(run)
    assert compact(run).after.replies == 50


def test_a_directory_without_a_run_is_told(tmp_path):
    with pytest.raises(UsageError, match="holds no journal"):
        compact(tmp_path)


def test_a_damaged_row_stops_it_and_stays_as_it_is(tmp_path):
    run = new_run(tmp_path, *texts(50))
    file = run / ".tracemill" / "journal" / "000.sqlite"
    with closing(sqlite3.connect(file)) as opened:
        opened.execute("UPDATE replies SET max_tokens = max_tokens + 1 WHERE id = 20")
        opened.commit()
    with pytest.raises(CorruptRun, match=r"000\.sqlite.*is damaged"):
        compact(run)
    with closing(sqlite3.connect(file)) as opened:
        assert opened.execute("SELECT count(*) FROM replies").fetchone()[0] == 67
    assert [p.name for p in file.parent.glob(".*")] == []


@pytest.mark.parametrize("harm", ["UPDATE dictionaries SET data = zeroblob(500)", "DELETE FROM dictionaries", "swap"])
def test_a_wrong_dictionary_is_told_and_gives_no_text(tmp_path, harm):
    """A file with another's dictionary under the right number, and a checksum that fits it, is refused too."""
    run = new_run(tmp_path / "a", *texts(300))
    compact(run)
    file = run / ".tracemill" / "journal" / "000.sqlite"
    with closing(sqlite3.connect(file)) as opened:
        if harm == "swap":
            other = new_run(tmp_path / "b", *texts(300, seed=9))
            compact(other)
            with closing(sqlite3.connect(other / ".tracemill" / "journal" / "000.sqlite")) as source:
                row = source.execute("SELECT * FROM dictionaries").fetchone()
            opened.execute("DELETE FROM dictionaries")
            opened.execute("INSERT INTO dictionaries VALUES (?, ?, ?)", row)
        else:
            opened.execute(harm)
        opened.commit()
    with pytest.raises(CorruptRun, match=r"000\.sqlite"):
        replies_of(run, 300)


class Failing(Fs):
    """The n-th operation of some kind fails."""

    def __init__(self, operation):
        self.operation = operation

    def _reach(self, operation, path):
        if operation == self.operation:
            raise DiskError(f"{path}: refused")

    def rename(self, old, new):
        self._reach("rename", new)
        super().rename(old, new)

    def sync(self, file, path):
        self._reach("sync", path)
        super().sync(file, path)

    def sync_dir(self, path):
        self._reach("sync_dir", path)
        super().sync_dir(path)

    def open(self, path):
        self._reach("open", path)
        return super().open(path)


@pytest.mark.parametrize("operation", ["open", "sync", "rename", "sync_dir"])
def test_a_disk_that_refuses_leaves_a_whole_journal(tmp_path, operation):
    run = new_run(tmp_path, *texts(100))
    before = replies_of(run, 100)
    with pytest.raises(DiskError, match="refused"):
        compact(run, fs=Failing(operation))
    assert replies_of(run, 100) == before
    assert [p.name for p in (run / ".tracemill" / "journal").glob(".*")] == []
    compact(run)
    assert replies_of(run, 100) == before


def test_a_flipped_bit_in_a_compacted_file_is_told_or_harmless(tmp_path):
    run = new_run(tmp_path / "whole", *texts(300))
    compact(run)
    before = replies_of(run, 300)
    size = len(bytes_of(run)["000.sqlite"])
    told = refused = 0
    draw = random.Random(5)
    for place in draw.sample(range(size), 80):
        hurt = tmp_path / "hurt"
        shutil.copytree(run, hurt)
        file = hurt / ".tracemill" / "journal" / "000.sqlite"
        data = bytearray(file.read_bytes())
        data[place] ^= 1 << draw.randrange(8)
        file.write_bytes(data)
        try:
            found = replies_of(hurt, 300)
        except (CorruptRun, DiskError) as exc:
            told += "000.sqlite" in str(exc)
            refused += 1
        else:
            assert all(now in ([], was) for now, was in zip(found, before, strict=True))
        shutil.rmtree(hurt)
    assert told == refused > 20
