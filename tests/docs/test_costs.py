"""The table "What a change costs" of docs/recipes.md, row by row: what building again asks for."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path

import pytest

from tracemill.engines.inline import InlineEngine
from tracemill.mill import build
from tracemill.recipe_file import recipe_from, set_value

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "recipes.md").read_text(encoding="utf-8")
COUNT = 12
BASE = {
    "name": "costs",
    "license": "CC0-1.0",
    "prompts": {"generate": "word_problems", "count": COUNT},
    "teachers": {"first": {"url": "builtin", "model": "one", "sampling": {"max_tokens": 40}}},
}

NOTHING, ALL = 0, COUNT
CASES = [
    ("`verify`", ["verify.duplicates=false"], NOTHING),
    ("`name`", ["name=another"], NOTHING),
    ("`version`", ["version='2'"], NOTHING),
    ("`license`", ["license=MIT"], NOTHING),
    ("`description`", ["description=New."], NOTHING),
    ("`contact`", ["contact=you@example.org"], NOTHING),
    ("`citation`", ["citation=none"], NOTHING),
    ("`publish`", ["publish.layout=v1"], NOTHING),
    ("`concurrency`", ["teachers.first.concurrency=2"], NOTHING),
    ("`timeout`", ["teachers.first.timeout=5"], NOTHING),
    ("`attempts`", ["teachers.first.attempts=1"], NOTHING),
    ("`send_seed`", ["teachers.first.send_seed=false"], NOTHING),
    ("`limit_field`", ["teachers.first.limit_field=max_completion_tokens"], NOTHING),
    ("`family`, `server` of a teacher, where the same", ["teachers.first.family=qwen3"], NOTHING),
    ("`family`, `server`, `effort` of a teacher", ["teachers.first.server=ollama"], ALL),
    ("`max_tokens`, lowered", ["teachers.first.sampling.max_tokens=30"], NOTHING),
    ("`max_tokens`, raised", ["teachers.first.sampling.max_tokens=20000"], ALL),
    ("`respond.samples`", ["respond.samples=3"], 2 * COUNT),
    ("`respond.agree`", ["respond.samples=4", "respond.agree=2"], COUNT),
    ("`respond.reasoning`", ["respond.reasoning=both"], COUNT),
    ("`prompts`", ["prompts.count=20"], 20 - COUNT),
    ("a `weight`", ["teachers.second={url: builtin, model: two, weight: 1.0}"], None),
    ("`model`", ["teachers.first.model=three"], ALL),
    ("`revision`", ["teachers.first.revision=main"], ALL),
    ("`extra_body`", ["teachers.first.extra_body={guided: true}"], ALL),
    ("`reasoning_on`", ["teachers.first.reasoning_on={thinking: true}"], ALL),
    ("`temperature`", ["teachers.first.sampling.temperature=0.1"], ALL),
    ("`top_p`", ["teachers.first.sampling.top_p=0.5"], ALL),
    ("`respond.system`", ["respond.system.math=Be brief."], ALL),
    ("`seed`", ["seed=5"], ALL),
    ("`slips`", ["teachers.first.slips.wrong=1.0"], NOTHING),
]


def recipe(assignments=()):
    tree = deepcopy(BASE)
    for assignment in assignments:
        set_value(tree, assignment)
    return recipe_from(tree, "costs")


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """A run in which the first recipe has been built, and every case after it."""
    out = tmp_path_factory.mktemp("costs") / "run"
    assert build(recipe(), out, engine=InlineEngine()).sent == COUNT
    return {words: build(recipe(changed), out, engine=InlineEngine()).sent for words, changed, _ in CASES}


@pytest.mark.parametrize(("words", "sent"), [(words, sent) for words, _, sent in CASES], ids=lambda v: str(v))
def test_a_change_asks_what_the_page_says(words, sent, stored):
    assert words in PAGE
    if sent is None:
        assert 0 < stored[words] < COUNT, "some prompts go to the new teacher, the others stay"
    else:
        assert stored[words] == sent
