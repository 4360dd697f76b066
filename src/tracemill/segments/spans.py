r"""What inside a line must come back byte for byte: code, formulas, addresses, names of programs, slots, tags.

    Use `len(x)` so that \(n^2\) fits, see https://a.io/b.  ->  `len(x)`, \(n^2\), https://a.io/b

Kinds are looked for one after the other, the most certain first, and what one has found is hidden from the next. Each
costs linear time, whatever the text holds: repetitions are bounded where a match may start anywhere, and a closing mark
that was once not found is not looked for again.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from itertools import pairwise

from tracemill.segments.inline_json import inline_json

Span = tuple[int, int, str]
"""(start, end, kind) with kind one of "sign", "code", "latex", "prose_latex", "url", "tag", "slot", "json", "path",
"name"."""

HIDDEN = "\ufffc"
"""Stands for each character that an earlier kind has taken. Neither a letter nor white space."""

SIGN = re.compile(r"⟦\s*\d{1,9}\s*⟧|[⟦⟧〘〙\x00-\x08\x0e-\x1f\x7f]+|_{3,}|\"{3,}|'{3,}")
"""Our own placeholders and brackets where they stand in the source, control characters, blanks to fill in, and the
quotes of a docstring."""

CONTROL = "".join(map(chr, (*range(9), *range(14, 32), 127)))

TAIL = ".,;:!?'\"*_»”’"
URL = re.compile(
    r"(?<![A-Za-z0-9])(?:[A-Za-z][A-Za-z0-9+.-]{1,15}://|www\.|mailto:)[^\s<>\"`|⟦⟧〘〙\ufffc\u3000-\u303f\uff01-\uff5e]+"
)
LINK = re.compile(r"\]\(<?([^()\s<>\ufffc]{1,2000})")
"""The address of a Markdown link; its text is translated."""
MAIL = re.compile(r"(?<![\w.+-])[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,8}|(?<![\w@])@[A-Za-z_]\w{1,50}")
TAG = re.compile(
    r"<<[^<>\n]{1,300}>>|<\|[^|<>\n]{1,60}\|>|</?[A-Za-z][\w:.-]{0,60}(?:\s[^<>\n]{0,2000})?/?>"
    r"|&(?:[A-Za-z]{2,10}|#\d{1,7}|#x[0-9A-Fa-f]{1,6});"
)
"""The first is how GSM8K notes its sums: 5*2 = <<5*2=10>>10."""
SLOT = re.compile(
    r"\{\{[^{}\n]{0,200}\}\}|\{%[^{}\n]{0,200}%\}|\$\{[^{}\n]{1,100}\}|\{[A-Za-z_][\w.:!\[\]-]{0,60}\}|\{\d{0,3}\}"
    r"|%\(\w{1,40}\)[#0+-]?[sdifrxg]|(?<![\w%])%[+-]?\d{0,3}(?:\.\d{1,2})?[sdifrxg](?!\w)|(?<![\w$])\$[A-Za-z_]\w{0,60}"
)
PATH = re.compile(
    r"(?<![\w/.~:\ufffc-])(?:~|\.{1,2})?/(?:[\w.@+~-]{1,255}/){0,30}[\w@+~-]{1,255}(?:\.[\w@+~-]{1,60}){0,4}/?"
    r"|(?<!\w)[A-Za-z]:\\[^\s:*?\"<>|\ufffc]{0,400}"
    r"|(?<![\w/.~-])(?:[\w.-]{1,100}/){1,20}[\w-]{1,100}\.[A-Za-z]\w{0,7}(?!\w)"
)
CALL = re.compile(r"(?<![\w.])([A-Za-z_]\w{0,60}(?:\.[A-Za-z_]\w{0,60}){0,8})\(([^()\n\ufffc]{0,200})\)")
FUNCTIONS = frozenset(
    "sin cos tan log ln exp sqrt max min gcd lcm floor ceil abs det dim mod print len range int str list".split()
)
SUFFIXES = (
    "js|ts|py|rb|go|rs|java|cpp|hpp|cs|sh|md|txt|json|yaml|yml|toml|xml|html|css|csv|tsv|pdf|png|jpg|jpeg|gif|svg|zip|gz"
    "|exe|dll|mp3|mp4|wav|doc|docx|xls|xlsx|sql|ipynb|ini|cfg|log|NET|com|org|net|io|ai|edu|gov|dev|app"
)
DOTTED = re.compile(
    rf"(?<![\w.])[A-Za-z0-9][\w-]{{0,60}}(?:\.[\w-]{{1,60}}){{0,4}}\.(?:{SUFFIXES})(?![\w])"
    r"|(?<![\w.])[a-z_]\w{1,60}(?:\.[a-z_]\w{0,60}){1,8}(?!\w)"
    r"|(?<![\w.])(?:[1-9]\d{0,2}|0)(?:\.(?:[1-9]\d{0,2}|0)){3}(?![\w.])"
)
"""Files and hosts by their last part; names with a dot; IP addresses."""
SNAKE = re.compile(
    r"(?<![\w.])_?[A-Za-z][A-Za-z0-9]{0,60}(?:_{1,2}[A-Za-z0-9]{1,60}){1,20}(?!\w)"
    r"|(?<!\w)__(?:init|main|name|str|repr|call|len|iter|next|enter|exit|dict|class|doc|file|all|eq|new|getitem)__(?!\w)"
)
"""Other words between two underscores are bold print."""
CAMEL = re.compile(
    r"(?<![\w.])(?:[a-z][a-z0-9]{1,60}|[a-z](?=\w{1,60}[a-z][A-Z]))(?:[A-Z][a-z0-9]{1,60}){1,12}[A-Z]{0,3}(?!\w)"
)
"""With a single letter before the only hump it is a brand, as iPhone: that is a word of the language."""
OPTIONS = re.compile(r"(?<![\w-])--[a-z][a-z0-9]{0,40}(?:=[^\s,;]{1,100}|(?:-[a-z0-9]{1,40}){1,8})")
HEX = re.compile(r"(?<!\w)0x[0-9A-Fa-f]{1,64}(?!\w)")
DOT = re.compile(r"\.\w")
HUMP = re.compile(r"[a-z0-9][A-Z]")


def protected(text: str) -> list[Span]:
    """The spans of `text` that no translator may touch, in order, apart from one another."""
    there = set(text)
    found: list[Span] = []
    if not SIGNS.isdisjoint(there) or "www." in text or "0x" in text:
        for signs, finder in FINDERS:
            if not signs.isdisjoint(there) and (new := list(finder(text))):
                found += new
                text = _hidden(text, new)
    if "." in there and DOT.search(text):
        found += _matches(DOTTED, text, "name")
    if HUMP.search(text):
        found += _matches(CAMEL, text, "name")
    return _apart(found) if found else found


def _apart(spans: list[Span]) -> list[Span]:
    """In order, and where one reaches into another, as a tag around an address does, both as one."""
    spans.sort(key=lambda span: (span[0], -span[1]))
    apart: list[Span] = []
    for start, end, kind in spans:
        if apart and start < apart[-1][1]:
            first, last, outer = apart[-1]
            apart[-1] = (first, max(last, end), outer)
        else:
            apart.append((start, end, kind))
    return apart


def _hidden(text: str, spans: list[Span]) -> str:
    pieces: list[str] = []
    at = 0
    for start, end, _ in spans:
        pieces += (text[at:start], HIDDEN * (end - start))
        at = end
    return "".join((*pieces, text[at:]))


def _matches(pattern: re.Pattern[str], text: str, kind: str) -> list[Span]:
    return [(match.start(), match.end(), kind) for match in pattern.finditer(text)]


def _all(pattern: re.Pattern[str], kind: str, hint: str = "") -> Finder:
    """Finds whatever matches, in texts that hold `hint`."""
    return lambda text: _matches(pattern, text, kind) if hint in text else []


def _code(text: str) -> Iterator[Span]:
    """Between runs of equally many backticks (CommonMark 6.1). TeX's ``quotes'' are none."""
    runs = [match.span() for match in re.finditer("`+", text)]
    following: dict[int, int] = {}
    partner = [-1] * len(runs)
    for index in range(len(runs) - 1, -1, -1):
        length = runs[index][1] - runs[index][0]
        partner[index] = following.get(length, -1)
        following[length] = index
    index = 0
    while index < len(runs):
        start, opened = runs[index]
        other = partner[index]
        if other < 0 or (opened - start == 2 and "''" in text[opened : runs[other][0]]):
            index += 1
            continue
        yield start, runs[other][1], "code"
        index = other + 1


