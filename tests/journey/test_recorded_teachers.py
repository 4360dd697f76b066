"""Real problems, real recorded answers: GSM8K's test problems with four labelled model solutions each."""

from __future__ import annotations

from collections import Counter

import pytest

from campaign import read_jsonl_gz, shared, write_jsonl
from tracemill import identity
from tracemill.mill import build
from tracemill.recipe_file import recipe_from
from tracemill.record import Message
from tracemill.storage.layout import RunPaths
from tracemill.storage.manifest import newest
from tracemill.storage.parquet import read_batches
from tracemill.testing import Answer, ScriptedServer

GSM8K = shared("gsm8k")
pytestmark = pytest.mark.skipif(not GSM8K.exists(), reason="GSM8K's files are not beside the project")

TEACHERS = {
    "small": ("gpt3-6b", "6b_finetuning", "6b_verification"),
    "large": ("gpt3-175b", "175b_finetuning", "175b_verification"),
}

LABEL_IS_WRONG: dict[str, str] = {}
"""Solutions whose label we do not follow, and why."""


@pytest.fixture(scope="module")
def recorded():
    """(problem, its solutions in sample order) of all 931 problems."""
    gold = read_jsonl_gz(GSM8K / "test.jsonl.gz")
    by_question = {row["question"]: row for row in read_jsonl_gz(GSM8K / "model_solutions.jsonl.gz")}
    columns = [c for _, *names in TEACHERS.values() for c in names]
    out = [(row, [by_question[row["question"]][c] for c in columns]) for row in gold]
    assert len(out) == 931
    return out


def planned(recorded) -> dict[int, tuple[str, dict]]:
    """Which recorded solution answers a request: the sample index follows from the seed on the wire."""
    out = {}
    for row, solutions in recorded:
        hashed = identity.prompt_hash([Message("user", row["question"])])
        key = identity.digest(["prompt_key", hashed, 0])
        for index, solution in enumerate(solutions):
            out[identity.wire_seed(0, key, "on", index)] = (row["id"], solution)
    assert len(out) == 4 * len(recorded)
    return out


def served(plan):
    def answer(body):
        _, solution = plan[body["seed"]]
        text, _, number = solution["solution"].rpartition("A:")
        return Answer(f"The answer is \\boxed{{{number.strip()}}}.", text.strip() or "It is plain.")

    return answer


def recipe(path, url, expected=True, majority=0.5):
    fields = {"prompt": "question", "id": "id", **({"expected": "answer"} if expected else {})}
    return recipe_from(
        {
            "name": "recorded",
            "license": "MIT",
            "prompts": {"name": "gsm8k", "path": str(path), "fields": fields, "license": "MIT",
                        **({"expected_after": "####"} if expected else {})},
            "teachers": {name: {"url": url, "model": told[0]} for name, told in TEACHERS.items()},
            "respond": {"reasoning": "on", "samples": 2, "assign": "every"},
            "verify": {"math": {"majority": majority}},
        },
        "test",
    )  # fmt: skip


def rows(out, directory, columns):
    paths = RunPaths(out)
    for entry in newest(paths).files:
        if entry["path"].startswith(directory):
            for batch in read_batches(paths.root / entry["path"], columns):
                yield from batch.to_pylist()


def labels(recorded) -> dict[tuple[str, int], bool]:
    return {(row["id"], i): s["is_correct"] for row, solutions in recorded for i, s in enumerate(solutions)}


