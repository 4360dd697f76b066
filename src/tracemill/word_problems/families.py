"""All families: generate problems, and recognise one from its text alone."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from difflib import get_close_matches
from hashlib import sha256
from random import Random
from typing import NamedTuple

from tracemill.errors import RecipeError
from tracemill.identity import canonical
from tracemill.record import Message, Prompt
from tracemill.word_problems import families_many, families_money, families_motion, families_numbers, families_shares
from tracemill.word_problems.family import DIFFICULTIES, Family
from tracemill.word_problems.sentences import Params, by_anchor, last_told

_ROOMS = (families_money, families_motion, families_shares, families_many, families_numbers)

FAMILIES: Mapping[str, Family] = {family.name: family for room in _ROOMS for family in room.FAMILIES}
"""Every family by its name."""


_ANCHORED = by_anchor(
    (family, telling) for family in FAMILIES.values() for level in DIFFICULTIES for telling in family.tellings[level]
)


class Found(NamedTuple):
    """A problem, read from its text."""

    family: Family
    params: Params


def recognise(text: str) -> Found | None:
    """The word problem that stands in `text`, alone or with other text around it.

    White space does not matter. Where there are several problems, the last one is it.
    """
    found = last_told(text, _ANCHORED)
    return Found(*found) if found else None


def generate(
    count: int,
    seed: int,
    families: Collection[str] | None = None,
    difficulties: Collection[int] = DIFFICULTIES,
) -> Iterator[Prompt]:
    """`count` math prompts with their answers, one at a time.

    Prompt i depends on seed, i, and which families and difficulties are chosen (in whatever order), never on `count`.

    Args:
        count: How many; none is made before it is asked for.
        seed: Any integer. Other seeds give other problems.
        families: Names from `FAMILIES`; None means all of them.
        difficulties: From 1, few steps with small numbers, to 3.

    Raises:
        RecipeError: A family or difficulty that there is none of, or none chosen. Raised at the call, not later.
    """
    names = sorted(set(FAMILIES if families is None else families))
    levels = sorted(set(difficulties))
    for name in names:
        if name not in FAMILIES:
            near = get_close_matches(name, FAMILIES, 1)
            meant = f" Did you mean {near[0]!r}?" if near else ""
            raise RecipeError(f"word_problems has no family {name!r} (it has: {', '.join(FAMILIES)}).{meant}")
    for level in levels:
        if level not in DIFFICULTIES:
            raise RecipeError(f"word_problems has no difficulty {level!r} (it has: {str(DIFFICULTIES)[1:-1]}).")
    if not names or not levels:
        raise RecipeError("word_problems needs at least one family and one difficulty.")
    return (_prompt(seed, index, names, levels) for index in range(count))


def _prompt(seed: int, index: int, names: list[str], levels: list[int]) -> Prompt:
    hashed = sha256(canonical(["word_problem", str(seed), index, names, levels])).digest()
    rng = Random(int.from_bytes(hashed, "big"))
    family, level = FAMILIES[rng.choice(names)], rng.choice(levels)
    params = family.draw(rng, level)
    text = rng.choice(family.tellings[level]).render(params)
    return Prompt(
        category="math",
        messages=(Message("user", text),),
        expected=family.solve(params).answer,
        source="word_problems",
        source_id=f"{family.name}-{seed}-{index}",
        source_license="CC0-1.0",
        metadata={"family": family.name, "difficulty": level},
    )
