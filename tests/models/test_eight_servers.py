"""Eight kinds of servers, fifty cases each, over HTTP: a trace is found or its absence told, on and off are obeyed or told.

`pytest -s` prints the figures.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, replace

import pytest

from tracemill import identity
from tracemill.errors import RecipeError
from tracemill.models.replies import read_reply
from tracemill.models.teachers import open_pools
from tracemill.recipe_file import recipe_from
from tracemill.record import Message, Prompt, Sample
from tracemill.respond.answer import Questions, with_reply
from tracemill.respond.templates import load_templates
from tracemill.testing import Emulated, ScriptedServer
from tracemill.testing.emulated import KINDS, EmulatedAnswers
from tracemill.verify.complete import Complete

BOX = "It is \\boxed{4}."
QUOTED = f"Close it with `</think>`, after `<think>`. {BOX}"
PROSE = f"The </think> tag ends a thought, as [/THINK] does. {BOX}"
FENCED = f"In a template:\n```\nfirst\n</think>\n```\n{BOX}"
PAIR = f"For example <think>a</think> is a thought. {BOX}"
SPOKEN = "Shall I write `</think>` here? No: two and two make four."
LINES = "First I add.\n\nThen I look at <think> and go on.\nTwo and two make four."


@dataclass(frozen=True)
class Case:
    family: str
    """In the recipe."""
    mode: str = "on"
    model: Emulated | None = None
    """What is served; by default the family itself."""
    effort: str | None = None

    @property
    def served(self) -> Emulated:
        return self.model or Emulated(self.family)


def raw(family: str, **more: str) -> Case:
    """The family, on a server without a parser for it."""
    return Case(family.removesuffix("-0528").removesuffix("-unmarked"), model=Emulated(family, "raw", **more))


def off(family: str, **more: object) -> Case:
    return Case(family, "off", Emulated(family, **more))


def on(family: str, **more: object) -> Case:
    return Case(family, "on", Emulated(family, **more))


SHOWN = """deepseek-r1 deepseek-v3 qwen3 qwen3-thinking gpt-oss nemotron-v1 nemotron-v1.5 nemotron-nano-v2 nemotron-3
glm-4.5 granite-3 magistral kimi-k2-thinking""".split()
SWITCHED = "deepseek-v3 qwen3 nemotron-v1 nemotron-v1.5 nemotron-nano-v2 nemotron-3 glm-4.5 granite-3".split()
CASES = [
    *(Case(family) for family in SHOWN),
    *(off(family) for family in [*SWITCHED, "qwen3-instruct", "openai-o", "gpt-5.1", "plain"]),
    *(Case("gpt-oss", effort=level) for level in ("low", "high")),
    *(raw(f) for f in "deepseek-r1 deepseek-r1-0528 qwen3-thinking gpt-oss gpt-oss-unmarked granite-3".split()),
    *(raw(f) for f in "magistral kimi-k2-thinking".split()),
    Case("deepseek-r1", "off"),
    Case("openai-o", "on"),
    on("qwen3", obeys=False),
    off("qwen3", obeys=False),
    replace(raw("nemotron-v1.5"), mode="off", model=Emulated("nemotron-v1.5", "raw", obeys=False)),
    off("qwen3", form="swapped"),
    on("magistral", form="parts"),
    on("qwen3", form="blank"),
    on("glm-4.5", form="details"),
    raw("qwen3-thinking", answer=QUOTED),
    raw("qwen3-thinking", trace=LINES, answer=PAIR),
    raw("qwq", trace=SPOKEN),
    off("qwen3", answer=QUOTED),
    off("nemotron-v1", answer=PROSE),
    off("plain", answer=PAIR),
]  # fmt: skip


@dataclass(frozen=True)
class Outcome:
    case: Case
    word: str
    """found, obeyed, or what was told instead."""
    right: bool
    text: str = ""


def recipe_of(case: Case, server: str | None, url: str, name: str):
    teacher = {"url": url, "model": name, "timeout": 20}
    if server is not None:
        teacher |= {"family": case.family, "server": server}
        teacher |= {"effort": case.effort} if case.effort else {}
    tree = {
        "name": "eight",
        "license": "MIT",
        "prompts": {"path": "none.jsonl"},
        "teachers": {"main": teacher},
        "respond": {"reasoning": case.mode},
    }
    return recipe_from(tree, "eight.yaml")


async def ask(recipe) -> tuple[int, Sample | None, object]:
    """The status; with a 200, the sample and what `Complete` makes of it."""
    messages = (Message("user", "What is 2 + 2?"),)
    prompt = Prompt("math", messages, hash=identity.prompt_hash(messages))
    question = next(Questions(recipe, load_templates(recipe)).of(prompt))
    sender = open_pools(recipe)["main"].lanes[0].sender
    try:
        came = await sender.send(question.request)
    finally:
        await sender.close()
    if came.status != 200:
        return came.status, None, came.body
    sample = with_reply(question.unanswered, read_reply(question.request, came.body))
    return 200, sample, await Complete()(sample)


def judged(case: Case, status: int, sample: Sample | None, result: object, truth) -> Outcome:
    """An outcome is right if a kept row is what the model said, and a dropped one had to be."""
    said = case.served
    if status != 200:
        return Outcome(case, f"HTTP {status}", False, str(result))
    if isinstance(result, Sample):
        turn = result.messages[-1]
        trace = said.trace if case.mode == "on" else None
        word = "found" if case.mode == "on" else "obeyed"
        return Outcome(case, word, (turn.reasoning, turn.content) == (trace, said.answer), str(turn))
    lost = {
        "trace_missing": case.mode == "on" and not truth.shown,
        "trace_leaked": case.mode == "off" and (truth.shown or said.form == "swapped"),
        "trace_ambiguous": "</think>" in said.trace,
    }
    return Outcome(case, f"told: {result.reason}", lost.get(result.reason, False), result.evidence)


async def outcomes(kind: str, dialect: str | None) -> list[Outcome]:
    """What comes of each case on one kind of server, asked in the dialect of one, or in none."""
    served = {f"m{number}": case.served for number, case in enumerate(CASES)}
    out = []
    script = EmulatedAnswers(kind, served)
    with ScriptedServer(script) as server:
        for name, case in zip(served, CASES, strict=True):
            try:
                recipe = recipe_of(case, dialect, server.url, name)
            except RecipeError as refused:
                out.append(Outcome(case, "told before asking", refusal_is_due(case, dialect), str(refused)))
                continue
            answered = await ask(recipe)
            out.append(judged(case, *answered, script.truths.get(name)))
        assert server.errors == []
    return out


def refusal_is_due(case: Case, dialect: str | None) -> bool:
    """Whether nothing could come of it: the model cannot, or the server shows no trace or passes no switch on."""
    cannot = (case.family, case.mode) in {("deepseek-r1", "off"), ("openai-o", "on")}
    by_template = case.family in SWITCHED and not case.family.startswith("nemotron-v") and "nano" not in case.family
    return cannot or (dialect == "openai" and (case.mode == "on" or by_template))


def test_there_are_eight_servers_and_fifty_cases():
    assert (len(KINDS), len(CASES)) == (8, 50)
    assert len({repr(case) for case in CASES}) == 50


@pytest.mark.parametrize("kind", KINDS)
def test_a_trace_is_found_or_told_missing_and_on_and_off_are_obeyed_or_told(kind):
    done = asyncio.run(outcomes(kind, dialect=kind))
    counts = Counter(outcome.word for outcome in done)
    print(f"\n{kind:11}", "  ".join(f"{word} {count}" for word, count in sorted(counts.items())))
    assert [(o.case, o.word, o.text) for o in done if not o.right] == []
    assert len(done) == 50
    if kind != "openai":
        assert counts["found"] >= 28
        assert counts["obeyed"] >= 13


@pytest.mark.parametrize("dialect", [None, "vllm", "ollama", "openrouter"])
def test_asked_in_a_wrong_dialect_or_in_none_a_row_is_right_or_dropped(dialect):
    counts = Counter()
    for kind in KINDS:
        for outcome in asyncio.run(outcomes(kind, dialect)):
            assert outcome.right or outcome.word == "HTTP 400", outcome
            counts[outcome.word] += 1
    print(f"\n{dialect or 'no dialect':11}", "  ".join(f"{word} {count}" for word, count in sorted(counts.items())))
    assert counts.total() == 400
    assert counts["told: trace_leaked"] > 24, "a wrong switch shows"
