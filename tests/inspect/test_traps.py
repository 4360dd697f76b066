"""Each known trap, planted in rows that are well-formed otherwise, is found where it is, and nothing else is."""

from __future__ import annotations

import json
from random import Random

import pyarrow as pa
import pytest

from rows import rows, write_lines, write_v1, write_v2
from tracemill.inspect.checks import CHECKS, TRAPS
from tracemill.inspect.validate import validate

COUNT = 120
PLANTED = 9


def say(target, content):
    target["messages"][-1]["content"] = content


def ask(target, content):
    target["messages"][0]["content"] = content


def trace_of(target):
    return target["messages"][1]["content"].partition("</think>")[0]


def answered(target, answer):
    say(target, f"{trace_of(target)}</think>\n\n{answer}")


def with_call(target, **function):
    held = target["messages"][1]["tool_calls"][0]["function"]
    held.update(function)


def looping(target):
    loop = "Wait, let me check that once more, since the sum may be wrong. " * 40
    say(target, target["messages"][1]["content"].replace("<think>\n", f"<think>\n{loop}\n"))


def counting(target):
    say(target, f"{trace_of(target)} {'0, ' * 400}\n</think>\n\nThe answer is 4.")


ROWS = {
    "prompt_placeholder": ("code", lambda r: ask(r, "-")),
    "prompt_empty": ("chat", lambda r: ask(r, "")),
    "not_json": ("stem", None),
    "think_empty": ("stem", lambda r: say(r, "<think>\n\n</think>\n\nThe answer is 4.")),
    "think_empty ": ("stem", lambda r: say(r, "<think></think>The answer is 4.")),
    "think_empty  ": ("stem", lambda r: say(r, "<think>\n</think>\n\nThe answer is 4.")),
    "think_unclosed": ("stem", lambda r: say(r, trace_of(r) + "The answer is 4.")),
    "think_unopened": ("stem", lambda r: say(r, r["messages"][1]["content"].replace("<think>", ""))),
    "think_in_off": ("chat", lambda r: say(r, f"<think>\nWhy.\n</think>\n\n{r['messages'][1]['content']}")),
    "think_missing": ("stem", lambda r: say(r, "The answer is 4.")),
    "think_repeated": ("stem", lambda r: answered(r, "Again <think> of it. The answer is 4.")),
    "boxed_missing": ("math", lambda r: answered(r, "The answer is 4.")),
    "repetition_loop": ("stem", looping),
    "repetition_loop ": ("stem", counting),
    "answer_missing": ("stem", lambda r: answered(r, "\n\n")),
    "identity_leak": ("stem", lambda r: answered(r, "I am Qwen, made by Alibaba Cloud. The answer is 4.")),
    "identity_leak ": ("chat", lambda r: say(r, "As a language model trained by Google, I say 4.")),
    "identity_leak  ": ("chat", lambda r: say(r, "Mein Name ist DeepSeek, und die Antwort ist 4.")),
    "benchmark_split": ("code", lambda r: r.update(metadata=json.dumps({"dataset": "taco", "split": "test", "index": "1"}))),
    "script_leak": ("stem", lambda r: answered(r, "The answer is 4, 因此答案是四, as was to be shown.")),
    "instructions_contradict": (
        "stem",
        lambda r: ask(r, r["messages"][0]["content"] + " Write at least 300 words. Use at most 100 words."),
    ),
    "instructions_contradict ": (
        "stem",
        lambda r: ask(r, r["messages"][0]["content"] + " Answer in all lowercase, and in all capital letters."),
    ),
    "messages_as_text": ("stem", lambda r: r.update(messages=json.dumps(r["messages"]))),
    "tools_as_text": ("stem", lambda r: r.update(tools=json.dumps([{"name": "f", "parameters": {}}]))),
    "tools_missing": ("tool_calling", lambda r: r.update(metadata="{}")),
    "call_unknown_tool": ("tool_calling", lambda r: with_call(r, name="get_wether")),
    "call_arguments_differ": ("tool_calling", lambda r: with_call(r, arguments='{"city": 5}')),
    "call_arguments_differ ": ("tool_calling", lambda r: with_call(r, arguments='{"days": 1}')),
    "arguments_not_json": ("tool_calling", lambda r: with_call(r, arguments='{"city": ')),
    "tools_not_json": ("stem", lambda r: r.update(tools="[{")),
    "metadata_not_json": ("stem", lambda r: r.update(metadata="{'a': 1}")),
    "answer_truncated": ("stem", lambda r: answered(r, "First we add what belongs together, and then we divide by the")),
    "answer_truncated ": ("code", lambda r: answered(r, "Like this, if the input fits on a line:\n\n```python\nprint(1)")),
    "answer_truncated  ": ("math", lambda r: answered(r, "Adding what belongs together, it is \\boxed{\\frac{1}{")),
    "language_differs": (
        "multilingual_fr",
        lambda r: answered(r, "We add all of the numbers in the table and then we divide by the number of rows that are "
                           "not empty, so the answer is four, and that is what we have to show for this problem."),
    ),
    "license_missing": ("stem", lambda r: r.update(license=None)),
    "license_unknown": ("stem", lambda r: r.update(license="cc-by-nc-4.0")),
    "category_differs": ("stem", lambda r: r.update(category="chat")),
    "reasoning_unknown": ("stem", lambda r: r.update(reasoning="maybe")),
    "uuid_missing": ("stem", lambda r: r.update(uuid="")),
    "role_unknown": ("stem", lambda r: r["messages"][0].update(role="human")),
    "user_missing": ("stem", lambda r: r["messages"].pop(0)),
    "assistant_missing": ("chat", lambda r: r["messages"].pop()),
    "messages_empty": ("chat", lambda r: r["messages"].clear()),
    "turn_order": ("chat", lambda r: r["messages"].reverse() or r["messages"].append(r["messages"][0])),
    "text_damaged": ("chat", lambda r: say(r, "It is 4\ufffd, or so.")),
}  # fmt: skip
"""By the name of the check (blanks tell several plants apart): the split, and what is done to a row of it."""
ALSO = {
    "tools_as_text": {"tools_as_text"},
    "tools_not_json": {"tools_not_json", "tools_as_text"},
    "answer_truncated  ": {"answer_truncated"},
}
ALWAYS = {"no_train_split"}
CALLING = {"arguments_as_text"}
"""What v1's own tool rows always have."""


