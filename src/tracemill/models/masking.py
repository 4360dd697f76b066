r"""What a server repeats of our secrets is masked before anything else sees it, however it is spelled.

    {"error": "bad key sk\u002dlive%2D0123"}  ->  {"error": "bad key ***"}

A value may come back as it is; with JSON's escapes, once or several times over; with those of URLs and of HTML; without
the scheme word before it ("Bearer"); or, from `Basic`, decoded. It may also come in pieces, as parts of one content.
What a server encrypts or spells backwards cannot be known.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable
from typing import Any

import orjson

from tracemill.recipe.secrets import SHORTEST_SECRET

MASK = "***"
ESCAPES = re.compile(rb"\\(?:u00|x)[2-7]|%[2-7][0-9A-Fa-f]|&#|&[a-z]+;")
"""Without one of these, all of ASCII's letters and digits stand for themselves."""
_NAMED = {"&": "amp", "<": "lt", ">": "gt", '"': "quot", "'": "apos"}


class Mask:
    """Hides the given secrets. Those shorter than `SHORTEST_SECRET` are not hidden: they are no secrets."""

    def __init__(self, secrets: Iterable[str]) -> None:
        known = {part for secret in secrets for part in _parts(secret) if len(part) >= SHORTEST_SECRET}
        ordered = sorted(known, key=lambda text: (-len(text), text))  # the whole before a part of it
        pattern = "|".join("".join(map(_spellings, text)) for text in ordered)
        self._plain = [text.encode() for text in ordered]
        self._always = not all(text.replace("-", "").replace("_", "").isalnum() for text in ordered)
        self._text = re.compile(pattern) if ordered else None
        self._bytes = re.compile(pattern.encode()) if ordered else None

    def text(self, text: str) -> str:
        """`text` without a secret."""
        return self._text.sub(MASK, text) if self._text else text

    def body(self, data: bytes) -> bytes:
        """The bytes of a reply without a secret; JSON stays JSON. Without one in it, `data` itself."""
        if self._bytes is None:
            return data
        if self._always or any(text in data for text in self._plain) or ESCAPES.search(data):
            data = self._bytes.sub(MASK.encode(), data)
        try:
            return self._joined(data) if b'"text"' in data else data
        except RecursionError:  # nothing that we read as an answer nests so deep
            return data

    def _joined(self, data: bytes) -> bytes:
        """Parts of a content are read as one text: a secret in several of them is masked as if they were."""
        try:
            told = orjson.loads(data)
        except orjson.JSONDecodeError:
            return data
        return orjson.dumps(told) if self._mask_parts(told) else data

    def _mask_parts(self, value: Any) -> bool:
        """Whether parts had to be masked, in place, anywhere in `value`."""
        inner = list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else []
        changed = [self._mask_parts(held) for held in inner]
        parts = [p for p in inner if isinstance(p, dict) and isinstance(p.get("text"), str)]
        whole = "".join(part["text"] for part in parts)
        if isinstance(value, list) and len(parts) > 1 and (masked := self.text(whole)) != whole:
            for part in parts:
                part["text"] = ""
            parts[0]["text"] = masked
            return True
        return any(changed)


def _parts(secret: str) -> set[str]:
    """A secret, what stands in it beside a scheme word or a cookie's name, and what base64 hides in that."""
    found = {secret, secret.strip()}
    found |= {part for part in re.split(r"[\s;,=]+", secret) if any(c.isdigit() for c in part)}
    for part in re.split(r"\s+", secret):
        try:
            opened = base64.b64decode(part, validate=True).decode("ascii")
        except (binascii.Error, ValueError):
            continue
        _, colon, word = opened.partition(":")
        if colon and opened.isprintable():
            found |= {opened, word}
    return found


def _spellings(character: str) -> str:
    """A pattern of all the ways in which one character of ASCII may be written."""
    code = ord(character)
    plain = r"\\+" if character == "\\" else rf"\\*{re.escape(character)}"
    if character.isalnum():
        plain = character  # a backslash before a letter makes something else of it
    named = f"|&{_NAMED[character]};" if character in _NAMED else ""
    return rf"(?:{plain}|(?i:\\+u00{code:02x}|\\+x{code:02x}|%{code:02x}|&#0*{code};|&#x0*{code:x};{named}))"
