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

from tracemill.errors import LossyConversion

OPEN = "<think>"
CLOSE = "</think>"

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


def join(reasoning: str | None, content: str, seam: Seam | None = None) -> str:
    """The text that `split` reads as exactly this reasoning, content and seam.

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
        return content
    if CLOSE in reasoning:
        raise LossyConversion(
            f"the trace holds {CLOSE} at character {reasoning.index(CLOSE)}, where an inline trace would end;"
            " write layout v3, or take the tag out of the trace.",
            "reasoning",
        )
    before, opened, closing, after = ("", "\n", "\n", "\n\n") if seam is None else seam
    text = f"{before}{OPEN}{opened}{reasoning}{closing}{CLOSE}{after}{content}"
    if seam is not None and split(text) != (reasoning, content, seam):
        raise LossyConversion(
            f"the seam {seam!r} would be read back as {split(text)[2]!r} with this reasoning and content;"
            " set it to None for the canonical frame.",
            "seam",
        )
    return text


def reply_split(text: str) -> tuple[str | None, str]:
    """The reasoning and content of a raw reply to a request that asked for a trace.

    Like `split`, with two differences. A text with `</think>` and no opening tag at its head starts inside its
    trace, as replies of the first DeepSeek-R1 do: all before the first `</think>` is the trace. And both parts are
    stripped. An unclosed `<think>` is still no trace: the reply was cut inside it.
    """
    reasoning, content, _ = split(text)
    if reasoning is None and CLOSE in text:
        reasoning, _, content = text.partition(CLOSE)
    return (None if reasoning is None else reasoning.strip()), content.strip()
