"""What a journal adds up: never beyond 64 bits, and nothing that a damaged file makes up."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import orjson
import pytest
from test_journal import entry, new_journal, store

from tracemill.errors import CorruptRun
from tracemill.models.replies import usage
from tracemill.record import NO_TOKEN_COUNT, Usage
from tracemill.storage.journal import Journal


def told(place):
    with closing(Journal(place, writable=False)) as journal:
        return journal.counts(), journal.spent()


@pytest.mark.parametrize(
    ("prompt", "completion"),
    [(10**18, 2**62), (7, NO_TOKEN_COUNT), (NO_TOKEN_COUNT, 7), (-1, 7), (True, 7), (7, 1.5), ("7", 7), (None, 7)],
)
def test_what_can_be_no_number_of_tokens_is_none(prompt, completion):
    sent = orjson.dumps({"usage": {"prompt_tokens": prompt, "completion_tokens": completion}})
    assert usage(orjson.loads(sent)) is None


def test_the_largest_counts_of_four_million_rows_add_up_within_64_bits():
    most = NO_TOKEN_COUNT - 1
    assert usage({"usage": {"prompt_tokens": most, "completion_tokens": most}}) == Usage(most, most)
    assert 4_000_000 * 2 * most < 2**63


def test_what_older_journals_hold_of_unbelievable_counts_is_counted_as_untold(tmp_path):
    place = new_journal(tmp_path / "j")
    lies = [entry(n, prompt_tokens=10**18, completion_tokens=2**62, teacher="main") for n in range(4)]
    store(place, *lies, entry(5, prompt_tokens=10, completion_tokens=20, teacher="main"))
    store(place, entry(6, teacher="main"), entry(7, outcome="transient", teacher="main"))
    assert told(place) == ({"reply": 6, "transient": 1}, {"main": (7, 6, 10, 20, 5)})


@pytest.mark.parametrize("change", ["outcome = NULL", "teacher = NULL", "prompt_tokens = 1.5, completion_tokens = 2"])
def test_entries_that_a_damaged_file_makes_up_are_refused_and_name_the_file(change, tmp_path):
    place = new_journal(tmp_path / "j")
    store(place, *map(entry, range(3)))
    with closing(sqlite3.connect(place / "000.sqlite", isolation_level=None)) as file:
        file.execute("PRAGMA writable_schema=ON")
        file.execute("UPDATE sqlite_master SET sql = replace(sql, 'NOT NULL', '')")
        file.execute("PRAGMA writable_schema=RESET")
        file.execute(f"UPDATE replies SET {change} WHERE id = 2")
    with pytest.raises(CorruptRun, match=r"000\.sqlite: the journal is damaged: there are entries"):
        told(place)