def test_the_verifier_agrees_with_every_label(recorded, tmp_path):
    """No wrong row is kept, and every right one is, but for duplicates."""
    with ScriptedServer(served(planned(recorded))) as server:
        build(recipe(GSM8K / "test.jsonl.gz", server.url), tmp_path / "run")
    label = labels(recorded)
    columns = ["source_id", "sample_index", "generator"]
    kept = {(r["source_id"], r["sample_index"]) for r in rows(tmp_path / "run", "data", columns)}
    lost = {
        (r["source_id"], r["sample_index"]): r
        for r in rows(tmp_path / "run", "rejected", [*columns, "reason", "evidence"])
    }
    assert len(kept) + len(lost) == len(label) == 3724
    duplicates = {k for k, r in lost.items() if r["reason"] == "duplicate"}
    wrong_kept = {k for k in kept if not label[k]} - LABEL_IS_WRONG.keys()
    right_lost = {k: lost[k]["evidence"] for k in lost.keys() - duplicates if label[k]}
    judged_right = kept | duplicates
    true = sum(label[k] for k in judged_right)
    print(
        f"\nprecision {true}/{len(judged_right)}, recall {true}/{sum(label.values())}, {len(duplicates)} duplicates; "
        f"reasons {Counter(r['reason'] for r in lost.values())}"
    )
    assert not wrong_kept
    assert not right_lost
    assert all(label[k] for k in duplicates)


@pytest.mark.storm
def test_without_answers_a_higher_majority_keeps_fewer_and_better(recorded, tmp_path):
    """One run directory, three thresholds: replies are asked for once."""
    path = write_jsonl(tmp_path / "p.jsonl", [{"question": r["question"], "id": r["id"]} for r, _ in recorded])
    label, figures = labels(recorded), {}
    with ScriptedServer(served(planned(recorded))) as server:
        for threshold in (0.5, 0.75, 1.0):
            report = build(recipe(path, server.url, expected=False, majority=threshold), tmp_path / "run")
            assert report.sent == (3724 if threshold == 0.5 else 0)
            kept = [
                (r["source_id"], r["sample_index"])
                for r in rows(tmp_path / "run", "data", ["source_id", "sample_index"])
            ]
            figures[threshold] = (len(kept), sum(label[k] for k in kept) / len(kept))
    print("\n" + ", ".join(f"majority {t}: {n} kept, {a:.1%} right" for t, (n, a) in figures.items()))
    counts, accuracy = zip(*figures.values(), strict=True)
    assert counts[0] > counts[1] > counts[2] > 0
    assert accuracy[0] < accuracy[1] < accuracy[2]
    assert accuracy[0] > sum(label.values()) / len(label)


def test_the_ledger_counts_exactly_what_was_planned(tmp_path):
    """GSM8K's train problems with the set's own solutions: 7 % wrong, 2 % cut, 1 % without a trace, 1 % empty."""
    problems = read_jsonl_gz(GSM8K / "train.jsonl.gz")
    slips = ("wrong_answer",) * 7 + ("truncated",) * 2 + ("trace_missing", "empty")
    solved, plan = {}, Counter()
    for row in problems:
        drawn = int(identity.digest(["slip", row["question"]])[:8], 16) % 100
        slip = slips[drawn] if drawn < len(slips) else None
        plan[slip] += 1
        text, _, number = row["answer"].rpartition("####")
        answer = Answer(f"So the answer is \\boxed{{{number.strip()}}}.", text.strip())
        if slip == "wrong_answer":
            answer = Answer(f"So the answer is \\boxed{{{int(number.replace(',', '')) + 1}}}.", text.strip())
        elif slip == "truncated":
            answer = Answer("So the", text.strip(), finish_reason="length")
        elif slip == "trace_missing":
            answer = Answer(answer.content, None)
        elif slip == "empty":
            answer = Answer("", text.strip())
        solved[row["question"]] = answer

    def answer_of(body):
        return solved[body["messages"][-1]["content"].split("\n", 1)[1]]

    with ScriptedServer(answer_of) as server:
        tree = recipe(GSM8K / "train.jsonl.gz", server.url).model_dump(mode="json")
        tree |= {"teachers": {"one": {"url": server.url, "model": "human"}}, "respond": {"samples": 1}}
        report = build(recipe_from(tree, "test"), tmp_path / "run")
    print(f"\n{len(problems)} problems: {report.rows} kept, {report.lost}")
    assert len(solved) == len(problems) == 5289
    assert report.rows == plan.pop(None)
    assert {k.split(": ")[1]: n for k, n in report.lost.items()} == dict(plan)
