r"""The record: a prompt, and the sample that a teacher's answer makes of it.

Records are values; a step returns a new one. One sample, as its fields read:

    uuid "6f1f...", category "math", reasoning "on", generator "deepseek-r1", language "en",
    messages (user "Weng earns $12 an hour ...", assistant reasoning "50 minutes is ..." content "... \boxed{10}"),
    expected "10", source "gsm8k", source_id "gsm8k-train-1"
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from operator import attrgetter
from typing import Any, Literal

Role = Literal["system", "user", "assistant", "tool"]
Reasoning = Literal["on", "off"]

ROLES: tuple[Role, ...] = ("system", "user", "assistant", "tool")
CATEGORIES = ("chat", "code", "math", "stem", "tool_calling")


@dataclass(frozen=True, slots=True)
class ToolCall:
    """One call that an assistant asks for."""

    id: str
    name: str
    arguments: str
    """JSON text, as on the wire and in v1; never parsed by the record."""
    type: str = "function"


@dataclass(frozen=True, slots=True)
class Message:
    """One turn. Trace and content are two fields, so that what touches one cannot touch the other."""

    role: Role
    content: str
    """What a reader sees; the only text that translation may touch. A null on disk reads as ""."""
    reasoning: str | None = None
    """The trace, without its tags. English, whatever the sample's language. None: no trace; "": an empty one."""
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = None
    """Of a tool's result: the call that it answers."""
    seam: tuple[str, str, str, str] | None = None
    """The white space (before the opening tag, after it, before the closing tag, after it) around an inline trace,
    where the text that this was read from has other than ours ("", "\\n", "\\n", "\\n\\n")."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """A question with what is needed to check its answer."""

    category: str
    """One of `CATEGORIES`."""
    messages: tuple[Message, ...]
    """What is known before the teacher speaks: usually one user turn."""
    expected: str | None = None
    """The answer that a right response ends in, or None where nobody knows it."""
    language: str = "en"
    tools: tuple[Mapping[str, Any], ...] = ()
    source: str = ""
    """Name of the corpus, e.g. "gsm8k"."""
    source_id: str = ""
    """The corpus's own id of the row, or FILE:LINE."""
    source_license: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    """What we carry and never read."""
    check: Mapping[str, Any] = field(default_factory=dict)
    """What the checks need besides `expected`, as plain JSON: "choices" by letter, "calls" that are wanted, the "world"
    that tools act on. Not part of the hash, and never sent."""
    hash: str = ""
    """Hex sha256 of what is asked (`identity.prompt_hash`): equal questions have equal hashes."""
    occurrence: int = 0
    """0 for the first prompt of its hash in input order, 1 for the next equal one, and so on."""
    given: Sample | None = None
    """The finished row that this was read from, where the input is rows: nobody is asked to answer it."""


@dataclass(frozen=True, slots=True)
class BadLine:
    """An input line that cannot be a prompt."""

    source: str
    where: str
    """FILE:LINE."""
    category: str
    language: str
    reason: str
    evidence: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one step found out about one sample."""

    step: str
    passed: bool
    evidence: str = ""


NO_TOKEN_COUNT = 2**40
"""A number as large as this counts no tokens: no reply has a billionth of it. Below it the prompts and the replies of four
million rows add up within 64 bits, which the columns and the sums of SQLite and Parquet have."""


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens as the endpoint counted them."""

    prompt_tokens: int
    completion_tokens: int


@dataclass(frozen=True, slots=True)
class Sample:
    """One row of a dataset."""

    uuid: str
    """Identity, stable across runs: derived from category, prompt key, reasoning mode and sample index."""
    category: str
    reasoning: Reasoning
    """Whether the teacher was asked to think. "on" rows hold a trace, "off" rows none."""
    messages: tuple[Message, ...]
    generator: str = ""
    """The model that answered, as the recipe names it."""
    license: str = ""
    """Licence of this row as released (SPDX id where there is one)."""
    version: str = ""
    """Version of the dataset, from the recipe."""
    language: str = "en"
    """ISO 639-1 code of every `content`."""
    domain: str = ""
    """What the row is about; the category, or for a translation its parent's category."""
    tools: tuple[Mapping[str, Any], ...] = ()
    """Declared tools as JSON schemas; v1 keeps them in `metadata.tools`."""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    """What we carry and never read. Plain JSON values."""
    source: str = ""
    source_id: str = ""
    source_license: str = ""
    parent: str | None = None
    """uuid of the row that this one was made from, e.g. the original of a translation."""
    prompt_key: str = ""
    """Hex; equal for all samples of one prompt."""
    sample_index: int = 0
    """Counts the samples of one prompt and reasoning mode, across teachers, from 0."""
    expected: str | None = None
    check: Mapping[str, Any] = field(default_factory=dict)
    """As in the prompt. Not a column: whoever checks a published row again brings it along."""
    finish_reason: str | None = None
    sampling: str = ""
    """JSON text of what the teacher was asked with: temperature, top_p, seed, max_tokens..."""
    requests: tuple[str, ...] = ()
    """Hex keys of the requests that this row comes from; the last one's reply is the row."""
    verdicts: tuple[Verdict, ...] = ()
    usage: Usage | None = None


_FIELDS = {field.name: place for place, field in enumerate(fields(Sample))}
_VALUES = attrgetter(*_FIELDS)


def changed(sample: Sample, **changes: Any) -> Sample:
    """The sample with other values for some fields: `dataclasses.replace` in half its time, which every row pays twice.

    Raises:
        KeyError: a sample has no such field.
    """
    values = list(_VALUES(sample))
    for name, value in changes.items():
        values[_FIELDS[name]] = value
    return Sample(*values)
