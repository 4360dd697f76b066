"""Samples are asked for until enough agree: which ones is a matter of their indexes, never of what came first."""

from __future__ import annotations

import asyncio
import json
import zlib
from collections import Counter, defaultdict
from itertools import pairwise

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from campaign import problem_recipe, published, write_jsonl
from tracemill.engines.inline import InlineEngine
from tracemill.errors import RecipeError
from tracemill.mill import build
from tracemill.recipe_file import load_recipe, recipe_from
from tracemill.report.audit import audit
from tracemill.report.explain import explain
from tracemill.respond.agreement import in_rounds
from tracemill.storage.parquet import read_batches
from tracemill.testing import Answer, Faults, ScriptedServer
from tracemill.testing.answers import last_user_text

SAMPLES, AGREE = 7, 3
PROMPTS = 60


def is_right(seed):
    """Two of three answers are right; which ones, the seed decides."""
    return zlib.crc32(str(seed).encode()) % 3 != 0


def answered(body):
    number = int(last_user_text(body).rpartition("number ")[2].split(".")[0])
    said = number if is_right(body["seed"]) else number + 1 + body["seed"] % 50
    trace = "It is what it is." if body["chat_template_kwargs"]["enable_thinking"] else None
    return Answer(f"I say \\boxed{{{said}}}.", trace)


def prompts_in(folder, known):
    rows = [
        {"question": f"Say the number {i}.", "id": f"p{i}", **({"answer": str(i)} if known else {})}
        for i in range(PROMPTS)
    ]
    return write_jsonl(folder / "numbers.jsonl", rows)


def recipe_for(folder, url, known, **more):
    fields = {"prompt": "question", "id": "id", **({"expected": "answer"} if known else {})}
    told = {"respond__samples": SAMPLES, "respond__agree": AGREE, "prompts__fields": fields, **more}
    told["verify"] = {"duplicates": False, "math": {"majority": 0.5}}
    return load_recipe(problem_recipe(folder / "recipe.yaml", prompts_in(folder, known), url, **told))


def rows_of(out):
    """Every row with where it ended: "kept", or its reason."""
    for folder in ("data", "rejected", "failed"):
        for path in sorted((out / folder).glob("*.parquet")):
            for batch in read_batches(path):
                for row in batch.to_pylist():
                    yield row, "kept" if folder == "data" else row.get("reason") or row["error_class"]


def expected_ends(rights, agree, ahead):
    """By rounds of what is lacking, where the answer is known: what becomes of each index, and how many are asked."""
    kept, asked, done = 0, 0, None
    while done is None and asked < len(rights):
        size = max(1, agree - kept) + ahead
        for i in range(asked, min(asked + size, len(rights))):
            kept += rights[i]
            if kept == agree and done is None:
                done = i
        asked = min(asked + size, len(rights))
    done = len(rights) - 1 if done is None else done
    ends = ["kept" if right else "wrong_answer" for right in rights[: done + 1]]
    ends += ["surplus" if right else "wrong_answer" for right in rights[done + 1 : asked]]
    return ends + ["surplus"] * (len(rights) - asked), asked


@given(
    rights=st.lists(st.booleans(), min_size=1, max_size=12),
    agree=st.integers(1, 5),
    ahead=st.integers(0, 4),
    rng=st.randoms(use_true_random=False),
)
def test_which_samples_are_asked_follows_from_what_they_say_alone(rights, agree, ahead, rng):
    asked, ended = [], []

    async def ask(index):
        asked.append(index)
        for _ in range(rng.randrange(8)):
            await asyncio.sleep(0)
        ended.append(index)
        return rights[index]

    async def right(came):
        return sum(came)

    rounds = asyncio.run(in_rounds(range(len(rights)), ask, right, agree, ahead))
    ends, count = expected_ends(rights, agree, ahead)
    assert sorted(ended) == asked == list(range(count))
    assert rounds.came == rights[:count]
    assert sum(rounds.came[: rounds.needed]) == min(agree, sum(rights)) == ends.count("kept")
    assert rounds.agreed == (sum(rights) >= agree)
    assert rounds.needed == count or rounds.came[rounds.needed - 1]


@pytest.mark.parametrize("ahead", [0, pytest.param(2, marks=pytest.mark.storm)])
def test_the_same_bytes_at_any_order_of_arrival_and_any_number_of_workers(tmp_path, ahead):
    seen = []
    for number, workers in enumerate((1, 2, 2)):
        folder = tmp_path / str(number)
        folder.mkdir()
        faults = Faults(rates={"slow": 0.4}, seed=number, slow_factor=15)
        with ScriptedServer(answered, latency=0.002, faults=faults) as server:
            recipe = recipe_for(folder, server.url, True, respond__ahead=ahead)
            report = build(recipe, folder / "run", workers=workers)
            assert build(recipe, folder / "run", workers=workers).sent == 0
        seen.append((published(folder / "run"), report.sent, server.stats().received))
    assert audit(folder / "run").ok
    assert len({json.dumps(of) for of in seen}) == 1

    by_prompt = defaultdict(dict)
    for row, end in rows_of(folder / "run"):
        by_prompt[row["source_id"]][row["sample_index"]] = (orjson.loads(row["sampling"])["seed"], end, row)
    asked_in_all = 0
    for of_prompt in by_prompt.values():
        rights = [is_right(of_prompt[i][0]) for i in range(SAMPLES)]
        ends, asked = expected_ends(rights, AGREE, ahead)
        assert [of_prompt[i][1] for i in range(SAMPLES)] == ends
        assert [bool(of_prompt[i][2]["requests"]) for i in range(SAMPLES)] == [i < asked for i in range(SAMPLES)]
        asked_in_all += asked
    assert len(by_prompt) == PROMPTS
    unasked = next(row for row, end in rows_of(folder / "run") if end == "surplus" and not row["requests"])
    life = explain(folder / "run", unasked["uuid"])
    assert (life.place, life.attempts) == ("rejected", [])
    assert "respond: surplus (3 samples are" in life.why
    assert seen[0][1] == asked_in_all < PROMPTS * SAMPLES
    ends = Counter(end for of in by_prompt.values() for _, end, _ in of.values())
    assert ends.total() == PROMPTS * SAMPLES
    assert set(ends) == {"kept", "wrong_answer", "surplus"}


