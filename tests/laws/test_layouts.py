"""The layouts v1, v2 and v3: raw rows and samples survive the way there and back, and each stated rule holds."""

from __future__ import annotations

import json
from dataclasses import fields, replace

import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tracemill import schema
from tracemill.errors import LossyConversion, RecipeError
from tracemill.layouts import (
    CARRIES,
    LAYOUTS,
    V3_SCHEMA,
    detect_layout,
    from_layout,
    layout_schema,
    split_language,
    to_layout,
)
from tracemill.metadata import METADATA_TEXT
from tracemill.publish.dataset import split_of
from tracemill.record import Message, Sample, ToolCall
from tracemill.testing.samples import json_objects, samples, texts

LAW = settings(max_examples=max(60, settings.default.max_examples), deadline=None)
SEAM = (" ", "\n", "\n", "\n")


def sample(*messages: Message, **given_fields) -> Sample:
    return Sample(**{"uuid": "u1", "category": "math", "reasoning": "off", "messages": messages, **given_fields})


def v3_row(*messages, **columns):
    empty = {"uuid": "u1", "license": "", "used_in": [], "tools": [], "reasoning": "off", "metadata": {}}
    return {**empty, "messages": list(messages), **columns}


ROLES = st.sampled_from(["system", "user", "assistant", "tool"])
TRACED = st.builds("{}<think>{}</think>{}".format, st.sampled_from(["", "\n"]), texts(), texts())
CALL = st.fixed_dictionaries(
    {
        "id": texts(),
        "type": st.sampled_from(["function", ""]),
        "function": st.fixed_dictionaries({"name": texts(), "arguments": texts()}),
    }
)
LABELS = {
    **{name: texts() for name in ("uuid", "license", "generator", "version")},
    "category": st.sampled_from(["", "chat", "tool_calling", "multilingual_fr"]),
    "reasoning": st.sampled_from(["on", "off"]),
}
TURN = {"role": ROLES, "content": texts() | TRACED}
RAW_V1 = st.fixed_dictionaries(
    {
        **LABELS,
        "messages": st.lists(st.fixed_dictionaries({**TURN, "tool_calls": st.lists(CALL, max_size=2)}), max_size=4),
        "metadata": st.none() | texts() | json_objects().map(json.dumps),
    }
)
RAW_V2 = st.fixed_dictionaries({**LABELS, "messages": st.lists(st.fixed_dictionaries(TURN), max_size=4)})
TOOL = st.fixed_dictionaries({"type": st.just("function"), "function": json_objects()})
SEAMS = st.just({"trace_seams": [["", " ", "", ""], None]}) | st.just({"trace_seams": [None, None]})
RAW_V3 = st.fixed_dictionaries(
    {
        "uuid": texts(),
        "messages": st.lists(
            st.fixed_dictionaries(
                TURN,
                optional={
                    "reasoning_content": texts(),
                    "tool_calls": st.lists(CALL, min_size=1, max_size=2),
                    "tool_call_id": texts(),
                },
            ),
            max_size=3,
        ),
        "license": texts(),
        "used_in": st.lists(texts(), max_size=2),
        "tools": st.lists(TOOL, max_size=2),
        "reasoning": st.sampled_from(["on", "off"]),
        "metadata": json_objects() | SEAMS,
    },
    optional={"capability": st.none() | texts(), "generator": texts().filter(bool), "train": json_objects()},
)


@LAW
@given(row=RAW_V1)
def test_a_v1_row_comes_back_equal_from_its_sample(row):
    again = to_layout(from_layout(row, "v1"), "v1")
    assert again == row
    assert list(again) == schema.V1_SCHEMA.names
    assert pa.Table.from_pylist([row], schema=layout_schema("v1")).to_pylist() == [row]