def findings(report):
    return {finding.name: finding for finding in report.findings}


@pytest.mark.parametrize("planted", ROWS)
def test_what_is_planted_is_found_and_nothing_else(planted, tmp_path):
    check = planted.strip()
    split, spoil = ROWS[planted]
    held = rows(split, COUNT)
    chosen = sorted(Random(planted).sample(range(COUNT), PLANTED))
    for number in chosen:
        if spoil is None:
            held[number] = '{"uuid": "half a row'
        else:
            spoil(held[number])
    write_lines(tmp_path / f"{split}.jsonl", held)
    found = findings(validate(tmp_path, workers=0))
    expected = ALWAYS | ALSO.get(planted, {check}) | (CALLING if split == "tool_calling" else set())
    assert set(found) == expected
    assert found[check].count == PLANTED
    assert found[check].examples[0]["place"] == f"{split}.jsonl:line {chosen[0] + 1}"
    if spoil is not None and check != "uuid_missing":
        assert [e["uuid"] for e in found[check].examples] == [held[n]["uuid"] for n in chosen[:5]]


@pytest.mark.parametrize("check", ["prompt_duplicate", "uuid_duplicate"])
def test_duplicates_are_found_across_files(check, tmp_path):
    first, second = rows("math", COUNT), rows("math", COUNT, seed=1)
    for number in range(PLANTED):
        if check == "prompt_duplicate":
            ask(second[number], first[number * 3]["messages"][0]["content"])
        else:
            second[number]["uuid"] = first[number * 3]["uuid"]
    write_v1(tmp_path / "data" / "math-00000-of-00002.parquet", first)
    write_v1(tmp_path / "data" / "math-00001-of-00002.parquet", second)
    found = findings(validate(tmp_path, workers=0))
    assert set(found) == ALWAYS | {check}
    assert found[check].count == PLANTED
    assert [e["uuid"] for e in found[check].examples] == [r["uuid"] for r in second[:5]]


