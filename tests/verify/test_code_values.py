"""The values that pass between the sandbox of the tests and that of the answer."""

from __future__ import annotations

import datetime
import sys
from collections import Counter, deque
from decimal import Decimal
from fractions import Fraction
from importlib.resources import files
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st


def loaded():
    """Our program as the sandboxes import it, without its way to look for modules."""
    module = ModuleType("values_inside")
    text = (files("tracemill.verify.code") / "inside" / "values.py.txt").read_text(encoding="utf-8")
    exec(compile(text, "values.py", "exec"), module.__dict__)
    sys.meta_path.remove(module.Site)
    return module


VALUES = loaded()
PLAIN = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.complex_numbers(allow_nan=False)
    | st.text(st.characters())
    | st.binary()
    | st.fractions()
    | st.dates()
    | st.datetimes()
    | st.decimals(allow_nan=False)
)
KEYS = st.recursive(
    PLAIN, lambda inner: st.lists(inner, max_size=3).map(tuple) | st.frozensets(inner, max_size=3), max_leaves=4
)
NESTED = st.recursive(
    PLAIN,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=4).map(tuple)
        | st.dictionaries(KEYS, inner, max_size=4)
        | st.sets(KEYS, max_size=4)
    ),
    max_leaves=20,
)


@given(NESTED)
def test_a_value_comes_back_equal_and_of_its_type(value):
    back = VALUES.unpack(VALUES.pack(value))
    assert back == value
    assert type(back) is type(value)


PIECES = st.sampled_from([b"l", b"D", b"o", b"y", b"\0\0\0\1", b"\0\0\0\2", b"i\0\0\0\1\7", b"e\0\0\0\1"])


@given(st.binary(max_size=60) | st.lists(PIECES).map(b"".join))
def test_bytes_of_any_kind_are_a_value_or_an_error(data):
    try:
        value = VALUES.unpack(data)
    except (ValueError, TypeError, KeyError, ArithmeticError, RecursionError):
        return
    assert type(value).__module__ in ("builtins", "decimal", "fractions", "datetime", "collections")


@pytest.mark.parametrize(
    ("value", "back"),
    [
        (Counter("aab"), {"a": 2, "b": 1}),
        (range(2, 9, 3), range(2, 9, 3)),
        (bytearray(b"x"), bytearray(b"x")),
        (list(range(-9, 9)), list(range(-9, 9))),
        ([*range(9), 2**70], [*range(9), 2**70]),
        ([*range(9), True], [*range(9), True]),
        ([0.1 * i for i in range(12)] + [float("inf"), -0.0], [0.1 * i for i in range(12)] + [float("inf"), -0.0]),
        (deque([1, (2,)]), deque([1, (2,)])),
        (int, int),
        (-0.0, -0.0),
        (Decimal("1.10"), Decimal("1.10")),
        (Fraction(1, 3), Fraction(1, 3)),
        (datetime.datetime(2020, 2, 29, 1, 2), datetime.datetime(2020, 2, 29, 1, 2)),
        (type("Own", (str,), {})("x"), "x"),
    ],
)
def test_kinds_that_answers_give(value, back):
    got = VALUES.unpack(VALUES.pack(value))
    assert (got, type(got), repr(got)) == (back, type(back), repr(back))


def test_a_class_that_is_called_as_another_is_not_taken_for_it():
    false = type("Decimal", (), {"__str__": lambda self: "7"})()
    with pytest.raises(ValueError, match="a Decimal is no plain value"):
        VALUES.pack(false)
    assert VALUES.unpack(VALUES.pack([false], lambda value: 5), lambda of: ("object", of)) == [("object", 5)]


def test_what_is_too_deep_or_never_ends_is_refused():
    deep = []
    for _ in range(300):
        deep = [deep]
    with pytest.raises(ValueError, match="nested more than 200 deep"):
        VALUES.pack(deep)
    with pytest.raises(ValueError, match="an iterator of more than"):
        VALUES.pack(x for x in iter(int, 1))
    with pytest.raises(ValueError, match="nested too deep"):
        VALUES.unpack(b"l\0\0\0\1" * 5000 + b"T\0\0\0\0")
