"""Is a line code, where no fence says so? By what it looks like; prose is only taken for code where it hardly can be."""

from __future__ import annotations

import re

MOST = 400
"""Characters of a line that are looked at, half at each end: some of the patterns take quadratic time."""

_SIGNS = frozenset(";{}()=[]@#/*$<>|")
_FIRST = ("import ", "from ", "return", "else", "try", "pass", "break", "continue", "end", "raise", "do", "fi")
"""What every line of code holds or begins with that is told below, unless it ends with a colon."""

_VALUE = (
    r"(?:[\[({].*|[\"'].*[\"'][,;]?|-?\d[\d_.]*[;,]?|(?:not )?(?:new )?[\w.]+[(\[].*[)\]][;,]?"
    r"|True|False|None|null|true|false);?"
)

_CODE = re.compile(
    "|".join(
        [
            r">>> ?.*",
            r"(?:async )?def \w+\(.*",
            r"class \w+\s*(?:\(.*\))?:",
            r"(?:public|private|protected|static|final|abstract|export|const|let|var|function|func|fn|void|unsigned|struct)\b.*[;{(]",
            r"(?:enum|namespace|using|package|typedef|template)\b.*[;{(]",
            r"class \w+[\w\s:,<>]*\{",
            r"(?:import|from) [\w.]+(?: import [\w., ()*]+)?(?: as \w+)?;?",
            r"import .*[;\"'][;)]?",
            r"#\s?(?:include|define|ifdef|ifndef|endif|pragma|undef)\b.*",
            r"#!/.*",
            r"(?:if|elif|while|else if|\} else if|\} else|switch|for|catch|\} catch)\s?\(.*\)\s*\{?",
            r"(?:if|elif|while|assert) (?=.*(?:[=<>!]=|[<>(\[_]|\bnot\b| in [\w.]+:)).*(?::|(?<=[)\]]))",
            r"assert .*(?:==|\().*",
            r"for [a-z_]\w*(?:, ?[a-z_]\w*)* in (?:\S+|\w+\(.*\)):",
            r"with \w+\(.*\)(?: as \w+)?:",
            r"(?:else|try|finally|do|\} else|\} finally)\s?[:{]",
            r"except(?: [\w.(), ]+)?:",
            r"return(?: (?:-?[\w.]+[(\[].*|[\[({].*|True|False|None|null|true|false|-?\d+);?|.*;)",
            r"return (?:\w*_\w*|[\"'].*[\"']|\w+ [-+*/%<>=&|]+ .*);?",
            r"(?:break|continue|pass|end|raise \w+\(.*\)|fi|done|esac);?",
            rf"[a-z_][\w.]*(?:\[[^\]]*\])?(?:, ?[a-z_][\w.]*)*\s*(?::\s?\w+\s*)?[-+*/|&:]?=\s*{_VALUE}",
            r"[a-z_][\w.]*\((?!.* = [A-Z\d]).*\)[;:{,]?",
            r"(?:const|let|var) [\w, {}\[\]]+ ?= ?.*",
            r"(?:int|float|double|char|bool|long|string|String|auto|size_t|std::\w+)\b[\w\s*&<>,\[\]]*(?:=|;|\().*;.*",
            r"(?:if|elif|while) ?\(.*\): .*",
            r"\{ ?['\"]?\w+['\"]?: .*\}[,;]?",
            r"[\"'][\w .-]+[\"']\s*:\s*.*[,\[{(\"'\d\])}]",
            r"<\?php|\?>",
            r"[)\]}]+[;,)]*(?:\s*\{)?",
            r"[{(\[]",
            r".*[\w)\]\"'] ?= ?.*;",
            r".*[)\]]\s?;",
            r".*\)\s*\{",
            r".*\) ?=> ?.*",
            r"@[A-Za-z_][\w.]*(?:\(.*\))?",
            r"\$ (?:sudo |pip|npm|git|cd|ls|cat|curl|docker|python|make|apt).*",
            r"(?:SELECT|INSERT INTO|UPDATE|DELETE FROM|CREATE TABLE|FROM|WHERE|GROUP BY|ORDER BY|INNER JOIN|LEFT JOIN|JOIN) "
            r"[\w*`\".,() =<>']+;?",
            r"</?[a-z][\w-]*(?:\s[^<>]*)?>.*</[a-z][\w-]*>",
        ]
    )
)  # fmt: skip
"""Full matches of a stripped line."""

_WITHIN = re.compile(
    r"[A-Za-z_][\w.\[\]'\"]*\s*[-+*/%|&]?=\s*\S.*|return\b.*|.*[;{}]|\w+\(.*|.*\)|[\w\"'].*[,(\[]|(?:#|//).*"
)
"""Full matches that are code only where the line before was and this one is indented."""


def is_code(line: str, after_code: bool = False) -> bool:
    """Whether `line` is code. Prose that only resembles code is common ("for each of them:", "Total = 5 apples"), so
    the shape must be plain; indented behind a line of code, less is asked.

    Args:
        line: With its indentation and without its end.
    """
    stripped = line.strip()
    if len(stripped) > MOST:
        stripped = stripped[: MOST // 2] + stripped[-MOST // 2 :]
    if _SIGNS.isdisjoint(stripped) and stripped[-1:] != ":" and not stripped.startswith(_FIRST):
        return False
    if _CODE.fullmatch(stripped):
        return True
    return after_code and line[:2].isspace() and len(line) > 2 and _WITHIN.fullmatch(stripped) is not None
