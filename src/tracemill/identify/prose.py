"""The prose of a text: what is left when formulas, code, addresses and names of things are taken out.

Language identification on formal text misfires: fastText, asked about mathematics full of LaTeX, calls it Icelandic, and a
list in JSON Croatian. So whoever judges a text judges this. It is a rough cut and may lose a few words of prose; what is
sent to a translator is cut by `segments`, which loses none.
"""

from __future__ import annotations

import re

_FENCE = re.compile(r"^[ \t]*+(`{3,}|~{3,})[^\n]*+\n.*?(?:^[ \t]*\1[`~]*[ \t]*$|\Z)", re.DOTALL | re.MULTILINE)
_FORMULA = re.compile(
    r"\\begin\{([A-Za-z]{1,20}\*?)\}.{0,4000}?\\end\{\1\}"
    r"|\$\$.{0,4000}?\$\$|\\\[.{0,4000}?\\\]|\\\(.{0,1000}?\\\)"
    r"|(?<![\\$\w])\$(?![\s\d,.]+[\s\w])[^$\n]{1,400}?\$(?!\d)"
    r"|\\[A-Za-z]++\*?(?:\s?\{[^{}\n]*+(?:\{[^{}\n]*+\}[^{}\n]*+)*+\})*+",
    re.DOTALL,
)
"""LaTeX: environments, displays, inline spans (amounts such as $5 and $7 are none), commands with their arguments."""
_SPAN = re.compile(r"`[^`\n]++`|</?[A-Za-z][^<>\n]{0,200}>|[〘⟦][^〙⟧\n]{0,40}[〙⟧]")
_WORD = re.compile(
    r"(?<![!-~])[!-.0-;?A-Z\[\]`a-z]*+[/<=>@\\^_{|}~][!-~]*+"  # an address, path, identifier or formula
    r"|\b[a-z]++(?:[A-Z][a-z0-9]*+)++\b|\b[\w-]++\.(?:py|js|md|txt|csv|json|html|org|com|net)\b"
)
"""Words that are none: runs of ASCII with a sign that prose has not, names in camel case, and names of files."""
_CODE_BEGINS = re.compile(
    r"(?:import|from|def|class|return|for|while|if|else|elif|try|except|print|public|private|static|void|const|let|var|"
    r"function|#include|using|namespace|int|float|double|SELECT|INSERT|assert)\b"
)
_CODE_SIGN = re.compile(r"[(){}\[\]=<>;]|:$")
_KEY = re.compile(r"[\"'][^\"'\n]{0,60}[\"']\s*:")


def prose(text: str, most: int = 1000) -> str:
    """What of `text` is prose, on one line, at most `most` characters of it, cut between words.

    Fenced code, LaTeX, inline code, addresses, tags, placeholders, identifiers, paths, JSON and lines of code are left
    out. No more than the first 20 times `most` characters are read.
    """
    kept = text[: 20 * most]
    if "```" in kept or "~~~" in kept:
        kept = _FENCE.sub("\n", kept)
    if "\\" in kept or "$" in kept:
        kept = _FORMULA.sub(" ", kept)
    kept = "\n".join(line for line in kept.split("\n") if not _is_code(line.strip()))
    kept = _WORD.sub(" ", _SPAN.sub(" ", kept[: 3 * most]))
    kept = " ".join(kept.split())
    if len(kept) <= most:
        return kept
    cut = kept.rfind(" ", most - 40, most)
    return kept[: cut if cut > 0 else most]


def _is_code(line: str) -> bool:
    """Whether a line outside of fences is code or JSON."""
    if not line:
        return True
    if line[0] in "{}[]" and line[-1] in "{}[],;:(":
        return True
    if line[-1] in "{}" or _KEY.match(line):
        return True
    if line[-1] == ";" and _CODE_SIGN.search(line[:-1]):
        return True
    return bool(_CODE_BEGINS.match(line)) and bool(_CODE_SIGN.search(line))
