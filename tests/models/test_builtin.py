import asyncio
import json
import re
from collections import Counter
from dataclasses import fields, replace
from math import sqrt

import pytest

from tracemill import errors
from tracemill.models.builtin import CANNOT, BuiltinTeacher, Slips, without_carry, wrong_number
from tracemill.models.wire import Request
from tracemill.word_problems import generate, recognise

INSTRUCTION = "Solve the following math problem. Explain your reasoning and put the final answer in \\boxed{}.\n\n"


def request_for(text, reasoning="on", seed=1, max_tokens=100_000):
    messages = ({"role": "system", "content": "Be exact."}, {"role": "user", "content": INSTRUCTION + text})
    return Request("teacher", "builtin-1", messages, reasoning, seed, max_tokens, home="00")


def sent(teacher, request):
    raw = asyncio.run(teacher.send(request))
    assert (raw.status, raw.latency, raw.endpoint) == (200, 0.0, "builtin")
    return json.loads(raw.body)


def message(teacher, request):
    return sent(teacher, request)["choices"][0]["message"]


def box(content):
    found = re.findall(r"\\boxed\{((?:[^{}]|\{[^{}]*\})*)\}", content)
    assert len(found) == 1, content
    return found[0]


def words(text):
    return len(text.split())


@pytest.fixture(scope="module")
def prompts():
    return list(generate(1000, seed=3))


@pytest.fixture(scope="module")
def many_prompts():
    return list(generate(5000, seed=21))


def ask(prompt, **how):
    return request_for(prompt.messages[0].content, **how)


@pytest.mark.parametrize("reasoning", ["on", "off"])
def test_without_slips_every_answer_is_right(prompts, reasoning):
    teacher = BuiltinTeacher()
    for seed, prompt in enumerate(prompts):
        reply = sent(teacher, ask(prompt, reasoning=reasoning, seed=seed))
        said = reply["choices"][0]["message"]
        assert box(said["content"]) == prompt.expected
        assert ("reasoning_content" in said) is (reasoning == "on")
        assert "<think>" not in said["content"]
        assert reply["choices"][0]["finish_reason"] == "stop"
        if reasoning == "on":
            assert words(said["reasoning_content"]) > words(said["content"])
            assert "boxed" not in said["reasoning_content"]


def test_the_reply_has_the_shape_of_a_chat_completion(prompts):
    request = ask(prompts[0])
    reply = sent(BuiltinTeacher(), request)
    said = reply["choices"][0]["message"]
    completion = words(said["content"]) + words(said["reasoning_content"])
    asked = sum(words(m["content"]) for m in request.messages)
    assert reply["object"] == "chat.completion"
    assert reply["model"] == "builtin-1"
    assert reply["created"] == 0
    assert reply["usage"] == {
        "prompt_tokens": asked,
        "completion_tokens": completion,
        "total_tokens": asked + completion,
    }


def test_the_same_request_always_gets_the_same_bytes(prompts):
    slips = Slips(0.1, 0.1, 0.1, 0.1, 0.1, 0.1)
    for prompt in prompts[:200]:
        first = asyncio.run(BuiltinTeacher(slips, 5).send(ask(prompt)))
        assert asyncio.run(BuiltinTeacher(slips, 5).send(ask(prompt))) == first
    assert asyncio.run(BuiltinTeacher().close()) is None


def test_samples_of_a_prompt_differ_in_wording(prompts):
    for reasoning in ("on", "off"):
        wordings = {
            message(BuiltinTeacher(), ask(prompts[0], reasoning=reasoning, seed=s))["content"] for s in range(20)
        }
        assert len(wordings) >= 3


@pytest.mark.parametrize("text", ["What is the capital of France?", "Emma buys 4 dragons.", ""])
@pytest.mark.parametrize("reasoning", ["on", "off"])
def test_what_is_no_word_problem_gets_an_honest_answer(text, reasoning):
    teacher = BuiltinTeacher(Slips(wrong=1, truncated=1, forgotten_carry=1, trace_missing=1, trace_leaked=1))
    request = request_for(text, reasoning)
    assert message(teacher, request)["content"] == CANNOT
    assert teacher.planned_slip(request) is None


def test_messages_without_a_user_are_answered_too():
    request = replace(request_for(""), messages=({"role": "user", "content": [{"type": "text"}]}, {"role": "tool"}))
    assert message(BuiltinTeacher(), request)["content"] == CANNOT
    assert message(BuiltinTeacher(), replace(request, messages=()))["content"] == CANNOT


