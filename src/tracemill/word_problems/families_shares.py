"""Problems about parts of a whole: fractions, percentages, sharing, ratios."""

from __future__ import annotations

from fractions import Fraction
from math import gcd
from random import Random
from typing import Any

from tracemill.word_problems.family import Add, Family, Solution, dollars, fraction, people, show
from tracemill.word_problems.sentences import Params, tellings
from tracemill.word_problems.words import COLLECTIBLES, HARVEST, PLURAL, TREATS


def _share(rng: Random, largest: int) -> Fraction:
    bottom = rng.randrange(2, largest)
    return Fraction(rng.randrange(1, bottom), bottom)


def _draw_fraction(rng: Random, level: int) -> Params:
    who, other, third = people(rng, 3)
    item = rng.choice(COLLECTIBLES)
    share, second = _share(rng, (0, 7, 7, 9)[level]), _share(rng, 7)
    if level == 2:
        while share + second >= 1:
            share, second = _share(rng, 7), _share(rng, 7)
    bottom = share.denominator * (second.denominator if level > 1 else 1)
    count = bottom * rng.randrange(2, (0, 13, 9, 13)[level])
    params = {"who": who, "item": item, "count": count, "share": str(share), "other": other}
    if level == 2:
        params |= {"third": third, "other_share": str(second)}
    if level == 3:
        params["next_share"] = str(second)
    return params


def _solve_fraction(p: Params, add: Add) -> Solution:
    count, items, share = p["count"], PLURAL[p["item"]], Fraction(p["share"])
    given = share * count
    steps = [f"{p['other']} gets {fraction(share)} × {count} = {show(given)} {items}."]
    gone, left = given, count - given
    if "other_share" in p:
        second = Fraction(p["other_share"])
        more = second * count
        gone = _sum(given, more, add)
        left = count - gone
        steps += [
            f"{p['third']} gets {fraction(second)} × {count} = {show(more)} {items}.",
            f"Given away are {show(given)} + {show(more)} = {show(gone)} {items}.",
        ]
    steps.append(f"That leaves {count} - {show(gone)} = {show(left)} {items}.")
    if "next_share" in p:
        second = Fraction(p["next_share"])
        lost, before = second * left, left
        left = before - lost
        gone += lost
        steps += [
            f"Of these, {p['who']} sells {fraction(second)} × {show(before)} = {show(lost)}.",
            f"In the end there are {show(before)} - {show(lost)} = {show(left)} {items}.",
        ]
    return Solution(tuple(steps), show(left), f"{show(left)} + {show(gone)} = {count}, the number at the start.")


def _sum(first: Fraction, second: Fraction, add: Add) -> int | Fraction:
    """`add` is for whole numbers; what is not whole is added exactly."""
    if first.denominator == second.denominator == 1:
        return add(first.numerator, second.numerator)
    return first + second


_HAS = (
    "{who:name} has {count:int} {item:items}.",
    "{who:name} has a collection of {count:int} {item:items}.",
    "There are {count:int} {item:items} in the box that {who:name} owns.",
)
_LEFT = ("How many {item:items} does {who:name} have left?", "How many {item:items} does {who:he} still have?")

FRACTION = Family(
    "fraction",
    {
        1: tellings(_HAS, "{who:He} gives {share:fraction} of the {item:items} to {other:name}.", _LEFT),
        2: tellings(
            _HAS,
            (
                "{who:He} gives {share:fraction} of the whole collection to {other:name} and {other_share:fraction} "
                "of the whole collection to {third:name}.",
            ),
            _LEFT,
        ),
        3: tellings(
            _HAS,
            "{who:He} gives {share:fraction} of the {item:items} to {other:name}.",
            (
                "After that, {who:he} sells {next_share:fraction} of the remaining {item:items}.",
                "Then {who:he} sells {next_share:fraction} of what is left.",
            ),
            _LEFT,
        ),
    },
    _draw_fraction,
    _solve_fraction,
)


def _draw_percent(rng: Random, level: int) -> Params:
    if level == 3:
        growth, fall = rng.randrange(5, 55, 5), rng.randrange(5, 55, 5)
        return {"count": 400 * rng.randrange(3, 120), "growth": growth, "fall": fall}
    if level == 2:
        percent, other = rng.randrange(5, 60), rng.randrange(5, 40)
        return {"count": 100 * rng.randrange(2, 20), "percent": percent, "other_percent": other}
    return {"count": 20 * rng.randrange(4, 60), "percent": rng.randrange(5, 100, 5)}


