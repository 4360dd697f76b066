"""What an endpoint's reply, or its silence, means: one word, and what follows from it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from tracemill.models.wire import Raw

EVIDENCE_BYTES = 2000


@dataclass(frozen=True, slots=True)
class Meaning:
    """What follows from one kind of outcome."""

    final: bool = False
    """The same request would fare no better: it is not sent again."""
    attempt: bool = True
    """It counts as one of the teacher's attempts."""
    good: bool | None = False
    """What it says of the endpoint: it is well, it is not, or nothing."""
    stops: bool = False
    """No other request would fare better either: the run stops."""
    most: int | None = None
    """Attempts that end so before the request is given up, where that is fewer than the teacher's."""


MEANINGS: dict[str, Meaning] = {
    "reply": Meaning(final=True, good=True),
    "throttled": Meaning(attempt=False, good=True),
    "transient": Meaning(),
    "unreachable": Meaning(attempt=False),
    "connection": Meaning(),
    "partial": Meaning(good=None),
    "timeout": Meaning(),
    "malformed": Meaning(good=True, most=3),
    "oversize": Meaning(final=True, good=True),
    "refused": Meaning(final=True, good=True),
    "too_long": Meaning(final=True, good=True),
    "denied": Meaning(final=True, good=True),
    "fatal": Meaning(final=True, good=True, stops=True),
}
"""By kind. `unreachable`: no connection was made. `connection`: it broke before the first byte of a reply; `partial`:
after it. `malformed`: a 200 without an answer. `refused`: this request alone; `denied`: this one, or the account, which
the next requests tell; `fatal`: the account, the address or the model."""

THROTTLED = frozenset({429, 503, 529})
TRANSIENT = frozenset({408, 425})
"""And every status from 500 on."""
FATAL = frozenset({401, 402})

_MODERATED = re.compile(rb"moderat|flagged|content[_ ]?(?:policy|filter|management)|safety|responsible ?ai", re.I)
_TOO_LONG = re.compile(
    rb"context[_ ]length|maximum context|max_model_len|context (?:window|size)|too many tokens|too long|"
    rb"input tokens?|prompt tokens?|exceeds? the (?:maximum|available|model)",
    re.I,
)
_NO_MODEL = re.compile(
    rb"model[^.]{0,120}(?:not (?:exist|found|available|loaded)|does not exist|unknown|no such)", re.I
)
_NO_MODEL_FIRST = re.compile(rb"model_not_found|(?:not found|no such|unknown|invalid)[^.]{0,20}model", re.I)

_TAIL = re.compile(
    r"([-@:._](\d{4}-?\d\d-?\d\d|\d{4}|fp8|fp4|nvfp4|mxfp4|bf16|fp16|int[48]|[468]bit|awq|gptq|gguf|q\d\w*|latest|free))+"
)
"""What a server may add to a model's name without making another model of it."""


def kind_of(raw: Raw) -> str:
    """The kind of a whole response, by its status and for some by what its body says. "reply" for any 200."""
    status, body = raw.status, raw.body[:EVIDENCE_BYTES]
    if status == 200:
        return "reply"
    if status in THROTTLED:
        return "throttled"
    if status in TRANSIENT or status >= 500:
        return "transient"
    if status in FATAL:
        return "fatal"
    if status == 403:
        return "refused" if _MODERATED.search(body) else "denied"
    if status == 404:
        return "fatal" if _NO_MODEL.search(body) or _NO_MODEL_FIRST.search(body) else "denied"
    if 300 <= status < 400:
        return "denied"
    if status in (400, 413, 422) and _TOO_LONG.search(body):
        return "too_long"
    return "refused"


def said_by(raw: Raw) -> str:
    """What an endpoint said, as evidence."""
    told = f"HTTP {raw.status}"
    if raw.location:
        told += f" to {raw.location} (redirects are not followed)"
    return f"{told}: {raw.body[:EVIDENCE_BYTES].decode(errors='replace')}"


def same_model(asked: str, told: str, accepted: Sequence[str] = ()) -> bool:
    """Whether a reply's model is the one that was asked for: by name, by the last part of its path, without regard to
    case, or with a date or a quantisation after it ("gpt-4o" answers as "gpt-4o-2024-08-06").
    """
    if not told or told in accepted:
        return True
    wanted, got = (name.rstrip("/").rpartition("/")[2].casefold() for name in (asked, told))
    return got == wanted or (got.startswith(wanted) and bool(_TAIL.fullmatch(got[len(wanted) :])))
