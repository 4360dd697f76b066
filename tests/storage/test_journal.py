"""The journal: what it acknowledged is there, whatever dies, fills up, tears or flips; and what serves whom."""

from __future__ import annotations

import asyncio
import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tracemill.errors import CorruptRun, DiskError, TracemillError
from tracemill.identity import digest
from tracemill.storage.entries import Entry
from tracemill.storage.journal import MAX_RANGES, OPEN_FILES, Journal, ranges_for
from tracemill.storage.sqlite import FORMAT

CHILD = """
import asyncio, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from test_journal import entry
from tracemill.storage.journal import Journal

async def write(journal, first, count):
    async def one(number):
        made = entry(number)
        await journal.store(made, made.key)
        print(number, flush=True)
    for start in range(first, first + count, 20):
        await asyncio.gather(*(one(n) for n in range(start, min(start + 20, first + count))))

journal = Journal(Path(sys.argv[2]))
asyncio.run(write(journal, int(sys.argv[3]), int(sys.argv[4])))
journal.close()
"""


def entry(number: int, **more: object) -> Entry:
    """An entry whose whole content follows from its number."""
    body = random.Random(number).randbytes(500 + number % 700)
    told = {"key": digest(number), "outcome": "reply", "max_tokens": 100, "attempt": 1, "body": body}
    return Entry(**{**told, "status": 200, "finish_reason": "stop", "at": float(number + 1), **more})


def new_journal(directory: Path, prompts: int = 1) -> Path:
    Journal.create(directory, prompts)
    return directory


def store(directory: Path, *entries: Entry, at_once: bool = False) -> None:
    """Store and wait: for each entry by itself, or for all together."""

    async def run(journal: Journal) -> None:
        for made in () if at_once else entries:
            await journal.store(made, made.key)
        if at_once:
            await asyncio.gather(*(journal.store(made, made.key) for made in entries))

    journal = Journal(directory)
    try:
        asyncio.run(run(journal))
    finally:
        journal.close()


def found(directory: Path, *keys: str) -> list[list[Entry]]:
    journal = Journal(directory, writable=False)
    try:
        return [journal.entries(key, key) for key in keys]
    finally:
        journal.close()


def checked(directory: Path) -> list[str]:
    journal = Journal(directory, writable=False)
    try:
        return journal.check()
    finally:
        journal.close()


def child(directory: Path, first: int, count: int) -> subprocess.Popen:
    words = [sys.executable, "-c", CHILD, str(Path(__file__).parent), str(directory), str(first), str(count)]
    return subprocess.Popen(words, stdout=subprocess.PIPE, text=True)


def test_an_entry_comes_back_as_it_was_stored(tmp_path):
    told = {"prompt_tokens": 10, "completion_tokens": 20, "latency_ms": 5, "model": "r1"}
    whole = entry(1, **told, teacher="main", endpoint="http://localhost/v1")
    store(new_journal(tmp_path / "j"), whole)
    assert found(tmp_path / "j", whole.key) == [[whole]]


@settings(max_examples=20, deadline=None)
@given(st.binary(max_size=300), st.none() | st.text(max_size=5), st.none() | st.integers(-(2**70), 2**70), st.text())
def test_whatever_a_server_says_of_its_reply_the_body_is_stored(tmp_path_factory, body, finish, tokens, model):
    place = new_journal(tmp_path_factory.mktemp("any") / "j")
    store(place, entry(1, body=body, finish_reason=finish, prompt_tokens=tokens, model=model))
    [[kept]] = found(place, digest(1))
    assert kept.body == body
    assert kept.prompt_tokens in (tokens, None)
    assert checked(place) == []


