"""Checks of what texts say: whose model speaks, in which script, how the answer ends, and what the prompt asks for."""

from __future__ import annotations

import re

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tracemill.inspect.block import Block, Ints, Texts, as_array
from tracemill.legible import one_line

MAKERS = (
    "Qwen|Tongyi|Alibaba|DeepSeek|OpenAI|ChatGPT|GPT-[345]|Anthropic|Claude|Gemini|Google|Meta AI|Llama|LLaMA|Mistral|"
    "Moonshot|Kimi|Zhipu|ChatGLM|Baidu|ERNIE|Yi-|01\\.AI|MiniMax|Cohere|xAI|Grok|Microsoft|NVIDIA|通义|阿里|深度求索"
)
_LEAK = re.compile(
    rf"(?:\b(?:I am|I['’]m|my name is|call me|ich bin|ich heiße|mein Name ist|je suis|je m['’]appelle|"
    rf"mon nom est|soy|me llamo|mi nombre es|sono|mi chiamo|il mio nome è|eu sou)|私は|我是|我叫)\s*"
    rf"(?:,?\s*(?:an? |the |ein |une? |un |una )?(?:AI |large |language |virtual |helpful )*(?:model|assistant|chatbot)?,?\s*"
    rf"(?:called |named )?)(?:{MAKERS})"
    rf"|\b(?:I was|I am|I['’]m|I['’]ve been|as an? (?:AI|large|language|virtual))\b[^.!?\n]{{0,40}}?"
    rf"\b(?:trained|created|developed|made|built|designed)"
    rf"\s+(?:by|at)\s+(?:the\s+)?(?:\w+\s+)?(?:{MAKERS})",
    re.IGNORECASE,
)
"""A speaker who names a maker of models as itself or as its own maker."""

SCRIPT_SHARE = 0.05
"""Of an answer's characters; the share at which SFT-Collection drops a row."""
ASKED_IN_SCRIPT = 3
"""So many such characters in a prompt, among whatever code, and an answer in them is no surprise."""
OWN_SCRIPT = ("ja", "zh", "ko")
"""Languages that are written in these scripts."""
_CJK = re.compile("[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff]")

_OPEN_END = re.compile(
    r"(?:[,(\[{]|\b(?:the|an|of|and|or|because|which|der|das|und|mit|les|des|du|que|los|las|gli|che))$"
)
"""How no sentence ends."""

_ASKED = (
    "(?i)at least|at most|no more than|fewer than|less than|more than|exactly|lowercase|lower case|capital|uppercase"
)
_UNITS = r"(words?|sentences?|paragraphs?|bullet points?)"
_LEAST = re.compile(rf"(?:at least|no fewer than|not less than|more than)\s+(\d+)\s+{_UNITS}", re.IGNORECASE)
_MOST = re.compile(rf"(?:at most|no more than|fewer than|less than|under|not exceed)\s+(\d+)\s+{_UNITS}", re.IGNORECASE)
_EXACT = re.compile(rf"exactly\s+(\d+)\s+{_UNITS}", re.IGNORECASE)
_LOWER = re.compile(r"(?:all|only|entirely)\s+(?:in\s+)?lower\s?case|in all lower\s?case", re.IGNORECASE)
_UPPER = re.compile(
    r"(?:all|only|entirely)\s+(?:in\s+)?(?:upper\s?case|capital letters|capitals)|in all (?:caps|capital)",
    re.IGNORECASE,
)


def identities(block: Block) -> dict[int, str]:
    """Who the answer says it is, by row."""
    named = pc.match_substring_regex(_array(block.answers), f"(?i){MAKERS}")
    found = {}
    for row in np.flatnonzero(named.to_numpy(zero_copy_only=False)).tolist():
        answer = block.answers[row].decode(errors="replace")
        if match := _LEAK.search(answer):
            found[row] = one_line(match[0], 120)
    return found


