"""Worlds are pure: the same calls on the same state give the same, whatever they are called with."""

from __future__ import annotations

import json
from copy import deepcopy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracemill.tool_schemas import json_schema
from tracemill.verify.tool_arguments import bad_schema, misfit
from tracemill.worlds import WORLDS, replay

LIBRARY = WORLDS["library"]
IDS = st.sampled_from([*(f"M{i}" for i in range(6)), *(f"B{i:02d}" for i in range(13)), "", "M1 "])
VALUES = st.one_of(
    IDS, st.integers(-5, 500), st.none(), st.booleans(), st.text(max_size=5), st.lists(st.integers(), max_size=2)
)
ARGUMENTS = {"member_id": IDS, "book_id": IDS, "amount_cents": st.integers(-5, 500)}
CALLS = st.lists(
    st.tuples(
        st.sampled_from([*LIBRARY.functions, "steal_book"]),
        st.one_of(
            st.fixed_dictionaries({}, optional=ARGUMENTS).map(json.dumps),
            st.dictionaries(st.text(max_size=8), VALUES, max_size=3).map(json.dumps),
            st.text(max_size=10),
        ),
    ),
    max_size=12,
)


@given(CALLS, st.integers(0, 50))
def test_the_same_calls_lead_to_the_same_state(calls, seed):
    first = LIBRARY.start(seed)
    before = deepcopy(first)
    one, two = replay(LIBRARY, first, calls), replay(LIBRARY, LIBRARY.start(seed), calls)
    assert one == two
    assert first == before, "a call changed the state that it was given"
    assert all(json.loads(result) is not None for result in one.results)


@given(CALLS, st.integers(0, 50))
def test_what_a_library_holds_stays_in_order(calls, seed):
    state = replay(LIBRARY, LIBRARY.start(seed), calls).state
    holders = [book["lent_to"] for book in state["books"].values() if book["lent_to"]]
    assert set(holders) <= set(state["members"])
    assert all(holders.count(member) <= 3 for member in state["members"])
    assert all(member["fee_cents"] >= 0 for member in state["members"].values())


def test_only_acts_change_the_state():
    state = LIBRARY.start(1)
    for name in LIBRARY.functions:
        if name not in LIBRARY.acts:
            assert LIBRARY.call(state, name, '{"member_id": "M1"}')[0] == state


@pytest.mark.parametrize("world", WORLDS.values(), ids=WORLDS)
def test_each_tool_is_declared_and_there(world):
    names = [tool["function"]["name"] for tool in world.tools]
    assert names == list(world.functions)
    assert world.acts <= set(names)
    for tool in world.tools:
        parameters = tool["function"]["parameters"]
        assert bad_schema(parameters) is None
        assert json_schema(parameters) == parameters
        assert misfit('{"no_such": 1}', parameters)


def test_a_refusal_says_why_and_changes_nothing():
    state = LIBRARY.start(3)
    away = next(key for key, book in state["books"].items() if book["lent_to"])
    after, result = LIBRARY.call(state, "lend_book", json.dumps({"member_id": "M1", "book_id": away}))
    assert after is state
    assert away in json.loads(result)["error"]
    assert "no tool" in json.loads(LIBRARY.call(state, "burn_book", "{}")[1])["error"]
    assert "not JSON" in json.loads(LIBRARY.call(state, "get_member", "{")[1])["error"]
    assert "cannot be called" in json.loads(LIBRARY.call(state, "get_member", '{"x": 1}')[1])["error"]
    assert "cannot be called" in json.loads(LIBRARY.call(state, "get_member", '{"member_id": []}')[1])["error"]
