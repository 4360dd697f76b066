"""A damaged journal: what is read from it is right or refused by name, wherever the damage lies."""

from __future__ import annotations

import asyncio
import os
import random
import shutil
from pathlib import Path

import pytest
from test_journal import entry, new_journal, store

from campaign import answers, problem_recipe, published, write_problems
from tracemill.engines.inline import InlineEngine
from tracemill.errors import CorruptRun, DiskError
from tracemill.identity import digest
from tracemill.mill import build
from tracemill.recipe_file import load_recipe
from tracemill.storage.journal import Journal
from tracemill.testing import ScriptedServer
from tracemill.upkeep import compact

SETTLED, LOGGED = 30, 30
"""Replies in the file, and in the log that a death has left beside it."""
TAIL = 8192
FILE, LOG = "000.sqlite", "000.sqlite-wal"
SEED = int(os.environ.get("SEED", "1"))


@pytest.fixture(scope="module")
def dead(tmp_path_factory) -> Path:
    """A journal as a sudden death leaves it: half of its replies still stand in the log."""
    place = tmp_path_factory.mktemp("dead")
    store(new_journal(place / "open"), *map(entry, range(SETTLED)))
    journal = Journal(place / "open")

    async def run() -> None:
        for number in range(SETTLED, SETTLED + LOGGED):
            await journal.store(entry(number), digest(number))

    asyncio.run(run())
    shutil.copytree(place / "open", place / "dead", ignore=shutil.ignore_patterns("*-shm"))
    journal.close()
    assert min((place / "dead" / name).stat().st_size for name in (FILE, LOG)) > 2 * TAIL
    return place / "dead"


class Patient:
    """One copy of a journal, hurt and mended again and again."""

    def __init__(self, whole: Path, place: Path) -> None:
        self.place = shutil.copytree(whole, place)
        self.whole = {name: (whole / name).read_bytes() for name in (FILE, LOG)}

    def hurt(self, name: str, data: bytes) -> None:
        for other, content in self.whole.items():
            (self.place / other).write_bytes(data if other == name else content)
        (self.place / "000.sqlite-shm").unlink(missing_ok=True)

    def found(self) -> tuple[list[int], bool]:
        """(numbers of the replies that a build would find, whether anything was refused). Any other reply fails."""
        there, refused = [], False
        journal = None
        try:
            journal = Journal(self.place)
            journal.prove()  # as every command does that goes on with a run
            for number in range(SETTLED + LOGGED):
                try:
                    stored = journal.entries(digest(number), digest(number))
                except (CorruptRun, DiskError) as exc:
                    refused = told(exc)
                    continue
                assert stored in ([], [entry(number)]), f"reply {number} is not what was stored"
                there += [number] * len(stored)
        except (CorruptRun, DiskError) as exc:
            refused = told(exc)
        finally:
            if journal is not None:
                journal.close()
        return there, refused


def told(error: Exception) -> bool:
    assert FILE in str(error), f"this names no file: {error}"
    assert "\n" not in str(error)
    return True


@pytest.fixture
def patient(dead, tmp_path) -> Patient:
    return Patient(dead, tmp_path / "journal")


def cut_at(patient: Patient, name: str, sizes: list[int]) -> None:
    everything = list(range(SETTLED + LOGGED))
    for size in sizes:
        patient.hurt(name, patient.whole[name][:size])
        there, refused = patient.found()
        if name == LOG:
            assert there == everything[: len(there)], f"cut at {size}: not the commits before the tear"
            assert (len(there) >= SETTLED, refused) == (True, False), f"cut at {size}"
        else:
            assert refused or there == everything, f"cut at {size}"


@pytest.mark.parametrize("name", [FILE, LOG])
def test_a_file_that_was_cut_gives_what_was_stored_or_refuses(patient, name):
    size, draw = len(patient.whole[name]), random.Random(SEED)
    cut_at(patient, name, sorted({size - 1, size - 4096, *draw.sample(range(size - TAIL, size), 25)}))


@pytest.mark.storm
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("name", [FILE, LOG])
def test_a_file_cut_at_any_of_its_last_bytes_gives_what_was_stored_or_refuses(patient, name):
    size = len(patient.whole[name])
    cut_at(patient, name, list(range(size - TAIL, size)))


def with_flipped_bits(patient: Patient, flips: int) -> None:
    draw, everything, refusals = random.Random(SEED), list(range(SETTLED + LOGGED)), 0
    for _ in range(flips):
        name = draw.choice((FILE, LOG))
        data = bytearray(patient.whole[name])
        place, bit = draw.randrange(len(data)), draw.randrange(8)
        data[place] ^= 1 << bit
        patient.hurt(name, bytes(data))
        there, refused = patient.found()
        assert refused or there == everything, f"{name}, byte {place}, bit {bit}: lost without a word"
        refusals += refused
    assert refusals > flips // 5


def test_a_flipped_bit_gives_what_was_stored_or_refuses(patient):
    with_flipped_bits(patient, 60)


@pytest.mark.storm
@pytest.mark.timeout(3600)
def test_2000_flipped_bits_give_what_was_stored_or_refuse(patient):
    with_flipped_bits(patient, 2000)


# whole runs over a damaged journal


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    folder = tmp_path_factory.mktemp("scene")
    table = write_problems(folder / "problems.jsonl", 60)
    with ScriptedServer(answers(table)) as server:
        file = problem_recipe(folder / "recipe.yaml", folder / "problems.jsonl", server.url)
        build(load_recipe(file), folder / "run", engine=InlineEngine())
        build(load_recipe(file, ["license=MIT"]), folder / "other", engine=InlineEngine())
        yield load_recipe(file, ["license=MIT"]), folder / "run", published(folder / "other")


def built_over_damage(scene, tmp_path, flips, compacted):
    """Builds whose units must be worked again over a journal with one flipped bit: the right rows, or a refusal."""
    recipe, made, right = scene
    draw, refused = random.Random(SEED), 0
    for number in range(flips):
        out = shutil.copytree(made, tmp_path / f"{number}")
        if compacted:
            compact(out)
        file = out / ".tracemill" / "journal" / FILE
        data = bytearray(file.read_bytes())
        if number:  # the first is left whole, and nothing is refused
            data[draw.randrange(len(data))] ^= 1 << draw.randrange(8)
        file.write_bytes(data)
        try:
            build(recipe, out, engine=InlineEngine())
        except (CorruptRun, DiskError) as exc:
            refused += told(exc)
            assert number, "refused, and nothing is damaged"
        else:
            assert published(out) == right
        shutil.rmtree(out)
    assert refused


@pytest.mark.parametrize("compacted", [False, True], ids=["as written", "compacted"])
def test_a_build_over_a_damaged_journal_gives_the_right_rows_or_names_the_file(scene, tmp_path, compacted):
    built_over_damage(scene, tmp_path, 8, compacted)


@pytest.mark.storm
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("compacted", [False, True], ids=["as written", "compacted"])
def test_300_builds_over_damaged_journals_give_the_right_rows_or_name_the_file(scene, tmp_path, compacted):
    built_over_damage(scene, tmp_path, 300, compacted)
