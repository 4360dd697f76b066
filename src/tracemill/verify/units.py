r"""Comparing numbers with units, within a tolerance, as six languages write them.

    expected "9.81 m/s^2"    right: "9,81\,\text{m/s}^2" (de), "981 cm/s²", "9.8 m s^{-2}"    wrong: "9.81 m/s", "98.1"

The rules:

    exact       a bare integer is counted, not measured: 26 is not 26.1. All else may differ by the tolerance, or by half a
                unit in the last place of the expected number where that has two significant digits or more
    separators  by the language of the row: "1.234" is 1234 in German and 1.234 in English. What can be read in one way
                only ("3,5" "3.55" "1.234,5") is read so, but for "3,5" in English, which may be a pair
    unit        converted where both sides have one; ignored where one side has one; two of different kinds are wrong
    percent     a sign on one side alone: 25% is 0.25, and 25% is 25; but 0.5% is not 0.5
    scale       thousand, Million, milliards, 万 ... multiply
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from fractions import Fraction
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any

from tracemill.verify.answers import _typography as typography
from tracemill.verify.answers import normal_text, same_answer_fast
from tracemill.verify.numeric import value_of
from tracemill.verify.unit_words import SCALES, UNIT_WORDS, WORDS_BEFORE

if TYPE_CHECKING:
    from pint import UnitRegistry

LONGEST = 300
"""Characters of an answer that is read as a number."""
LARGEST = 10**300
"""No measured number comes near it, and a float still holds it."""
COMMA_DECIMAL = frozenset(
    "bg bs ca cs da de el es et fi fr hr hu id is it lt lv mk nb nl nn no pl pt ro ru sk sl sq sr sv tr uk vi".split()
)
"""Languages that write 3,5 for three and a half. Source: Unicode CLDR 46, `numbers/symbols/decimal`."""
TOLERANCE = 0.01
"""Relative. Chosen on half of the recorded TheoremQA answers; `tests/verify/test_recorded_stem.py` shows the figures."""

_DIGITS = r"\d[\d.,'’ \u00a0\u202f\u2009]*\d|\d|[.,]\d+"
_NUMBER = re.compile(
    rf"(?P<sign>[-+±]?)\s*(?P<money>\\?[$€£¥])?\s*(?P<digits>{_DIGITS})"
    r"(?:\s*(?:\\times|\\cdot|\*|x|·)\s*10\s*(?:\^|\*\*)\s*(?:\{\s*(?P<power>[-+]?\d{1,3})\s*\}|(?P<power1>[-+]?\d{1,3}))"
    r"|[eE](?P<power2>[-+]?\d{1,3})(?![\w.]))?"
    r"(?P<tail>.*)",
    re.DOTALL,
)
_POWER_ALONE = re.compile(
    r"(?P<sign>-?)10\s*\^\s*(?:\{\s*(?P<power>[-+]?\d{1,3})\s*\}|(?P<power1>[-+]?\d{1,3}))(?P<tail>\D.*|)", re.DOTALL
)
_PERCENT = re.compile(r"\\?%|percent|per cent|prozent|pour ?cent|por ciento|per cento|パーセント", re.IGNORECASE)
_UNIT_TEXT = re.compile(r"[A-Za-zµμΩΩ°Å%][A-Za-zµμΩΩ°Å%0-9*/^()\s.-]{0,40}")
_UNIT_POWER = re.compile(r"(?:\^|\*\*)\s*\(?(-?\d+)\)?")
_SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻", "0123456789-")


@dataclass(frozen=True, slots=True)
class Quantity:
    """A number as it was written, with its unit."""

    value: float
    unit: str = ""
    """As pint spells it where pint knows it, else the words in lower case; "" for none."""
    known: bool = True
    """Whether pint knows the unit."""
    percent: bool = False
    counted: bool = False
    """A bare integer."""
    half_place: float = 0.0
    """Half a unit in the last place written; 0 where fewer than two significant digits say how exact it is."""


@dataclass(frozen=True, slots=True)
class Likeness:
    """How two answers compare."""

    same: bool | None
    """None: that cannot be told."""
    why: str
    """"number", "unit", "text", "list", "truth", "unreadable"."""


def same_quantity(expected: str, found: str, language: str = "en", tolerance: float = TOLERANCE) -> Likeness:
    """Whether a found answer is the expected one, by the rules above.

    Args:
        language: Of the found answer. An expected answer is read as English data has it; where that is no number, by
            the language too.
    """
    if len(expected) > LONGEST or len(found) > LONGEST:
        return Likeness(None, "unreadable")
    if normal_text(expected) and normal_text(expected) == normal_text(found):
        return Likeness(True, "text")
    if (truth := _truth(expected)) is not None:
        said = _truth(found)
        return Likeness(None if said is None else said == truth, "truth")
    items = _items(expected)
    if items is not None:
        return _same_list(items, _items(found), language, tolerance)
    left = quantity(expected, "en") or quantity(expected, language)
    if left is None:
        told = same_answer_fast(expected, found)
        return Likeness(told, "unreadable" if told is None else "text")
    right = quantity(found, language)
    return Likeness(None, "unreadable") if right is None else _compared(left, right, tolerance)


def quantity(text: str, language: str = "en") -> Quantity | None:
    """The number, and its unit, that a text is; None where it is something else as well."""
    if len(text) > LONGEST:
        return None
    flat = typography(text).translate(_SUPERSCRIPTS)
    flat = re.sub(r"^\\(?:text|mathrm|textbf|mathbf)\s*\{([^{}]*)\}$", r"\1", flat)
    flat = WORDS_BEFORE.sub("", re.sub(r"^\s*\\?[A-Za-z]\w{0,3}(?:_\{?\w+\}?)?\s*=\s*", "", flat)).strip()
    if "±" in flat or "\\pm" in flat:
        return None
    found = _POWER_ALONE.fullmatch(flat) or _NUMBER.fullmatch(flat)
    made = _plain(found, language) if found else None
    if made is not None:
        return made
    value = value_of(flat)
    if value is not None:
        return Quantity(value)
    head, _, tail = _split_expression(flat)
    value = value_of(head) if head and tail else None
    unit = _unit(tail) if value is not None else None
    return Quantity(value, unit.unit, unit.known, unit.percent) if value is not None and unit is not None else None


def _plain(found: re.Match[str], language: str) -> Quantity | None:
    told = found.groupdict()
    power = told.get("power") or told.get("power1") or told.get("power2")
    digits = told.get("digits")
    number = Fraction(1) if digits is None else numeral(digits, language)
    if number is None or told["sign"] == "±":
        return None
    scale, tail = _scaled(told["tail"])
    unit = _unit(tail)
    if unit is None:
        return None
    factor = Fraction(10) ** int(power) * scale if power else scale
    value = number * factor * (-1 if told["sign"] == "-" else 1)
    if abs(value) > LARGEST:
        return None
    written = _decimals(digits or "1", number)
    significant = len(re.sub(r"\D", "", digits or "1").lstrip("0"))
    bare = not unit.unit and not unit.percent and power is None
    return Quantity(
        value=float(value),
        unit=unit.unit,
        known=unit.known,
        percent=unit.percent,
        counted=bare and value.denominator == 1 and written == 0,
        half_place=float(factor / 2 / 10**written) if significant >= 2 and written else 0.0,
    )


def numeral(digits: str, language: str) -> Fraction | None:
    """The value of digits with separators as a language writes them, or None where it writes none so.

    numeral("1.234", "de") is 1234 and numeral("1.234", "en") is 1.234; "1.234,5" is the same in both.
    """
    flat = re.sub(r"(?<=\d)[ \u00a0\u202f\u2009'’](?=\d{3}(?!\d))", "_", digits)
    if re.search(r"[ \u00a0\u202f\u2009'’]", flat):
        return None
    if "_" in flat and not re.fullmatch(r"\d{1,3}(?:_\d{3})+(?:[.,]\d+)?", flat):
        return None
    grouped = "_" in flat
    flat = flat.replace("_", "")
    marks = re.findall(r"[.,]", flat)
    comma = language.partition("-")[0] in COMMA_DECIMAL
    if not marks:
        return Fraction(flat)
    last = marks[-1]
    if len(set(marks)) == 2:
        other = "," if last == "." else "."
        whole, _, part = flat.rpartition(last)
        grouped_right = re.fullmatch(rf"\d{{1,3}}(?:\{other}\d{{3}})+", whole)
        return Fraction(f"{whole.replace(other, '')}.{part}") if grouped_right and marks.count(last) == 1 else None
    if len(marks) > 1:
        return Fraction(flat.replace(last, "")) if re.fullmatch(rf"\d{{1,3}}(?:\{last}\d{{3}})+", flat) else None
    whole, _, part = flat.partition(last)
    may_group = not grouped and re.fullmatch(r"[1-9]\d{0,2}", whole) is not None and len(part) == 3
    decimal_mark = "," if comma else "."
    if last != decimal_mark and may_group:
        return Fraction(whole + part)
    if last == "," and not comma and not grouped:
        return None  # in English "3,5" may be a pair
    return Fraction(f"{whole or '0'}.{part or '0'}")


def _decimals(digits: str, number: Fraction) -> int:
    """How many places after the decimal mark were written."""
    part = re.search(r"[.,](\d+)$", digits)
    return 0 if part is None or (number.denominator == 1 and len(part[1]) == 3 and part[1] != "000") else len(part[1])


@dataclass(frozen=True, slots=True)
class _Unit:
    unit: str
    known: bool = True
    percent: bool = False


def _scaled(tail: str) -> tuple[Fraction, str]:
    """A scale word at the head of what follows a number, and the rest."""
    flat = tail.lstrip()
    word = re.match(r"(?:\\text\s*\{\s*)?([^\W\d_]+\.?)", flat)
    if word:
        for text in (word[1], word[1][:1]):
            if text.casefold() in SCALES and (text == word[1] or text >= "\u2e80"):
                rest = flat[word.start(1) + len(text) :]
                return Fraction(10) ** SCALES[text.casefold()], ("\\text{" if word.start(1) else "") + rest
    return Fraction(1), tail


def _unit(tail: str) -> _Unit | None:
    """The unit that follows a number; None where what follows is none."""
    flat = re.sub(r"\\(?:text|mathrm|textrm|rm|operatorname|mathbf|textbf|mbox|unit|si)\s*\{([^{}]*)\}", r" \1 ", tail)
    flat = re.sub(r"\\[,;:! ]|~|\\q?quad|\$|\\(?:rm|mathrm)(?![a-z])", " ", flat).replace("{", "(").replace("}", ")")
    flat = re.sub(r"\\mu(?![a-z])|μ", "µ", flat).replace("\\Omega", "ohm ").replace("Ω", "ohm ").replace("Ω", "ohm ")
    flat = re.sub(r"\^\s*\(?\s*\\circ\s*\)?|\\degree|\\circ", "°", flat)
    flat = re.sub(r"\\cdot|\\times|[·⋅×]", "*", flat)
    flat = re.sub(r"\\frac\s*\(([^()]*)\)\s*\(([^()]*)\)", r"\1/(\2)", flat).strip(" .,;:")
    if re.fullmatch(r"[€£¥$]|\\\$|\(?(?:euros?|dollars?|usd|eur)\)?", flat, re.IGNORECASE):
        return _Unit("")
    if _PERCENT.fullmatch(flat):
        return _Unit("", percent=True)
    flat = re.sub(r"^\((.*)\)$", r"\1", flat) if flat.count("(") == 1 else flat
    if not flat:
        return _Unit("")
    known = _pint_unit(" ".join(UNIT_WORDS.get(w.casefold(), w) for w in re.split(r"\s+", flat)))
    if known is not None:
        return _Unit(known)
    words = re.fullmatch(r"[^\W\d_]+(?:[ -][^\W\d_]+){0,2}", flat)
    return _Unit(flat.casefold().removesuffix("s"), known=False) if words and len(flat) > 2 else None


@lru_cache(maxsize=4096)
def _pint_unit(text: str) -> str | None:
    """Pint's own spelling of a unit, or None. Only letters, digits, powers below 10, products and quotients reach it."""
    flat = re.sub(r"°\s*([CFK])\b", r"deg\1", text).replace("°", "degree").replace("Å", "angstrom")
    flat = re.sub(r"(?<=[A-Za-zµ])\s*(-?[1-9])(?![\d.])", r"^\1", flat)
    flat = re.sub(r"\s*/\s*", "/", re.sub(r"\s*\*\s*", "*", flat.strip())).replace(" per ", "/")
    flat = re.sub(r"(?<=[\w)])\s+(?=[A-Za-zµ(])", "*", flat)
    if not _UNIT_TEXT.fullmatch(flat) or any(abs(int(p)) > 9 for p in _UNIT_POWER.findall(flat)):
        return None
    if re.search(r"\^\s*(?!\(?-?\d)|\d\d|%|\*\*", flat) or flat.count("(") != flat.count(")"):
        return None
    try:
        return str(registry().parse_units(flat.replace("^", "**")))
    except Exception:  # pint raises whatever its parser meets: tokenizer, attribute, type and key errors
        return None