@LAW
@given(row=RAW_V2)
def test_a_v2_row_comes_back_equal_from_its_sample(row):
    again = to_layout(from_layout(row, "v2"), "v2")
    assert again == row
    assert list(again) == schema.V2_SCHEMA.names
    assert pa.Table.from_pylist([row], schema=layout_schema("v2")).to_pylist() == [row]


@LAW
@given(row=RAW_V3)
@example(v3_row({"role": "assistant", "content": ""}, metadata={"trace_seams": "x"}))
@example(v3_row({"role": "assistant", "content": ""}, metadata={"trace_seams": [None]}))
@example(v3_row({"role": "assistant", "content": ""}, metadata={"trace_seams": [["", 1, "", ""]]}))
def test_a_v3_row_comes_back_equal_from_its_sample(row):
    assert json.dumps(to_layout(from_layout(row, "v3"), "v3"), sort_keys=True) == json.dumps(row, sort_keys=True)


@pytest.mark.parametrize("layout", LAYOUTS)
@LAW
@given(data=st.data())
def test_a_sample_comes_back_equal_on_what_the_layout_carries(layout, data):
    one = data.draw(samples(tools=layout != "v2"))
    again = from_layout(json.loads(json.dumps(to_layout(one, layout))), layout)
    assert {name: getattr(again, name) for name in CARRIES[layout]} == {
        name: getattr(one, name) for name in CARRIES[layout]
    }


@LAW
@given(row=RAW_V3)
def test_a_v3_row_survives_our_own_files_or_is_refused_by_field(row):
    read = from_layout(row, "v3")
    refused = None
    try:
        stored = schema.from_table(schema.to_table([read]))
    except LossyConversion as error:
        refused = error.field
    if refused is None:
        assert to_layout(stored[0], "v3") == row
    else:
        assert refused in ("reasoning", "content", "seam", "tool_call_id")


@pytest.mark.parametrize("layout", LAYOUTS)
def test_what_a_layout_carries_are_fields_of_a_sample(layout):
    assert CARRIES[layout] <= {field.name for field in fields(Sample)}


def test_v2_carries_no_metadata_and_does_not_mind():
    assert "metadata" not in to_layout(sample(metadata={"tools": [{"name": "f"}]}), "v2")


@pytest.mark.parametrize(
    ("refused", "field"),
    [
        pytest.param(sample(Message("assistant", "", tool_calls=(ToolCall("c", "f", ""),))), "tool_calls", id="calls"),
        pytest.param(sample(tools=({"name": "f"},)), "tools", id="declared tools"),
        pytest.param(sample(Message("tool", "", tool_call_id="c")), "tool_call_id", id="ids of tool results"),
        pytest.param(sample(Message("assistant", "<think>R</think>")), "content", id="content that reads as a trace"),
    ],
)
def test_v2_refuses_what_would_damage_the_conversation(refused, field):
    with pytest.raises(LossyConversion, match="u1") as caught:
        to_layout(refused, "v2")
    assert caught.value.field == field


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(
    ("category", "split", "language"),
    [
        pytest.param("multilingual_de", None, "de", id="the category says it"),
        pytest.param("math", "multilingual_ja", "ja", id="the split says it"),
        pytest.param("multilingual_de", "multilingual_ja", "de", id="the category wins"),
        pytest.param("math", "math", "en", id="neither says it"),
        pytest.param("multilingual_", None, "en", id="no code is no language"),
    ],
)
def test_the_language_is_that_of_category_or_split_and_the_domain_stays_empty(layout, category, split, language):
    row = {**to_layout(sample(), layout), "category": category}
    read = from_layout(row, layout, split=split)
    assert (read.language, read.domain, read.category) == (language, "", category)


def test_a_name_that_only_holds_multilingual_is_no_language():
    assert split_language("my_multilingual_fr") is None


def test_metadata_that_some_v2_shards_have_is_read():
    row = {**to_layout(sample(), "v2"), "metadata": '{"a":1}'}
    assert from_layout(row, "v2").metadata == {"a": 1}


