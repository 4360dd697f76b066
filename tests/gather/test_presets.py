"""Known corpora by name: each preset reads its real files, row by row, into prompts with what their checks need."""

from __future__ import annotations

import asyncio
import json
from collections import Counter

import pytest
from pydantic import ValidationError

from campaign import read_jsonl_gz, shared, write_jsonl
from tracemill.gather.files import read_prompts
from tracemill.gather.shapes import calls_in, letter_of_answer, options_in
from tracemill.recipe import PromptFiles
from tracemill.recipe.presets import presets
from tracemill.recipe_file import recipe_from
from tracemill.record import BadLine, Message, Prompt, Sample, ToolCall
from tracemill.tool_schemas import tools_in
from tracemill.verify.tool_arguments import bad_schema, misfit
from tracemill.verify.tools import ToolUse

FILES = {
    "gsm8k": ("gsm8k/train.jsonl.gz", 5289, {}),
    "svamp": ("svamp/svamp.jsonl.gz", 717, {}),
    "aqua": ("aqua_rat/aqua.jsonl.gz", 369, {}),
    "mmlu": ("mmlu_stem/mmlu_stem.jsonl.gz", 2135, {}),
    "theoremqa": ("theoremqa/theoremqa.jsonl.gz", 552, {}),
    "exams": ("exams_multilingual/exams.jsonl.gz", 7064, {"missing_field": 3, "empty_prompt": 1}),
    "mbpp": ("mbpp/mbpp.jsonl.gz", 685, {}),
    "humaneval": ("humaneval/humaneval.jsonl.gz", 106, {}),
    "oasst": ("oasst_sample/oasst_en_100_trees.jsonl.gz", 68, {}),
    "mt_bench": ("mt_bench/questions.jsonl.gz", 292, {}),
    "bfcl": ("bfcl/single_turn.jsonl.gz", 2525, {}),
    "toolalpaca": ("toolalpaca/*.jsonl.gz", 119, {"wrong_type": 21}),
    "tau_bench": ("tau_bench/gpt4o_airline_trajectories.jsonl.gz", 148, {}),
}
"""By preset: the file, the prompts in it, and rows that are none, by reason. Three exams have the answer "@", and one no
question; of ToolAlpaca's golden calls 17 name an earlier result instead of a value, and four are no JSON."""
BY_FIXTURE = {"math", "lmsys", "wildchat", "xlam"}
"""Presets of corpora that are not there: read from rows written here in their form."""


def read(preset, *parts):
    pattern = shared(*parts)
    if not list(pattern.parent.glob(pattern.name)):
        pytest.skip(f"{pattern.name} is not beside the project")
    source = PromptFiles(path=str(pattern), preset=preset)
    return [made for file in sorted(pattern.parent.glob(pattern.name)) for made in read_prompts(source, file)]


def test_each_preset_is_read_somewhere_in_this_file():
    assert {*FILES} | BY_FIXTURE == {*presets()}
    for name, told in presets().items():
        source = PromptFiles(path="x", preset=name)
        assert source.license != "unknown"
        assert source.url
        assert source.category == told["category"]
        assert len(told["about"]) > 20


@pytest.mark.parametrize("preset", FILES)
def test_a_preset_reads_its_real_file(preset):
    path, prompts, bad = FILES[preset]
    made = read(preset, *path.split("/"))
    assert Counter(type(each) for each in made) == Counter(
        {Prompt: prompts, BadLine: sum(bad.values())} if bad else {Prompt: prompts}
    )
    assert Counter(each.reason for each in made if isinstance(each, BadLine)) == bad
    for each in made:
        if isinstance(each, Prompt):
            assert each.messages[-1].role == "user"
            assert each.source_license == presets()[preset].get("license")
            if "choices" in each.check:
                assert each.expected in each.check["choices"]
                assert all(f"{k}) {v}" in each.messages[-1].content for k, v in each.check["choices"].items())
            assert all(bad_schema(tool["function"]["parameters"]) is None for tool in each.tools)


def test_choices_and_answers_are_as_the_sets_have_them():
    aqua = read("aqua", "aqua_rat", "aqua.jsonl.gz")[0]
    assert aqua.check["choices"] == {"A": "100 m", "B": "150 m", "C": "200 m", "D": "250 m", "E": "300 m"}
    assert aqua.expected == "D"
    assert aqua.messages[0].content.endswith("\n\nA) 100 m\nB) 150 m\nC) 200 m\nD) 250 m\nE) 300 m")
    mmlu = read("mmlu", "mmlu_stem", "mmlu_stem.jsonl.gz")[0]
    assert (mmlu.expected, mmlu.check["choices"]["A"]) == ("A", "amnion")
    exams = read("exams", "exams_multilingual", "exams.jsonl.gz")
    assert {each.language for each in exams if isinstance(each, Prompt)} == {
        "hr",
        "pl",
        "tr",
        "it",
        "pt",
        "de",
        "fr",
        "es",
    }
    svamp = read("svamp", "svamp", "svamp.jsonl.gz")[0]
    assert "on his shelf now How many action figures" in svamp.messages[0].content
    assert svamp.expected == "3.0"


