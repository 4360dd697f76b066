"""A recipe names its secrets and never holds one, and its body holds nothing that has a key of its own."""

from __future__ import annotations

import json

import pytest
import yaml

from test_recipe import SECRET, load_refusal, refusal, tree
from tracemill.recipe import resolve_secret
from tracemill.recipe_file import recipe_from


@pytest.mark.parametrize(
    "change",
    [
        {"teachers__main__api_key": SECRET},
        {"teachers__main__api_key": f"${{env:KEY}}{SECRET}"},
        {"teachers__main__headers": {"Authorization": f"Bearer {SECRET}"}},
        {"teachers__main__headers": {"x-api-key": SECRET}},
        {"teachers__main__headers": {"X-Foo": f"Bearer {SECRET}"}},
        {"teachers__main__headers": {"X-Org": SECRET}},
        {"teachers__main__headers": {"X-Org": f"${{env:ORG}} {SECRET}"}},
        {"teachers__main__extra_body": {"user": [{"name": SECRET}]}},
        {"teachers__main__reasoning_on": {"name": SECRET}},
        {"teachers__main__headers": {"Authorization": f"${{env:KEY}} {SECRET}"}},
        {"teachers__main__url": f"https://user:{SECRET}@host/v1"},
        {"teachers__main__url": f"https://{SECRET}@host/v1"},
        {"teachers__main__url": f"https://user:{SECRET}@ho\u2100st/v1"},
        {"teachers__main__url": f"https://[user:{SECRET}@host]/v1"},
        {"teachers__main__url": f"https://host/v1?key={SECRET}"},
        {"prompts__url": f"https://user:{SECRET}@host/data"},
        {"teachers__main__extra_body": {"api_key": SECRET}},
        {"teachers__main__extra_body": {"user": [{"password": SECRET}]}},
        {"teachers__main__reasoning_on": {"authorization": SECRET}},
        {"teachers__main__password": SECRET},
        {"teachers__main__apikey": SECRET},
        {"teachers__main": SECRET},
        {"api_key": SECRET},
        {"teachers__main__headers": f"authorization: {SECRET}"},
        {"teachers__main__api_key": [SECRET]},
    ],
    ids=lambda change: " ".join(f"{k} {v}" for k, v in change.items()).replace(SECRET, "SECRET"),
)
def test_a_literal_secret_is_refused_and_not_repeated(change):
    assert SECRET not in refusal(tree(**change))


@pytest.mark.parametrize(
    "value",
    [
        *("Bearer dXNlcjpwYXNz", "basic dXNlcjpwYXNz", "session=0123456789abcdef0123456789abcdef"),
        *(
            "sk-proj-AbCd1234efgh",
            "hf_abcdefghij12345",
            "AKIA0123456789ABCDEF",
            "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIx.sig",
        ),
    ],
)
def test_a_header_that_holds_a_key_of_the_usual_services_is_refused_by_its_value(value):
    said = refusal(tree(teachers__main__headers={"X-Foo": value}))
    assert "teachers.main.headers: header 'X-Foo' looks like a secret; write ${env:NAME}" in said
    assert value not in said


@pytest.mark.parametrize(
    ("field", "instead"),
    [
        *(("model", "`model`"), ("messages", "respond.system"), ("tools", "sources"), ("n", "respond.samples")),
        *(("stream", "leave it out"), ("seed", "`seed`"), ("max_tokens", "sampling.max_tokens")),
        *(
            ("max_completion_tokens", "limit_field"),
            ("temperature", "sampling.temperature"),
            ("top_p", "sampling.top_p"),
        ),
    ],
)
def test_what_has_a_key_of_its_own_cannot_be_overwritten_in_the_body(field, instead):
    said = refusal(tree(teachers__main__extra_body={"chat_template_kwargs": {"n": 1}, field: 2}))
    assert f"teachers.main.extra_body: {field!r} would overwrite the request itself; " in said
    assert instead in said


@pytest.mark.parametrize(
    "assignment",
    [
        f"teachers.main.api_key={SECRET}",
        f"teachers.main.api_key.x={SECRET}",
        f"prompts.7.path={SECRET}",
        f"teachers.main.api_key:{SECRET}",
        f"teachers.main.headers={{Authorization: {SECRET}}}",
        f"teachers.main.url=https://u:{SECRET}@host/v1",
    ],
)
def test_no_error_about_an_assignment_repeats_a_secret(tmp_path, assignment):
    given_list = {**tree(teachers__main__api_key="${env:KEY}"), "prompts": [tree()["prompts"]]}
    assert SECRET not in load_refusal(tmp_path, json.dumps(given_list), assignment)


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": "Bearer ${env:KEY}"},
        {"cookie": "session=${env:KEY}"},
        {"x-team": "seven"},
        {"X-Foo": "Bearer ${env:KEY}"},
        {"X-Foo": "token=${env:A_VARIABLE_OF_A_RATHER_LONG_NAME_123}"},
        {"OpenAI-Organization": "org-1234567890abcdefABCDEF12", "X-Run": "123e4567-e89b-12d3-a456-426614174000"},
        {"HTTP-Referer": "https://example.org/projects/reasoning-2026", "X-Title": "Sk-learn task-based data, part 12"},
    ],
)
def test_headers_without_a_literal_secret_are_taken(headers):
    assert recipe_from(tree(teachers__main__headers=headers), "r").teachers["main"].headers == headers


def test_the_stored_recipe_names_the_variable_and_not_its_value(monkeypatch):
    monkeypatch.setenv("KEY", SECRET)
    header = {"Authorization": "Token ${env:KEY}"}
    recipe = recipe_from(tree(teachers__main__api_key="${env:KEY}", teachers__main__headers=header), "r")
    stored = yaml.safe_dump(recipe.model_dump(mode="json"))
    assert SECRET not in stored
    assert stored.count("${env:KEY}") == 2
    assert resolve_secret("Token ${env:KEY}", "here") == f"Token {SECRET}"