def test_what_is_acknowledged_survives_kills(tmp_path):
    directory, acknowledged = new_journal(tmp_path / "j", 40_000), set()
    draw = random.Random(5)
    for kill in range(6):
        process = child(directory, 10_000 * kill, 10_000)
        assert process.stdout is not None
        acknowledged.add(int(process.stdout.readline()))
        time.sleep(draw.uniform(0, 0.25))
        process.send_signal(signal.SIGKILL)
        acknowledged |= {int(line) for line in process.stdout.read().splitlines()}
        process.wait()
        process.stdout.close()
    journal = Journal(directory, writable=False)
    wrong = [n for n in sorted(acknowledged) if journal.serve(digest(n), digest(n), 100) != entry(n)]
    problems = journal.check()
    journal.close()
    assert len(acknowledged) > 6
    assert (wrong, problems) == ([], [])


def test_two_processes_may_write_at_once(tmp_path):
    directory = new_journal(tmp_path / "j", 40_000)
    both = [child(directory, first, 400) for first in (0, 1000)]
    said = [process.communicate(timeout=60)[0].split() for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert sorted(map(int, said[0] + said[1])) == [*range(400), *range(1000, 1400)]
    stored = found(directory, *(digest(n) for n in [*range(400), *range(1000, 1400)]))
    assert stored == [[entry(n)] for n in [*range(400), *range(1000, 1400)]]


@pytest.fixture(scope="module")
def unsettled(tmp_path_factory) -> Path:
    """A journal of 30 single commits that all still stand in the write-ahead log, as a death leaves it."""
    place = tmp_path_factory.mktemp("unsettled")
    journal = Journal(new_journal(place / "open"))

    async def run() -> None:
        for number in range(30):
            await journal.store(entry(number), digest(number))

    asyncio.run(run())
    shutil.copytree(place / "open", place / "dead", ignore=shutil.ignore_patterns("*-shm"))
    journal.close()
    assert (place / "dead" / "000.sqlite-wal").stat().st_size > 30 * 4096
    return place / "dead"


def prefix_of_commits(directory: Path) -> int:
    """How many of the first commits are there, whole; fails if they are no prefix."""
    stored = found(directory, *(digest(n) for n in range(30)))
    count = sum(bool(entries) for entries in stored)
    assert stored == [[entry(n)] for n in range(count)] + [[]] * (30 - count)
    assert checked(directory) == []
    return count


@pytest.mark.parametrize("seed", range(3))
def test_a_torn_log_gives_the_commits_before_the_tear(tmp_path, unsettled, seed):
    size = (unsettled / "000.sqlite-wal").stat().st_size
    draw = random.Random(seed)
    frames = [32 + (4096 + 24) * n for n in draw.sample(range(size // 4120), 5)]
    places = sorted({0, 31, 32, size - 1, size, *frames, *(f + 23 for f in frames), *draw.sample(range(size), 10)})
    counts = []
    for place in places:
        shutil.copytree(unsettled, tmp_path / str(place))
        os.truncate(tmp_path / str(place) / "000.sqlite-wal", place)
        counts.append(prefix_of_commits(tmp_path / str(place)))
    assert counts == sorted(counts)
    assert (counts[0], counts[-1]) == (0, 30)


def flip(path: Path, place: int, bit: int) -> None:
    with path.open("r+b") as file:
        file.seek(place)
        [byte] = file.read(1)
        file.seek(place)
        file.write(bytes([byte ^ 1 << bit]))


def test_a_flipped_bit_in_the_log_gives_the_commits_before_it(tmp_path, unsettled):
    size = (unsettled / "000.sqlite-wal").stat().st_size
    for place in random.Random(7).sample(range(size), 25):
        shutil.copytree(unsettled, tmp_path / str(place))
        flip(tmp_path / str(place) / "000.sqlite-wal", place, place % 8)
        assert prefix_of_commits(tmp_path / str(place)) <= 30


def test_a_flipped_bit_in_a_file_is_found_or_harmless_and_never_a_wrong_reply(tmp_path):
    whole = new_journal(tmp_path / "whole")
    store(whole, *map(entry, range(30)), at_once=True)
    size = (whole / "000.sqlite").stat().st_size
    seen = 0
    draw = random.Random(3)
    for place in [*range(0, 100, 9), *draw.sample(range(size), 110)]:
        hurt = tmp_path / "hurt"
        shutil.copytree(whole, hurt)
        flip(hurt / "000.sqlite", place, draw.randrange(8))
        told: list[str] = []
        stored: list[list[Entry]] = []
        try:
            stored = found(hurt, *(digest(n) for n in range(30)))
            told = checked(hurt)
        except (CorruptRun, DiskError) as exc:
            told.append(str(exc))
        assert all(entries in ([], [entry(n)]) for n, entries in enumerate(stored))
        assert told or stored == [[entry(n)] for n in range(30)], f"byte {place}: a reply is lost and nobody says so"
        assert all("000.sqlite" in text for text in told)
        seen += bool(told)
        shutil.rmtree(hurt)
    assert seen > 50


@pytest.mark.parametrize("content", [b"", b"not a database", b"SQLite format 3\0" + b"\0" * 5000])
def test_a_file_that_is_no_journal_is_told_to_whoever_stores_or_reads(tmp_path, content):
    directory = new_journal(tmp_path / "j")
    (directory / "000.sqlite").write_bytes(content)
    if not content:  # as a death in the first instant leaves it
        store(directory, entry(1))
        return
    with pytest.raises(CorruptRun, match=r"000\.sqlite"):
        store(directory, entry(1))
    with pytest.raises(CorruptRun, match=r"000\.sqlite"):
        found(directory, digest(1))
    assert len(checked(directory)) == 1


def test_after_a_refused_commit_nothing_more_is_acknowledged(tmp_path):
    directory = new_journal(tmp_path / "j", 20_000)
    (directory / "000.sqlite").write_bytes(b"not a database")
    low, high = "0" * 64, "f" * 64

    async def run() -> None:
        with pytest.raises(CorruptRun):
            await journal.store(entry(1, key=low), low)
        with pytest.raises(TracemillError):
            await journal.store(entry(2, key=high), high)

    journal = Journal(directory)
    asyncio.run(run())
    journal.close()
    assert found(directory, high) == [[]]


LIMIT = 100
ENDED = entry(1, finish_reason="stop", max_tokens=10)
CUT = [entry(1, finish_reason="length", max_tokens=n, body=b"%d" % n) for n in (50, 100, 200, 400)]
MALFORMED = entry(1, finish_reason=None, max_tokens=10, body=b"<html>")
FAILED = entry(1, outcome="refused", status=400, finish_reason=None)


@pytest.mark.parametrize(
    ("stored", "served"),
    [
        ([], None),
        ([FAILED], None),
        ([ENDED], ENDED),
        ([MALFORMED], MALFORMED),
        ([CUT[0]], None),
        ([CUT[1]], CUT[1]),
        ([CUT[2]], CUT[2]),
        ([CUT[0], CUT[3], CUT[2]], CUT[3]),
        ([CUT[3], ENDED], ENDED),
        ([FAILED, ENDED, replace(ENDED, body=b"later")], ENDED),
        ([CUT[2], replace(CUT[2], body=b"later")], CUT[2]),
    ],
)
def test_a_stored_reply_serves_if_it_ended_or_was_cut_at_or_above_the_limit(tmp_path, stored, served):
    store(new_journal(tmp_path / "j"), *stored)
    journal = Journal(tmp_path / "j", writable=False)
    assert journal.serve(digest(1), digest(1), LIMIT) == served
    journal.close()


def test_failures_are_stored_beside_replies_oldest_first(tmp_path):
    stored = [entry(1, outcome=kind, attempt=n) for n, kind in enumerate(["throttled", "timeout", "reply"], 1)]
    store(new_journal(tmp_path / "j"), *stored, entry(2))
    journal = Journal(tmp_path / "j", writable=False)
    assert journal.entries(digest(1), digest(1)) == stored
    assert journal.find(digest(1)) == stored
    assert journal.counts() == {"throttled": 1, "timeout": 1, "reply": 2}
    journal.close()


def test_closing_commits_what_is_queued(tmp_path):
    journal = Journal(new_journal(tmp_path / "j", 40_000))

    async def run() -> None:
        for number in range(700):
            journal.store(entry(number), digest(number))

    asyncio.run(run())
    journal.close()
    assert found(tmp_path / "j", *(digest(n) for n in range(700))) == [[entry(n)] for n in range(700)]


def test_looking_makes_no_files(tmp_path):
    assert found(new_journal(tmp_path / "j", 100_000), digest(1)) == [[]]
    assert [p.name for p in (tmp_path / "j").iterdir()] == ["journal.json"]


def test_open_files_do_not_grow_with_the_ranges(tmp_path):
    journal = Journal(new_journal(tmp_path / "j", 640_000))
    assert journal.ranges == 64

    async def run() -> None:
        await asyncio.gather(*(journal.store(entry(n), digest(n)) for n in range(300)))
        for number in range(300):
            assert journal.serve(digest(number), digest(number), 1) is not None

    asyncio.run(run())
    links = (f"/proc/self/fd/{fd}" for fd in os.listdir("/proc/self/fd"))
    ours = [name for name in links if os.path.lexists(name) and str(tmp_path) in os.readlink(name)]
    journal.close()
    assert len(ours) <= 3 * 2 * (OPEN_FILES + 1)


@pytest.mark.parametrize(
    ("prompts", "ranges"), [(0, 1), (1, 1), (10_000, 1), (10_001, 2), (45_000, 8), (10**9, MAX_RANGES)]
)
def test_the_number_of_files_follows_from_the_prompts(prompts, ranges):
    assert ranges_for(prompts) == ranges


def test_a_journal_that_is_there_keeps_its_ranges(tmp_path):
    new_journal(tmp_path / "j", 20_000)
    assert Journal(new_journal(tmp_path / "j", 10**6)).ranges == 2


def test_a_journal_of_a_newer_version_is_refused_in_clear_words(tmp_path):
    directory = new_journal(tmp_path / "j")
    store(directory, entry(1))
    with sqlite3.connect(directory / "000.sqlite") as opened:
        opened.execute(f"PRAGMA user_version={FORMAT + 1}")
    opened.close()
    with pytest.raises(CorruptRun, match="newer Tracemill"):
        found(directory, digest(1))
    (directory / "journal.json").write_text(json.dumps({"format": FORMAT + 1, "ranges": 1}))
    with pytest.raises(CorruptRun, match=rf"written by a newer Tracemill \(journal format {FORMAT + 1}\); upgrade"):
        Journal(directory)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": 1, "ranges": 0}', '{"format": 1, "ranges": "many"}'])
def test_an_unreadable_description_is_told(tmp_path, text):
    (new_journal(tmp_path / "j") / "journal.json").write_text(text)
    with pytest.raises(CorruptRun, match=r"journal\.json"):
        Journal(tmp_path / "j")


def test_a_directory_without_a_journal_is_told(tmp_path):
    with pytest.raises(CorruptRun, match="there is no journal here"):
        Journal(tmp_path)


@pytest.fixture
def small_disk(tmp_path) -> Iterator[Path]:
    """A file system of two megabytes."""
    place = tmp_path / "disk"
    place.mkdir()
    words = ["mount", "-t", "tmpfs", "-o", "size=2m", "tracemill-test", str(place)]
    if os.geteuid() != 0 or subprocess.run(words, capture_output=True).returncode != 0:
        pytest.skip("a small file system needs the right to mount")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def test_a_full_disk_is_told_and_costs_nothing_that_was_acknowledged(small_disk):
    directory, acknowledged = new_journal(small_disk / "j"), []

    async def fill() -> None:
        for number in range(4000):
            await journal.store(entry(number), digest(number))
            acknowledged.append(number)

    journal = Journal(directory)
    with pytest.raises(DiskError, match="the disk is full") as caught:
        asyncio.run(fill())
    journal.close()
    assert caught.value.exit_code == 6
    assert len(acknowledged) > 100
    subprocess.run(["mount", "-o", "remount,size=8m", str(small_disk)], check=True)
    store(directory, entry(9999))
    kept = [*acknowledged, 9999]
    assert found(directory, *map(digest, kept)) == [[entry(n)] for n in kept]
    assert checked(directory) == []