def test_our_columns_are_read_from_whole_rows_of_ours_only():
    ours = sample(language="fr", domain="code", source="s", sample_index=3)
    row = schema.to_row(ours)
    assert from_layout(row, "v1") == ours
    del row["usage"]
    assert from_layout({**row, "source": {"not": "ours"}}, "v1") == sample()


def test_v3_holds_the_trace_beside_the_content():
    turn = to_layout(sample(Message("assistant", "C", "R")), "v3")["messages"][0]
    assert turn == {"role": "assistant", "content": "C", "reasoning_content": "R"}


def test_v3_has_its_seven_keys_in_order_and_labels_only_where_there_are_some():
    assert list(to_layout(sample(category=""), "v3")) == V3_SCHEMA.names
    assert list(to_layout(sample(generator="g", version="1"), "v3"))[7:] == ["category", "generator", "version"]


def test_text_that_looks_like_a_tag_is_content_in_v3():
    text = "<think>\nR\n</think>\n\nC"
    read = from_layout(v3_row({"role": "assistant", "content": text}), "v3")
    assert read.messages == (Message("assistant", text),)
    assert to_layout(read, "v3")["messages"][0]["content"] == text


def test_seams_survive_v3():
    spaced = sample(Message("user", "x"), Message("assistant", "C", "R", seam=SEAM), metadata={"a": 1})
    row = to_layout(spaced, "v3")
    assert row["metadata"] == {"a": 1, "trace_seams": [None, list(SEAM)]}
    assert from_layout(row, "v3") == spaced
    assert to_layout(from_layout(row, "v3"), "v1") == to_layout(spaced, "v1")


@pytest.mark.parametrize(
    "refused",
    [
        pytest.param(sample(Message("user", ""), metadata={"trace_seams": [["", "", "", ""]]}), id="reads as seams"),
        pytest.param(
            sample(Message("assistant", "", "", seam=SEAM), metadata={"trace_seams": 1}), id="hides the seams"
        ),
        pytest.param(sample(metadata={"v3": 1}), id="no columns"),
        pytest.param(sample(metadata={"v3": {}}), id="no column"),
        pytest.param(sample(metadata={"v3": {"uuid": "u2"}}), id="a column that a sample has a field for"),
        pytest.param(sample(metadata={"v3": {"used_in": []}}), id="an empty used_in, which is not read back"),
    ],
)
def test_metadata_in_the_way_of_v3_is_refused(refused):
    with pytest.raises(LossyConversion, match="u1") as caught:
        to_layout(refused, "v3")
    assert caught.value.field == "metadata"


def test_other_columns_of_v3_lie_in_the_metadata_and_are_columns_again():
    read = from_layout(v3_row(used_in=["nano_v3"], capability="chat"), "v3")
    assert read.metadata == {"v3": {"used_in": ["nano_v3"], "capability": "chat"}}
    assert to_layout(read, "v3") == v3_row(used_in=["nano_v3"], capability="chat")


def test_a_v3_row_whose_metadata_is_in_the_way_is_refused():
    with pytest.raises(LossyConversion, match="u1") as caught:
        from_layout(v3_row(metadata={"v3": 1}), "v3")
    assert caught.value.field == "metadata"


def test_v3_reads_values_and_json_text_alike():
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": {"y": 1, "x": 2}}}
    turn = {"role": "assistant", "content": None, "tool_calls": [call]}
    as_values = v3_row(turn, tools=[{"name": "f"}], metadata={"a": 1})
    as_text = v3_row(turn, tools='[{"name": "f"}]', metadata='{"a": 1}')
    call_text = {**call, "function": {"name": "f", "arguments": '{"y":1,"x":2}'}}
    expected = v3_row(
        {"role": "assistant", "content": "", "tool_calls": [call_text]}, tools=[{"name": "f"}], metadata={"a": 1}
    )
    assert to_layout(from_layout(as_values, "v3"), "v3") == expected
    assert to_layout(from_layout(as_text, "v3"), "v3") == expected