def test_tools_and_wanted_calls_are_as_the_sets_have_them():
    bfcl = read("bfcl", "bfcl", "single_turn.jsonl.gz")
    counted = Counter(
        "none" if "calls" not in p.check else "no call" if p.check["calls"] == [] else "calls" for p in bfcl
    )
    assert counted == {"calls": 1752, "no call": 762, "none": 11}
    alpaca = [p for p in read("toolalpaca", "toolalpaca", "eval_*.jsonl.gz") if isinstance(p, Prompt)]
    declared = {tool["function"]["name"] for p in alpaca for tool in p.tools}
    wanted = {call["name"] for p in alpaca for call in p.check["calls"]}
    assert len(wanted & declared) == 58
    assert {"getDetails", "vatsim_pilots_get"} < wanted - declared
    first = next(p for p in alpaca if "public holiday in China" in p.messages[0].content)
    assert first.check["calls"] == [{"name": "PublicHolidayIsTodayPublicHoliday", "arguments": {"countryCode": ["CN"]}}]
    tau = read("tau_bench", "tau_bench", "gpt4o_airline_trajectories.jsonl.gz")[0]
    assert [m.role for m in tau.messages] == ["system", "user"]
    assert [call["name"] for call in tau.check["calls"]] == ["book_reservation"]


def test_the_tools_of_tau_bench_take_every_call_that_was_made_and_wanted_there():
    file = shared("tau_bench", "gpt4o_airline_trajectories.jsonl.gz")
    prompts = read("tau_bench", "tau_bench", file.name)
    assert all(prompt.tools == prompts[0].tools for prompt in prompts)
    declared = {tool["function"]["name"]: tool["function"]["parameters"] for tool in prompts[0].tools}
    assert set(PromptFiles(path="x", preset="tau_bench").fields.acts) < set(declared)
    made = Counter()
    for row in read_jsonl_gz(file):
        called = [call["function"] for turn in row["messages"] for call in turn.get("tool_calls") or ()]
        wanted = [{"name": call["name"], "arguments": json.dumps(call["kwargs"])} for call in row["gold_actions"]]
        for call in [*called, *wanted]:
            assert misfit(call["arguments"], declared[call["name"]]) is None, call
            made[call["name"]] += 1
    assert set(made) == set(declared)
    assert sum(made.values()) == 823 + 408
    for name, told in {
        "book_reservation": {"cabin": "first"},
        "get_user_details": {},
        "calculate": {"expression": 3},
    }.items():
        assert misfit(json.dumps(told), declared[name]) is not None


def test_tools_of_a_whole_source_are_functions_and_those_of_a_row_come_first(tmp_path):
    own = {"name": "own", "parameters": {"type": "object", "properties": {}}}
    rows = [{"p": "a", "t": [own]}, {"p": "b", "t": []}]
    tree = {
        "path": str(write_jsonl(tmp_path / "x.jsonl", rows)),
        "category": "tool_calling",
        "tools": [{"name": "all.of"}],
    }
    source = PromptFiles(**tree, fields={"prompt": "p", "tools": "t"})
    assert [p.tools[0]["function"]["name"] for p in read_prompts(source, tmp_path / "x.jsonl")] == ["own", "all_of"]
    for wrong, told in (
        ({"nam": "x"}, "is no function"),
        ({"name": "f", "parameters": {"required": ["x"], "properties": {"y": {}}}}, "no property"),
    ):
        with pytest.raises(ValidationError, match=told):
            PromptFiles(path="x", tools=[wrong])


def test_golden_calls_of_toolalpaca_fit_their_interfaces():
    """Of 119. What does not fit was read: tools that the interface does not have (6), a question to the user written as a
    call (2), a mark before a tool's name (1); a value "" that is not listed (4), a number for a text (3), and a required
    value left out (1)."""
    verdicts = Counter()
    for prompt in (p for p in read("toolalpaca", "toolalpaca", "eval_*.jsonl.gz") if isinstance(p, Prompt)):
        made = tuple(
            ToolCall(f"c{i}", c["name"], json.dumps({k: v[0] for k, v in c["arguments"].items()}))
            for i, c in enumerate(prompt.check["calls"])
        )
        turns = (*prompt.messages, Message("assistant", "", tool_calls=made))
        got = asyncio.run(ToolUse()(Sample("u", "tool_calling", "off", turns, tools=prompt.tools, check=prompt.check)))
        verdicts["kept" if isinstance(got, Sample) else f"{got.reason}"] += 1
    assert verdicts == {"kept": 102, "bad_arguments": 8, "unknown_tool": 9}


