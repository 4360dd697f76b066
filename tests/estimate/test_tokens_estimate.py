"""Tokens estimated from characters: within the stated range of what a real vocabulary counts, for the scripts that we know."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from campaign import read_jsonl_gz, shared
from tracemill.estimate.tokens import A_MESSAGE, Range, about, tokens_asked, tokens_in

COUNTED = [
    ("gsm8k", "train.jsonl.gz", "question", 300, 17_702),
    ("gsm8k", "train.jsonl.gz", "answer", 300, 30_598),
    ("mgsm", "mgsm_parallel.jsonl.gz", "de", 120, 9_321),
    ("mgsm", "mgsm_parallel.jsonl.gz", "fr", 120, 9_288),
    ("mgsm", "mgsm_parallel.jsonl.gz", "ja", 120, 9_827),
    ("mgsm", "mgsm_parallel.jsonl.gz", "zh", 120, 6_919),
    ("mgsm", "mgsm_parallel.jsonl.gz", "ru", 120, 9_862),
    ("mgsm", "mgsm_parallel.jsonl.gz", "sw", 120, 12_382),
]
"""Of the first so many rows of a set: tokens by the vocabulary of DeepSeek's models, as their tokenizer counted them."""


@pytest.mark.parametrize(("folder", "name", "column", "rows", "tokens"), COUNTED, ids=lambda v: str(v))
def test_the_truth_lies_in_the_range(folder, name, column, rows, tokens):
    file = shared(folder, name)
    if not file.exists():
        pytest.skip(f"{folder} is not here")
    texts = [row[column] for row in read_jsonl_gz(file)[:rows]]
    found = about(sum(map(tokens_in, texts)))
    assert found.low <= tokens <= found.high


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("a" * 36, 10),
        ("漢" * 29, 20),
        ("かな" * 29, 40),
        ("한" * 29, 20),
        ("д" * 30, 10),
        ("ก" * 22, 10),
        ("é" * 36, 10),
        ("a" * 36 + "漢" * 29, 30),
        ("", 0),
    ],
)
def test_each_script_has_its_own_rate(text, tokens):
    assert tokens_in(text) == pytest.approx(tokens)


@given(st.text(), st.text())
def test_texts_add_up(one, other):
    assert tokens_in(one + other) == pytest.approx(tokens_in(one) + tokens_in(other))


def test_every_text_of_a_request_counts():
    one = {"role": "user", "content": "a" * 36}
    parts = {"role": "user", "content": [{"type": "text", "text": "a" * 36}]}
    calls = {"role": "assistant", "content": "", "tool_calls": [{"function": {"name": "f", "arguments": "a" * 360}}]}
    assert tokens_asked([one]) == pytest.approx(10 + A_MESSAGE + tokens_in("user"))
    assert tokens_asked([parts]) > tokens_asked([one])
    assert tokens_asked([one, calls]) > tokens_asked([one]) + 100
    assert tokens_asked([one], [{"name": "x" * 360}]) > tokens_asked([one]) + 100


def test_a_range_keeps_its_order():
    assert about(10) + about(20).times(2) == about(50)
    assert Range(1, 2, 3).times(2).to_json() == {"low": 2, "likely": 4, "high": 6}
