"""Recipes: what is wrong is told with file, key and what is valid; secrets are refused and never repeated."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from tracemill.errors import RecipeError
from tracemill.recipe import (
    Fields,
    GeneratedPrompts,
    PromptFiles,
    Recipe,
    Respond,
    Sampling,
    Teacher,
    resolve_secret,
)
from tracemill.recipe_file import load_recipe, parse_yaml, recipe_from, set_value

RECIPES = sorted((Path(__file__).parents[1] / "src" / "tracemill" / "recipes").glob("*.yaml"))
SECRET = "sk-live-1234567890"


def tree(**more: object) -> dict:
    """The plain values of a small recipe; keys of `more` are dotted names with __ for the dot."""
    told: dict = {
        "name": "small",
        "license": "MIT",
        "prompts": {"path": "train.jsonl", "name": "gsm8k"},
        "teachers": {"main": {"url": "http://localhost:8000/v1", "model": "m"}},
    }
    for dotted, value in more.items():
        *way, last = dotted.split("__")
        node = told
        for key in way:
            node = node.setdefault(key, {})
        node[last] = value
    return told


def refusal(told: object) -> str:
    with pytest.raises(RecipeError) as caught:
        recipe_from(told, "r.yaml")
    return str(caught.value)


def loaded(tmp_path: Path, text: str | bytes, *assignments: str) -> Recipe:
    file = tmp_path / "r.yaml"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return load_recipe(file, assignments)


def load_refusal(tmp_path: Path, text: str | bytes, *assignments: str) -> str:
    with pytest.raises(RecipeError) as caught:
        loaded(tmp_path, text, *assignments)
    return str(caught.value)


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.name)
def test_every_recipe_that_comes_along_can_be_read(path):
    assert load_recipe(path).name


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.name)
def test_a_recipe_is_read_back_as_it_was_stored(path):
    recipe = load_recipe(path)
    assert Recipe.model_validate(yaml.safe_load(yaml.safe_dump(recipe.model_dump(mode="json")))) == recipe


def test_a_recipe_built_in_python_is_the_one_read_from_yaml():
    built = Recipe(
        name="small",
        license="MIT",
        prompts=(
            PromptFiles(path="train.jsonl", name="gsm8k", fields=Fields(expected="answer"), expected_after="####"),
            GeneratedPrompts(generate="word_problems", count=10),
        ),
        teachers={"main": Teacher(url="http://localhost:8000/v1", model="m", sampling=Sampling(temperature=1))},
        respond=Respond(reasoning="off", samples=4),
    )
    text = """
name: small
license: MIT
prompts:
  - {path: train.jsonl, name: gsm8k, fields: {expected: answer}, expected_after: "####"}
  - {generate: word_problems, count: 10}