def test_presets_of_absent_corpora_read_rows_in_their_form(tmp_path):
    talk = [
        {"role": "user", "content": "Hi."},
        {"role": "assistant", "content": "Hello."},
        {"role": "user", "content": "Bye."},
    ]
    tool = {"name": "get.weather", "description": "", "parameters": {"city": {"type": "str", "description": "where"},
            "days": {"type": "int, optional", "description": "how long"}}}  # fmt: skip
    rows = {
        "math": {"problem": "What is $1+1$?", "answer": "2", "subject": "Algebra", "level": 1},
        "lmsys": {"conversation": talk, "conversation_id": "c1"},
        "wildchat": {"conversation": talk, "conversation_hash": "h1"},
        "xlam": {"query": "Weather in Oslo?", "id": 0, "tools": json.dumps([tool]),
                 "answers": json.dumps([{"name": "get.weather", "arguments": {"city": "Oslo"}}])},
    }  # fmt: skip
    assert {*rows} == BY_FIXTURE
    made = {}
    for preset, row in rows.items():
        file = write_jsonl(tmp_path / f"{preset}.jsonl", [row])
        (made[preset],) = read_prompts(PromptFiles(path=str(file), preset=preset), file)
    assert made["math"].expected == "2"
    assert [m.content for m in made["lmsys"].messages] == ["Hi."]
    assert made["wildchat"].source_id == "h1"
    (tool,) = made["xlam"].tools
    assert tool["function"]["name"] == "get_weather"
    assert tool["function"]["parameters"]["required"] == ["city"]
    assert {k: v["type"] for k, v in tool["function"]["parameters"]["properties"].items()} == {
        "city": "string",
        "days": "integer",
    }
    assert made["xlam"].check["calls"] == [{"name": "get_weather", "arguments": {"city": ["Oslo"]}}]


def test_what_a_recipe_says_wins_over_its_preset():
    source = PromptFiles(path="x", preset="gsm8k", license="CC0-1.0", fields={"id": "id"})
    assert (source.license, source.expected_after, source.name) == ("CC0-1.0", "####", "gsm8k")
    assert (source.fields.prompt, source.fields.expected, source.fields.id) == ("question", "answer", "id")
    again = PromptFiles.model_validate(source.model_dump(mode="json", exclude_none=True))
    assert again == source


def test_an_unknown_preset_is_told_with_those_that_there_are():
    with pytest.raises(ValidationError, match="Did you mean 'gsm8k'"):
        PromptFiles(path="x", preset="gsm8")
    tree = {"name": "n", "license": "MIT", "prompts": {"path": "x", "preset": "none such"},
            "teachers": {"main": {"url": "builtin", "model": "m"}}}  # fmt: skip
    with pytest.raises(Exception, match="there is no preset 'none such'"):
        recipe_from(tree, "here")


@pytest.mark.parametrize(
    ("told", "options"),
    [
        (["x", "y"], {"A": "x", "B": "y"}),
        (["A) x", "B) y"], {"A": "x", "B": "y"}),
        ('["x", "y"]', {"A": "x", "B": "y"}),
        ({"text": ["x", "y"], "label": ["C", "D"]}, {"C": "x", "D": "y"}),
        ({"A": "x", "B": 2}, {"A": "x", "B": "2"}),
        *[(bad, None) for bad in (None, "x", [], ["x"], {"AB": "x", "C": "y"}, ["x"] * 27, 3)],
    ],
)
def test_options_are_read_from_many_shapes(told, options):
    assert options_in(told) == options


def test_a_known_answer_is_a_letter_a_number_or_a_text():
    options = {"A": "one", "B": "two", "C": "1"}
    answers = [letter_of_answer(text, options) for text in ("B", "b", "0", "2", "two", "1", "three", "9")]
    assert answers == ["B", "B", "A", "C", "B", "B", None, None]


@pytest.mark.parametrize(
    "told", [None, "x", 3, [3], [{"f": 1}], [{"name": "f", "arguments": "[1]"}], [{}], [{"a": {}, "b": {}}]]
)
def test_what_are_no_calls_is_none(told):
    assert calls_in(told) is None


@pytest.mark.parametrize(
    "told", [None, "x", "3", 3, [3], [{}], [{"name": ""}], [{"function": 3}], [{"name": "f"}, None]]
)
def test_what_are_no_tools_is_none(told):
    assert tools_in(told) is None


def test_a_real_row_without_tools_is_a_bad_line(tmp_path):
    (row, *_) = read_jsonl_gz(shared("bfcl", "single_turn.jsonl.gz")) if shared("bfcl").exists() else [None]
    if row is None:
        pytest.skip("BFCL is not beside the project")
    file = write_jsonl(tmp_path / "bad.jsonl", [{**row, "function": "none"}, {**row, "ground_truth": 3}, row])
    made = list(read_prompts(PromptFiles(path=str(file), preset="bfcl"), file))
    assert [getattr(each, "reason", "prompt") for each in made] == ["wrong_type", "wrong_type", "prompt"]
