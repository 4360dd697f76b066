r"""The inline trace: `<think>` at the head of an assistant's text, as v1, v2 and most models write it.

    "<think>\n50 minutes is 5/6 of an hour.\n</think>\n\nShe earned \\boxed{10}."
    -> reasoning "50 minutes is 5/6 of an hour.", content "She earned \\boxed{10}.", seam None

Rules, each with a test:

- Only a text whose head, after optional white space, is `<think>` and that has a later `</think>` holds a trace.
- The trace ends at the first `</think>`. Tags after it stay in the content as they are.
- An unclosed `<think>` or a missing opening tag is no trace: the text stays content.
- An empty trace is "", not None.
- The canonical frame is `<think>\n{reasoning}\n</think>\n\n{content}`, and its seam is None. Any other white space
  around the tags is the seam: (before the opening tag, after it, before the closing tag, after it). White space that
  fills the whole trace counts as after the opening tag.

Laws: `join(*split(text)) == text` for every text, and `split(join(r, c, None)) == (r, c, None)` for every r without
`</think>`. White space is what `str.isspace` says. Cost: O(length of the text).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from tracemill.errors import LossyConversion

OPEN = "<think>"
CLOSE = "</think>"
TAGS = ((OPEN, CLOSE), ("[THINK]", "[/THINK]"), ("◁think▷", "◁/think▷"))
"""Around the trace of most families; of Magistral from 2507 on; of Kimi (its and SGLang's documentation)."""
CHANNEL = "<|channel|>"
SEGMENT = re.compile(
    r"<\|channel\|>\s*(\w+)([^<]*(?:<\|constrain\|>[^<]*)?)<\|message\|>(.*?)"
    r"(?=<\|(?:end|return|call|start|channel)\|>|\Z)",
    re.DOTALL,
)
BETWEEN = re.compile(r"<\|(?:end|return)\|>|<\|start\|>assistant")
GRANITE = re.compile(
    r"(?:Here is|Here's) my thought process:(.*?)(?:Here is|Here's) my response:(.*)", re.DOTALL | re.IGNORECASE
)
LINE = 200
"""Characters of a line that are looked at on either side of a tag."""
QUOTES = "`\"'“”‘’«»„"

Seam = tuple[str, str, str, str]


def split(text: str) -> tuple[str | None, str, Seam | None]:
    """The reasoning, content and seam of `text`; (None, text, None) where it holds no trace."""
    body = text.lstrip()
    end = body.find(CLOSE, len(OPEN)) if body.startswith(OPEN) else -1
    if end < 0:
        return None, text, None
    before = text[: len(text) - len(body)]
    inner, after = body[len(OPEN) : end], body[end + len(CLOSE) :]
    framed = len(inner) >= 2 and inner.startswith("\n") and inner.endswith("\n") and after.startswith("\n\n")
    if framed and not before:
        return inner[1:-1], after[2:], None
    headless, content = inner.lstrip(), after.lstrip()
    reasoning = headless.rstrip()
    seam = (
        before,
        inner[: len(inner) - len(headless)],
        headless[len(reasoning) :],
        after[: len(after) - len(content)],
    )
    return reasoning, content, seam


def join(reasoning: str | None, content: str, seam: Seam | None = None, *, checked: bool = False) -> str:
    """The text that `split` reads as exactly this reasoning, content and seam.

    Args:
        checked: Whether `check` has seen these parts already.
    Raises:
        LossyConversion: as `check`.
    """
    if not checked:
        check(reasoning, content, seam)
    if reasoning is None:
        return content
    before, opened, closing, after = ("", "\n", "\n", "\n\n") if seam is None else seam
    return f"{before}{OPEN}{opened}{reasoning}{closing}{CLOSE}{after}{content}"


def check(reasoning: str | None, content: str, seam: Seam | None = None) -> None:
    """See that `split` finds these parts in what `join` makes of them.

    Raises:
        LossyConversion: `split` would read something else; `field` says what is in the way. "reasoning": it holds
            `</think>`. "content": there is no reasoning, but the content reads as if it had some. "seam": there is no
            reasoning to put it around, or it is not what `split` finds around this reasoning and content.
    """
    if reasoning is None:
        if seam is not None:
            raise LossyConversion(f"the seam {seam!r} has no trace to go around; set it to None.", "seam")
        if split(content)[0] is not None:
            raise LossyConversion(
                f"there is no trace, but the content starts with {OPEN} ... {CLOSE} and would be read back as one;"
                " write layout v3, or move that part to the reasoning.",
                "content",
            )
        return
    if CLOSE in reasoning:
        raise LossyConversion(
            f"the trace holds {CLOSE} at character {reasoning.index(CLOSE)}, where an inline trace would end;"
            " write layout v3, or take the tag out of the trace.",
            "reasoning",
        )
    if seam is None:
        return
    found = split(join(reasoning, content, seam, checked=True))
    if found != (reasoning, content, seam):
        raise LossyConversion(
            f"the seam {seam!r} would be read back as {found[2]!r} with this reasoning and content;"
            " set it to None for the canonical frame.",
            "seam",
        )


def reply_split(text: str) -> tuple[str | None, str]:
    """The reasoning and content of a raw reply, both stripped; see `reply_parts`."""
    found = reply_parts(text)
    return found.reasoning, found.content


@dataclass(frozen=True, slots=True)
class Parts:
    """A raw reply, parted."""

    reasoning: str | None
    content: str
    mark: str | None = None
    """What parted them, e.g. "<think>", "</think> alone", "[THINK]"; None if nothing did."""


def reply_parts(text: str) -> Parts:
    """The trace and the answer in a raw reply, whichever family's marks stand around the trace.

    Unlike `split`, which reads what was published:

    - Other pairs of tags than <think> are known, the channels of harmony, and the two sentences of Granite 3.
    - A closing tag without an opening one ends a trace that begins with the text, as where the chat template has
      written the opening tag.
    - A tag that is only spoken of is no tag: quoted, in code, or inside a sentence (`_spoken_of`).
    - An unclosed opening tag is no trace: the reply was cut inside it.
    """
    body = text.strip()
    opened = [pair for pair in TAGS if body.startswith(pair[0])]
    for opening, closing in opened or TAGS:
        open_at_head = bool(opened)
        end = _end_of_trace(body, opening, closing, open_at_head)
        if end is not None:
            start = len(opening) if open_at_head else 0
            mark = opening if open_at_head else f"{closing} alone"
            return Parts(body[start:end].strip(), body[end + len(closing) :].strip(), mark)
    return _harmony(body) or _granite(body) or Parts(None, body)


def holds_trace(content: str) -> bool:
    """Whether what should be an answer begins as a trace does, or still holds the end of one."""
    head = content.lstrip()
    if head.startswith((*(opening for opening, _ in TAGS), CHANNEL)):
        return True
    return any(
        closing in content and _end_of_trace(head, opening, closing, False) is not None for opening, closing in TAGS
    )


def _end_of_trace(body: str, opening: str, closing: str, open_at_head: bool) -> int | None:
    """Where the closing tag stands that ends the trace at the head of `body`; None if there is no trace.

    The first that is not merely spoken of; behind an opening tag at the head, else the last of all. Without one, any
    other opening tag before it shows that the pair belongs to the answer.
    """
    places = _Places(body)
    last = None
    at = len(opening) if open_at_head else 0
    while (end := body.find(closing, at)) >= 0:
        if not open_at_head and any(
            not _spoken_of(places, found, len(opening)) for found in _finds(body, opening, at, end)
        ):
            return None
        if not _spoken_of(places, end, len(closing)):
            return end
        last, at = end, end + len(closing)
    return last if open_at_head else None


def _finds(body: str, what: str, start: int, end: int) -> Iterator[int]:
    while (start := body.find(what, start, end)) >= 0:
        yield start
        start += len(what)


class _Places:
    """Tells, for places that are asked in rising order, whether they lie inside a fence of code."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._seen = 0
        self._fences = 0

    def fenced(self, at: int) -> bool:
        if at < self._seen:
            self._seen = self._fences = 0
        self._fences += self.text.count("```", self._seen, at)
        self._seen = at
        return self._fences % 2 == 1


def _spoken_of(places: _Places, at: int, length: int) -> bool:
    """Whether the tag at `at` is a word of the text and marks nothing: in code, in quotes, or amid a sentence."""
    text = places.text
    before, after = text[max(0, at - LINE) : at], text[at + length : at + length + LINE]
    line_before, line_after = before[before.rfind("\n") + 1 :], after.partition("\n")[0]
    if line_before[-1:] in QUOTES and line_before and line_after[:1] in QUOTES and line_after:
        return True
    if line_before.count("`") % 2 == 1 and "`" in line_after:
        return True
    amid = line_before.strip() and line_before.endswith(" ")
    goes_on = line_after[:1] in (".", ",", ";", ":", "?", ")") or (line_after[:1] == " " and line_after[1:2].islower())
    return bool(amid and goes_on) or places.fenced(at)


def _harmony(body: str) -> Parts | None:
    """The channels of gpt-oss, as a server leaves them that does not know them; with or without their marks.

        <|channel|>analysis<|message|>Two and two.<|end|><|start|>assistant<|channel|>final<|message|>4
        analysisTwo and two.assistantfinal4

    Source: the harmony format (github.com/openai/harmony). A call of a tool is left as it is: it is no answer.
    """
    head = body.removeprefix("<|start|>assistant")
    if head.startswith(CHANNEL):
        said: dict[str, list[str]] = {"analysis": [], "final": [], "commentary": []}
        for name, rest, text in SEGMENT.findall(head):
            if name not in said or "to=" in rest:
                return None
            said[name].append(text.strip())
        if BETWEEN.sub("", SEGMENT.sub("", head)).strip() or not said["final"]:
            return None
        trace, answer = "\n\n".join(said["analysis"]), "\n\n".join([*said["commentary"], *said["final"]])
        return Parts(trace, answer, "harmony")
    if head.startswith("analysis") and "assistantfinal" in head:
        trace, _, answer = head.removeprefix("analysis").partition("assistantfinal")
        return Parts(trace.strip(), answer.strip(), "harmony without its marks")
    return None


def _granite(body: str) -> Parts | None:
    """The two sentences by which Granite 3 parts thought and response. Source: vLLM's parser of Granite."""
    found = GRANITE.fullmatch(body)
    return Parts(found[1].strip(), found[2].strip(), "Granite's sentences") if found else None