teachers: {main: {url: "http://localhost:8000/v1/", model: m, sampling: {temperature: 1}}}
respond: {reasoning: off, samples: 4}
"""
    read = recipe_from(yaml.safe_load(text), "r.yaml")
    assert read == built
    assert read.model_dump() == built.model_dump()


def test_one_source_of_prompts_needs_no_list():
    assert recipe_from(tree(), "r") == recipe_from({**tree(), "prompts": [tree()["prompts"]]}, "r")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"licence": "MIT"}, ["r.yaml: licence:", "Did you mean 'license'?", "contact"]),
        ({"respond__sampels": 2}, ["r.yaml: respond.sampels:", "Did you mean 'samples'?", "reasoning"]),
        ({"prompts__feilds": {}}, ["r.yaml: prompts.feilds:", "Did you mean 'fields'?", "expected_after"]),
        ({"prompts__fields": {"promt": "q"}}, ["prompts.fields.promt:", "Did you mean 'prompt'?", "metadata"]),
        ({"prompts__generat": "word_problems"}, ["Did you mean 'generate'?"]),
        ({"prompts": {"generate": "word_problems", "cuont": 3}}, ["prompts.cuont:", "Did you mean 'count'?"]),
        (
            {"teachers__main__sampling": {"temprature": 1}},
            ["teachers.main.sampling.temprature:", "Did you mean 'temperature'?"],
        ),
        (
            {"teachers__main__category_sampling": {"math": {"topp": 1}}},
            ["teachers.main.category_sampling.math.topp:", "Did you mean 'top_p'?"],
        ),
        ({"verify__math": {"majorty": 1}}, ["verify.math.majorty:", "Did you mean 'majority'?", "wall_clock"]),
    ],
    ids=str,
)
def test_an_unknown_key_names_the_nearest_and_all_valid_ones(change, said):
    text = refusal(tree(**change))
    assert [part for part in said if part not in text] == []


def test_a_teacher_may_be_named_like_a_key():
    text = refusal({**tree(), "teachers": {"sampling": {**tree()["teachers"]["main"], "wieght": 1}}})
    assert "Did you mean 'weight'?" in text


def test_an_unknown_key_like_no_other_gets_the_list_alone():
    text = refusal(tree(verify__zzz=1))
    assert "Valid keys: math, code, choices, units, tools, duplicates" in text
    assert "Did you mean" not in text


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"name": "Small Name"}, ["name:", "lower-case letters", "'Small Name'"]),
        ({"version": 0.1}, ["version:", "a text", "it is 0.1", "put it in quotes, '0.1'"]),
        ({"seed": -1}, ["seed:", "greater than or equal to 0", "-1"]),
        ({"seed": 2**63}, ["seed: it does not fit 64 bits"]),
        ({"prompts": []}, ["prompts:", "at least 1"]),
        ({"prompts__path": 4}, ["prompts.path:", "a text", "it is 4"]),
        ({"prompts__category": "maths"}, ["prompts.category:", "'math'", "'maths'"]),
        ({"prompts__expected_after": ""}, ["prompts.expected_after:", "at least 1"]),
        ({"prompts": {"generate": "poems", "count": 1}}, ["prompts.generate:", "'word_problems'", "'poems'"]),
        ({"teachers": {}}, ["teachers:", "at least 1"]),
        ({"teachers__main__weight": 0}, ["teachers.main.weight:", "greater than 0", "(it is 0)"]),
        ({"teachers__main__weight": float("inf")}, ["teachers.main.weight:", "finite"]),
        ({"teachers__main__url": "localhost:8000"}, ["teachers.main.url:", "http://localhost:8000/v1"]),
        ({"teachers__main__url": "http://h:99999/v1"}, ["teachers.main.url:", "http://localhost:8000/v1"]),
        ({"teachers__main__url": "http://h/v1?a=b"}, ["teachers.main.url:", "?"]),
        ({"teachers__main__sampling": {"temperature": 3}}, ["sampling.temperature:", "less than or equal to 2", "3"]),
        ({"teachers__main__extra_body": {"a": float("nan")}}, ["teachers.main.extra_body:", "only JSON"]),
        ({"teachers__main__extra_body": {"a": {1: 2}}}, ["teachers.main.extra_body:", "only JSON"]),
        ({"teachers__main__extra_body": {"a": 2**70}}, ["teachers.main.extra_body:", "64 bits"]),
        ({"respond__reasoning": "maybe"}, ["respond.reasoning:", "'both'", "'maybe'"]),
        ({"respond__samples": 2000}, ["respond.samples:", "1024", "2000"]),
        ({"respond__templates": {"maths": "a.txt"}}, ["respond.templates.maths", "'math'"]),
        ({"publish__row_group_rows": 10}, ["publish.row_group_rows:", "1000", "10"]),
        ({"publish__layout": "v4"}, ["publish.layout:", "'v3'", "'v4'"]),
        ({"respond": "on"}, ["respond:", "'on'"]),
    ],
    ids=str,
)
def test_a_bad_value_is_told_with_its_key_what_is_valid_and_what_is_there(change, said):
    text = refusal(tree(**change))
    assert text.startswith("r.yaml: ")
    assert [part for part in said if part not in text] == []


def test_a_missing_key_is_named():
    assert "r.yaml: license: this key is missing" in refusal({k: v for k, v in tree().items() if k != "license"})


def test_two_sources_of_one_name_are_refused():
    assert "'gsm8k'" in refusal({**tree(), "prompts": [tree()["prompts"]] * 2})


def test_every_error_is_told_at_once():
    assert len(refusal(tree(seed=-1, respond__samples=0, verify__zzz=1)).splitlines()) == 3


def test_a_variable_that_is_not_set_is_told_with_the_key_that_asks_for_it(monkeypatch):
    monkeypatch.delenv("NO_SUCH_KEY", raising=False)
    with pytest.raises(RecipeError, match=r"teachers\.main\.api_key: .*NO_SUCH_KEY is not set"):
        resolve_secret("${env:NO_SUCH_KEY}", "teachers.main.api_key")


@pytest.mark.parametrize(
    ("assignment", "key", "value"),
    [
        ("seed=5", ("seed",), 5),
        ("respond.samples=4", ("respond", "samples"), 4),
        ("teachers.main.sampling.temperature=0.5", ("teachers", "main", "sampling", "temperature"), 0.5),
        ("prompts.1.path=a=b.jsonl", ("prompts", 1, "path"), "a=b.jsonl"),
        ("prompts.0={path: x}", ("prompts", 0), {"path": "x"}),
        ("respond.reasoning=on", ("respond", "reasoning"), True),
        ("contact=null", ("contact",), None),
        ("version='0.1'", ("version",), "0.1"),
        ("teachers.other.model=n", ("teachers", "other", "model"), "n"),
    ],
)
def test_an_assignment_sets_one_value_read_as_yaml(assignment, key, value):
    told = {**tree(), "prompts": [{"path": "same"}, {"path": "same"}], "verify": None}
    set_value(told, assignment)
    for step in key:
        told = told[step]
    assert told == value


def test_an_assignment_to_one_of_two_equal_items_leaves_the_other():
    told = {"difficulties": [1, 1]}
    set_value(told, "difficulties.1=3")
    assert told == {"difficulties": [1, 3]}


@pytest.mark.parametrize(
    ("assignment", "said"),
    [
        ("seed", "key.key=value"),
        ("=5", "key.key=value"),
        ("prompts.2.path=x", "the items are 0 to 1"),
        ("prompts.-1.path=x", "the items are 0 to 1"),
        ("prompts.first.path=x", "no item 'first'"),
        ("name.first=x", "'name' is one value"),
        ("seed=[1", "--set seed"),
    ],
)
def test_an_assignment_that_leads_nowhere_is_told(assignment, said):
    with pytest.raises(RecipeError, match="--set") as caught:
        set_value({**tree(), "prompts": [{}, {}]}, assignment)
    assert said in str(caught.value)


@pytest.mark.parametrize(("word", "mode"), [("on", "on"), ("off", "off"), ("'on'", "on"), ("both", "both")])
def test_on_and_off_need_no_quotes(tmp_path, word, mode):
    text = json.dumps(tree())
    assert loaded(tmp_path, text, f"respond.reasoning={word}").respond.reasoning == mode


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("name: a\nname: b\n", ["line 2", "'name' is given twice"]),
        ("a: &x 1\nb: *x\n", ["line 2", "aliases"]),
        ("name: !!python/object/apply:os.system [ls]\n", ["line 1", "tags"]),
        ("name: !!binary aGk=\n", ["line 1", "tags"]),
        ("name: [a\n", ["line 2", "YAML"]),
        ("a: 1\n---\na: 2\n", ["line 2", "YAML"]),
        ("a: b\n? [c]\n: d\n", ["line 2", "a key must be a text"]),
        ("a: 'b\x07'\n", ["line 1", "U+0007"]),
        ("a: 2024-13-45\n", ["quotes"]),
        ("[" * 100_000, ["nested too deeply"]),
        ("", ["a recipe is a mapping", "nothing"]),
        ("- name: a\n", ["a recipe is a mapping", "list"]),
        ("just text", ["a recipe is a mapping", "str"]),
        (b"name: \xff\xfe\n", ["cannot be read as text", "utf-8"]),
        ("a: " + "x" * 1_000_001, ["larger than 1,000,000 bytes"]),
    ],
    ids=lambda value: repr(value)[:30],
)
def test_a_file_that_is_no_recipe_is_refused_with_its_place(tmp_path, text, said):
    told = load_refusal(tmp_path, text)
    assert told.startswith(str(tmp_path / "r.yaml"))
    assert [part for part in said if part not in told] == []


@pytest.mark.parametrize(("name", "said"), [("gone.yaml", "there is no such file"), (".", "cannot be read")])
def test_a_path_that_is_no_file_is_refused(tmp_path, name, said):
    with pytest.raises(RecipeError, match=said):
        load_recipe(tmp_path / name)


@settings(max_examples=200, deadline=None)
@given(text=st.text(max_size=60) | st.lists(st.sampled_from([*"[]{}:,-?!&*#|>'\"\n ", "a", "1", "<<"])).map("".join))
def test_any_text_is_a_recipe_or_a_recipe_error(text):
    with contextlib.suppress(RecipeError):
        recipe_from(parse_yaml(text, "r.yaml"), "r.yaml")


@pytest.mark.parametrize(
    "change",
    [
        {"teachers__main__url": "https://elsewhere/v1"},
        {"teachers__main__api_key": "${env:KEY}"},
        {"teachers__main__headers": {"x-team": "seven"}},
        {"teachers__main__concurrency": 3},
        {"teachers__main__timeout": 3},
        {"contact": "me@example.org"},
        {"prompts__path": "elsewhere.jsonl"},
        {"prompts__url": "https://example.org"},
        {"publish__layout": "v1"},
    ],
    ids=str,
)
def test_what_cannot_change_a_row_is_not_in_the_identity_of_rows(change):
    assert recipe_from(tree(**change), "r").rows_identity() == recipe_from(tree(), "r").rows_identity()


@pytest.mark.parametrize(
    "change",
    [
        {"teachers__main__model": "n"},
        {"teachers__main__revision": "v2"},
        {"teachers__main__weight": 2},
        {"teachers__main__sampling": {"temperature": 0.7}},
        {"teachers__main__category_sampling": {"math": {"top_k": 5}}},
        {"teachers__main__extra_body": {"a": 1}},
        {"teachers__main__reasoning_off": {}},
        {"respond__system": {"math": "Think."}},
        {"respond__reasoning": "both"},
        {"verify__math": {"majority": 0.7}},
        {"verify__duplicates": False},
        {"prompts__license": "MIT"},
        {"prompts__fields": {"expected": "answer"}},
        {"prompts__expected_after": "####", "prompts__fields": {"expected": "answer"}},
        {"seed": 1},
        {"version": "0.2"},
        {"license": "CC0-1.0"},
    ],
    ids=str,
)
def test_what_can_change_a_row_is_in_the_identity_of_rows(change):
    assert recipe_from(tree(**change), "r").rows_identity() != recipe_from(tree(), "r").rows_identity()
