"""Hypothesis strategies for records, for tests of ours and of yours. Needs `hypothesis`, which is in the extra `dev`.

    @given(samples())
    def test_a_step_keeps_the_uuid(sample): ...

Texts are nasty on purpose: tags that are missing, repeated, nested, empty or unclosed, in any role; white space of
every kind; several scripts. They hold no NUL and no lone surrogate. What is drawn can be written to every layout that
has a place for it: an assistant's trace never holds `</think>`, and content without a trace does not read as one.
"""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from tracemill import identity, think
from tracemill.record import CATEGORIES, ROLES, Message, Prompt, Role, Sample, ToolCall, Usage, Verdict

_PIECES = (
    *("<think>", "</think>", "<think>\n", "\n</think>\n\n", "<think></think>", "<think>\n\n</think>\n\n", "<Think>"),
    *("<thi", "nk>", "</", "<", ">", "think"),
    *("\n", "\n\n", " ", "\t", "\r\n", "\u00a0", "\u2028", "\u3000", "\x1c", "\ufeff", "\u200b"),
    *("a", "0", "\\boxed{10}", "{", '"', "\\", "-", "né", "e\u0301", "解く", "한국어", "שלום", "🧮", "```"),
)
_LABELS = st.sampled_from(["", "gsm8k", "deepseek-r1", "cc-by-4.0", "DeepSeek-R1, Qwen-2.5-72B", "né"])
_SPACES = st.text(st.sampled_from(" \n\t\u3000"), max_size=2)
_LANGUAGES = st.sampled_from(["en", "de", "es", "fr", "it", "ja"])

_Parts = tuple[str | None, str, think.Seam | None]


def texts() -> st.SearchStrategy[str]:
    """Texts of tags, halves of tags, white space and some of everything else."""
    pieces = st.lists(st.sampled_from(_PIECES), max_size=10).map("".join)
    return pieces | st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12)


def json_objects() -> st.SearchStrategy[dict[str, Any]]:
    """JSON objects as `metadata` may hold them, of values that JSON gives back unchanged."""
    scalars = (
        st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)
    )
    values = st.recursive(
        scalars | texts(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts(), inner, max_size=3),
        max_leaves=6,
    )
    return st.dictionaries(st.sampled_from(["index", "split", "conversation_id"]) | texts(), values, max_size=4)


def messages(roles: tuple[Role, ...] = ROLES, *, tools: bool = True, traces: bool = True) -> st.SearchStrategy[Message]:
    """One message of one of `roles`; without `tools` no calls nor call ids, without `traces` no reasoning nor seam."""
    return st.sampled_from(roles).flatmap(lambda role: _message(role, tools, traces))


def prompts() -> st.SearchStrategy[Prompt]:
    """Prompts whose hash is that of what they ask."""
    return st.builds(
        _prompt,
        category=st.sampled_from(CATEGORIES),
        messages=st.lists(messages(("system", "user"), tools=False), min_size=1, max_size=3).map(tuple),
        expected=st.none() | texts(),
        language=_LANGUAGES,
        tools=_tools(),
        source=_LABELS,
        source_id=texts(),
        source_license=_LABELS,
        metadata=json_objects(),
        occurrence=st.integers(0, 3),
    )


def samples(*, tools: bool = True) -> st.SearchStrategy[Sample]:
    """Samples with every field filled in some of them; without `tools`, conversations that v2 can hold."""
    return st.builds(
        Sample,
        uuid=st.uuids().map(str),
        category=st.sampled_from(CATEGORIES) | _LANGUAGES.map("multilingual_{}".format),
        reasoning=st.sampled_from(["on", "off"]),
        messages=st.lists(messages(tools=tools), max_size=5).map(tuple),
        generator=_LABELS,
        license=_LABELS,
        version=_LABELS,
        language=_LANGUAGES,
        domain=st.sampled_from(["", *CATEGORIES]),
        tools=_tools() if tools else st.just(()),
        metadata=json_objects(),
        source=_LABELS,
        source_id=texts(),
        source_license=_LABELS,
        parent=st.none() | st.uuids().map(str),
        prompt_key=st.sampled_from(["", "0" * 64]),
        sample_index=st.integers(0, 2**31 - 1),
        expected=st.none() | texts(),
        finish_reason=st.none() | st.sampled_from(["stop", "length", "tool_calls"]),
        sampling=st.sampled_from(["", '{"temperature":0.6,"top_p":0.95}']),
        requests=st.lists(st.sampled_from(["a" * 64, "b" * 64]), max_size=3).map(tuple),
        verdicts=st.lists(st.builds(Verdict, texts(), st.booleans(), texts()), max_size=3).map(tuple),
        usage=st.none() | st.builds(Usage, st.integers(0, 2**63 - 1), st.integers(0, 2**63 - 1)),
    )


def _message(role: Role, tools: bool, traces: bool) -> st.SearchStrategy[Message]:
    calls = st.builds(ToolCall, texts(), texts(), st.sampled_from(["", "{}", '{"x": 1}']) | texts(), texts())
    call_lists = st.lists(calls, max_size=2).map(tuple) if tools and role == "assistant" else st.just(())
    call_ids = st.none() | texts() if tools and role == "tool" else st.none()
    if role != "assistant":
        return st.builds(Message, st.just(role), texts(), tool_calls=call_lists, tool_call_id=call_ids)
    parts: st.SearchStrategy[_Parts] = texts().filter(lambda text: think.split(text)[0] is None).map(think.split)
    if traces:
        traces_without_tag = texts().map(lambda text: text.replace(think.CLOSE, ""))
        framed = st.tuples(traces_without_tag.filter(lambda text: think.CLOSE not in text), texts(), st.none())
        spaced = st.builds("{}<think>{}</think>{}".format, _SPACES, texts(), texts()).map(think.split)
        parts = parts | framed | spaced
    return st.builds(
        lambda part, calls: Message("assistant", part[1], part[0], calls, None, part[2]), parts, call_lists
    )


def _tools() -> st.SearchStrategy[tuple[dict[str, Any], ...]]:
    functions = st.builds(lambda name, schema: {"name": name, "parameters": schema}, texts(), json_objects())
    return st.lists(functions.map(lambda f: {"type": "function", "function": f}), max_size=2).map(tuple)


def _prompt(**fields: Any) -> Prompt:
    return Prompt(**fields, hash=identity.prompt_hash(fields["messages"], fields["tools"]))