def test_the_last_user_message_is_the_one_that_is_answered(prompts):
    first, last = ask(prompts[0]), ask(prompts[1])
    talk = replace(first, messages=(*first.messages, {"role": "assistant", "content": "?"}, *last.messages))
    assert box(message(BuiltinTeacher(), talk)["content"]) == prompts[1].expected


def test_max_tokens_cut_the_trace_and_then_the_content(prompts):
    whole = message(BuiltinTeacher(), ask(prompts[0]))
    trace, content = words(whole["reasoning_content"]), words(whole["content"])
    for limit in range(1, trace + content + 2):
        reply = sent(BuiltinTeacher(), ask(prompts[0], max_tokens=limit))
        said = reply["choices"][0]["message"]
        assert whole["reasoning_content"].startswith(said["reasoning_content"])
        assert whole["content"].startswith(said["content"])
        assert words(said["reasoning_content"]) == min(limit, trace)
        assert words(said["content"]) == max(min(limit, trace + content) - trace, 0)
        assert reply["choices"][0]["finish_reason"] == ("length" if limit < trace + content else "stop")
        assert reply["usage"]["completion_tokens"] == min(limit, trace + content)


@pytest.mark.parametrize("reasoning", ["on", "off"])
def test_wrong_says_a_wrong_number_in_step_and_box(prompts, reasoning):
    for prompt in prompts:
        said = message(BuiltinTeacher(Slips(wrong=1)), ask(prompt, reasoning=reasoning))
        boxed = box(said["content"])
        assert boxed != prompt.expected
        assert said["content"].count(boxed) >= 2
        assert reasoning == "off" or said["reasoning_content"].endswith(f"So the answer is {boxed}.")


@pytest.mark.parametrize("reasoning", ["on", "off"])
def test_truncated_ends_in_the_middle(prompts, reasoning):
    for prompt in prompts[:200]:
        reply = sent(BuiltinTeacher(Slips(truncated=1)), ask(prompt, reasoning=reasoning))
        whole = sent(BuiltinTeacher(), ask(prompt, reasoning=reasoning))
        assert reply["choices"][0]["finish_reason"] == "length"
        assert "boxed" not in reply["choices"][0]["message"]["content"]
        assert reply["usage"]["completion_tokens"] == whole["usage"]["completion_tokens"] // 2


def test_trace_missing_happens_only_where_a_trace_was_asked_for(prompts):
    teacher = BuiltinTeacher(Slips(trace_missing=1))
    said = message(teacher, ask(prompts[0]))
    assert "reasoning_content" not in said
    assert box(said["content"]) == prompts[0].expected
    assert teacher.planned_slip(ask(prompts[0], reasoning="off")) is None


def test_trace_leaked_happens_only_where_no_trace_was_asked_for(prompts):
    teacher = BuiltinTeacher(Slips(trace_leaked=1))
    said = message(teacher, ask(prompts[0], reasoning="off"))
    assert "reasoning_content" not in said
    assert re.match(r"<think>\n(.|\n)+\n</think>\n\n", said["content"])
    assert box(said["content"]) == prompts[0].expected
    assert teacher.planned_slip(ask(prompts[0])) is None


@pytest.mark.parametrize("reasoning", ["on", "off"])
def test_empty_says_nothing(prompts, reasoning):
    reply = sent(BuiltinTeacher(Slips(empty=1)), ask(prompts[0], reasoning=reasoning))
    assert reply["choices"][0]["message"]["content"] == ""
    assert reply["choices"][0]["finish_reason"] == "stop"
    assert message(BuiltinTeacher(Slips(empty=1)), request_for("Hello!"))["content"] == ""


def test_forgotten_carry_gives_every_sample_the_same_really_wrong_answer(prompts):
    teacher, slipped = BuiltinTeacher(Slips(forgotten_carry=1)), 0
    for prompt in prompts:
        planned = {teacher.planned_slip(ask(prompt, seed=seed)) for seed in range(5)}
        assert len(planned) == 1
        answers = {box(message(teacher, ask(prompt, seed=seed))["content"]) for seed in range(5)}
        assert len(answers) == 1
        if planned == {"forgotten_carry"}:
            slipped += 1
            assert answers != {prompt.expected}
        else:
            assert answers == {prompt.expected}
    assert slipped > 200