@cache
def registry() -> UnitRegistry[Any]:
    """Pint's units, made when the first unit is met: a third of a second."""
    import pint

    made: UnitRegistry[Any] = pint.UnitRegistry(autoconvert_offset_to_baseunit=True, cache_folder=None)
    return made


def _compared(left: Quantity, right: Quantity, tolerance: float) -> Likeness:
    if left.unit and right.unit and left.unit != right.unit:
        if not left.known or not right.known:
            return Likeness(False if left.known == right.known else None, "unit")
        factor = _converted(right.value, right.unit, left.unit)
        if factor is None:
            return Likeness(False, "unit")
        right = Quantity(factor, left.unit)
    kind = "unit" if left.unit and right.unit else "number"
    if left.percent != right.percent:
        plain = (_as_share(left), _as_share(right))
        bare = right if left.percent else left
        return Likeness(_close(*plain, tolerance) or (abs(bare.value) > 1 and _close(left, right, tolerance)), kind)
    return Likeness(_close(left, right, tolerance), kind)


def _as_share(told: Quantity) -> Quantity:
    return Quantity(told.value / 100, half_place=told.half_place / 100) if told.percent else told


def _converted(value: float, unit: str, wanted: str) -> float | None:
    try:
        units = registry()
        return float(units.Quantity(value, unit).to(wanted).magnitude)
    except Exception:  # dimensions that differ, logarithmic units, overflow: all mean that there is no such number
        return None


