"""Emulated servers do what the table in their module says: switches, places of the trace, refusals, owners."""

from __future__ import annotations

import json
import urllib.request
from urllib.error import HTTPError

import pytest

from tracemill.testing import Emulated, emulated_server
from tracemill.testing.emulated import KINDS

ASKED = {"model": "m", "messages": [{"role": "user", "content": "2 + 2?"}]}


def post(server, **more: object) -> tuple[int, dict]:
    data = json.dumps({**ASKED, **more}).encode()
    request = urllib.request.Request(f"{server.url}/chat/completions", data, {"content-type": "application/json"})
    try:
        with urllib.request.urlopen(request) as response:
            return response.status, json.load(response)
    except HTTPError as error:
        return error.code, json.load(error)


def message(server, **more: object) -> dict:
    status, told = post(server, **more)
    assert status == 200, told
    return told["choices"][0]["message"]


@pytest.mark.parametrize("kind", [kind for kind in KINDS if KINDS[kind].trace])
def test_a_trace_is_where_its_kind_puts_it(kind):
    with emulated_server(kind, {"m": Emulated("qwen3")}) as server:
        got = message(server)
    assert got[KINDS[kind].trace] == "Two and two make four."
    assert got["content"] == "It is \\boxed{4}."


@pytest.mark.parametrize(
    ("kind", "family", "switch", "thinks"),
    [
        ("vllm", "qwen3", {"chat_template_kwargs": {"enable_thinking": False}}, False),
        ("ollama", "qwen3", {"chat_template_kwargs": {"enable_thinking": False}}, True),
        ("ollama", "qwen3", {"reasoning_effort": "none"}, False),
        ("llama.cpp", "qwen3", {"reasoning_effort": "none"}, False),
        ("openrouter", "qwen3", {"reasoning": {"effort": "none"}}, False),
        ("openrouter", "qwen3", {"reasoning": {"enabled": True}}, True),
        ("vllm", "deepseek-v3", {}, False),
        ("vllm", "deepseek-v3", {"chat_template_kwargs": {"enable_thinking": True}}, False),
        ("vllm", "deepseek-v3", {"chat_template_kwargs": {"thinking": True}}, True),
        ("vllm", "gpt-oss", {"reasoning_effort": "none"}, True),
    ],
)
def test_a_switch_works_where_it_is_read(kind, family, switch, thinks):
    with emulated_server(kind, {"m": Emulated(family)}) as server:
        assert (KINDS[kind].trace in message(server, **switch)) is thinks


@pytest.mark.parametrize(
    ("kind", "family", "body", "said"),
    [
        ("openai", "openai-o", {"chat_template_kwargs": {}}, "Unrecognized request argument supplied"),
        ("openai", "openai-o", {"max_tokens": 5}, "max_completion_tokens"),
        ("openai", "openai-o", {"temperature": 0.6}, "temperature"),
        ("ollama", "qwen3", {"reasoning_effort": "low"}, "is not supported for this model"),
    ],
)
def test_what_a_kind_does_not_take_is_refused_in_its_words(kind, family, body, said):
    with emulated_server(kind, {"m": Emulated(family)}) as server:
        status, told = post(server, **body)
        assert status == 400
        assert said in told["error"]["message"]
        assert server.errors == []


@pytest.mark.parametrize("kind", KINDS)
def test_a_model_that_is_not_there_and_those_that_are(kind):
    with emulated_server(kind, {"other": Emulated("qwen3")}, refuses=("seed",)) as server:
        assert post(server)[0] == 404
        assert post(server, model="other", seed=1)[0] == 400
        with urllib.request.urlopen(f"{server.url}/models") as response:
            (row,) = json.load(response)["data"]
    assert (row["id"], row["owned_by"]) == ("other", KINDS[kind].owned_by)
