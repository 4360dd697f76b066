"""The published row: its schema is pinned, and every sample survives it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tracemill import schema
from tracemill.errors import LossyConversion
from tracemill.metadata import METADATA_TEXT
from tracemill.record import Message, Sample, ToolCall
from tracemill.schema import SCHEMA, V1_SCHEMA, V2_SCHEMA, from_row, from_table, to_row, to_table
from tracemill.testing.samples import json_objects, samples, texts

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "schema.json").read_text())
LAW = settings(max_examples=max(60, settings.default.max_examples), deadline=None)


def spelled(kind: pa.DataType):
    """A type as JSON: its name, [item] for a list, [[name, type], ...] for a struct."""
    if pa.types.is_list(kind):
        return {"list": spelled(kind.value_type)}
    if pa.types.is_struct(kind):
        return {"struct": [[field.name, spelled(field.type)] for field in kind]}
    return str(kind)


def sample(*messages: Message, **fields) -> Sample:
    return Sample(**{"uuid": "u1", "category": "math", "reasoning": "off", "messages": messages, **fields})


def through_parquet(table: pa.Table, path: Path) -> pa.Table:
    pq.write_table(table, path, compression="zstd")
    return pq.read_table(path)


@pytest.mark.parametrize(
    ("name", "actual"),
    [
        ("v1", V1_SCHEMA),
        ("v2", V2_SCHEMA),
        ("ours", SCHEMA),
        ("rejected", schema.REJECTED_SCHEMA),
        ("failed", schema.FAILED_SCHEMA),
    ],
)
def test_the_published_columns_are_pinned_by_name_order_and_type(name, actual):
    added = GOLDEN["after_ours"].get(name, [])
    expected = GOLDEN["ours"] + added if added else GOLDEN[name]
    assert [[field.name, spelled(field.type)] for field in actual] == expected


def test_our_columns_come_after_those_of_v1():
    assert SCHEMA.names[:8] == V1_SCHEMA.names
    assert list(to_row(sample())) == SCHEMA.names


@settings(max_examples=40, deadline=None)
@given(batch=st.lists(samples(), max_size=2))
def test_samples_survive_a_parquet_file(batch):
    with TemporaryDirectory() as folder:
        table = through_parquet(to_table(batch), Path(folder) / "rows.parquet")
    assert table.schema.equals(SCHEMA)
    assert from_table(table) == batch


ANY_MESSAGE = st.builds(
    Message,
    role=st.sampled_from(["system", "user", "assistant", "tool"]),
    content=texts() | st.just("<think>R</think>C"),
    reasoning=st.none() | texts(),
    tool_calls=st.lists(st.builds(ToolCall, texts(), texts(), texts()), max_size=1).map(tuple),
    tool_call_id=st.none() | texts(),
    seam=st.none() | st.just(("", "", "", "")),
)
RESERVED = st.dictionaries(
    st.sampled_from(["tools", "tool_call_ids", METADATA_TEXT, "a"]),
    st.sampled_from(
        [None, 1, 1.0, True, "", "x", "{}", "[]", '[{"a":1}]', '{"a": 1}', '{"a":1}', [], [{}], ["c"], [None]]
    )
    | st.dictionaries(st.just("a"), st.integers(0, 1)).map(json.dumps),
)


@LAW
@given(
    messages=st.lists(ANY_MESSAGE, max_size=3),
    metadata=RESERVED | json_objects(),
    tools=st.sampled_from([(), ({"name": "f"},)]),
)
@example([], {METADATA_TEXT: '{"metadata_text":"{\\"a\\": 1}","a":1}'}, ())
@example([], {METADATA_TEXT: '{"a": 1}', "a": True}, ())
def test_any_sample_comes_back_equal_or_is_refused_by_field(messages, metadata, tools):
    written = sample(*messages, metadata=metadata, tools=tools)
    refused = None
    try:
        read = from_row(to_row(written))
    except LossyConversion as error:
        refused = error
    if refused is None:
        assert read == written
        assert json.dumps(read.metadata, sort_keys=True) == json.dumps(metadata, sort_keys=True)
    else:
        assert refused.field in ("reasoning", "content", "seam", "tool_call_id", "metadata")
        assert "u1" in str(refused)


METADATA_TEXTS = (
    texts()
    | json_objects().map(json.dumps)
    | RESERVED.map(json.dumps)
    | RESERVED.map(lambda held: json.dumps(held, sort_keys=True, separators=(",", ":")))
    | RESERVED.map(
        lambda held: json.dumps({METADATA_TEXT: json.dumps(held), **held}, sort_keys=True, separators=(",", ":"))
    )
)


@LAW
@given(text=METADATA_TEXTS, tool_turns=st.integers(0, 2))
@example("", 0)
@example("null", 0)
@example("[1]", 0)
@example('{"a": NaN}', 0)
@example('{"a":1,"a":2}', 0)
@example('{"a":123456789012345678901234567890}', 0)
@example('{"a":' * 300 + "1" + "}" * 300, 0)
@example('{"a":1,"metadata_text":"{\\"a\\": 1}"}', 0)
@example('{"tool_call_ids":["c"],"tools":[{"name":"f"}]}', 1)
def test_every_metadata_text_is_written_back_byte_for_byte(text, tool_turns):
    turns = [{"role": "tool", "content": "", "tool_calls": []}] * tool_turns
    row = {"uuid": "u1", "messages": turns, "metadata": text}
    assert to_row(from_row(row))["metadata"] == text


def test_null_metadata_is_written_back_as_null():
    assert to_row(from_row({"uuid": "u1", "metadata": None}))["metadata"] is None


def test_missing_metadata_reads_as_empty_and_is_written_as_an_empty_object():
    read = from_row({"uuid": "u1"})
    assert read.metadata == {}
    assert to_row(read)["metadata"] == "{}"


def test_metadata_in_another_spelling_is_parsed_and_its_text_kept():
    text = '{"split": "train", "index": 7}'
    assert from_row({"metadata": text}).metadata == {"split": "train", "index": 7, METADATA_TEXT: text}


def test_a_kept_text_that_no_longer_says_the_same_is_an_ordinary_key():
    read = from_row({"metadata": '{"index": 7}'})
    changed = replace(read, metadata={**read.metadata, "index": 8})
    assert json.loads(to_row(changed)["metadata"]) == {"index": 8, METADATA_TEXT: '{"index": 7}'}
    assert from_row(to_row(changed)) == changed


def test_metadata_is_written_with_sorted_keys():
    assert to_row(sample(metadata={"b": 1, "a": {"d": 2, "c": 3}}))["metadata"] == '{"a":{"c":3,"d":2},"b":1}'


def test_tools_and_call_ids_lie_in_the_metadata_and_come_back():
    tools = ({"type": "function", "function": {"name": "f"}},)
    turns = (Message("tool", "1", tool_call_id="c1"), Message("user", "x"), Message("tool", "2"))
    row = to_row(sample(*turns, tools=tools, metadata={"a": 1}))
    assert json.loads(row["metadata"]) == {"a": 1, "tool_call_ids": ["c1", None], "tools": list(tools)}
    assert from_row(row) == sample(*turns, tools=tools, metadata={"a": 1})


def test_tools_given_as_json_text_are_read_and_their_text_written_back():
    text = '{"tools": "[{\\"name\\": \\"f\\"}]"}'
    read = from_row({"metadata": text})
    assert read.tools == ({"name": "f"},)
    assert to_row(read)["metadata"] == text


def test_call_ids_that_do_not_match_the_tool_messages_stay_metadata():
    assert from_row({"metadata": '{"tool_call_ids":["c1"]}', "messages": []}).metadata == {"tool_call_ids": ["c1"]}


@pytest.mark.parametrize(
    ("refused", "field"),
    [
        pytest.param(sample(metadata={"tools": [{"name": "f"}]}), "metadata", id="metadata that reads as tools"),
        pytest.param(sample(metadata={"tools": 1}, tools=({},)), "metadata", id="metadata in the way of tools"),
        pytest.param(
            sample(Message("tool", ""), metadata={"tool_call_ids": ["c"]}),
            "metadata",
            id="metadata that reads as call ids",
        ),
        pytest.param(sample(metadata={"a": (1,)}), "metadata", id="a tuple, which JSON makes a list"),
        pytest.param(
            sample(metadata={"a": (1,), METADATA_TEXT: '{"a": [1]}'}),
            "metadata",
            id="a tuple beside the text of a list",
        ),
        pytest.param(sample(metadata={"a": float("nan")}), "metadata", id="a number that JSON makes null"),
        pytest.param(sample(metadata={1: "a"}), "metadata", id="a key that is no string"),
        pytest.param(sample(metadata={"a": "\ud800"}), "metadata", id="a lone surrogate in metadata"),
        pytest.param(sample(Message("user", "x", reasoning="R")), "reasoning", id="a trace of a user"),
        pytest.param(sample(Message("user", "x", seam=("", "", "", ""))), "seam", id="a seam of a user"),
        pytest.param(
            sample(Message("assistant", "x", tool_call_id="c")), "tool_call_id", id="a call id of no tool message"
        ),
        pytest.param(
            sample(Message("assistant", "x", reasoning="</think>")), "reasoning", id="a closing tag in a trace"
        ),
        pytest.param(sample(Message("assistant", "<think>R</think>")), "content", id="content that reads as a trace"),
    ],
)
def test_what_a_row_cannot_hold_is_refused_by_field_and_uuid(refused, field):
    with pytest.raises(LossyConversion, match="u1") as caught:
        to_row(refused)
    assert caught.value.field == field


@pytest.mark.parametrize(
    ("refused", "column"),
    [
        pytest.param(sample(Message("user", "\ud800")), "messages", id="a lone surrogate"),
        pytest.param(sample(sample_index=2**31), "sample_index", id="a sample index of 32 bits"),
    ],
)
def test_a_value_outside_its_arrow_type_is_refused_by_column(refused, column):
    with pytest.raises(LossyConversion, match="u1") as caught:
        to_table([sample(), refused])
    assert caught.value.field == column


def test_traces_are_inline_in_assistant_messages():
    row = to_row(sample(Message("assistant", "C", reasoning="R")))
    assert row["messages"] == [{"role": "assistant", "content": "<think>\nR\n</think>\n\nC", "tool_calls": []}]


@pytest.mark.parametrize("role", ["system", "user", "tool"])
def test_tags_in_other_roles_are_text(role):
    turn = {"role": role, "content": "<think>\nR\n</think>\n\nC", "tool_calls": []}
    read = from_row({"messages": [turn]})
    assert read.messages == (Message(role, turn["content"]),)
    assert to_row(read)["messages"] == [turn]


def test_null_content_and_null_strings_read_as_empty():
    read = from_row({"uuid": "u1", "license": None, "messages": [{"role": "assistant", "content": None}]})
    assert (read.license, read.messages) == ("", (Message("assistant", ""),))


@pytest.mark.parametrize("calls", [None, []])
def test_null_and_empty_tool_calls_are_written_as_an_empty_list(calls):
    read = from_row({"messages": [{"role": "assistant", "content": "", "tool_calls": calls}]})
    assert read.messages[0].tool_calls == ()
    assert to_row(read)["messages"][0]["tool_calls"] == []


def test_a_null_type_of_a_call_is_function():
    call = {"id": None, "type": None, "function": {"name": "f", "arguments": "{}"}}
    read = from_row({"messages": [{"role": "assistant", "content": None, "tool_calls": [call]}]})
    assert read.messages[0].tool_calls == (ToolCall("", "f", "{}", "function"),)


@pytest.mark.parametrize(
    ("content", "reasoning"),
    [("<think>R</think>C", "on"), ("<think></think>C", "off"), ("C", "off")],
)
def test_a_null_reasoning_mode_is_what_the_messages_show(content, reasoning):
    assert from_row({"messages": [{"role": "assistant", "content": content}]}).reasoning == reasoning


@pytest.mark.parametrize(
    ("row", "field", "said"),
    [
        ({"uuid": "u9", "messages": [{"role": "bot", "content": ""}]}, "role", "messages[0].role is 'bot'"),
        ({"uuid": "u9", "reasoning": "maybe"}, "reasoning", "reasoning is 'maybe'"),
        ({"uuid": "u9", "license": 4}, "license", "license is a int"),
        ({"uuid": "u9", "messages": "hi"}, "messages", "messages is a str"),
        ({"uuid": "u9", "messages": [None]}, "messages", "messages[0] is None"),
    ],
)
def test_a_row_that_is_no_sample_is_refused_with_what_is_there_instead(row, field, said):
    with pytest.raises(LossyConversion, match="u9") as caught:
        from_row(row)
    assert caught.value.field == field
    assert said in str(caught.value)


def test_arrays_as_pandas_gives_them_are_read():
    turn = {"role": "user", "content": "x", "tool_calls": np.array([], dtype=object)}
    read = from_row({"messages": np.array([turn], dtype=object), "requests": np.array(["a", "b"])})
    assert (read.messages, read.requests) == ((Message("user", "x"),), ("a", "b"))


def test_samples_are_read_lazily_one_batch_after_another():
    table = to_table([sample(uuid=str(i)) for i in range(600)])
    broken = table.set_column(
        table.schema.get_field_index("reasoning"), "reasoning", pa.array(["off"] * 599 + ["maybe"], pa.string())
    )
    read = schema.samples_in(broken)
    assert [next(read).uuid for _ in range(599)] == [str(i) for i in range(599)]
    with pytest.raises(LossyConversion):
        next(read)


def test_datasets_sees_the_columns_of_v1_first(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    datasets = pytest.importorskip("datasets")
    one = sample(Message("assistant", "C", "R", (ToolCall("c", "f", "{}"),)), reasoning="on")
    through_parquet(to_table([one]), tmp_path / "rows.parquet")
    loaded = datasets.load_dataset(
        "parquet", data_files=str(tmp_path / "rows.parquet"), split="train", cache_dir=str(tmp_path / "cache")
    )
    assert loaded.column_names == SCHEMA.names
    assert from_row(loaded[0]) == one
