r"""A child process that compares answers with math-verify: `python -m tracemill.verify.math_worker`.

Its first line out is {"ready": true}. Then it reads one JSON line at a time and answers each with one:

    {"id": 7, "expected": "\\frac{\\sqrt{2}}{2}", "found": "\\frac{1}{\\sqrt{2}}"}
    {"id": 7, "equal": true, "method": "math-verify", "detail": ""}

The text comes from models and is hostile. math-verify is asked only through its LaTeX grammar, never through its
`ExprExtractionConfig`, which hands raw text to sympy's `parse_expr`, and that is `eval`; the door to it is shut as well.
Memory and processor time are limited, Ctrl-C is left to the parent, and the process ends with its parent. Whoever runs
it holds the wall clock: math-verify's own timeouts (SIGALRM) do not interrupt a long multiplication, and are off.

math-verify is generous, and a wrong row kept is worse than a right one lost. So `_UNREADABLE` names the texts that
math-verify 0.9.0 was seen to read as something else, `_shape` keeps apart what it mixes, and `_confirmed` looks again at
what it called equal.
"""

from __future__ import annotations

import ctypes
import json
import os
import re
import signal
import sys
from pathlib import Path
from typing import Any

from tracemill.verify.answers import LONGEST_TEXT

MEMORY_MB = 448
"""Address space beyond what is mapped after the imports: with math-verify's 67 MB, 512 MB together."""
CPU_SECONDS = 60
"""Per check. Ends a worker whose parent cannot: one that is stopped, or gone where no signal tells of it."""
DEEPEST = 40
"""Nested brackets; the grammar recurses some ten Python frames for each."""

_TOO_COMPLEX = (
    (re.compile(r"\d\s*(?:\^|\*\*)[\s{(]*-?\d+[\s}]*(?:\^|\*\*)"), "a power tower"),
    (re.compile(r"(?:\^|\*\*)[\s{(]*-?\d{5,}"), "an exponent of five digits or more"),
    (re.compile(r"\d{5,}[\s)}]*!|![\s)}]*!"), "a large factorial"),
    (re.compile(r"\d{401}"), "a number of more than 400 digits"),
)
_UNREADABLE = (
    (re.compile(r"\d\s+\d|[)\]]\s*\d|(?<![\^_}\]A-Za-z\\])\{(?!,)"), "two things side by side without an operator"),
    (re.compile(r"[\d)}]\s*\((?:[-\d.,/\s{}()]|\\frac)*\)"), "two things side by side without an operator"),
    (
        re.compile(r"(?:[)}]|\d[!.])\s*\\frac\s*\{[\d\s]+\}\s*\{[\d\s]+\}"),
        "two things side by side without an operator",
    ),
    (re.compile(r"['\"]|\\prime|\\dots|\\cdots|\.\.\."), "a prime, a quote or dots, which math-verify drops"),
    (re.compile(r"\d\s*_"), "a number with an index, which math-verify drops"),
    (re.compile(r"\\approx|\\sim|≈|~|\\pmod|\\bmod|\\mod"), "an approximation or a modulus"),
    (re.compile(r"(?<![\\A-Za-z])(?!(?:sqrt|frac)[^A-Za-z])[A-Za-z]{3,}"), "words"),
)
"""Seen with math-verify 0.9.0: "3 4" = 7 and 2(3) = 5 (read as mixed fractions), f'(x) = f(x), 123_8 = 123."""
_NAMED = re.compile(r"\\(?:text|mathrm|mathbf|mathbb|mbox|operatorname|begin|end)\s*\{[^{}]*\}")
"""Commands whose argument is a word, not algebra."""
_NUMERAL = re.compile(r"[-+]?[0-9]*\.?[0-9]*(?:[eE][-+]?[0-9]{1,3})?")


class Unreadable(Exception):
    """A text on which math-verify cannot be trusted, or that is no LaTeX; the message says which."""


def too_complex(text: str) -> str:
    """Why a text is refused without parsing, or "" where it is not.

    The limits: `LONGEST_TEXT` characters, `DEEPEST` nested brackets, 9^{9^{9}} and its like.
    """
    if len(text) > LONGEST_TEXT:
        return f"{len(text):,} characters (limit {LONGEST_TEXT:,})"
    depth = deepest = 0
    for char in text:
        depth += (char in "{([") - (char in "})]")
        deepest = max(deepest, depth)
    if deepest > DEEPEST:
        return f"{deepest} nested brackets (limit {DEEPEST})"
    return next((why for pattern, why in _TOO_COMPLEX if pattern.search(text)), "")


