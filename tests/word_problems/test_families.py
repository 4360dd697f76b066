import json
import random
import re
from fractions import Fraction
from itertools import islice
from pathlib import Path

import independent_answers
import pytest

from tracemill import errors
from tracemill.word_problems import DIFFICULTIES, FAMILIES, generate, recognise
from tracemill.word_problems.family import dollars, fraction, show
from tracemill.word_problems.sentences import KINDS, Telling

GOLDEN = Path(__file__).parents[1] / "golden" / "word_problems.json"
CELLS = [(family, level) for family in FAMILIES.values() for level in DIFFICULTIES]
TELLINGS = [(family, telling) for family, level in CELLS for telling in family.tellings[level]]


def text_of(prompt):
    return prompt.messages[0].content


def value_of(answer):
    if match := re.fullmatch(r"(-?)\\frac\{(\d+)\}\{(\d+)\}", answer):
        return (-1 if match[1] else 1) * Fraction(int(match[2]), int(match[3]))
    assert re.fullmatch(r"-?\d+(\.\d+)?", answer), answer
    return Fraction(answer)


@pytest.fixture(scope="module")
def problems():
    return list(generate(3000, seed=11))


def test_there_are_enough_families_at_three_difficulties_each():
    assert len(FAMILIES) >= 14
    assert all(sorted(family.tellings) == [1, 2, 3] for family in FAMILIES.values())
    assert all(len(tellings) >= 2 for family in FAMILIES.values() for tellings in family.tellings.values())


def test_every_family_and_difficulty_is_drawn(problems):
    drawn = {(p.metadata["family"], p.metadata["difficulty"]) for p in problems}
    assert drawn == {(family.name, level) for family, level in CELLS}


def test_a_problem_is_recognised_from_its_text_alone(problems):
    for number, prompt in enumerate(problems):
        family = FAMILIES[prompt.metadata["family"]]
        found = recognise(text_of(prompt))
        assert found is not None, text_of(prompt)
        assert found.family is family
        assert family.solve(found.params).answer == prompt.expected
        assert prompt.source_id == f"{family.name}-11-{number}"


@pytest.mark.parametrize(("family", "level"), CELLS, ids=lambda part: getattr(part, "name", part))
def test_params_survive_every_telling(family, level):
    rng = random.Random(f"{family.name} {level}")
    for telling in family.tellings[level]:
        for _ in range(6):
            params = family.draw(rng, level)
            assert telling.slots.keys() == params.keys()
            assert recognise(telling.render(params)) == (family, params)


@pytest.mark.parametrize(("family", "level"), CELLS, ids=lambda part: getattr(part, "name", part))
def test_answers_agree_with_an_independent_check(family, level):
    rng = random.Random(f"{family.name} {level} check")
    for _ in range(200):
        params = family.draw(rng, level)
        assert value_of(family.solve(params).answer) == getattr(independent_answers, family.name)(params), params


def test_each_text_is_told_by_one_problem_only(problems):
    for prompt in problems[:1000]:
        text = text_of(prompt)
        told = [
            (family.name, params)
            for family, telling in TELLINGS
            for start, end, params in telling.found_in(text)
            if (start, end) == (0, len(text))
        ]
        assert all(one == told[0] for one in told)
        assert {name for name, _ in told} == {prompt.metadata["family"]}


def test_each_step_states_true_equations(problems):
    number = r"(?:\\frac\{\d+\}\{\d+\}|\d+(?:\.\d+)?)"
    equation = re.compile(rf"(?<![\d=+×÷(-] )({number}(?: (?:[-+×÷]|% of) {number}|% of {number})*) = ({number})")
    checked = 0
    for prompt in problems:
        found = recognise(text_of(prompt))
        solved = found.family.solve(found.params)
        for step in solved.steps:
            for left, right in equation.findall(step):
                plain = re.sub(r"\\frac\{(\d+)\}\{(\d+)\}", r"(F(\1)/F(\2))", left)
                plain = re.sub(r"(?<![\w.(])\d+(?:\.\d+)?", lambda match: f"F('{match[0]}')", plain)
                plain = plain.replace("% of ", "/100*").replace("×", "*").replace("÷", "/")
                assert eval(plain, {"F": Fraction}) == value_of(right), step
                checked += 1
    assert checked > 2 * len(problems)


def test_the_last_number_of_the_last_step_is_the_answer(problems):
    for prompt in problems:
        found = recognise(text_of(prompt))
        numbers = re.findall(r"\\frac\{\d+\}\{\d+\}|\d+(?:\.\d+)?", found.family.solve(found.params).steps[-1])
        assert numbers[-1] == prompt.expected


def test_each_difficulty_differs():
    for family in FAMILIES.values():
        slots = [next(iter(family.tellings[level])).slots.keys() for level in DIFFICULTIES]
        steps = [len(family.solve(family.draw(random.Random(3), level)).steps) for level in DIFFICULTIES]
        assert slots[0] != slots[1] != slots[2] != slots[0], family.name
        assert steps[0] <= steps[2], family.name


