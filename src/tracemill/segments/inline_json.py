"""JSON, alone or amid a line. A value that does not parse is not tried again from within, and after `MOST_FAILURES`
of them a text is taken to hold no more: a failure costs up to the length of the text, and the whole must stay linear.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

_DECODER = json.JSONDecoder(parse_int=str, parse_float=str)
"""Numbers stay text: their size is not our business."""


MOST_FAILURES = 200


def value_end(text: str, start: int) -> tuple[int, int]:
    """Where the JSON value that begins at `start` ends, or -1; and from where on it is worth trying again."""
    try:
        _, end = _DECODER.raw_decode(text, start)
    except json.JSONDecodeError as error:
        return -1, max(error.pos, start + 1)
    except RecursionError:
        return -1, len(text)
    return end, end


def inline_json(text: str) -> Iterator[tuple[int, int, str]]:
    """Objects with at least one key amid other text: `call it with {"n": 5}`."""
    at = text.find('{"')
    failures = 0
    while at >= 0 and failures < MOST_FAILURES:
        end, again = value_end(text, at)
        if end >= 0:
            yield at, end, "json"
        failures += end < 0
        at = text.find('{"', again)
