import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tracemill.record import Message, Sample
from tracemill.step import Drop
from tracemill.verify.math_checker import MathChecker
from tracemill.verify.numeric import value_of
from tracemill.verify.stem import UnitAnswer
from tracemill.verify.units import COMMA_DECIMAL, numeral, quantity, same_quantity


def verdict(content, expected, language="en", judged=False, tolerance=0.01):
    sample = Sample(
        uuid="u",
        category="stem",
        reasoning="on",
        messages=(Message("user", "How much?"), Message("assistant", content, reasoning="The answer is 99 m.")),
        expected=expected,
        language=language,
    )

    async def run():
        async with MathChecker(seconds=60) as checker:
            return await UnitAnswer(checker, tolerance, judged)(sample)

    got = asyncio.run(run())
    return got.reason if isinstance(got, Drop) else "kept" if got.verdicts else "left to the judge"


@pytest.mark.parametrize(
    ("content", "expected", "language", "becomes"),
    [
        ("So \\boxed{9.81\\,\\text{m/s}^2}.", "9.81 m/s^2", "en", "kept"),
        ("The answer is 981 cm/s².", "9.81 m/s^2", "en", "kept"),
        ("**Die Antwort ist 9,81 m/s².**", "9.81 m/s^2", "de", "kept"),
        ("Donc \\boxed{9{,}8\\text{ m/s}^2}", "9.81 m/s^2", "fr", "kept"),
        ("したがって、答えは 9.81 m/s^2 です。", "9.81 m/s^2", "ja", "kept"),
        ("The answer is 9.81 m/s.", "9.81 m/s^2", "en", "wrong_unit"),
        ("The answer is 8.91 m/s^2.", "9.81 m/s^2", "en", "wrong_answer"),
        ("The answer is yes.", "True", "en", "kept"),
        ("The answer is no.", "True", "en", "wrong_answer"),
        ("\\boxed{x^2+2x+1}", "(x+1)^2", "en", "kept"),
        ("\\boxed{[1/3, 1/4]}", "[0.333, 0.25]", "en", "kept"),
        ("\\boxed{photosynthesis}", "Photosynthesis", "en", "kept"),
        ("\\boxed{}", "9", "en", "no_answer"),
        ("I could not say how much that would be, and nobody else ever did so far.", "9", "en", "no_answer"),
        ("The answer is that plants turn light into sugar.", "photosynthesis", "en", "undecided"),
    ],
)
def test_an_answer_is_judged_by_what_it_states(content, expected, language, becomes):
    assert verdict(content, expected, language) == becomes


def test_what_only_a_judge_can_tell_is_left_to_one():
    open_answer = "The answer is that plants turn light into sugar."
    assert verdict(open_answer, "photosynthesis", judged=True) == "left to the judge"
    assert verdict("The answer is 3 kg.", "4 kg", judged=True) == "wrong_answer"


def test_a_trace_is_no_answer():
    assert verdict("The answer is 98 m.", "99 m", tolerance=0.0) == "wrong_answer"


@pytest.mark.parametrize(
    ("text", "language", "value"),
    [
        *[("1,234.5", "en", 1234.5), ("1.234,5", "de", 1234.5), ("1,234.5", "de", 1234.5), ("1.234", "en", 1.234)],
        *[("1.234", "de", 1234), ("1,234", "fr", 1.234), ("0.234", "de", 0.234), ("1 234 567,8", "fr", 1234567.8)],
        *[
            ("1'234", "de", 1234),
            ("3.5", "it", 3.5),
            ("3,5", "es", 3.5),
            ("3,5", "en", None),
            ("12,34,567", "en", None),
        ],
        *[("1 23", "en", None), ("1.2.3", "en", None), ("1,234,567", "ja", 1234567)],
    ],
)
def test_separators_are_read_as_the_language_has_them(text, language, value):
    told = numeral(text, language)
    assert told == (None if value is None else pytest.approx(value))


@given(st.integers(0, 10**9), st.integers(0, 999), st.sampled_from(sorted(COMMA_DECIMAL)))
def test_a_number_written_in_two_languages_is_the_same(whole, part, language):
    english = f"{whole:,}.{part:03d}5"
    other = english.replace(",", "_").replace(".", ",").replace("_", ".")
    assert numeral(english, "en") == numeral(other, language)
    assert same_quantity(english, other, language).same is True


@settings(deadline=None)  # the first example loads the table of units
@given(st.floats(1e-6, 1e6), st.sampled_from(["m", "kg", "J", "m/s^2", "N*m", "mol/L", "°C", "ohm"]))
def test_a_quantity_equals_itself_and_no_other_kind(value, unit):
    text = f"{value:.6g} {unit}".replace("e+0", "e").replace("e-0", "e-")
    assert same_quantity(text, text).same is True
    assert same_quantity(f"{value:.5e} {unit}", f"{value:.5e} cd").same is False
    assert same_quantity(f"{value:.5e} {unit}", f"{value * 1.2:.5e} {unit}").same is False


@given(st.text(max_size=60))
def test_any_text_is_read_or_not_but_never_breaks(text):
    assert quantity(text) is None or quantity(text).value is not None
    assert value_of(text) is None or isinstance(value_of(text), float)


@pytest.mark.parametrize(
    "text",
    [
        "9" * 400,
        "9^9^9^9",
        "((((" * 50,
        "m^99999999",
        "1 m" + "*m" * 300,
        "5 " + "a" * 250,
        "1e999",
        "10^{999}",
        "20!!",
    ],
)
def test_hostile_answers_are_not_read_and_take_no_time(text):
    told = quantity(text)
    assert told is None or abs(told.value) < 1e300 or told.value == float("inf")
    assert same_quantity("5 m", text).same in (None, False)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *[
            ("\\frac{\\pi}{2}", 1.5707963),
            ("3\\sqrt{2}", 4.2426407),
            ("e^{-1}", 0.3678794),
            ("2(3+4)", 14),
            ("-2^2", -4),
        ],
        *[("\\sqrt[3]{8}", 2), ("\\ln(2)/3", 0.2310491), ("4!", 24), ("\\log_{2}(8)", 3), ("\\sin(\\pi/6)", 0.5)],
        *[
            ("3 4", None),
            ("log(2)", None),
            ("1/0", None),
            ("x+1", None),
            ("", None),
            ("\\sqrt{-1}", None),
            ("21!", None),
        ],
    ],
)
def test_expressions_of_numbers_have_values(text, value):
    assert value_of(text) == (None if value is None else pytest.approx(value))
