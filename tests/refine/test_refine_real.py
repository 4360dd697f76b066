"""Real problems with real answers of models, right and wrong as people have labelled them, as rows of v1."""

from __future__ import annotations

import json
import uuid

import pyarrow.parquet as pq
import pytest
from spoiled import recipe

import tracemill as tm
from campaign import read_jsonl_gz, shared
from rows import write_v1
from tracemill.engines.inline import InlineEngine

GSM8K = shared("gsm8k")
pytestmark = pytest.mark.skipif(not GSM8K.exists(), reason="GSM8K's files are not beside the project")
MODELS = ("6b_finetuning", "6b_verification", "175b_finetuning", "175b_verification")


def as_row(question, number, model, solution):
    text, _, answer = solution["solution"].rpartition("A:")
    said = f"<think>\n{text.strip() or 'It is plain.'}\n</think>\n\nThe answer is \\boxed{{{answer.strip()}}}."
    turns = [{"role": "user", "content": question}, {"role": "assistant", "content": said}]
    return {
        "uuid": str(uuid.uuid5(uuid.NAMESPACE_URL, f"{model} {question}")),
        "license": "MIT",
        "generator": model,
        "version": "1.0",
        "category": "math",
        "reasoning": "on",
        "messages": turns,
        "metadata": json.dumps({"expected_answer": number}),
    }


def test_exactly_the_answers_that_people_call_right_are_kept(tmp_path):
    numbers = {
        row["question"]: row["answer"].rpartition("####")[2].strip() for row in read_jsonl_gz(GSM8K / "test.jsonl.gz")
    }
    solved = read_jsonl_gz(GSM8K / "model_solutions.jsonl.gz")[:300]
    right, said = set(), set()
    for number, model in enumerate(MODELS):
        held = [as_row(row["question"], numbers[row["question"]], model, row[model]) for row in solved]
        for made, row in zip(held, solved, strict=True):
            words = tuple(turn["content"] for turn in made["messages"])
            if row[model]["is_correct"] and words not in said:  # two models may say the same
                right.add(made["uuid"])
                said.add(words)
        write_v1(tmp_path / "v1" / "data" / f"math-{number:05d}-of-00004.parquet", held)
    report = tm.refine(tmp_path / "v1", recipe(), tmp_path / "run", engine=InlineEngine())
    kept = pq.read_table(tmp_path / "run" / "data", columns=["uuid"]).column("uuid").to_pylist()
    rejected = pq.read_table(tmp_path / "run" / "rejected").to_pylist()
    assert set(kept) == right
    assert set(report.lost) == {"verify_math: wrong_answer", "duplicates: duplicate", "structure: repetition_loop"}
    assert report.rows + sum(report.lost.values()) == 1200
    assert 300 < report.rows < 900, "right and wrong ones are there"
    wrong = [r["evidence"] for r in rejected if r["reason"] == "wrong_answer"]
    assert len(wrong) > 300
    assert all(evidence.startswith("expected ") for evidence in wrong)