def scripts(block: Block, languages: list[str]) -> dict[int, str]:
    """Answers in Chinese, Japanese or Korean, of rows that are in none of them and whose prompt has none."""
    answers = block.answers
    if answers.ascii:
        return {}
    leads = np.flatnonzero((answers.data >= 0xE3) & (answers.data <= 0xED))
    counts = np.bincount(answers.owners(leads), minlength=answers.count) if len(leads) else np.zeros(answers.count)
    found = {}
    for row in np.flatnonzero(counts * 3 >= SCRIPT_SHARE * answers.sizes).tolist():
        if not counts[row] or languages[row] in OWN_SCRIPT:
            continue
        answer = answers[row].decode(errors="replace")
        held = _CJK.findall(answer)
        prompt = block.prompts[row].decode(errors="replace")
        if len(held) >= SCRIPT_SHARE * len(answer) and len(_CJK.findall(prompt)) < ASKED_IN_SCRIPT:
            found[row] = f"{len(held)} of {len(answer)} characters: {''.join(held[:20])}"
    return found


def truncated(block: Block) -> dict[int, str]:
    """Answers that were cut off, and how one can tell."""
    answers, found = block.answers, {}
    runs = answers.find(b"```", answers.places(b"`"))
    fenced = np.unique(answers.owners(runs)).tolist() if len(runs) else []
    for row in fenced:
        answer = answers[row].decode(errors="replace")
        if len(re.findall(r"^[ \t]*```", answer, re.MULTILINE)) % 2:
            found[row] = "an open code block"
    for row in np.flatnonzero(pc.equal(block.texts("finish_reason"), "length").fill_null(False)).tolist():
        found.setdefault(row, "finish_reason is length")
    ends = answers.ends[1:] - 1
    last = answers.data[np.maximum(ends, 0)] if len(answers.data) else np.zeros(answers.count, np.uint8)
    letters = ((last | 32) >= ord("a")) & ((last | 32) <= ord("z"))
    open_ended = letters | np.isin(last, np.frombuffer(b",([{ \n\t\r", np.uint8))
    for row in np.flatnonzero(open_ended & (answers.sizes >= 40)).tolist():
        tail = answers[row][-120:].decode(errors="replace").rstrip()
        if row not in found and (match := _OPEN_END.search(tail)):
            found[row] = f"ends in {match[0]!r}"
    boxed = answers.find(b"\\boxed{", answers.places(b"\\"))
    for row in np.unique(answers.owners(boxed)).tolist() if len(boxed) else []:
        after = answers[row].rpartition(b"\\boxed{")[2]
        if row not in found and b"}" not in after:
            found[row] = "an open \\boxed{"
    return found


def contradictions(block: Block) -> dict[int, str]:
    """Prompts that ask for more than at most, for two exact numbers, or for both cases of letters."""
    asked = pc.match_substring_regex(_array(block.prompts), _ASKED)
    found = {}
    for row in np.flatnonzero(asked.to_numpy(zero_copy_only=False)).tolist():
        if evidence := contradiction(block.prompts[row].decode(errors="replace")):
            found[row] = evidence
    return found


def contradiction(prompt: str) -> str | None:
    """Which two demands of a prompt exclude one another, or None."""
    least = {unit.lower().rstrip("s"): int(n[:9]) for n, unit in _LEAST.findall(prompt)}
    most = {unit.lower().rstrip("s"): int(n[:9]) for n, unit in _MOST.findall(prompt)}
    for unit, number in least.items():
        if unit in most and most[unit] < number:
            return f"at least {number} and at most {most[unit]} {unit}s"
    exact: dict[str, int] = {}
    for n, unit in _EXACT.findall(prompt):
        name, number = unit.lower().rstrip("s"), int(n[:9])
        low, high = least.get(name, number), most.get(name, number)
        if exact.setdefault(name, number) != number:
            return f"exactly {exact[name]} and exactly {number} {name}s"
        if not low <= number <= high:
            return f"exactly {number} {name}s, and at least {low} or at most {high}"
    if _LOWER.search(prompt) and _UPPER.search(prompt):
        return "all in lower case and all in capitals"
    return None


def damaged(block: Block) -> Ints:
    """Rows with NUL or U+FFFD in a message."""
    content = block.content
    nul = content.places(b"\0")
    lost = nul[:0] if content.ascii else content.find("\ufffd".encode(), content.places(b"\xef"))
    places = np.concatenate([nul, lost])
    return np.unique(block.row_of[content.owners(places)]) if len(places) else nul[:0]


def _array(texts: Texts) -> pa.Array:
    return as_array(texts.raw, np.asarray(texts.ends, np.int32), pa.string())