def _close(expected: Quantity, found: Quantity, tolerance: float) -> bool:
    difference = abs(expected.value - found.value)
    slack = 1e-9 * max(abs(expected.value), abs(found.value))
    if expected.counted or difference <= slack or tolerance == 0:
        return difference <= slack
    if not math.isfinite(difference) or (expected.value < 0) != (found.value < 0):
        return False
    return difference <= max(tolerance * abs(expected.value), expected.half_place) + slack


def _split_expression(flat: str) -> tuple[str, str, str]:
    """An expression before its unit, at the first text that can only be one."""
    place = re.search(r"\\(?:text|mathrm|rm|unit|si)(?![a-z])|(?<=[\d})])\s+(?=[A-Za-zµ°])|°|\^\s*\{?\s*\\circ", flat)
    return (flat[: place.start()].strip(), "", flat[place.start() :]) if place else ("", "", "")


_TRUE = frozenset("true yes correct right wahr ja vrai oui verdadero cierto sí si vero はい 正しい 真".split())
_FALSE = frozenset("false no incorrect wrong falsch nein faux non falso いいえ 正しくない 偽".split())


def _truth(text: str) -> bool | None:
    word = normal_text(text).casefold().strip(" .*\"'")
    return True if word in _TRUE else False if word in _FALSE else None


def _items(text: str) -> list[str] | None:
    """The items of a list in brackets, or None."""
    flat = typography(text).strip()
    flat = re.sub(r"\\(?:begin|end)\s*\{[bpv]?matrix\}", "", flat)
    inner = re.fullmatch(r"(?:\\?\[|\(|\\?\{)(.*[,;\\&].*|[^,]*)(?:\\?\]|\)|\\?\})", flat, re.DOTALL)
    if inner is None or not flat.startswith(("[", "\\[", "(", "\\{")) or re.fullmatch(r"\(\w\)", flat):
        return None
    return [item.strip() for item in re.split(r"[,;&]|\\\\", inner[1]) if item.strip()]


def _same_list(expected: list[str], found: list[str] | None, language: str, tolerance: float) -> Likeness:
    if found is None:
        return Likeness(None, "unreadable")
    if len(expected) != len(found):
        return Likeness(False, "list")
    told = [same_quantity(a, b, language, tolerance).same for a, b in zip(expected, found, strict=True)]
    return Likeness(False if False in told else None if None in told else True, "list")
