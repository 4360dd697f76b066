r"""Comparing two answers without algebra: exact rationals for plain numbers, normal text for the rest.

Most answers to word problems are plain numbers, and this decides them in microseconds, exactly. It says None where it
cannot decide (expressions, sets, intervals, tuples), and never evaluates anything. The rules:

    value       exact: 0.333 is not 1/3, and 3.14 is not \pi
    separators  a comma, or a space, between groups of three digits: 1,234 and 1{,}234 and 1 234; "3,5" is no number
    percent     a percent sign is ignored: 50% = 50 on either side or both, and 0.5 is not 50%
    unit        ignored where one side has one; two different units are different answers. A unit is a trailing word of
                four letters or more after a space, a usual short one (cm, kg, day), \text{...}, a degree sign or a
                Chinese, Japanese or Korean counter; a word that scales its number (million, half, 万) is none
    currency    a sign before or after is ignored, whichever it is
    name        "x = 5" is 5; two different names are different answers, where a word ("Total = 5") is no name
    mixed       1\frac{1}{2} and 1 1/2 are 3/2; the fraction must be proper
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

LONGEST_TEXT = 2_000
"""Characters. The longest of 3,724 recorded answers has 13; a longer text equals only itself, letter by letter."""
LONGEST_NUMBER = 400
"""Characters. Longer texts are not read as numbers: Python itself refuses integers over 4,300 digits."""
LARGEST_EXPONENT = 400
"""Of ten, either sign; beyond the range of a double (308), and still a small rational."""

_SIGNS = str.maketrans(
    {
        "−": "-",
        "﹣": "-",
        "－": "-",
        "．": ".",
        "，": ",",
        "٫": ".",
        "٬": ",",
        "％": "%",
        "＝": "=",
        "＄": "$",
        "×": "\\times ",
    }
)
_SPACE = re.compile(r"\\[,;: \n]|\\q?quad(?![A-Za-z])|~|\s+")
_NOTHING = re.compile(
    r"\\!\s*|\\(?:displaystyle|left|right)(?![A-Za-z])\s*|\\(?:big|Big|bigg|Bigg)[lr]?(?=[()\[\]|\\{}])"
)
_STYLE = r"\\(?:text|textbf|textit|textrm|textnormal|mathrm|mathbf|mathit|mathsf|mbox|bf|rm)"
_STYLED = re.compile(_STYLE + r"\s*\{([^{}]*)\}")
_WRAPPERS = (("$$", "$$"), ("$", "$"), ("\\(", "\\)"), ("\\[", "\\]"), ("\\boxed{", "}"), ("{", "}"))
_CURRENCY = r"(?:\\\$|[$€£¥₹₩₽]|\\euro|\\pounds)"
_NAME = re.compile(r"(?:(?P<name>\\?[A-Za-z]+(?:_(?:\w|\{\w+\}))?)|" + _STYLE + r" ?\{[^{}=]*\}) ?= ?(?=\S)")

_DIGITS = re.compile(r"-?[0-9]{1,18}")
"""What most answers are; all other rules would come to the same number."""
_INTEGER = r"(?:[1-9]\d{0,2}(?:,\d{3})+|[1-9]\d{0,2}(?: \d{3})+|\d+)"
_DECIMAL = rf"(?:{_INTEGER}(?:\.\d*)?|\.\d+)"
_SIGNED = rf"[-+]? ?{_DECIMAL}"
_NUMBER = re.compile(
    rf"(?P<sign>[-+]?) ?(?:{_CURRENCY} ?)?(?P<inner>[-+]?) ?(?:"
    rf"(?P<whole>\d+) ?\\frac ?(?:\{{ ?(?P<wt>\d+) ?\}} ?\{{ ?(?P<wb>\d+) ?\}}|(?P<wt1>\d) ?(?P<wb1>\d))"
    rf"|(?P<whole2>\d+) (?P<wt2>\d+) ?/ ?(?P<wb2>\d+)"
    rf"|\\frac ?(?:\{{ ?(?P<top>{_SIGNED}) ?\}}|(?P<top1>\d)) ?(?:\{{ ?(?P<bottom>{_SIGNED}) ?\}}|(?P<bottom1>\d))"
    rf"|(?P<over>{_DECIMAL}) ?/ ?(?P<under>{_DECIMAL})"
    rf"|(?P<mantissa>{_DECIMAL}) ?(?:\\times|\\cdot|\*) ?10 ?\^ ?(?:\{{ ?(?P<power>[-+]?\d+) ?\}}|(?P<power1>\d))"
    rf"|(?P<mantissa2>{_DECIMAL})[eE](?P<power2>[-+]?\d+)"
    rf"|(?P<decimal>{_DECIMAL})"
    rf") ?(?P<tail>.*)"
)
_TAIL = re.compile(
    rf"(?:{_CURRENCY})? ?(?:\\?%|percent|{_STYLE} ?\{{ ?(?:percent|%|\\%) ?\}})? ?"
    r"(?P<degree>°|\^ ?\\circ|\^ ?\{ ?\\circ ?\})?"
    rf" ?(?:{_STYLE} ?\{{(?P<styled>[^{{}}\d]*)\}}|(?P<words>[^\W\d_]+(?:[ /][^\W\d_]+){{0,3}}))?"
    r"(?P<unit_power>(?<=[}a-z]) ?\^ ?(?:\d|\{ ?-?\d ?\}))?"
)
_SHORT_UNITS = frozenset(
    "cm km mm kg mg ml mL ft lb oz hr in m/s day mph kmh lbs hrs min sec cup men yen won eur usd egg".split()
)
_EAST_ASIAN = "\u2e80"
"""Letters from here on are Chinese, Japanese or Korean, where a counter follows its number without a space."""
_NO_UNITS = frozenset(
    "and billion billions cubed factorial fifth fifths fourth fourths half halves hundred hundreds hundredth "
    "hundredths inf infinity less lots max minus mod modulo more of off or over out pairs plus point quarter quarters "
    "sets squared tenth tenths third thirds thousand thousands thousandth thousandths times to trillion trillions "
    "elfu mila mille mil mio mrd e i j n pi x y z".split()
)
_SCALES = re.compile(
    r"(?:arc)?(?:sin|cos|tan|cot|csc|log|exp|sqrt)\w{0,2}$|milliard|milli?on|milion|millón|tausend|dutzend|do[cz]en"
    r"|douzaine|dozzin|тысяч|миллион|.*[十百千万萬亿億兆半십백천만억조반]"
)
"""With `_NO_UNITS`: words after a number that make another value of it, or join it to something."""


@dataclass(frozen=True, slots=True)
class PlainNumber:
    """An answer that is plainly a number."""

    value: Fraction
    unit: str = ""
    """In lower case and without a plural s, or ""."""
    name: str = ""
    """What it was said to be the value of, as in "x = 5", or ""."""


def normal_text(text: str) -> str:
    r"""One spelling for texts that differ only in typography: `\text{ Yes }.` and `$yes$` give "yes".

    Letters keep their case unless the text is nothing but words: R and r are two radii.
    """
    if len(text) > LONGEST_TEXT:
        return text.strip()
    flat = _unwrapped(_STYLED.sub(r"\1", _typography(text)))
    flat = re.sub(r"(?<![A-Za-z\\])pi(?![A-Za-z])", r"\\pi", flat)
    flat = re.sub(r"([\^_]) ?\{ ?(\w) ?\}", r"\1\2", flat)
    flat = re.sub(r"^\(([A-Za-z])\)$", r"\1", flat)
    flat = re.sub(r"(?<![\w,]) | (?!\w)", "", flat)
    words = re.sub(r"[ '-]", "", flat)
    return flat.casefold() if words.isalpha() and (len(words) > 2 or words.casefold() == "no") else flat


def plain_number(text: str) -> PlainNumber | None:
    r"""The exact value of a text that is plainly one number, by the rules above, else None.

    None too for numbers over `LONGEST_NUMBER` characters or beyond 10^`LARGEST_EXPONENT`, and for a zero denominator.
    """
    if _DIGITS.fullmatch(text):
        return PlainNumber(Fraction(int(text)))
    if len(text) > LONGEST_TEXT:
        return None
    flat = _typography(text)
    name = ""
    if named := _NAME.match(flat):
        name, flat = named["name"] or "", _unwrapped(flat[named.end() :])
    if wrapped := re.fullmatch(_STYLE + r" ?\{([^{}]*)\}", flat):
        flat = _unwrapped(wrapped[1].strip())
    if len(flat) > LONGEST_NUMBER:
        return None
    found = _NUMBER.fullmatch(flat)
    if found is None or (found["sign"] and found["inner"]):
        return None
    unit = _unit(found["tail"], spaced=found.end("tail") == found.start("tail") or flat[found.start("tail") - 1] == " ")
    value = _value(found)
    if unit is None or value is None:
        return None
    if name.isalpha() and len(name) > 2:
        name = ""
    return PlainNumber(-value if "-" in (found["sign"], found["inner"]) else value, unit, name)


def same_answer_fast(expected: str, found: str) -> bool | None:
    """Whether two answers are the same, or None where only algebra can tell; see `compared`."""
    told = compared(expected, found)
    return None if told is None else told[0]


def compared(expected: str, found: str) -> tuple[bool, Literal["number", "text"]] | None:
    """Whether two answers are the same, and whether that was seen as "number" or as "text"; None where only algebra can
    tell.

    True: equal as exact rationals, or as normal text. False: two plain numbers that differ in value, name or unit, or
    an empty side, since an empty answer answers nothing. The order of the two does not matter.
    """
    left, right = plain_number(expected), plain_number(found)
    if left is None or right is None:
        texts = normal_text(expected), normal_text(found)
        if not all(texts):
            return False, "text"
        return (True, "text") if texts[0] == texts[1] else None
    if left.name and right.name and left.name != right.name:
        return False, "number"
    if left.unit and right.unit and left.unit != right.unit:
        return False, "number"
    return left.value == right.value, "number"


def _typography(text: str) -> str:
    """Digits and signs in ASCII, one kind of space, no sizing, no outer frame and no full stop at the end."""
    flat = "".join(char if char < "\x80" or not char.isdecimal() else str(unicodedata.decimal(char)) for char in text)
    flat = _NOTHING.sub("", flat.translate(_SIGNS).replace("{,}", ","))
    flat = re.sub(r"\\[dtc]frac(?![A-Za-z])", r"\\frac", flat)
    flat = re.sub(r"^\s*[–—‐‑](?=\s*[\d.$\\])", "-", flat)
    return _unwrapped(_SPACE.sub(" ", flat))


def _unwrapped(flat: str) -> str:
    """Without up to eight frames ($...$, brackets of display math, whole boxes, braces) and without a final full stop."""
    for _ in range(8):
        flat = flat.strip()
        if flat.endswith(".") and not flat.endswith(".."):
            flat = flat[:-1].rstrip()
        for opening, closing in _WRAPPERS:
            inner = flat[len(opening) : -len(closing)]
            if (
                len(flat) > len(opening) + len(closing)
                and flat.startswith(opening)
                and flat.endswith(closing)
                and not inner.endswith("\\")
                and (_is_one_group(inner) if closing == "}" else opening not in inner and closing not in inner)
            ):
                flat = inner
                break
        else:
            break
    return flat


def _is_one_group(inner: str) -> bool:
    """Whether the braces of a text close in order, so that the pair around it is one pair."""
    depth = 0
    for token in re.finditer(r"\\.|[{}]", inner):
        depth += {"{": 1, "}": -1}.get(token.group(), 0)
        if depth < 0:
            return False
    return depth == 0


def _value(found: re.Match[str]) -> Fraction | None:
    """The absolute value of a matched number; signs inside a fraction count."""
    group = found.groupdict()
    whole = group["whole"] or group["whole2"]
    if whole:
        top = _exact(group["wt"] or group["wt1"] or group["wt2"])
        bottom = _exact(group["wb"] or group["wb1"] or group["wb2"])
        return _exact(whole) + top / bottom if 0 < top < bottom else None
    top_text = group["top"] or group["top1"] or group["over"]
    if top_text:
        bottom = _exact(group["bottom"] or group["bottom1"] or group["under"])
        return _exact(top_text) / bottom if bottom else None
    power = group["power"] or group["power1"] or group["power2"]
    if power is None:
        return _exact(group["decimal"])
    if len(power) > 5 or abs(int(power)) > LARGEST_EXPONENT:
        return None
    return _exact(group["mantissa"] or group["mantissa2"]) * Fraction(10) ** int(power)


def _exact(digits: str) -> Fraction:
    return Fraction(re.sub(r"[ ,]", "", digits).removesuffix("."))


def _unit(tail: str, spaced: bool) -> str | None:
    """The unit after a number, "" for none, or None where what follows is no unit."""
    if not tail:
        return ""
    found = _TAIL.fullmatch(tail)
    if found is None:
        return None
    words = (found["styled"] or found["words"] or "").strip(" .").casefold()
    if any(part in _NO_UNITS or _SCALES.match(part) for part in re.split(r"[ /-]", words)):
        return None
    if found["words"] and words not in _SHORT_UNITS:
        first = re.split("[ /]", words)[0]
        if first not in _SHORT_UNITS and first[0] < _EAST_ASIAN and not (spaced and len(first) > 3):
            return None
    if not words:
        return "degree" if found["degree"] else ""
    singular = words.removesuffix("s") if len(words) > 3 else words
    return singular + (found["unit_power"] or "").translate(str.maketrans("", "", " {}"))