def _between(text: str, opening: str, closing: str, kind: str) -> Iterator[Span]:
    at = text.find(opening)
    while at >= 0:
        end = text.find(closing, at + len(opening))
        if end < 0:
            return
        yield at, end + len(closing), kind
        at = text.find(opening, end + len(closing))


def _brackets(text: str) -> Iterator[Span]:
    found = [*_between(text, "\\(", "\\)", "latex"), *_between(text, "\\[", "\\]", "latex")]
    yield from _apart(found)


def _comments(text: str) -> Iterator[Span]:
    yield from _between(text, "<!--", "-->", "tag")


LETTER = r"[^\W\d_\u0370-\u03ff\u2100-\u214f\U0001d400-\U0001d7ff]"
"""Of any script, but none of those that stand in formulas: Greek, letterlike signs, mathematical alphabets."""
WORDS = re.compile(rf"(?<![\\A-Za-z]){LETTER}{{2,}}[,.]? +{LETTER}{{2,}}")
WORD = re.compile(rf"(?<![\\A-Za-z])(?!(?:mod|sin|cos|tan|log|ln|exp|min|max|gcd|lcm)\b){LETTER}{{2,}}")
SPOKEN = re.compile(r"\\(?:text|mathrm|operatorname|mbox|textbf|textit)\s*\{[^{}]*\}")


