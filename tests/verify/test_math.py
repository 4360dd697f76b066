import asyncio
import gzip
import itertools
import json
from pathlib import Path

import pytest

from tracemill.errors import RecipeError, TracemillError
from tracemill.record import Message, Sample, Verdict
from tracemill.step import Drop
from tracemill.verify.math import MathAnswer, MathMajority
from tracemill.verify.math_checker import Answer, MathChecker

RECORDED = Path(__file__).resolve().parents[3] / "shared" / "data" / "gsm8k" / "model_solutions.jsonl.gz"
MODELS = ("6b_finetuning", "6b_verification", "175b_finetuning", "175b_verification")
WRONG_LABELS: dict[tuple[str, str], str] = {}
"""(id, model) of rows whose recorded label is wrong, with the reason. Of 3,724 rows read, none is."""


def sample(content, expected=None, index=0, reasoning=None):
    messages = (Message("user", "How many?"), Message("assistant", content, reasoning=reasoning))
    return Sample(
        uuid=f"u{index}", category="math", reasoning="on", messages=messages, expected=expected, sample_index=index
    )


def judge(*samples):
    async def run():
        async with MathChecker(seconds=60) as checker:
            return [await MathAnswer(checker)(each) for each in samples]

    return asyncio.run(run())


def vote(samples, asked=None, threshold=0.5):
    async def run():
        async with MathChecker(seconds=60) as checker:
            return await MathMajority(checker, threshold)(samples, asked or len(samples))

    return list(asyncio.run(run()))


def boxes(*answers):
    return [sample(f"\\boxed{{{answer}}}" if answer is not None else "?", index=i) for i, answer in enumerate(answers)]


def reasons(results):
    return [result.reason if isinstance(result, Drop) else "kept" for result in results]


def test_a_right_answer_is_kept_with_the_evidence():
    given = sample("so \\boxed{18.0}", expected="18")
    [kept] = judge(given)
    assert kept.verdicts == (Verdict("verify_math", True, "18 = 18.0 (number)"),)
    assert kept.messages == given.messages
    assert given.verdicts == ()


def test_a_wrong_answer_is_dropped_with_both_answers():
    assert judge(sample("\\boxed{26}", expected="18")) == [Drop("wrong_answer", "expected 18, found 26 (number)")]


def test_only_the_last_visible_box_counts():
    results = judge(
        sample("\\boxed{18}, no: \\boxed{20}", expected="18"),
        sample("the answer is 18", expected="18", reasoning="so \\boxed{18}"),
        sample("\\boxed{}", expected="18"),
        sample("\\boxed{18", expected="18"),
    )
    assert reasons(results) == ["wrong_answer", "no_boxed_answer", "no_boxed_answer", "no_boxed_answer"]


def test_what_cannot_be_decided_is_dropped_as_that():
    results = judge(sample("\\boxed{9^{9^{9}}}", expected="1"), sample("\\boxed{18}"))
    assert results == [
        Drop("undecided", "expected 1, found 9^{9^{9}} (too_complex: a power tower)"),
        Drop("undecided", "found 18, but no expected answer is known"),
    ]


def test_evidence_stays_on_one_short_line():
    [result] = judge(sample("\\boxed{" + "x\n" * 2_000 + "}", expected="18"))
    assert "\n" not in result.evidence
    assert len(result.evidence) < 300


def test_the_majority_is_kept_and_the_others_say_how_many():
    results = vote(boxes("18", "18.0", "\\$18", "20"))
    assert reasons(results) == ["kept", "kept", "kept", "minority_answer"]
    assert results[0].verdicts == (Verdict("verify_math", True, "3 of 4 agree on 18"),)
    assert results[0].expected is None
    assert results[3].evidence == "3 of 4 agree on 18, 1 of 4 on 20"


def test_classes_are_of_equal_answers_not_of_equal_texts():
    results = vote(boxes("\\frac{\\sqrt{2}}{2}", "\\frac{1}{\\sqrt{2}}", "2"))
    assert reasons(results) == ["kept", "kept", "minority_answer"]


def test_the_share_is_of_the_samples_asked_for():
    results = vote(boxes("18", "18"), asked=5)
    assert results == [Drop("low_agreement", "2 of 5 agree on 18, below 0.5")] * 2
    assert reasons(vote(boxes("18", "18", None), asked=4)) == ["kept", "kept", "no_boxed_answer"]


def test_a_share_equal_to_the_threshold_is_enough():
    assert reasons(vote(boxes(*["18"] * 7, *"123"), threshold=0.7))[:7] == ["kept"] * 7


def test_a_tie_for_first_keeps_nobody():
    results = vote(boxes("18", "20", "18", "20", "7", None), threshold=0.1)
    assert reasons(results) == ["tie"] * 5 + ["no_boxed_answer"]
    assert results[0].evidence == "2 of 6 each for 18, 20"


def test_nobody_with_a_box_is_nobody_kept():
    assert reasons(vote(boxes(None, ""))) == ["no_boxed_answer", "no_boxed_answer"]
    assert vote([], asked=3) == []


def test_the_vote_does_not_depend_on_the_order():
    samples = boxes("0.5", "\\frac12", "50\\%", "50", "1/2")
    wanted = {result.uuid: result for result in vote(samples) if isinstance(result, Sample)}
    assert len(wanted) == 3
    for order in itertools.islice(itertools.permutations(samples), 0, None, 7):
        assert {result.uuid: result for result in vote(order) if isinstance(result, Sample)} == wanted


def test_an_impossible_threshold_is_refused_before_the_first_row():
    for threshold in (0, -1, 1.1, float("nan")):
        with pytest.raises(RecipeError, match="threshold"):
            MathMajority(MathChecker(), threshold)
    with pytest.raises(TracemillError, match="1 were asked for"):
        vote(boxes("1", "1"), asked=1)


def test_undecided_pairs_do_not_vote_together():
    class Undecided(MathChecker):
        async def same(self, expected, found):
            return Answer(False, "timeout")

    async def run():
        return await MathMajority(Undecided(), 0.5)(boxes("a", "b", "c"), 3)

    assert reasons(asyncio.run(run())) == ["tie"] * 3


def test_reasons_are_declared():
    assert MathAnswer.drops == {"no_boxed_answer", "wrong_answer", "undecided"}
    assert MathMajority.drops == {"no_boxed_answer", "low_agreement", "tie", "minority_answer"}


def recorded():
    if not RECORDED.exists():
        pytest.skip(f"{RECORDED} is not there")
    with gzip.open(RECORDED, "rt", encoding="utf-8") as lines:
        for row in map(json.loads, lines):
            expected = row["ground_truth"].rsplit("A:", 1)[1].strip()
            for model in MODELS:
                text, _, found = row[model]["solution"].rpartition("A:")
                content = f"{text}\\boxed{{{found.strip()}}}" if text else found
                yield (row["id"], model), row[model]["is_correct"], sample(content, expected)


def test_the_verdicts_on_recorded_solutions_are_those_of_their_labels():
    """931 problems of GSM8K with four model solutions each: precision and recall are both 1."""
    keys, labels, samples = zip(*recorded(), strict=True)
    kept = [isinstance(result, Sample) for result in judge(*samples)]
    assert len(kept) == 3_724
    assert sum(kept) == 1_401
    disagreements = {key for key, label, keep in zip(keys, labels, kept, strict=True) if label != keep}
    assert disagreements == set(WRONG_LABELS)
