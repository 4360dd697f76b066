"""Apertium, the free rule-based translator, as Debian packages it: which of its modes lead from one language to another."""

from __future__ import annotations

import subprocess
from collections import deque
from collections.abc import Collection, Iterable, Sequence

from tracemill.translators.command import CommandTranslator
from tracemill.translators.program import Program
from tracemill.translators.translator import TranslatorError

CODES = {
    "en": "eng", "es": "spa", "ca": "cat", "fr": "fra", "it": "ita", "pt": "por", "ro": "ron", "gl": "glg", "oc": "oci",
    "eu": "eus", "eo": "epo", "nl": "nld", "sv": "swe", "da": "dan", "is": "isl", "cy": "cym", "pl": "pol", "uk": "ukr",
    "ru": "rus", "be": "bel", "hi": "hin", "ur": "urd", "id": "ind", "ms": "msa", "ar": "ara", "mt": "mlt",
}  # fmt: skip
"""Apertium's codes by ours; it writes either."""
INSTALL = "install it with its languages, e.g.: apt-get install apertium apertium-eng-spa"
MOST_STEPS = 3
PIPED = ("sh", "-c", 'cat | apertium -u "$0" | cat')
"""Apertium opens its standard input by name, which cannot be done with the socket that uvloop gives a program."""


def modes() -> tuple[str, ...]:
    """The modes that are installed, such as "eng-spa", sorted.

    Raises:
        TranslatorError: Apertium is not installed.
    """
    try:
        done = subprocess.run(["apertium", "-l"], capture_output=True, text=True, timeout=60, check=False)
    except FileNotFoundError:
        raise TranslatorError(f"apertium is not on the path; {INSTALL}") from None
    except subprocess.TimeoutExpired as exc:
        raise TranslatorError("apertium does not answer: `apertium -l` took over a minute") from exc
    return tuple(sorted(line.strip() for line in done.stdout.splitlines() if line.count("-") == 1))


def route(there: Collection[str], source: str, target: str) -> tuple[str, ...] | None:
    """The shortest chain of modes from one language to another, the first in the order of the alphabet; None: none."""
    begin, end = _spellings(source), _spellings(target)
    waiting: deque[tuple[str, ...]] = deque((mode,) for mode in sorted(there) if mode.partition("-")[0] in begin)
    while waiting:
        way = waiting.popleft()
        at = way[-1].partition("-")[2]
        if at in end:
            return way
        if len(way) < MOST_STEPS:
            been = {mode.partition("-")[0] for mode in way}
            waiting.extend(
                (*way, m) for m in sorted(there) if m.partition("-")[0] == at and m.partition("-")[2] not in been
            )
    return None


def apertium(pairs: Iterable[tuple[str, str]], there: Sequence[str] | None = None) -> CommandTranslator:
    """Translates between these languages by what is installed.

    It takes lines for one text, and a line for the end of the sentence before. So each goes between two numbers.
    Words that it does not know stay as they are (`-u`): marked with a star, they would be lost on the next step of a chain.

    Args:
        pairs: Codes of source and target.
        there: The modes; by default those that are installed.
    Raises:
        TranslatorError: Apertium is not installed, or no chain of its modes leads there.
    """
    there = modes() if there is None else there
    programs = {}
    for source, target in pairs:
        way = route(there, source, target)
        if way is None:
            raise TranslatorError(
                f"no modes of Apertium lead from {source} to {target}; installed are {', '.join(there) or 'none'}"
            )
        programs[source, target] = [Program((*PIPED, mode), life="batch", apart=True, markers=1) for mode in way]
    return CommandTranslator(programs)


def _spellings(code: str) -> frozenset[str]:
    return frozenset({code, CODES.get(code, code)})
