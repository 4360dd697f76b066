"""What the scripted server says, read by a real client."""

import json

import pytest
from wire_client import body, choice, post, say

from tracemill.record import ToolCall, Usage
from tracemill.testing import Answer, ScriptedServer, arithmetic, body_hash, from_table
from tracemill.testing.answers import read_table


def test_an_answer_arrives_as_a_chat_completion():
    with ScriptedServer(say("four", reasoning="two and two")) as server:
        status, headers, raw = post(server, body())
        assert server.requests == [body()]
    assert (status, headers["content-type"]) == (200, "application/json")
    reply = json.loads(raw)
    assert (reply["object"], reply["model"], reply["id"]) == (
        "chat.completion",
        "m",
        f"chatcmpl-{body_hash(body())[:24]}",
    )
    message = {"role": "assistant", "content": "four", "reasoning_content": "two and two"}
    assert reply["choices"] == [{"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}]
    assert reply["usage"] == {"prompt_tokens": 5, "completion_tokens": 4, "total_tokens": 9}


@pytest.mark.parametrize(
    ("field", "message"),
    [
        ("reasoning_content", {"content": "C", "reasoning_content": "R"}),
        ("reasoning", {"content": "C", "reasoning": "R"}),
        ("thinking", {"content": "C", "thinking": "R"}),
        ("inline", {"content": "<think>\nR\n</think>\n\nC"}),
        ("inline_no_open", {"content": "R\n</think>\n\nC"}),
    ],
)
def test_the_trace_goes_where_the_answer_says(field, message):
    with ScriptedServer(say("C", reasoning="R", reasoning_field=field)) as server:
        assert choice(server, body())["message"] == {"role": "assistant", **message}
    with ScriptedServer(say("C", reasoning_field=field)) as server:
        assert choice(server, body())["message"] == {"role": "assistant", "content": "C"}


def test_model_usage_finish_reason_and_tool_calls_are_said_as_given():
    call = ToolCall("c1", "add", '{"a": 2}')
    answer = Answer("", finish_reason="tool_calls", usage=Usage(7, 8), model="other", tool_calls=(call,))
    with ScriptedServer(lambda asked: answer) as server:
        reply = json.loads(post(server, body())[2])
    assert (reply["model"], reply["usage"]["total_tokens"]) == ("other", 15)
    assert reply["choices"][0]["finish_reason"] == "tool_calls"
    wire = {"id": "c1", "type": "function", "function": {"name": "add", "arguments": '{"a": 2}'}}
    assert reply["choices"][0]["message"] == {"role": "assistant", "content": None, "tool_calls": [wire]}


@pytest.mark.parametrize(
    ("limit", "content", "finish"),
    [
        (6, "<think>\na b c\n</think>\n\nd  e\nf", "stop"),
        (5, "<think>\na b c\n</think>\n\nd  e", "length"),
        (3, "<think>\na b c", "length"),
        (2, "<think>\na b", "length"),
        (None, "<think>\na b c\n</think>\n\nd  e\nf", "stop"),
    ],
)
def test_an_answer_longer_than_max_tokens_is_cut_trace_first(limit, content, finish):
    with ScriptedServer(say("d  e\nf", reasoning="a b c", reasoning_field="inline")) as server:
        cut = choice(server, body(max_tokens=limit))
    assert (cut["message"]["content"], cut["finish_reason"]) == (content, finish)


def test_cutting_can_be_turned_off():
    with ScriptedServer(say("a b c"), truncates=False) as server:
        assert choice(server, body(max_tokens=1))["message"]["content"] == "a b c"


def test_a_lone_surrogate_is_sent_as_an_escape():
    with ScriptedServer(say("\ud83d")) as server:
        assert b'"\\ud83d"' in post(server, body())[2]


@pytest.mark.parametrize(
    ("message", "content"),
    [
        ("How many?", "short"),
        ("  How many?\n", "short"),
        ("Think hard.\n\nHow many?", "short"),
        ("Tell me.\n\nFirst line.\n\nHow many?", "long"),
        ("Question: First line.\n\nHow many?", "short"),
        ("Question: How many?", "short"),
        ("How many?\n\nPut it into a box.", "short"),
        ("Q: First line.\n\nHow many? Answer:", "long"),
        ("Q: First line.\n\nHow many? Now: How many?", "short"),
        ("Q: How many? A: four. Q: First line.\n\nHow many? A:", "long"),
    ],
)
def test_the_table_finds_the_question_inside_its_template(message, content):
    table = {"How many?": [Answer("short")], "First line.\n\nHow many?": [Answer("long")]}
    asked = body(message)
    asked["messages"][:0] = [{"role": "user", "content": "First line."}, {"role": "assistant", "content": "?"}]
    assert from_table(table)(asked).content == content


def test_the_seed_chooses_among_a_prompts_answers_or_whatever_is_given():
    table = {"q": [Answer("0"), Answer("1"), Answer("2")]}
    assert [from_table(table)(body("q", seed=n)).content for n in (0, 1, 5)] == ["0", "1", "2"]
    assert from_table(table)(body("q")).content == "0"
    assert from_table(table, lambda asked, answers: answers[-1])(body("q")).content == "2"


def test_an_unknown_question_is_refused_and_remembered():
    with ScriptedServer(from_table({"known": [Answer("a")]})) as server:
        status, _, raw = post(server, body("unheard of"))
        assert (status, json.loads(raw)["error"]["code"]) == (400, 400)
        assert isinstance(server.errors[0], LookupError)
        assert "unheard of" in str(server.errors[0])
        assert choice(server, body("known"))["message"]["content"] == "a"


@pytest.mark.parametrize("table", [{}, {"q": []}, {" ": [Answer("a")]}])
def test_a_table_without_answers_is_refused(table):
    with pytest.raises(ValueError, match="table of answers"):
        from_table(table)


def test_arithmetic_has_exact_sizes_and_agrees_on_one_question():
    answers = arithmetic(content_bytes=2048, reasoning_bytes=6144)
    first, second, other = (answers(a) for a in (body(seed=1), body(seed=2), body("What is 3 + 3?", seed=1)))
    assert {len(a.content) for a in (first, second, other)} == {2048}
    assert {len(a.reasoning) for a in (first, second, other)} == {6144}
    assert first != second
    assert first.content.partition("\\boxed")[2] == second.content.partition("\\boxed")[2]
    assert first.content.partition("\\boxed")[2] != other.content.partition("\\boxed")[2]
    assert answers(body(seed=1)) == arithmetic(content_bytes=2048, reasoning_bytes=6144)(body(seed=1))
    assert (
        arithmetic(content_bytes=0)(body()).content.strip() == arithmetic(content_bytes=0)(body(seed=3)).content.strip()
    )


@pytest.mark.parametrize(
    "switch", [{"chat_template_kwargs": {"enable_thinking": False}}, {"chat_template_kwargs": {"thinking": False}}]
)
def test_arithmetic_does_not_think_when_told_so(switch):
    assert arithmetic()(body(**switch)).reasoning is None
    assert arithmetic()(body("What is 2 + 2? /no_think")).reasoning is None
    assert arithmetic(reasoning_bytes=0)(body()).reasoning is None
    assert arithmetic()(body(chat_template_kwargs={"enable_thinking": True})).reasoning.count("\n") >= 2


def test_a_file_of_answers_is_a_table(tmp_path):
    path = tmp_path / "answers.jsonl"
    call = '{"id": "c", "name": "f", "arguments": "{}"}'
    path.write_text(
        '{"prompt": "q", "answers": [{"content": "a", "reasoning": "r", "finish_reason": "length"}]}\n\n'
        f'{{"prompt": "q", "answers": [{{"content": "", "tool_calls": [{call}]}}]}}\n'
        '{"prompt": "p", "answers": [{"content": "b", "usage": {"prompt_tokens": 1, "completion_tokens": 2}}]}\n'
    )
    first, second = Answer("a", "r", "length"), Answer("", tool_calls=(ToolCall("c", "f", "{}"),))
    assert read_table(path) == {"q": [first, second], "p": [Answer("b", usage=Usage(1, 2))]}


@pytest.mark.parametrize(
    "line",
    [
        "{",
        '{"prompt": "q"}',
        '{"prompt": "q", "answers": [{"contents": "a"}]}',
        '{"prompt": "q", "answers": [{}]}',
        "[]",
    ],
)
def test_a_bad_line_in_a_file_of_answers_is_named(tmp_path, line):
    path = tmp_path / "answers.jsonl"
    path.write_text('{"prompt": "q", "answers": [{"content": "a"}]}\n' + line)
    with pytest.raises(ValueError, match=r"answers\.jsonl:2: not a prompt with its answers"):
        read_table(path)