def _dollars(text: str) -> Iterator[Span]:
    """`$...$` and `$$...$$`, and never money: as in pandoc the opening mark touches what follows, the closing one what
    is before it, and no digit comes after it. Two plain words in a row are no formula, nor is one behind a number: "$5
    for you and 6$", "$4 or 5$".
    """
    marks = [m.span() for m in re.finditer(r"(?<!\\)\$\$?", text)]
    taken = -1
    for (start, opened), (end, closed) in pairwise(marks):
        if start < taken or opened - start != closed - end:
            continue
        inner = text[opened:end]
        if opened - start == 1 and (
            not inner or inner[0].isspace() or inner[-1].isspace() or text[closed : closed + 1].isdigit()
        ):
            continue
        said = SPOKEN.sub("", inner) if "\\" in inner else inner
        if not inner.strip():
            continue
        if WORDS.search(said) or (inner[0].isdigit() and opened - start == 1 and WORD.search(said)):
            continue
        yield start, closed, "latex"
        taken = closed


COMMAND = re.compile(r"\\(?:[A-Za-z]{1,40}\*?|[,;:!%&#$_{}|\\])")
SAYS = frozenset(
    "textbf textit emph underline section subsection subsubsection paragraph chapter title caption footnote".split()
)
"""Commands whose argument is prose; of these only the command and its braces are kept from the translator."""
ARGUMENT = re.compile(r"\s?[{\[]|[_^]")


def _commands(text: str) -> Iterator[Span]:
    r"""LaTeX outside of `$`: a command with all its arguments, `\boxed{...}` included."""
    partner = _partners(text)
    taken = 0
    for match in COMMAND.finditer(text):
        start, end = match.span()
        if start < taken:
            continue
        name = match.group()[1:].rstrip("*")
        if name in SAYS and text[end : end + 1] == "{" and end in partner:
            yield start, end + 1, "prose_latex"
            yield partner[end], partner[end] + 1, "prose_latex"
            taken = end + 1
            continue
        if name[0].isalpha():
            end = _arguments(text, end, partner)
        yield start, end, "latex"
        taken = end


