import gzip
import json
import time
from fractions import Fraction
from pathlib import Path

import pytest

from tracemill.verify.answers import PlainNumber, normal_text, plain_number, same_answer_fast

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "math_answers.json").read_text(encoding="utf-8"))
DATA = Path(__file__).resolve().parents[3] / "shared" / "data"


@pytest.mark.parametrize(
    "case", GOLDEN, ids=lambda case: f"{case['expected']}|{case['found']}"[:60].encode("ascii", "replace").decode()
)
def test_what_is_decided_fast_is_decided_right(case):
    for pair in ((case["expected"], case["found"]), (case["found"], case["expected"])):
        assert same_answer_fast(*pair) in (case["equal"], None), case["why"]


def test_most_of_the_plain_cases_are_decided_fast():
    undecided = [case for case in GOLDEN if same_answer_fast(case["expected"], case["found"]) is None]
    assert 50 < len(undecided) < len(GOLDEN) * 0.6


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("18 dollars", PlainNumber(Fraction(18), unit="dollar")),
        ("x_1 = 3/4", PlainNumber(Fraction(3, 4), name="x_1")),
        ("1.2\\times10^3", PlainNumber(Fraction(1200))),
        ("-1\\frac{1}{2}", PlainNumber(Fraction(-3, 2))),
        ("90^{\\circ}", PlainNumber(Fraction(90), unit="degree")),
        ("Profit = \\$1{,}234.50", PlainNumber(Fraction(2469, 2))),
    ],
)
def test_a_plain_number_has_value_unit_and_name(text, number):
    assert plain_number(text) == number


@pytest.mark.parametrize(
    "text",
    [
        *"x 1/0 \\frac{1}{0} 1e401 1e99999999999 --5 -$-5$ 2^3 \\sqrt{4} 5! 1,2 (5) 5² 1_000 0x10 1j nan inf".split(),
        *("", "1..2", "1.2.3", "9" * 401, "5 and 6", "5 sin", "3 百"),
    ],
)
def test_what_is_not_plainly_one_number_has_no_value(text):
    assert plain_number(text) is None


def test_a_spelling_is_the_same_for_the_same_words():
    assert normal_text(r" \text{ No Solution }. ") == normal_text("$no solution$") == "no solution"
    assert normal_text("R") != normal_text("r")
    assert normal_text("1 2") != normal_text("12")
    assert normal_text("1, 234") != normal_text("1,234")
    assert normal_text("x\\in f") != normal_text("x\\inf")


def test_an_answer_too_long_to_read_equals_only_itself():
    assert same_answer_fast("x" * 5_000, "x" * 5_000) is True
    assert same_answer_fast("x" * 5_000, "x" * 4_999) is None


@pytest.mark.parametrize(
    "pattern",
    [" ", "1 ", "a ", "^ ", "5 abcd ", *"{ } $ 1 1, ,111 . \\text{ _{ \\! ~ \\frac % a \\".split()],
)
def test_no_text_takes_long(pattern):
    started = time.process_time()
    for length in (390, 1_990, 1_000_000):
        text = pattern * (length // len(pattern))
        for each in (text, "1" + text, text + "}" * len(text), "5\\text{" + text + "}", "x = " + text):
            same_answer_fast("18", each)
    assert time.process_time() - started < 5


def _rows(name):
    path = DATA / name
    if not path.exists():
        pytest.skip(f"{path} is not there")
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


@pytest.mark.parametrize(
    ("name", "answers"),
    [
        ("svamp/svamp.jsonl.gz", lambda row: [str(row["Answer"])]),
        ("mgsm/mgsm_parallel.jsonl.gz", lambda row: [str(row["answer"])]),
        ("theoremqa/theoremqa.jsonl.gz", lambda row: [str(row["Answer"])]),
        ("aqua_rat/aqua.jsonl.gz", lambda row: [option.split(")", 1)[-1] for option in row["options"]]),
        ("gsm8k/test.jsonl.gz", lambda row: [row["answer"].rsplit("####", 1)[1]]),
        ("gsm8k/train.jsonl.gz", lambda row: [row["answer"].rsplit("####", 1)[1]]),
    ],
)
def test_every_known_answer_equals_itself(name, answers):
    for row in _rows(name):
        for answer in answers(row):
            if normal_text(answer):
                assert same_answer_fast(answer, answer) is True, answer
                assert same_answer_fast(answer, f"${answer}$") in (True, None), answer


@pytest.mark.parametrize("name", ["svamp/svamp.jsonl.gz", "mgsm/mgsm_parallel.jsonl.gz"])
def test_the_answers_to_word_problems_are_plain_numbers(name):
    for row in _rows(name):
        answer = str(row.get("Answer", row.get("answer")))
        number = plain_number(answer)
        assert number is not None, answer
        assert number.value == Fraction(answer.replace(",", ""))


def test_the_options_of_a_choice_are_different_answers():
    """Each option of AQuA-RAT is right or wrong, so no two may be equal, unless they say the same number twice."""
    same = []
    for row in _rows("aqua_rat/aqua.jsonl.gz"):
        options = [option.split(")", 1)[-1].strip() for option in row["options"]]
        same += [
            (row["id"], first, second)
            for index, first in enumerate(options)
            for second in options[index + 1 :]
            if same_answer_fast(first, second)
        ]
    assert [(first, second) for _, first, second in same if first != second] == []