def test_items_of_a_benchmark_are_found_in_prompts(tmp_path):
    held = rows("math", COUNT)
    words = "ash birch cedar elm fir hazel larch maple oak pine rowan willow yew".split()
    items = [{"question": " ".join(Random(n).sample(words, 13)) + f"? Tree {n}"} for n in range(PLANTED)]
    for number, item in enumerate(items):
        ask(held[number * 2], f"Here is one: {item['question'].upper()} Put it in \\boxed{{}}.")
    write_v1(tmp_path / "set" / "math.parquet", held)
    write_lines(tmp_path / "benchmark.jsonl", items)
    found = findings(validate(tmp_path / "set", against=[tmp_path / "benchmark.jsonl"], workers=0))
    assert set(found) == ALWAYS | {"benchmark_item"}
    assert found["benchmark_item"].count == PLANTED


def test_arguments_as_text_are_noted_and_arguments_as_objects_are_not(tmp_path):
    held = rows("tool_calling", COUNT)
    for number in range(COUNT - PLANTED):
        with_call(held[number], arguments={"city": "Rome"})
    write_lines(tmp_path / "tool_calling.jsonl", held)
    found = findings(validate(tmp_path, workers=0))
    assert set(found) == ALWAYS | {"arguments_as_text"}
    assert found["arguments_as_text"].count == PLANTED


def test_a_split_called_train_is_no_trap(tmp_path):
    write_v1(tmp_path / "train.parquet", rows("math", COUNT))
    assert findings(validate(tmp_path, workers=0)) == {}


def shards(tmp_path, count=4):
    for number in range(count):
        write_v2(tmp_path / "data" / f"math-{number:05d}-of-{count:05d}.parquet", rows("math", 40, seed=number))


def test_a_column_more_in_one_shard_is_found(tmp_path):
    shards(tmp_path)
    held = [{**r, "metadata": "{}"} for r in rows("math", 40, seed=9)]
    write_v2(tmp_path / "data" / "math-00009-of-00004.parquet", held, pa.field("metadata", pa.string()))
    found = findings(validate(tmp_path, workers=0))
    assert set(found) == ALWAYS | {"column_extra"}
    assert found["column_extra"].examples[0]["place"] == "data/math-00009-of-00004.parquet"
    assert found["column_extra"].count == 1


def test_a_column_of_another_type_in_one_shard_is_found(tmp_path):
    for number in range(3):
        held = [{**r, "tools": "[]"} for r in rows("math", 40, seed=number)]
        write_v2(tmp_path / f"math-{number:05d}-of-00003.parquet", held, pa.field("tools", pa.string()))
    held = [{**r, "tools": [{"name": "f"}]} for r in rows("math", 40, seed=9)]
    write_v2(tmp_path / "math-00009.parquet", held, pa.field("tools", pa.list_(pa.struct([("name", pa.string())]))))
    found = findings(validate(tmp_path, workers=0))
    assert set(found) == ALWAYS | {"types_differ"}
    assert found["types_differ"].examples[0]["place"] == "math-00009.parquet"