def _arguments(text: str, end: int, partner: dict[int, int]) -> int:
    while (found := ARGUMENT.match(text, end)) is not None:
        last = found.end() - 1
        if text[last] in "{[":
            if last not in partner:
                return end
            end = partner[last] + 1
        elif last + 1 in partner:
            end = partner[last + 1] + 1
        elif text[last + 1 : last + 2].isalnum():
            end = last + 2
        else:
            return end
    return end


def _partners(text: str) -> dict[int, int]:
    """Where each `{` and `[` closes. An escaped one is none."""
    partner: dict[int, int] = {}
    opened: dict[str, list[int]] = {"}": [], "]": []}
    for match in re.finditer(r"\\.|[{}\[\]]", text, re.DOTALL):
        sign = match.group()
        if sign in "{[":
            opened["}" if sign == "{" else "]"].append(match.start())
        elif opened.get(sign):
            partner[opened[sign].pop()] = match.start()
    return partner


def _urls(text: str) -> Iterator[Span]:
    if "://" not in text and "www." not in text and "mailto:" not in text:
        return
    for match in URL.finditer(text):
        start, end = match.span()
        end = start + len(_without_tail(match.group()))
        if end - start > 4:
            yield start, end, "url"


def _without_tail(url: str) -> str:
    """An address without the punctuation of the sentence around it; a bracket stays if it was opened inside."""
    while url:
        last = url[-1]
        opening = {")": "(", "]": "[", "}": "{"}.get(last)
        if last not in TAIL and (opening is None or opening in url):
            break
        url = url[:-1]
    return url


def _links(text: str) -> Iterator[Span]:
    if "](" in text:
        for match in LINK.finditer(text):
            yield match.start(1), match.end(1), "url"


def _mails(text: str) -> Iterator[Span]:
    for match in MAIL.finditer(text):
        yield match.start(), match.start() + len(match.group().rstrip(".-")), "url"


def _windows_paths(text: str) -> Iterable[Span]:
    return _paths(text) if ":\\" in text else ()


def _paths(text: str) -> Iterator[Span]:
    for match in PATH.finditer(text):
        path = match.group().rstrip(".,;!?)'\"")
        if any(c.isalpha() for c in path):
            yield match.start(), match.start() + len(path), "path"


def _calls(text: str) -> Iterator[Span]:
    """`f(x)`, `foo()`, `np.sum(a, 0)`; not "apple(s)" nor "sum(mand)"."""
    for match in CALL.finditer(text):
        name, inside = match.groups()
        certain = len(name) == 1 or name in FUNCTIONS or not inside or re.search(r"[._]|[a-z][A-Z]", name)
        if certain or re.search(r"[=\"'\[]|\d", inside):
            yield match.start(), match.end(), "name"


Finder = Callable[[str], Iterable[Span]]
FINDERS: tuple[tuple[frozenset[str], Finder], ...] = (
    (frozenset("⟦⟧〘〙_\"'" + CONTROL), _all(SIGN, "sign")),
    (frozenset("`"), _code),
    (frozenset(":w"), _urls),
    (frozenset("\\"), _brackets),
    (frozenset("$"), _dollars),
    (frozenset("\\"), _windows_paths),
    (frozenset("\\"), _commands),
    (frozenset("]"), _links),
    (frozenset("@"), _mails),
    (frozenset("<"), _comments),
    (frozenset("<&"), _all(TAG, "tag")),
    (frozenset("{"), inline_json),
    (frozenset("{%$"), _all(SLOT, "slot")),
    (frozenset("/"), _paths),
    (frozenset("("), _calls),
    (frozenset("_"), _all(SNAKE, "name")),
    (frozenset("-"), _all(OPTIONS, "name", "--")),
    (frozenset("x"), _all(HEX, "name", "0x")),
)
"""(characters of which a text must hold one, how to find what needs them), the most certain first."""
SIGNS = frozenset().union(*(signs for signs, _ in FINDERS)) - {"w", "x"}
"""One of these is in most texts that hold a span; the letters of www and 0x are in too many others."""
