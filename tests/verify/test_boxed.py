import random
import time

import pytest

from tracemill.verify.boxed import boxed, final_answer


@pytest.mark.parametrize(
    ("text", "contents"),
    [
        (r"so \boxed{18}.", ["18"]),
        (r"\boxed{1} and \boxed{2}", ["1", "2"]),
        (r"\boxed{\frac{1}{2}}", [r"\frac{1}{2}"]),
        (r"\boxed{\{1, 2\}}", [r"\{1, 2\}"]),
        (r"\boxed{\left\{ x \right.}", [r"\left\{ x \right."]),
        (r"\boxed {x}", ["x"]),
        ("\\boxed\n{ x }", ["x"]),
        (r"\boxed{}", [""]),
        (r"\boxed{\boxed{7}}", [r"\boxed{7}"]),
        (r"\boxed{a \boxed{b} c} \boxed{d}", [r"a \boxed{b} c", "d"]),
        (r"\boxed{5", []),
        (r"\boxed{5\}", []),
        (r"first \boxed{5 and then \boxed{6}", ["6"]),
        (r"} { \boxed{3} } }", ["3"]),
        (r"\boxed 5", []),
        (r"\boxedx{5}", []),
        (r"\\boxed{5}", []),
        (r"\\\boxed{5}", ["5"]),
        ("boxed{5}", []),
        ("", []),
        ("\\", []),
    ],
)
def test_the_balanced_boxes_come_in_order(text, contents):
    assert boxed(text) == contents


def test_the_last_box_is_the_final_answer():
    assert final_answer(r"\boxed{1}, no, \boxed{2}") == "2"
    assert final_answer(r"\boxed{1}, no, \boxed{}") == ""
    assert final_answer("18") is None


@pytest.mark.parametrize("pattern", ["{", "}", "{}", "\\boxed{", "\\boxed{}", "\\boxed {", "\\{", "\\boxed ", "\\"])
def test_a_million_braces_take_linear_time(pattern):
    text = pattern * (1_000_000 // len(pattern))
    started = time.process_time()
    boxed(text)
    boxed(text + "}" * 1_000_000)
    assert time.process_time() - started < 10


def test_deep_boxes_are_found():
    depth = 100_000
    assert boxed("\\boxed{" * depth + "}" * depth) == ["\\boxed{" * (depth - 1) + "}" * (depth - 1)]


def test_any_text_is_read_and_each_content_is_balanced():
    draw = random.Random(7)
    for _ in range(2_000):
        text = "".join(draw.choices(["\\boxed{", "{", "}", "\\", "\\{", "\\}", "a", " ", "\n"], k=draw.randrange(30)))
        for content in boxed(text):
            assert content in text
            bare = content.replace("\\\\", "").replace("\\{", "").replace("\\}", "")
            assert bare.count("{") == bare.count("}")