def compare(expected: str, found: str) -> tuple[bool, str, str]:
    """(equal, method, detail) of two answers; equal only if math-verify says so in both directions, and a second look
    does not disagree. What cannot be read is not equal, and `detail` says why.
    """
    if why := too_complex(expected) or too_complex(found):
        return False, "too_complex", why
    from math_verify import verify

    try:
        shapes = _shape(expected), _shape(found)
        if shapes[0] != shapes[1]:
            return False, "math-verify", f"{shapes[0]} against {shapes[1]}"
        left, right = _parsed(expected), _parsed(found)
        equal = all(verify(*pair, float_rounding=12, timeout_seconds=None) for pair in ((left, right), (right, left)))
        return equal and _confirmed(left, right), "math-verify", ""
    except Unreadable as error:
        return False, "math-verify", f"not readable: {error}"
    except RecursionError:
        return False, "too_complex", "nested too deep"


def _parsed(text: str) -> Any:
    r"""A sympy object from LaTeX text, by the parser that math-verify uses.

    Units stay (math-verify cuts a trailing "m", "t" or \text{...} away, so that 2t = 2), and letters keep their case
    (it takes R for r).
    """
    from latex2sympy2_extended.latex2sympy2 import ConversionConfig, NormalizationConfig, latex2sympy, normalize_latex
    from math_verify.grader import should_treat_as_complex

    rules = NormalizationConfig(basic_latex=True, units=False, malformed_operators=True, nits=True, boxed="none")
    flat = normalize_latex(re.sub(r"\\[,;: ]|\\q?quad(?![A-Za-z])", " ", text), config=rules).strip()
    for pattern, why in _UNREADABLE:
        if pattern.search(_NAMED.sub("", flat)) or ("drops" in why and pattern.search(text)):
            raise Unreadable(why)
    if re.search(r"\d\s*\\frac\s*\{\s*(\d+)\s*\}", flat) and _has_improper_mixed(flat):
        raise Unreadable("a mixed number whose fraction is not proper")
    try:
        return latex2sympy(
            flat,
            is_real=not should_treat_as_complex(flat),
            normalization_config=None,
            conversion_config=ConversionConfig(lowercase_symbols=False),
        )
    except (MemoryError, RecursionError):
        raise
    except Exception as error:  # the grammar raises bare Exception, and sympy whatever it likes
        raise Unreadable(f"no LaTeX that the grammar knows ({type(error).__name__})") from error


def _has_improper_mixed(flat: str) -> bool:
    mixed = re.finditer(r"\d\s*\\frac\s*\{\s*(\d+)\s*\}\s*\{\s*(\d+)\s*\}", flat)
    return any(int(each[1]) >= int(each[2]) for each in mixed)


def _shape(text: str) -> str:
    """What kind of thing an answer is, where math-verify does not care: (1, 2) = {1, 2}, and 1, 1, 2 = 1, 2."""
    flat = re.sub(r",?\s*(?:\\text\s*\{\s*)?(?<![A-Za-z])(?:and|or)(?![A-Za-z])\s*\}?,?", ",", text)
    flat = re.sub(r"\\left|\\right|\s|\\[,;:! ]|\$|(?<=\d),(?=\d{3}(?!\d))|\{,\}", "", flat)
    flat = re.sub(r"^[A-Za-z]\\in(?![A-Za-z])", "", flat)
    items = depth = 0
    for index, char in enumerate(flat):
        depth += (char in "{([") - (char in "})]")
        items += char == "," and depth <= (flat[0] in "([" or flat.startswith("\\{")) and index > 0
    kind = "set" if re.fullmatch(r"\\\{.*\\\}", flat) else "pair" if re.fullmatch(r"[(\[].*,.*[)\]]", flat) else "list"
    names = set(re.findall(r"(?:^|,)(\\?[A-Za-z]+)=", flat))
    named = f" of {len(names)} names" if items and len(names) > 1 else ""
    shape = f"{'list' if kind == 'set' else kind} of {items + 1}{named}" if items else "one"
    return shape + (" with a ratio" if ":" in flat else "")


