"""The ledger: its lines come back as they were, counts add up whoever counted them, and what does not is found."""

from __future__ import annotations

import json

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tracemill.errors import TracemillError
from tracemill.ledger import Ledger

LAW = settings(max_examples=150, deadline=None)
PLACES = st.tuples(
    st.sampled_from(["gather", "respond", "complete"]), st.sampled_from(["math", "chat"]), st.sampled_from(["en", "de"])
)
REASONS = st.sampled_from(["wrong_answer", "truncated", "a word"])
NUMBERS = st.integers(1, 10**12)
ENTRIES = st.lists(st.tuples(PLACES, REASONS, st.sampled_from(["kept", "dropped", "failed"]), NUMBERS), max_size=12)


def balanced(entries: list) -> Ledger:
    """A ledger in which everything that came also went somewhere."""
    ledger = Ledger()
    for number, (place, reason, fate, count) in enumerate(entries):
        came = ledger.spawned if number % 3 else ledger.taken
        came[place] += count
        if fate == "kept":
            ledger.kept[place] += count
        else:
            getattr(ledger, fate)[(*place, reason)] += count
    return ledger


@LAW
@given(entries=ENTRIES)
def test_the_lines_of_a_ledger_give_it_back(entries):
    ledger = balanced(entries)
    again = Ledger.from_lines(json.loads(json.dumps(list(ledger.lines()))))
    assert list(again.lines()) == list(ledger.lines())
    assert again == ledger  # counters are equal whatever zeros they hold


@LAW
@given(entries=ENTRIES)
def test_a_ledger_adds_up_if_all_that_came_went_somewhere(entries):
    ledger = balanced(entries)
    assert ledger.imbalance() == []
    ledger.close()


@LAW
@given(entries=ENTRIES, place=PLACES, reason=REASONS, count=NUMBERS,
       where=st.sampled_from(["taken", "spawned", "kept", "dropped", "failed"]))  # fmt: skip
def test_one_count_too_many_is_found_and_named(entries, place, reason, count, where):
    ledger = balanced(entries)
    getattr(ledger, where)[place if where in ("taken", "spawned", "kept") else (*place, reason)] += count
    [told] = ledger.imbalance()
    assert told.startswith(f"stage {place[0]} ({place[1]}, {place[2]}): ")
    with pytest.raises(TracemillError, match="does not add up"):
        ledger.close()


@LAW
@given(entries=ENTRIES)
def test_two_errors_that_would_cancel_out_are_both_found(entries):
    ledger = balanced(entries)
    ledger.kept["respond", "math", "en"] += 1
    ledger.taken["respond", "math", "de"] += 1
    assert len(ledger.imbalance()) == 2


@LAW
@given(first=ENTRIES, second=ENTRIES)
def test_ledgers_counted_apart_add_up_to_the_one_counted_together(first, second):
    apart = balanced(first)
    apart.add(balanced(second))
    together = balanced(first)
    for name in ("taken", "spawned", "kept", "dropped", "failed"):
        getattr(together, name).update(getattr(balanced(second), name))
    assert list(apart.lines()) == list(together.lines())


@LAW
@given(first=ENTRIES, second=ENTRIES)
def test_adding_leaves_the_other_ledger_as_it_was(first, second):
    other = balanced(second)
    balanced(first).add(other)
    assert other == balanced(second)


@LAW
@given(entries=ENTRIES)
def test_what_was_lost_is_told_by_stage_and_reason(entries):
    lost = [(place[0], reason, count) for place, reason, fate, count in entries if fate != "kept"]
    assume(lost)
    told = balanced(entries).by_reason()
    assert sum(told.values()) == sum(count for _, _, count in lost)
    assert set(told) == {(stage, reason) for stage, reason, _ in lost}


def test_lines_are_sorted_and_name_every_place_once():
    ledger = Ledger()
    ledger.dropped["respond", "math", "en", "b"] += 1
    ledger.dropped["respond", "math", "en", "a"] += 2
    ledger.taken["gather", "math", "en"] += 1
    assert [(line["stage"], line["taken"], list(line["dropped"].items())) for line in ledger.lines()] == [
        ("gather", 1, []),
        ("respond", 0, [("a", 2), ("b", 1)]),
    ]


def test_an_empty_ledger_adds_up():
    Ledger().close()
    assert list(Ledger().lines()) == []
