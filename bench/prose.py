"""Text that compresses about as well as real traces do, which the scripted server's does not: it repeats itself."""

from __future__ import annotations

import random
from functools import cache
from itertools import accumulate

VOCABULARY = 5_000
POOL_BYTES = 8_000_000
_SYLLABLES = "ka lo mi ten ra su pe vor di nal che to bri an es gu lim or wa fy sta ne hul cro id".split()


def prose(number: int, size: int) -> str:
    """`size` bytes of made-up words, the same for the same number; some are common, most are rare, as in a language."""
    begin = random.Random(number).randrange(POOL_BYTES - size)
    return _pool()[begin : begin + size]


@cache
def _pool() -> str:
    draw = random.Random(0)
    words = ["".join(draw.choices(_SYLLABLES, k=draw.choice((1, 1, 2, 2, 3, 4)))) for _ in range(VOCABULARY)]
    weights = list(accumulate(1 / (rank + 3) for rank in range(VOCABULARY)))
    pieces = []
    size = 0
    while size < POOL_BYTES:
        sentence = (
            " ".join(draw.choices(words, cum_weights=weights, k=draw.randint(6, 24))) + f" {draw.randint(0, 999)}.\n"
        )
        pieces.append(sentence)
        size += len(sentence)
    return "".join(pieces)
