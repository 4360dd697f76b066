import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from campaign import read_jsonl_gz, shared
from tracemill.errors import RecipeError, TracemillError
from tracemill.record import Message, Sample, Verdict
from tracemill.step import Drop
from tracemill.verify.choices import ChoiceAnswer, ChoiceMajority, chosen

OPTIONS = {"A": "100 m", "B": "150 m", "C": "200 m", "D": "25%"}
SAYS_B = [
    *[
        "\\boxed{B}",
        "\\boxed{\\text{B}}",
        "\\boxed{(B)}",
        "\\boxed{B) 150 m}",
        "\\boxed{150 m}",
        "\\boxed{150 \\text{ m}}",
    ],
    *["\\boxed{\\textbf{(B)}}", "$\\boxed{\\mathrm{B}}$", "\\boxed{b}", "\\boxed{B.}", "\\boxed{\\text{Option B}}"],
    *["The answer is B", "The answer is (B).", "The answer is: **B**", "**Answer:** B", "**Answer: B**", "Answer: b)"],
    *[
        "Final answer: B.",
        "The correct answer is option B.",
        "The correct option is **(B) 150 m**.",
        "The answer is 150 m.",
    ],
    *[
        "So the best choice is B because it fits.",
        "B is correct.",
        "Option B is the correct answer.",
        "I would choose B.",
    ],
    *["Die Antwort ist B.", "Die richtige Antwort lautet (B).", "La réponse est B.", "La bonne réponse : B"],
    *[
        "La respuesta correcta es B.",
        "La risposta corretta è la B.",
        "答えは B です。",
        "正解：Ｂ",
        "答案是B。",
        "정답: B",
    ],
    *["B", "(B)", "**B**", "B) 150 m", "150 m", "So it is\n\nB.", "A is too short.\n\nAnswer: (B) 150 m"],
]
SAYS_NOTHING = [
    *[
        "The answer is not B",
        "The answer is A or B",
        "\\boxed{A, B}",
        "\\boxed{}",
        "The answer is a prime",
        "I think so",
    ],
    *[
        "A good question is hard to answer.",
        "The answer is between A and B",
        "Answer: F",
        "Answer: A good distance",
        "",
    ],
    *["The answer is A and B", "\\boxed{E}", "Answer: A) 150 m", "The answer is Boron", "The answer is B or maybe C."],
    *["It could be B, but who knows, I cannot say it for sure.", "Answer: none of these", "\\boxed{A}\\boxed{}"],
]


def sample(content, expected=None, index=0):
    turns = (Message("user", "How long?"), Message("assistant", content, reasoning="The answer is C."))
    return Sample(f"u{index}", "stem", "on", turns, expected=expected, sample_index=index, check={"choices": OPTIONS})


def vote(letters, asked=None, threshold=0.5):
    samples = [sample(f"\\boxed{{{letter}}}", index=i) for i, letter in enumerate(letters)]
    return list(asyncio.run(ChoiceMajority(threshold)(samples, asked or len(samples))))


def reasons(results):
    return [r.reason if isinstance(r, Drop) else "kept" for r in results]


@pytest.mark.parametrize("content", SAYS_B)
def test_a_letter_is_read_in_any_dress(content):
    assert chosen(content, OPTIONS) == "B"


@pytest.mark.parametrize("content", SAYS_NOTHING)
def test_what_names_no_one_option_is_none(content):
    assert chosen(content, OPTIONS) is None


def test_the_box_counts_before_words_and_the_last_word_before_earlier_ones():
    assert chosen("\\boxed{A}. The answer is B.", OPTIONS) == "A"
    assert chosen("The answer is A. No: the answer is B.", OPTIONS) == "B"
    assert chosen("A is correct. Wait. C is correct.", OPTIONS) == "C"


def test_an_answer_is_kept_or_dropped_with_both_options_as_evidence():
    kept = asyncio.run(ChoiceAnswer()(sample("\\boxed{B}", "B")))
    assert kept.verdicts == (Verdict("verify_choices", True, "B: 150 m"),)
    drop = asyncio.run(ChoiceAnswer()(sample("\\boxed{A}", "150 m")))
    assert drop == Drop("wrong_choice", "expected B: 150 m, found A: 100 m")
    assert asyncio.run(ChoiceAnswer()(sample("Hm.", "B"))).reason == "no_choice"


def test_most_votes_win_and_a_tie_is_nobodys():
    assert reasons(vote("BBBA")) == ["kept", "kept", "kept", "minority_answer"]
    assert reasons(vote("AABB")) == ["tie"] * 4
    assert reasons(vote("AAB", asked=6)) == ["low_agreement"] * 3
    assert reasons(vote("AAA", asked=6)) == ["kept"] * 3
    assert reasons(vote("ABBF")) == ["minority_answer", "kept", "kept", "no_choice"]
    assert reasons(vote("B")) == ["low_agreement"]
    assert vote("BBBA")[0].verdicts[0].evidence == "3 of 4 agree on B"


def test_a_vote_needs_a_share_and_no_more_voters_than_asked():
    with pytest.raises(RecipeError, match="threshold"):
        ChoiceMajority(0)
    with pytest.raises(TracemillError, match="2 were asked"):
        vote("AAB", asked=2)


@given(st.text(max_size=80))
def test_any_text_gives_a_letter_of_the_options_or_none(text):
    assert chosen(text, OPTIONS) in {None, *OPTIONS}


@pytest.mark.parametrize(
    "dress",
    [
        "\\boxed{{{0}}}",
        "The answer is {0}.",
        "**Antwort: {0}) {1}**",
        "La réponse est ({0}) {1}",
        "正解は「{0}」です。",
        "{1}",
    ],
)
def test_real_options_are_recognised(dress):
    """Every option of 2,135 questions of MMLU, said in several ways: read as itself, and never as another."""
    path = shared("mmlu_stem", "mmlu_stem.jsonl.gz")
    if not path.exists():
        pytest.skip("the real questions are not beside the project")
    right = wrong = lost = 0
    for row in read_jsonl_gz(path)[::4]:
        options = dict(zip("ABCD", row["choices"], strict=False))
        for letter, text in options.items():
            found = chosen("I weigh the options.\n\n" + dress.format(letter, text), options)
            right, wrong, lost = (
                right + (found == letter),
                wrong + (found not in (letter, None)),
                lost + (found is None),
            )
    assert right > 2_000
    assert wrong == 0
    assert lost <= 0.004 * right  # two options that read the same are no one's