def test_any_numbers_can_be_solved():
    """Somebody's own text may fill a telling with numbers that are never drawn."""
    rng = random.Random(5)
    wild = {"int": (1, 2, 9, 10, 11, 99, 1000, 123_456), "money": (1, 99, 100, 1005), "percent": (1, 33, 99)}
    wild |= {"clock": (0, 719, 1439), "ordinal": (1, 22, 113), "fraction": ("1/2", "2/4", "98/99")}
    for family, level in CELLS:
        telling = family.tellings[level][0]
        for _ in range(100):
            params = dict(family.draw(rng, level))
            for slot, kind in telling.slots.items():
                if kind in wild:
                    params[slot] = rng.choice(wild[kind])
            assert recognise(telling.render(params)) == (family, params)
            assert value_of(family.solve(params).answer) is not None


def test_a_problem_is_found_between_other_text(problems):
    for prompt in problems[::60]:
        text = text_of(prompt)
        lines = text.replace(". ", ".\n")
        around = f"Solve this. Put the answer in \\boxed{{}}.\n\n{lines}\n\nThink first."
        assert recognise(around) == recognise(text)


def test_the_last_of_several_problems_counts(problems):
    first, last = text_of(problems[0]), text_of(problems[1])
    assert recognise(f"Example: {first}\nNow this one: {last}") == recognise(last)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Hello!",
        "Emma buys 4 pencils for $3 each. How much does Paul pay in total, in dollars?",
        "Emma buys 4 pencils for $3 each. How many dollars does he spend?",
        "Emma buys 0 pencils for $3 each. How many dollars does she spend?",
        "Emma buys 4 dragons for $3 each. How many dollars does she spend?",
        "Gandalf buys 4 pencils for $3 each. What is the total cost in dollars?",
    ],
)
def test_what_does_not_fit_is_not_recognised(text):
    assert recognise(text) is None


def test_most_texts_are_distinct():
    texts = [text_of(p) for p in generate(2000, seed=1)]
    assert len(set(texts)) > 0.95 * len(texts)


def test_a_prompt_does_not_depend_on_the_count_or_the_order_of_names():
    few, many = list(generate(5, 7)), list(generate(50, 7))
    assert many[:5] == few
    assert list(generate(20, 7, ["ages", "bill"], (2, 1))) == list(generate(20, 7, ["bill", "ages", "bill"], (1, 2)))
    assert list(generate(5, 8)) != few


def test_prompts_are_made_one_at_a_time():
    assert len(list(islice(generate(10**12, 1), 3))) == 3


def test_only_what_was_chosen_is_drawn():
    drawn = {(p.metadata["family"], p.metadata["difficulty"]) for p in generate(50, 2, ["ages"], [3])}
    assert drawn == {("ages", 3)}


@pytest.mark.parametrize(
    ("families", "difficulties", "said"),
    [
        (["shoping"], [1], r"no family 'shoping' \(it has: shopping, .*Did you mean 'shopping'"),
        (None, [4], r"no difficulty 4 \(it has: 1, 2, 3\)"),
        ([], [1], "at least one family"),
        (None, [], "at least one family and one difficulty"),
    ],
)
def test_a_wrong_choice_is_refused_at_once_and_by_name(families, difficulties, said):
    with pytest.raises(errors.RecipeError, match=said):
        generate(1, 1, families, difficulties)


def test_problems_stay_what_they_are():
    golden = json.loads(GOLDEN.read_text(encoding="utf-8"))
    made = [
        {"source_id": p.source_id, "text": text_of(p), "expected": p.expected, "metadata": p.metadata}
        for p in generate(len(golden["problems"]), golden["seed"])
    ]
    assert made == golden["problems"]


@pytest.mark.parametrize(("kind", "value", "text"), [
    ("int", 1234, "1234"), ("int", 12345, "12,345"), ("money", 1205, "$12.05"), ("money", 300, "$3"),
    ("clock", 0, "12:00 am"), ("clock", 725, "12:05 pm"), ("ordinal", 11, "11th"), ("ordinal", 23, "23rd"),
    ("ordinal", 111, "111th"), ("an_item", "umbrella", "an umbrella"), ("items", "box of tea", "boxes of tea"),
])  # fmt: skip
def test_a_slot_is_written_and_read(kind, value, text):
    telling = Telling((f"Here: {{it:{kind}}}.",))
    assert telling.render({"it": value}) == f"Here: {text}."
    assert [params for _, _, params in telling.found_in(f"Here: {text}.")] == [{"it": value}]
    assert KINDS[kind].show(value) == text


def test_numbers_are_shown_exactly():
    assert [show(Fraction(n)) for n in ("3", "7.5", "-0.125", "1/3")] == ["3", "7.5", "-0.125", r"\frac{1}{3}"]
    assert [fraction(Fraction(n)) for n in ("2", "6/8", "-1/2")] == ["2", r"\frac{3}{4}", r"-\frac{1}{2}"]
    assert [dollars(Fraction(n)) for n in ("1200", "1250", "-5", "12.5")] == ["12", "12.50", "-0.05", "0.125"]