def test_a_stray_file_is_found_by_its_name_and_by_the_card(tmp_path):
    write_v2(tmp_path / "data" / "multilingual_fr-00000-of-00001.parquet", rows("multilingual_fr", 40))
    write_v2(tmp_path / "data" / "multilingual-00000-of-00001.parquet", rows("multilingual_fr", 20, seed=1))
    found = findings(validate(tmp_path, workers=0))
    assert set(found) == ALWAYS | {"file_stray"}
    assert found["file_stray"].examples[0]["place"] == "data/multilingual-00000-of-00001.parquet"
    (tmp_path / "README.md").write_text(
        "---\nconfigs:\n- config_name: default\n  data_files:\n  - split: multilingual_fr\n"
        "    path: data/multilingual_fr-*\n---\n# Card\n"
    )
    assert findings(validate(tmp_path, workers=0))["file_stray"].count == 1


def test_v1_and_v2_in_one_directory_are_found(tmp_path):
    shards(tmp_path)
    write_v1(tmp_path / "data" / "chat-00000-of-00001.parquet", rows("chat", 40))
    found = findings(validate(tmp_path, workers=0))
    assert set(found) == ALWAYS | {"versions_mixed", "column_extra"}


def test_a_head_of_another_kind_is_found(tmp_path):
    head = [{**r, "category": "math", "reasoning": "on"} for r in rows("math", 200)]
    rest = rows("math", 1000, seed=1)
    for r in rest:
        r["messages"].insert(0, {"role": "system", "content": "detailed thinking on"})
    write_v1(tmp_path / "math.parquet", head + rest)
    found = findings(validate(tmp_path, workers=0))
    assert set(found) == ALWAYS | {"order_effect"}
    write_v1(tmp_path / "math.parquet", Random(5).sample(head + rest, 1200))
    assert set(findings(validate(tmp_path, workers=0))) == ALWAYS


def test_a_file_that_was_cut_short_is_found(tmp_path):
    shards(tmp_path)
    cut = tmp_path / "data" / "math-00001-of-00004.parquet"
    cut.write_bytes(cut.read_bytes()[:-2000])
    found = findings(validate(tmp_path, workers=0))
    assert set(found) == ALWAYS | {"file_unreadable"}
    assert "cut short" in found["file_unreadable"].examples[0]["evidence"]


def test_well_formed_rows_of_every_split_have_nothing_against_them(tmp_path):
    for split in ("math", "code", "chat", "stem", "tool_calling"):
        write_v1(
            tmp_path / "data" / f"{'tool' if split == 'tool_calling' else split}-00000-of-00001.parquet",
            rows(split, 300),
        )
    report = validate(tmp_path, workers=0)
    assert set(findings(report)) == ALWAYS | CALLING
    assert report.splits == dict.fromkeys(("chat", "code", "math", "stem", "tool_calling"), 300)
    assert report.ok


def test_every_trap_has_its_check_and_every_check_of_a_row_its_plant():
    assert set(TRAPS) == set(range(1, 21))
    assert {name for names in TRAPS.values() for name in names} <= set(CHECKS)
    elsewhere = {"uuid_duplicate", "prompt_duplicate", "benchmark_item", "arguments_as_text"}
    lines = {name for name, check in CHECKS.items() if check.of == "row"} - {n.strip() for n in ROWS} - elsewhere
    from tracemill.reading.json_lines import REASONS

    assert lines <= set(REASONS), "a check of rows that nothing here plants"


def test_items_that_are_written_without_spaces_are_found_and_short_phrases_are_not(tmp_path):
    held = rows("math", 4)
    item = "三个朋友一共有二十四个苹果每人分到多少个"
    prompts = (
        "请看这道题：" + item + "？请写出过程。",
        "请看这道题：一共有多少个？",
        "三个朋友在公园里，一共有二十四棵树。",
        "Add 1.",
    )
    for r, prompt in zip(held, prompts, strict=True):
        ask(r, prompt)
    write_v1(tmp_path / "set" / "math.parquet", held)
    write_lines(tmp_path / "benchmark.jsonl", [{"question": item}])
    found = findings(validate(tmp_path / "set", against=[tmp_path / "benchmark.jsonl"], workers=0))
    assert [e["uuid"] for e in found["benchmark_item"].examples] == [held[0]["uuid"]]