def _solve_percent(p: Params, add: Add) -> Solution:
    count = p["count"]
    if "growth" in p:
        more = Fraction(count * p["growth"], 100)
        grown = _sum(Fraction(count), more, add)
        less = grown * Fraction(p["fall"], 100)
        left = grown - less
        steps: tuple[str, ...] = (
            f"The first year adds {p['growth']}% of {count} = {show(more)} inhabitants.",
            f"Then there are {count} + {show(more)} = {show(grown)}.",
            f"The second year takes away {p['fall']}% of {show(grown)} = {show(less)}.",
            f"That leaves {show(grown)} - {show(less)} = {show(left)} inhabitants.",
        )
        factors = f"{show(Fraction(100 + p['growth'], 100))} × {show(Fraction(100 - p['fall'], 100))}"
        return Solution(steps, show(left), f"{count} × {factors} = {show(left)}.")
    if "other_percent" in p:
        others = add(p["percent"], p["other_percent"])
        rest = 100 - others
        part = Fraction(count * rest, 100)
        steps = (
            f"By bus or on foot come {p['percent']} + {p['other_percent']} = {others} percent.",
            f"That leaves 100 - {others} = {rest} percent who cycle.",
            f"In numbers, {rest}% of {count} = {show(part)} students.",
        )
        gone = Fraction(count * others, 100)
        return Solution(steps, show(part), f"{show(gone)} do not cycle, and {show(gone)} + {show(part)} = {count}.")
    part = Fraction(count * p["percent"], 100)
    hundredth = show(Fraction(count, 100))
    steps = (
        f"One percent of {count} is {count} ÷ 100 = {hundredth}.",
        f"So {p['percent']} percent are {p['percent']} × {hundredth} = {show(part)}.",
    )
    return Solution(steps, show(part), f"{show(part)} out of {count} is {p['percent']}%.")


PERCENT = Family(
    "percent",
    {
        1: tellings(
            (
                "A school has {count:int} students.",
                "At a school, {count:int} students answer a survey.",
                "In a survey, {count:int} students of a school are asked how they spend their free time.",
            ),
            (
                "Of these, {percent:percent} play an instrument.",
                "Exactly {percent:percent} of them play an instrument.",
            ),
            ("How many students play an instrument?", "How many of these students play an instrument?"),
        ),
        2: tellings(
            (
                "A school has {count:int} students.",
                "At a school, {count:int} students are asked how they get there.",
            ),
            (
                "Of these, {percent:percent} come by bus, {other_percent:percent} walk, and all the others cycle.",
                "Exactly {percent:percent} of them take the bus, {other_percent:percent} walk, and the rest cycle.",
            ),
            ("How many students come by bicycle?", "How many of the students ride a bicycle to school?"),
        ),
        3: tellings(
            ("A town had {count:int} inhabitants.", "There were {count:int} people living in a town."),
            (
                "In the first year their number rose by {growth:percent}, and in the second year it fell by "
                "{fall:percent}.",
                "The population grew by {growth:percent} in one year and then shrank by {fall:percent} in the "
                "following year.",
            ),
            (
                "How many inhabitants did the town have after these two years?",
                "How many people lived in the town at the end of the two years?",
            ),
        ),
    },
    _draw_percent,
    _solve_percent,
)


