"""Text that others wrote, shown to a person: on one line, no longer than fits, and with nothing left in it that a
terminal would obey.

Whatever comes from a recipe, from data or from a server goes through here before it stands in a message. The command
line passes all that it prints through `printable` once more, so that what was forgotten is escaped as well.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

MOST = 80
"""Characters of a value that a message repeats."""


def printable(text: str) -> str:
    """`text` with every character escaped that is neither seen nor a space or the end of a line.

    Control characters move the cursor, change colours or write into the clipboard; format characters such as U+202E
    turn the order of letters around.
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c == "\n" else _escaped(c) for c in text)


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")


def one_line(text: object, most: int = 300) -> str:
    """`text` in one printable line; what is cut off is marked."""
    flat = printable(" ".join(("" if text is None else str(text))[: 4 * most].split()))
    return flat if len(flat) <= most else f"{flat[:most]}..."


def quoted(value: object, most: int = MOST) -> str:
    """What stands in a recipe or a row, as a message names it: 'text', 5, true, nothing, a list."""
    match value:
        case None:
            return "nothing"
        case bool():
            return "true" if value else "false"
        case str():
            text = repr(value[: most + 1])
            return text if len(value) <= most else f"{text[: most - 1]}...'"
        case int() | float():
            return "a very large number" if isinstance(value, int) and abs(value) > 10**most else repr(value)
        case dict():
            return "a mapping"
        case list() | tuple():
            return "a list"
    return one_line(f"{type(value).__name__} {value}", most)


def how_many(count: int, of: str) -> str:
    """A number with what it counts: 1 row, 2,000 rows."""
    return f"{count:,} {of}{'' if count == 1 else 's'}"


def did_you_mean(word: object, known: Iterable[str]) -> str:
    """A question for the end of a message, with the known word that is most like `word`; nothing where none is."""
    by_small = {name.lower(): name for name in known}
    near = get_close_matches(str(word).lower()[:200], by_small, n=1)
    return f" Did you mean {quoted(by_small[near[0]])}?" if near else ""
