"""Dialects: what a family and a server make us send, what wins over them, and what they leave as it was."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import yaml

from tracemill import identity
from tracemill.errors import RecipeError
from tracemill.models.replies import read_reply
from tracemill.recipe import MODES, Impossible, Recipe, Teacher, shipped
from tracemill.recipe.dialects import asked
from tracemill.recipe_file import recipe_from
from tracemill.record import Message, Prompt
from tracemill.respond.answer import Questions
from tracemill.respond.templates import load_templates

TABLE = shipped()
THINKING = {"chat_template_kwargs": {"enable_thinking": True}}
SILENT = {"chat_template_kwargs": {"enable_thinking": False}}


def tree(mode: str = "on", dialects: dict | None = None, **teacher: object) -> dict:
    main = {"url": "http://localhost:8000/v1", "model": "m", **teacher}
    told = {"name": "r", "license": "MIT", "prompts": {"path": "p.jsonl"}, "teachers": {"main": main}}
    return {**told, "respond": {"reasoning": mode}, **({"dialects": dialects} if dialects else {})}


def requests(told: dict, *before: Message):
    """The requests of one prompt, by mode."""
    recipe = recipe_from(told, "r.yaml")
    messages = (*before, Message("user", "What is 2 + 2?"))
    prompt = Prompt("math", messages, hash=identity.prompt_hash(messages))
    found = Questions(recipe, load_templates(recipe)).of(prompt)
    return {q.request.reasoning: q for q in found}


def body(told: dict, mode: str = "on") -> dict:
    return requests(told)[mode].request.body()


def refusal(told: dict) -> str:
    with pytest.raises(RecipeError) as caught:
        recipe_from(told, "r.yaml")
    return str(caught.value)


@pytest.mark.parametrize(
    ("told", "keys"),
    [
        (tree("both"), ["e3114684654163a5", "ce49c3e2591e05e9"]),
        (
            tree("both", reasoning_on={"thinking": True}, reasoning_off={}, extra_body={"x": 1}, send_seed=False),
            ["e2f8a22a8ea1a3fc", "39de4ae4b5c016cc"],
        ),
    ],
    ids=["nothing named", "written out"],
)
def test_without_a_dialect_requests_have_the_keys_that_they_always_had(told, keys):
    assert [q.request.key[:16] for q in requests(told).values()] == keys


def test_without_a_dialect_the_usual_switch_is_sent():
    sent = requests(tree("both"))
    assert sent["on"].request.extra == THINKING
    assert sent["off"].request.extra == SILENT
    assert sent["on"].request.body()["max_tokens"] == 16_384
    assert "seed" in sent["on"].request.body()


@pytest.mark.parametrize("name", TABLE.families)
def test_a_family_says_where_it_was_found_and_what_it_can(name):
    family = TABLE.families[name]
    assert family.source
    assert not (family.reasoning_on is None and family.reasoning_off is None)
    assert family.raw not in ("none", "hidden") or family.reasoning_on is None
    for level in family.effort.values():
        assert level.effort or level.template


@pytest.mark.parametrize("name", TABLE.servers)
def test_a_server_says_where_it_was_found(name):
    server = TABLE.servers[name]
    assert server.source
    assert server.template is None or server.reasoning_on is None, "its own switch would never be used"


@pytest.mark.parametrize("family", TABLE.families)
@pytest.mark.parametrize("server", TABLE.servers)
def test_each_family_can_be_asked_on_each_server_or_it_is_said_why_not(family, server):
    for mode in MODES:
        for effort in (None, *TABLE.families[family].effort):
            said, why, key = tried(family, server, mode, effort)
            assert (said is None) == bool(why)
            if said is not None:
                assert identity.digest(dict(said.body)), "it can be sent as JSON"
            else:
                assert repr(family) in why or repr(server) in why
                assert key in Teacher.model_fields


def tried(family, server, mode, effort):
    try:
        return asked(TABLE, family, server, mode, effort), "", ""
    except Impossible as exc:
        return None, str(exc), exc.key


@pytest.mark.parametrize(
    ("teacher", "on", "off"),
    [
        ({"family": "qwen3", "server": "vllm"}, THINKING, SILENT),
        ({"family": "qwen3"}, THINKING, SILENT),
        ({"server": "sglang"}, THINKING, SILENT),
        ({"server": "ollama"}, {}, {"reasoning_effort": "none"}),
        ({"family": "qwen3", "server": "ollama"}, {}, {"reasoning_effort": "none"}),
        (
            {"family": "deepseek-v3", "server": "vllm"},
            {"chat_template_kwargs": {"thinking": True}},
            {"chat_template_kwargs": {"thinking": False}},
        ),
        (
            {"family": "glm-4.5", "server": "openrouter"},
            {"reasoning": {"enabled": True}},
            {"reasoning": {"effort": "none"}},
        ),
        ({"family": "nemotron-v1", "server": "vllm"}, {}, {}),
    ],
    ids=str,
)
def test_family_and_server_say_what_is_sent(teacher, on, off):
    sent = requests(tree("both", **teacher))
    assert (sent["on"].request.extra, sent["off"].request.extra) == (on, off)


@pytest.mark.parametrize(
    ("teacher", "extra"),
    [
        ({"family": "gpt-oss", "server": "vllm", "effort": "low"}, {"reasoning_effort": "low"}),
        ({"family": "gpt-oss", "server": "openrouter", "effort": "high"}, {"reasoning": {"effort": "high"}}),
        ({"server": "ollama", "effort": "high"}, {"reasoning_effort": "high"}),
        (
            {"family": "nemotron-3", "server": "vllm", "effort": "low"},
            {"chat_template_kwargs": {"enable_thinking": True, "low_effort": True}},
        ),
    ],
    ids=str,
)
def test_an_effort_is_sent_as_the_server_wants_it(teacher, extra):
    assert requests(tree("on", **teacher))["on"].request.extra == extra


def test_a_switch_in_words_stands_at_the_head_of_the_system_and_not_in_the_row():
    sent = requests(tree("both", family="nemotron-v1"))
    assert sent["on"].request.messages[0] == {"role": "system", "content": "detailed thinking on"}
    assert sent["off"].request.messages[0] == {"role": "system", "content": "detailed thinking off"}
    assert [m.role for m in sent["on"].unanswered.messages] == ["user"]
    own = requests(tree("off", family="nemotron-v1.5"), Message("system", "Be brief."))["off"]
    assert own.request.messages[0]["content"] == "/no_think\n\nBe brief."
    assert own.unanswered.messages[0].content == "Be brief."


@pytest.mark.parametrize(
    ("teacher", "extra"),
    [
        ({"reasoning_on": {"own": 1}}, {"own": 1}),
        ({"reasoning_on": {}}, {}),
        ({"extra_body": {"x": 1}}, {**THINKING, "x": 1}),
        (
            {"extra_body": {"chat_template_kwargs": {"y": 2}}},
            {"chat_template_kwargs": {"enable_thinking": True, "y": 2}},
        ),
        ({"extra_body": {"chat_template_kwargs": {"enable_thinking": False}}}, SILENT),
    ],
    ids=str,
)
def test_what_the_recipe_writes_itself_wins(teacher, extra):
    assert requests(tree(family="qwen3", server="vllm", **teacher))["on"].request.extra == extra


def test_hidden_thinkers_take_other_fields():
    told = tree("off", family="openai-o", server="openai", effort="low")
    sent = body(told, "off")
    assert sent["max_completion_tokens"] == 16_384
    assert sent["reasoning_effort"] == "low"
    assert not {"max_tokens", "temperature", "top_p", "chat_template_kwargs"} & set(sent)
    warm = body(tree("off", family="openai-o", sampling={"temperature": 1.0}), "off")
    assert warm["temperature"] == 1.0, "what the recipe sets is sent"


@pytest.mark.parametrize("field", ["max_tokens", "max_completion_tokens"])
def test_the_name_of_the_limit_can_be_set_and_is_not_in_the_key(field):
    own = requests(tree(limit_field=field))["on"].request
    assert own.body()[field] == own.max_tokens
    assert own.key == requests(tree())["on"].request.key


def test_a_server_without_seed_gets_none():
    mute = {"servers": {"mute": {"seed": False}}}
    assert "seed" not in body(tree(dialects=mute, server="mute"))
    assert "seed" in body(tree(dialects=mute, server="mute", send_seed=True))


@pytest.mark.parametrize(
    ("told", "said"),
    [
        (tree(family="qwen4"), ["teachers.main.family", "'qwen4'", "Did you mean 'qwen3'?"]),
        (tree(server="vlm"), ["teachers.main.server", "'vlm'", "Did you mean 'vllm'?"]),
        (
            tree("off", family="deepseek-r1"),
            ["teachers.main.family", "cannot be told not to think", "respond.reasoning"],
        ),
        (tree("on", family="qwen3-instruct"), ["never thinks", "respond.reasoning: off"]),
        (tree("both", family="gpt-5"), ["shows nothing", "respond.reasoning: off"]),
        (tree("on", server="openai"), ["teachers.main.server", "never shows a trace"]),
        (tree("off", family="qwen3", server="openai"), ["passes nothing on", "'qwen3'"]),
        (tree(family="gpt-oss", effort="huge"), ["teachers.main.effort", "'huge'", "low, medium, high"]),
        (tree(family="qwen3", effort="low"), ["knows no effort 'low'", "no levels"]),
        (tree(dialects={"servers": {"s": {"effort": None}}}, server="s", effort="low"), ["no field for an effort"]),
        (tree(dialects={"families": {"f": {"reasoning_on": {}}}}, family="f"), ["reasoning_off", "missing"]),
        (tree(dialects={"servers": {"s": {"tracing": "x"}}}, server="s"), ["tracing", "Did you mean"]),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_what_cannot_be_had_is_told_before_anything_is_paid_for(told, said):
    text = refusal(told)
    assert [part for part in said if part not in text] == [], text


@pytest.mark.parametrize("family", ["deepseek-r1", "qwen3-instruct"])
def test_who_writes_the_switch_may_ask_for_anything(family):
    sent = requests(tree("both", family=family, reasoning_on={"a": 1}, reasoning_off={"b": 2}))
    assert (sent["on"].request.extra, sent["off"].request.extra) == ({"a": 1}, {"b": 2})


OWN = {
    "families": {"mine": {"reasoning_on": {"template": {"deep": 1}}, "reasoning_off": {"system": "Answer at once."}}},
    "servers": {"ours": {"template": "template_vars", "trace": "thoughts", "limit_field": "max_completion_tokens"}},
}

OTHER = {"servers": {"ours": {**OWN["servers"]["ours"], "trace": "reasoning"}}}


def test_a_recipe_brings_its_own_family_and_server():
    sent = requests(tree("both", OWN, family="mine", server="ours"))
    assert sent["on"].request.extra == {"template_vars": {"deep": 1}}
    assert sent["off"].request.messages[0]["content"] == "Answer at once."
    assert "max_completion_tokens" in sent["on"].request.body()


def test_a_trace_is_read_from_the_field_that_the_recipe_names():
    own = requests(tree("both", OWN, family="mine", server="ours"))["on"].request
    message = {"content": "4", "reasoning": "other", "thoughts": "I add."}
    reply = json.dumps({"choices": [{"message": message, "finish_reason": "stop"}]}).encode()
    assert read_reply(own, reply).reasoning == "I add."
    assert read_reply(requests(tree())["on"].request, reply).reasoning == "other"
    assert own.key == replace(own, trace_field=None).key
    assert identity_of(tree(dialects=OWN, server="ours")) != identity_of(tree(dialects=OTHER, server="ours"))


def test_a_row_of_the_recipe_hides_the_shipped_one_of_its_name():
    own = {"families": {"qwen3": {"reasoning_on": {"body": {"x": 1}}, "reasoning_off": None}}}
    assert requests(tree("on", own, family="qwen3"))["on"].request.extra == {"x": 1}
    assert requests(tree("on", family="qwen3"))["on"].request.extra == THINKING


def test_a_teacher_that_was_in_one_recipe_is_read_by_the_table_of_the_next():
    own = {"families": {"qwen3": {"reasoning_on": {"body": {"x": 1}}, "reasoning_off": None}}}
    first = recipe_from(tree("on", own, family="qwen3"), "r")
    second = Recipe(name="s", license="MIT", prompts={"path": "p"}, teachers={"main": first.teachers["main"]})
    assert first.teachers["main"].asked("on").body == {"x": 1}
    assert second.teachers["main"].asked("on").body == THINKING


@pytest.mark.parametrize(
    "told",
    [
        tree("both"),
        tree("both", OWN, family="mine", server="ours"),
        tree("on", family="gpt-oss", server="vllm", effort="low"),
        tree("off", family="openai-o", server="openai"),
    ],
    ids=["none", "own", "effort", "hidden"],
)
def test_a_stored_recipe_asks_the_same_again(told):
    stored = yaml.safe_load(yaml.safe_dump(recipe_from(told, "r").model_dump(mode="json")))
    again, before = requests(stored), requests(told)
    assert [q.request for q in again.values()] == [q.request for q in before.values()]
    assert recipe_from(stored, "r").rows_identity() == recipe_from(told, "r").rows_identity()


def identity_of(told: dict) -> dict:
    return recipe_from(told, "r").rows_identity()


def test_the_identity_of_rows_without_a_dialect_is_what_it_was():
    teacher = identity_of(tree("both"))["teachers"]["main"]
    assert teacher == {
        "model": "m",
        "revision": None,
        "extra_body": {},
        "reasoning_on": THINKING,
        "reasoning_off": SILENT,
        "weight": 1.0,
        "sampling": dict.fromkeys(("temperature", "top_p", "top_k", "min_p", "max_tokens")),
        "category_sampling": {},
    }
    assert "dialects" not in identity_of(tree(dialects=OWN))


@pytest.mark.parametrize(
    "named",
    [{"family": "qwen3"}, {"server": "vllm"}, {"server": "vllm-old"}, {"limit_field": "max_completion_tokens"}],
    ids=str,
)
def test_a_dialect_that_sends_the_same_changes_neither_rows_nor_keys(named):
    assert identity_of(tree("both", **named)) == identity_of(tree("both"))
    keys = [[q.request.key for q in requests(tree("both", **t)).values()] for t in (named, {})]
    assert keys[0] == keys[1]


@pytest.mark.parametrize(
    "named",
    [
        {"server": "ollama"},
        {"family": "nemotron-v1"},
        {"family": "granite-3"},
        {"server": "vllm", "effort": "low"},
        {"reasoning_on": {}},
    ],
    ids=str,
)
def test_a_dialect_that_sends_something_else_changes_rows_and_keys(named):
    assert identity_of(tree("both", **named)) != identity_of(tree("both"))
    on = requests(tree("both", **named))["on"].request
    off = requests(tree("both", **named))["off"].request
    before = requests(tree("both"))
    assert (on.key, off.key) != (before["on"].request.key, before["off"].request.key)


def test_the_way_to_a_teacher_is_named_as_ever_unless_other_fields_are_sent():
    def way(**named: object) -> str:
        return recipe_from(tree("off", **named), "r").teachers["main"].transport()

    assert way() == "http://localhost:8000/v1#2702cce3"
    assert way(family="qwen3", server="vllm") == way()
    assert way(send_seed=False) != way()
    assert way(limit_field="max_completion_tokens") != way()


@pytest.mark.parametrize(
    ("model", "family"),
    [
        ("Qwen/Qwen3-8B", "qwen3"),
        ("qwen3:8b", "qwen3"),
        ("Qwen/Qwen3-235B-A22B-Thinking-2507", "qwen3-thinking"),
        ("Qwen3-30B-A3B-Instruct-2507", "qwen3-instruct"),
        ("deepseek-ai/DeepSeek-R1-0528", "deepseek-r1"),
        ("deepseek-ai/DeepSeek-R1-Distill-Qwen-32B", "deepseek-r1"),
        ("deepseek-ai/DeepSeek-V3.1", "deepseek-v3"),
        ("openai/gpt-oss-120b", "gpt-oss"),
        ("nvidia/Llama-3_3-Nemotron-Super-49B-v1", "nemotron-v1"),
        ("nvidia/Llama-3_3-Nemotron-Super-49B-v1_5", "nemotron-v1.5"),
        ("nvidia/NVIDIA-Nemotron-Nano-9B-v2", "nemotron-nano-v2"),
        ("nvidia/nemotron-3-nano-30b-a3b", "nemotron-3"),
        ("zai-org/GLM-4.5-Air", "glm-4.5"),
        ("ibm-granite/granite-3.3-8b-instruct", "granite-3"),
        ("mistralai/Magistral-Small-2507", "magistral"),
        ("Qwen/QwQ-32B", "qwq"),
        ("o3-mini", "openai-o"),
        ("openai/o4-mini", "openai-o"),
        ("gpt-5-mini", "gpt-5"),
        ("gpt-5.1", "gpt-5.1"),
        ("gpt-4o", None),
        ("meta-llama/Llama-3.1-8B-Instruct", None),
    ],
)
def test_a_family_is_known_by_the_name_of_a_model(model, family):
    assert TABLE.family_of(model) == family