def _draw_sharing(rng: Random, level: int) -> Params:
    size = rng.randrange(4, (0, 13, 16, 31)[level])
    total = size * rng.randrange(3, 8 * level) + rng.randrange(1, size)
    params: dict[str, Any] = {"who": people(rng, 1)[0], "item": rng.choice(HARVEST if level == 3 else TREATS)}
    if level == 1:
        return {**params, "count": total, "friends": size}
    first = rng.randrange(total // 4, total // 2)
    params |= {"count": first, "other_count": total - first}
    return {**params, "friends" if level == 2 else "crate": size}


def _solve_sharing(p: Params, add: Add) -> Solution:
    items, total, steps = PLURAL[p["item"]], p["count"], []
    if "other_count" in p:
        total = add(p["count"], p["other_count"])
        steps.append(f"Altogether there are {p['count']} + {p['other_count']} = {total} {items}.")
    if "crate" in p:
        full, rest = divmod(total, p["crate"])
        crates = full + (rest > 0)
        steps.append(f"Since {full} × {p['crate']} = {full * p['crate']}, {full} full crates leave {rest} over.")
        steps.append(f"So the number of crates needed is {crates}.")
        check = f"{crates} crates hold up to {crates * p['crate']} {items}, and {total} have to be packed."
        return Solution(tuple(steps), str(crates), check)
    each, rest = divmod(total, p["friends"])
    steps.append(f"Each friend gets {each}, which uses up {p['friends']} × {each} = {total - rest} {items}.")
    steps.append(f"What is left over is {total} - {total - rest} = {rest}.")
    return Solution(tuple(steps), str(rest), f"{rest} is less than {p['friends']}, so nobody can get one more.")


_GIVES = (
    "{who:He} shares them equally among {friends:int} friends, giving each one as many whole {item:items} as possible.",
    "{who:He} divides them among {friends:int} friends so that all get the same whole number, as many as possible.",
)
_OVER = ("How many {item:items} are left over?", "How many {item:items} remain for {who:name}?")

SHARING = Family(
    "sharing",
    {
        1: tellings(
            ("{who:name} has {count:int} {item:items}.", "{who:name} brings {count:int} {item:items} to a party."),
            _GIVES,
            _OVER,
        ),
        2: tellings(
            (
                "{who:name} has one bag with {count:int} {item:items} and another bag with {other_count:int}.",
                "In two bags, {who:name} has {count:int} and {other_count:int} {item:items}.",
            ),
            "{who:He} puts all the {item:items} together.",
            _GIVES,
            _OVER,
        ),
        3: tellings(
            (
                "{who:name} picks {count:int} {item:items} in the morning and {other_count:int} in the afternoon.",
                "On one day {who:name} harvests {count:int} {item:items}, and on the next day {other_count:int} more.",
            ),
            ("One crate holds {crate:int} {item:items}.", "At most {crate:int} {item:items} fit into one crate."),
            (
                "How many crates are needed for all of them?",
                "What is the smallest number of crates that {who:name} needs?",
            ),
        ),
    },
    _draw_sharing,
    _solve_sharing,
)


def _draw_ratio(rng: Random, level: int) -> Params:
    who, other, third = people(rng, 3)
    part, other_part = rng.sample(range(2, 4 + 4 * level), 2)
    part, other_part = (n // gcd(part, other_part) for n in (part, other_part))
    unit = rng.randrange(2, 9 + 6 * level)
    if level == 1:
        count = (part + other_part) * unit
        item = rng.choice(TREATS)
        return {"who": who, "other": other, "item": item, "count": count, "part": part, "other_part": other_part}
    if level == 2:
        item, other_item = rng.sample(HARVEST, 2)
        shares = {"part": part, "other_part": other_part, "count": part * unit}
        return {"item": item, "other_item": other_item, **shares}
    third_part = max(part, other_part) + rng.randrange(1, 6)
    prize = (part + other_part + third_part) * unit * 100
    shares = {"part": part, "other_part": other_part, "third_part": third_part}
    return {"who": who, "other": other, "third": third, "prize": prize, **shares}


def _solve_ratio(p: Params, add: Add) -> Solution:
    part, parts = p["part"], add(p["part"], p["other_part"])
    if "prize" in p:
        whole = add(parts, p["third_part"])
        unit = Fraction(p["prize"], whole)
        more = p["third_part"] - part
        steps: tuple[str, ...] = (
            f"The number of parts is {part} + {p['other_part']} + {p['third_part']} = {whole}.",
            f"One part is {dollars(p['prize'])} ÷ {whole} = {dollars(unit)} dollars.",
            f"In parts, the share of {p['third']} is larger by {p['third_part']} - {part} = {more}.",
            f"That makes {more} × {dollars(unit)} = {dollars(more * unit)} dollars.",
        )
        high, low = dollars(p["third_part"] * unit), dollars(part * unit)
        return Solution(steps, dollars(more * unit), f"{high} - {low} = {dollars(more * unit)}.")
    if "other_item" in p:
        unit = Fraction(p["count"], part)
        total = unit * parts
        steps = (
            f"The {PLURAL[p['item']]} are {part} parts, so one part is {p['count']} ÷ {part} = {show(unit)} pieces.",
            f"The number of parts is {part} + {p['other_part']} = {parts}.",
            f"Altogether that makes {parts} × {show(unit)} = {show(total)} pieces.",
        )
        rest = total - p["count"]
        return Solution(steps, show(total), f"{show(total)} - {p['count']} = {show(rest)} {PLURAL[p['other_item']]}.")
    unit = Fraction(p["count"], parts)
    share = unit * part
    steps = (
        f"The number of parts is {part} + {p['other_part']} = {parts}.",
        f"One part is {p['count']} ÷ {parts} = {show(unit)} {PLURAL[p['item']]}.",
        f"{p['who']} gets {part} × {show(unit)} = {show(share)} {PLURAL[p['item']]}.",
    )
    rest = p["count"] - share
    return Solution(steps, show(share), f"{show(rest)} remain, and {show(share)} + {show(rest)} = {p['count']}.")


RATIO = Family(
    "ratio",
    {
        1: tellings(
            (
                "{who:name} and {other:name} share {count:int} {item:items} in the ratio {part:int}:{other_part:int}.",
                "In the ratio {part:int}:{other_part:int}, {who:name} and {other:name} share {count:int} {item:items}.",
            ),
            ("How many {item:items} does {who:name} get?", "How many {item:items} are there for {who:name}?"),
        ),
        2: tellings(
            (
                "In a basket, the ratio of {item:items} to {other_item:items} is {part:int}:{other_part:int}.",
                "A basket holds {item:items} and {other_item:items} in the ratio {part:int}:{other_part:int}.",
            ),
            ("There are {count:int} {item:items}.", "The number of {item:items} is {count:int}."),
            (
                "How many {item:items} and {other_item:items} are there altogether?",
                "Counting the {item:items} and the {other_item:items}, how many pieces are in the basket?",
            ),
        ),
        3: tellings(
            (
                "{who:name}, {other:name} and {third:name} share a prize of {prize:money}.",
                "A prize of {prize:money} goes to {who:name}, {other:name} and {third:name}.",
            ),
            "They split it in the ratio {part:int}:{other_part:int}:{third_part:int}, in this order.",
            (
                "How many dollars more does {third:name} get than {who:name}?",
                "By how many dollars is the share of {third:name} larger than the share of {who:name}?",
            ),
        ),
    },
    _draw_ratio,
    _solve_ratio,
)


FAMILIES = (FRACTION, PERCENT, SHARING, RATIO)