def _confirmed(left: Any, right: Any) -> bool:
    r"""A second look at two objects that math-verify called equal; False where it was too generous.

    Two numbers must agree to one part in 10^12 (it takes \sqrt{2}/10^20 for \sqrt{3}/10^20). Two equations must be
    multiples of each other (it takes any two without a solution for equal). An equation equals a value only where its
    left side is a name, like x or AB (it takes x + y = 1 for 1).
    """
    import sympy
    from sympy.core.relational import Relational
    from sympy.logic.boolalg import Boolean

    relations = [each for each in (left, right) if isinstance(each, (Relational, Boolean))]
    if len(relations) == 2:
        if not left.free_symbols or left.free_symbols != right.free_symbols:
            return False
        if isinstance(left, sympy.Eq) and isinstance(right, sympy.Eq):
            if any(not isinstance(side, sympy.Expr) for side in (*left.args, *right.args)):
                return True
            ratio = sympy.simplify((left.lhs - left.rhs) / (right.lhs - right.rhs))
            return bool(ratio.is_number and ratio.is_finite and not ratio.is_zero)
        return True
    if len(relations) == 1 and isinstance(relations[0], sympy.Eq):
        name = relations[0].lhs
        return bool(name.is_Symbol or (name.is_Mul and all(factor.is_Symbol for factor in name.args)))
    if all(isinstance(each, sympy.Expr) and each.is_number and each.is_finite for each in (left, right)):
        difference = abs(sympy.N(left.doit() - right.doit(), 30))
        return bool(difference <= 1e-12 * abs(sympy.N(left.doit(), 30)))
    return True


def _limit_resources() -> None:
    """Bound memory, files and core dumps; where a platform has no such limit, the parent's wall clock is left."""
    try:
        import resource
    except ImportError:
        return
    try:
        mapped = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0]) * resource.getpagesize()
    except OSError:
        mapped = 64 << 20
    memory = mapped + (MEMORY_MB << 20)
    for kind, most in ((resource.RLIMIT_AS, memory), (resource.RLIMIT_CORE, 0), (resource.RLIMIT_FSIZE, 0)):
        try:
            resource.setrlimit(kind, (most, most))
        except (OSError, ValueError):
            continue


def _allow_cpu() -> None:
    """Let this process use `CPU_SECONDS` from now on; SIGXCPU ends it after that."""
    try:
        import resource

        used = resource.getrusage(resource.RUSAGE_SELF)
        hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
        resource.setrlimit(resource.RLIMIT_CPU, (int(used.ru_utime + used.ru_stime) + CPU_SECONDS, hard))
    except (ImportError, OSError, ValueError):
        return


def _die_with_parent() -> None:
    """On Linux, ask for SIGKILL when the parent ends; elsewhere the end of stdin tells, between two checks."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # 1: PR_SET_PDEATHSIG


def _shut_eval() -> None:
    """Let sympy turn no text but a numeral into an object: `sympify`, which is `eval`, reaches it by this name."""
    from sympy.parsing import sympy_parser

    parse_expr = sympy_parser.parse_expr

    def numeral(text: str, *rest: Any, **options: Any) -> Any:
        if not _NUMERAL.fullmatch(text):
            raise Unreadable("text reached sympy's eval")
        return parse_expr(text, *rest, **options)

    sympy_parser.parse_expr = numeral


def main() -> None:
    """Answer until stdin ends. A check that runs out of memory ends the process; its parent starts another."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _die_with_parent()
    import logging

    logging.disable(logging.CRITICAL)
    if not compare("x^2+2x+1", "(x+1)^2")[0]:  # and imports what sympy imports late, some of it through eval
        sys.exit("math-verify does not know that x^2+2x+1 is (x+1)^2")
    _shut_eval()
    _limit_resources()
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what a library prints is not an answer
    answers.write('{"ready": true}\n')
    answers.flush()
    for line in sys.stdin:
        request = json.loads(line)
        _allow_cpu()
        equal, method, detail = compare(request["expected"], request["found"])
        reply = {"id": request["id"], "equal": equal, "method": method, "detail": detail[:200]}
        answers.write(json.dumps(reply) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