@pytest.mark.parametrize("nothing", [None, ""])
def test_null_and_empty_tools_and_metadata_of_v3_are_none(nothing):
    read = from_layout(v3_row(tools=nothing, metadata=nothing, used_in=None), "v3")
    assert (read.tools, read.metadata) == ((), {})


def test_v3_metadata_text_that_is_no_object_is_kept():
    read = from_layout(v3_row(metadata="[1]"), "v3")
    assert read.metadata == {METADATA_TEXT: "[1]"}
    assert to_layout(read, "v1")["metadata"] == "[1]"


@pytest.mark.parametrize(
    ("columns", "field"),
    [
        ({"tools": "not JSON"}, "tools"),
        ({"tools": ["f"]}, "tools"),
        ({"tools": {"name": "f"}}, "tools"),
        ({"metadata": 5}, "metadata"),
        ({"category": 5}, "category"),
        ({"reasoning": "high"}, "reasoning"),
    ],
)
def test_a_v3_value_that_no_sample_can_hold_is_refused_by_field(columns, field):
    with pytest.raises(LossyConversion, match="u1") as caught:
        from_layout(v3_row(**columns), "v3")
    assert caught.value.field == field


@pytest.mark.parametrize(("trace", "mode"), [("R", "on"), ("", "off"), (None, "off")])
def test_a_missing_reasoning_mode_of_v3_is_what_the_messages_show(trace, mode):
    row = v3_row({"role": "assistant", "content": "C", "reasoning_content": trace})
    del row["reasoning"]
    assert from_layout(row, "v3").reasoning == mode


@pytest.mark.parametrize("layout", LAYOUTS)
@given(one=samples(tools=False))
@settings(max_examples=20, deadline=None)
def test_the_layout_of_a_row_is_seen_by_its_keys(layout, one):
    assert detect_layout(to_layout(one, layout).keys()) == layout


@pytest.mark.parametrize(
    ("keys", "layout"),
    [
        pytest.param(schema.SCHEMA.names, "v1", id="ours are read as v1"),
        pytest.param([*schema.V2_SCHEMA.names, "metadata"], "v1", id="v2 shards with metadata are read as v1"),
        pytest.param(["uuid", "messages", "license", "metadata"], "v3", id="v3 without tools and used_in"),
    ],
)
def test_layouts_are_detected_by_what_is_there(keys, layout):
    assert detect_layout(keys) == layout


def test_rows_without_messages_are_none_of_the_layouts():
    with pytest.raises(RecipeError, match="they have: input, output"):
        detect_layout({"output", "input"})


def test_v1_and_v2_agree_on_a_conversation_without_tools():
    one = replace(sample(Message("user", "<think>x</think>"), Message("assistant", "C", "R")), reasoning="on")
    assert from_layout(to_layout(one, "v2"), "v2") == from_layout(to_layout(one, "v1"), "v1") == one


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("multilingual_fr", "fr"),
        ("multilingual_pt_br", "pt-BR"),
        ("multilingual_zh_hant", "zh-Hant"),
        ("multilingual_zh_hant_tw", "zh-Hant-TW"),
        ("multilingual_es_419", "es-419"),
        ("multilingual_pt-BR", "pt-BR"),
        ("multilingual_Klingon!", "Klingon!"),
        ("multilingual_", None),
        ("math", None),
        ("not_multilingual_fr", None),
        (None, None),
    ],
)
def test_the_language_of_a_split_is_spelled_as_a_language_tag(name, code):
    assert split_language(name) == code


@pytest.mark.parametrize("code", ["de", "pt-BR", "zh-Hant-TW", "sr-Latn", "es-419", "sl-rozaj"])
def test_a_language_comes_back_from_the_split_that_its_rows_are_published_in(code):
    assert split_language(split_of("math", code)) == code
