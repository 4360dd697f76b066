"""Real answers of real models: what the checks of texts say of them, counted once and looked at."""

from __future__ import annotations

import uuid

import pytest

from campaign import read_jsonl_gz, shared
from rows import write_lines
from tracemill.inspect.validate import validate

TEXTS = (
    *(
        "identity_leak",
        "script_leak",
        "answer_truncated",
        "repetition_loop",
        "language_differs",
        "instructions_contradict",
    ),
    *("text_damaged", "boxed_missing", "prompt_empty", "prompt_placeholder", "think_in_off", "think_repeated"),
)


def found(path, pairs):
    """Findings of the checks of texts in rows of (question, answer, language)."""
    held = [
        {
            "uuid": str(uuid.UUID(int=number)),
            "license": "mit",
            "category": "chat",
            "reasoning": "off",
            "language": language,
            "messages": [{"role": "user", "content": asked}, {"role": "assistant", "content": said}],
        }
        for number, (asked, said, language) in enumerate(pairs)
    ]
    report = validate(write_lines(path / "train.jsonl", held), workers=0)
    return {name: finding.count for name in TEXTS if (finding := report.finding(name))}


@pytest.mark.skipif(not shared("mt_bench").is_dir(), reason="MT-Bench answers are not beside the project")
def test_finished_answers_in_five_languages_have_next_to_nothing_against_them(tmp_path):
    asked = {
        (q["question_id"], q["lang"]): q["turns"][0] for q in read_jsonl_gz(shared("mt_bench", "questions.jsonl.gz"))
    }
    answers = [
        answer
        for model in ("gpt35_turbo", "qwen2_7b_instruct")
        for answer in read_jsonl_gz(shared("mt_bench", f"answers_{model}.jsonl.gz"))
    ]
    pairs = [
        (asked[key], answer["turns"][0], answer["lang"])
        for answer in answers
        if (key := (answer["question_id"], answer["lang"])) in asked
    ]
    assert len(pairs) > 500
    assert found(tmp_path, pairs) == {"language_differs": 1}, "a German prompt that asks for English"


@pytest.mark.skipif(not shared("arena_hard").is_dir(), reason="Arena-Hard answers are not beside the project")
def test_answers_to_hard_prompts_have_next_to_nothing_against_them(tmp_path):
    rows = read_jsonl_gz(shared("arena_hard", "answers_o3mini_v2.jsonl.gz"))
    pairs = [(row["prompt"], row["response"], None) for row in rows]
    assert found(tmp_path, pairs) == {"text_damaged": 3}


@pytest.mark.skipif(not shared("theoremqa").is_dir(), reason="TheoremQA answers are not beside the project")
def test_a_base_model_that_does_not_know_when_to_stop_is_seen(tmp_path):
    rows = read_jsonl_gz(shared("theoremqa", "responses_mistral_7b_base_v0.2.jsonl.gz"))
    seen = found(tmp_path, [(row["question"], row["solution"], None) for row in rows])
    assert set(seen) == {"repetition_loop", "answer_truncated"}
    assert seen["repetition_loop"] > 20
