"""Letters by script, from the blocks of Unicode."""

from __future__ import annotations

import re

SCRIPTS = {
    "Latn": "A-Za-z\u00aa\u00ba\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u024f\u1e00-\u1eff\uff21-\uff3a\uff41-\uff5a",
    "Grek": "\u0370-\u03ff\u1f00-\u1fff",
    "Cyrl": "\u0400-\u052f",
    "Armn": "\u0531-\u0587",
    "Geor": "\u10a0-\u10ff",
    "Hebr": "\u05d0-\u05ea",
    "Arab": "\u0620-\u064a\u066e-\u06d3\u06fa-\u06ff\u0750-\u077f\ufb50-\ufdff\ufe70-\ufefc",
    "Deva": "\u0900-\u0963\u0971-\u097f",
    "Beng": "\u0980-\u09e5",
    "Taml": "\u0b80-\u0be5",
    "Telu": "\u0c00-\u0c65",
    "Ethi": "\u1200-\u137f",
    "Thai": "\u0e01-\u0e3a\u0e40-\u0e4e",
    "Hang": "\u1100-\u11ff\u3131-\u318e\uac00-\ud7a3",
    "Hira": "\u3041-\u309f",
    "Kana": "\u30a1-\u30fa\u30fc-\u30ff\u31f0-\u31ff\uff66-\uff9f",
    "Hani": "\u3005-\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff",
}
"""Letters of each script by its ISO 15924 code, as the inside of a character class, from the blocks of Unicode.
Ideographs are one script, whichever language writes them."""

LETTERS = {name: re.compile(f"[{ranges}]") for name, ranges in SCRIPTS.items()}
BEYOND_LATIN = re.compile(
    "[^\x00-\u024f\u1e00-\u1eff\u2000-\u2fff\u3000-\u3004\u3008-\u3030\ufe00-\ufe0f\uff00-\uff5e\U0001f000-\U0001faff]"
)
"""A character outside of Latin letters, punctuation and signs; without one, no other script need be looked for."""


def letters(text: str) -> dict[str, str]:
    """The letters of `text` by script; scripts without one are left out."""
    found = {name: "".join(pattern.findall(text)) for name, pattern in LETTERS.items()}
    return {name: held for name, held in found.items() if held}


def only_latin(text: str) -> bool:
    """Whether `text` holds no letters but Latin ones."""
    return text.isascii() or BEYOND_LATIN.search(text) is None
