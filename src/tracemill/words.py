"""The words of a text, as texts are compared: letters and digits in lower case, whatever stands between them.

Chinese and Japanese are written without spaces, so each of their characters is a word of its own.
"""

from __future__ import annotations

import re

CJK = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
"""Chinese and Japanese characters, as they stand in a class of a regular expression."""
RUN = 13
"""Words of a run, as in GPT-3's report (Brown et al. 2020, appendix C) and most later ones."""
_WORD = re.compile(rf"[{CJK}]|[^\W{CJK}]+")


def words_of(text: str) -> list[str]:
    """The words of a text, in order."""
    return _WORD.findall(text.replace("İ", "i").lower())  # Python makes two characters of this one letter