def test_what_is_drawn_per_prompt_is_the_same_for_all_seeds_and_retries(prompts):
    teacher = BuiltinTeacher(Slips(empty=0.3, forgotten_carry=0.3), seed=2)
    for prompt in prompts[:200]:
        first = ask(prompt)
        asked = [first, replace(first, seed=99), first.again(2, 12345), replace(first, index=4)]
        assert len({teacher.planned_slip(request) for request in asked}) == 1


@pytest.mark.parametrize("slip", [field.name for field in fields(Slips)])
def test_a_slip_comes_as_often_as_its_rate_says(many_prompts, slip):
    rate, total = 0.07, len(many_prompts)
    teacher, sure = BuiltinTeacher(Slips(**{slip: rate}), seed=9), BuiltinTeacher(Slips(**{slip: 1.0}))
    reasoning, able, planned = "off" if slip == "trace_leaked" else "on", 0, 0
    for seed, prompt in enumerate(many_prompts):
        request = ask(prompt, reasoning=reasoning, seed=seed)
        if sure.planned_slip(request) == slip:
            able += 1
            planned += teacher.planned_slip(request) == slip
    assert abs(planned - rate * able) < 5 * sqrt(able * rate * (1 - rate))
    assert able == total or slip == "forgotten_carry"


def test_replies_do_what_was_planned(prompts):
    teacher = BuiltinTeacher(Slips(0.15, 0.3, 0.15, 0.15, 0.3, 0.3), seed=4)
    seen = Counter()
    for prompt in prompts:
        for reasoning in ("on", "off"):
            request = ask(prompt, reasoning=reasoning, seed=len(prompt.source_id))
            reply = sent(teacher, request)
            said = reply["choices"][0]["message"]
            content, trace = said["content"], said.get("reasoning_content")
            if content == "" and reply["choices"][0]["finish_reason"] == "stop":
                happened = "empty"
            elif reply["choices"][0]["finish_reason"] == "length":
                happened = "truncated"
            elif box(content) != prompt.expected:
                happened = "mistaken"
            elif reasoning == "on" and trace is None:
                happened = "trace_missing"
            elif "<think>" in content:
                happened = "trace_leaked"
            else:
                happened = None
            planned = teacher.planned_slip(request)
            assert happened == ("mistaken" if planned in {"wrong", "forgotten_carry"} else planned)
            seen[planned] += 1
    assert seen.keys() == {None, *(field.name for field in fields(Slips))}


def test_another_teacher_slips_elsewhere(prompts):
    planned = [[BuiltinTeacher(Slips(wrong=0.5), s).planned_slip(ask(p)) for p in prompts[:50]] for s in (1, 2)]
    assert planned[0] != planned[1]


@pytest.mark.parametrize("rate", [-0.1, 1.5, float("nan")])
def test_a_rate_outside_0_to_1_is_refused(rate):
    with pytest.raises(errors.RecipeError, match=r"slips\.wrong is .*, not a rate from 0 to 1"):
        Slips(wrong=rate)


@pytest.mark.parametrize(("first", "second", "total"), [
    (47, 38, 75), (95, 36, 121), (95, 32, 127), (95, 8, 93), (9, 8, 17), (0, 12, 12), (1250, 375, 1525),
])  # fmt: skip
def test_without_carry(first, second, total):
    assert without_carry(first, second) == total
    assert without_carry(second, first) == total


@pytest.mark.parametrize(("answer", "wrong"), [
    ("7", "9"), ("-1", "1"), ("12.50", "14.50"), (r"\frac{3}{4}", r"\frac{5}{4}"), (r"-\frac{1}{3}", r"-\frac{3}{3}"),
])  # fmt: skip
def test_a_wrong_number_looks_like_the_right_one(answer, wrong):
    assert wrong_number(answer, 1) == wrong


def test_any_recognised_text_can_be_answered_with_every_slip():
    text = "Two villages are 7 kilometers apart. " + (
        "Ivan and Emma set off from the two ends and cycle towards each other. Ivan rides at 99 kilometers per hour and "
        "Emma at 1 kilometers per hour. Ivan sets off 5 hours before Emma. How many hours after Emma sets off do they meet?"
    )
    assert recognise(text) is not None
    for slip in fields(Slips):
        assert message(BuiltinTeacher(Slips(**{slip.name: 1.0})), request_for(text)) is not None