def test_where_nobody_knows_the_answer_the_vote_on_the_first_samples_decides(tmp_path):
    with ScriptedServer(answered) as server:
        build(recipe_for(tmp_path, server.url, False), tmp_path / "run", engine=InlineEngine())
    kept, ends = defaultdict(list), Counter()
    for row, end in rows_of(tmp_path / "run"):
        ends[end] += 1
        if end == "kept":
            kept[row["source_id"]].append(row["sample_index"])
            assert f"boxed{{{row['source_id'][1:]}}}" in row["messages"][-1]["content"]
    assert ends["surplus"] > PROMPTS
    assert ends.total() == PROMPTS * SAMPLES
    assert max(map(len, kept.values())) == AGREE
    assert sum(len(indexes) == AGREE for indexes in kept.values()) > PROMPTS * 0.8
    assert audit(tmp_path / "run").ok


def test_each_mode_stops_by_itself_and_pairs_share_prompt_and_index(tmp_path):
    with ScriptedServer(answered) as server:
        recipe = recipe_for(tmp_path, server.url, True, respond__reasoning="both")
        build(recipe, tmp_path / "run", engine=InlineEngine())
    rows = [row for row, end in rows_of(tmp_path / "run") if end == "kept"]
    counts = Counter((row["source_id"], row["reasoning"]) for row in rows)
    assert set(counts.values()) <= {1, 2, AGREE}
    assert sum(count == AGREE for count in counts.values()) > PROMPTS
    rows.sort(key=lambda row: (row["prompt_key"], row["sample_index"], row["reasoning"]))
    pairs = [(off, on) for off, on in pairwise(rows) if pair_of(off) == pair_of(on)]
    assert len(pairs) > PROMPTS
    for off, on in pairs:
        assert (off["reasoning"], on["reasoning"]) == ("off", "on")
        assert off["messages"][:-1] == on["messages"][:-1]
        assert on["messages"][-1]["content"].startswith("<think>")
        assert "<think>" not in off["messages"][-1]["content"]


def pair_of(row):
    return row["prompt_key"], row["sample_index"]


def test_raising_agree_asks_only_for_what_is_lacking(tmp_path):
    with ScriptedServer(answered) as server:
        first = build(recipe_for(tmp_path, server.url, True, respond__agree=1), tmp_path / "run", workers=1)
        more = build(recipe_for(tmp_path, server.url, True, respond__agree=2), tmp_path / "run", workers=1)
        stats = server.stats()
    assert first.splits["math"] == PROMPTS
    assert PROMPTS * 2 - 3 <= more.splits["math"] <= PROMPTS * 2
    assert more.sent < 2 * PROMPTS
    assert stats.distinct == stats.received == first.sent + more.sent


def test_with_every_teacher_the_later_ones_get_what_is_lacking(tmp_path):
    def by_model(body):
        return answered({**body, "seed": body["seed"] if body["model"] == "weak" else strong_seed})

    strong_seed = next(seed for seed in range(100) if is_right(seed))
    with ScriptedServer(by_model) as server:
        teachers = {name: {"url": server.url, "model": name} for name in ("weak", "strong")}
        more = {"teachers": teachers, "respond__assign": "every", "respond__samples": 2, "respond__agree": 2}
        build(recipe_for(tmp_path, server.url, True, **more), tmp_path / "run", engine=InlineEngine())
        asked = Counter(body["model"] for body in server.requests)
    kept = Counter(row["generator"] for row, end in rows_of(tmp_path / "run") if end == "kept")
    assert kept.total() == 2 * PROMPTS
    assert asked["weak"] == 2 * PROMPTS
    assert asked["strong"] == kept["strong"] == 2 * PROMPTS - kept["weak"] > 0


def test_more_cannot_agree_than_are_asked():
    tree = {
        "name": "x",
        "license": "CC0-1.0",
        "prompts": {"generate": "word_problems", "count": 1},
        "teachers": {"main": {"url": "builtin", "model": "m"}},
        "respond": {"samples": 2, "agree": 3},
    }
    with pytest.raises(RecipeError, match=r"respond\.agree: 3 samples cannot agree where 2 are asked for"):
        recipe_from(tree, "the test's recipe")
