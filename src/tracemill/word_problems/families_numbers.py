"""Problems about plain numbers: ages, rectangles, sequences, stocks."""

from __future__ import annotations

from fractions import Fraction
from random import Random
from typing import Any

from tracemill.word_problems.family import Add, Family, Solution, dollars, people, show
from tracemill.word_problems.sentences import Params, tellings
from tracemill.word_problems.words import PLURAL, STOCK


def _draw_ages(rng: Random, level: int) -> Params:
    who, other = people(rng, 2)
    years = rng.randrange(2, 16)
    if level == 3:
        times, young = rng.randrange(2, 6), rng.randrange(3, 16)
        return {"who": who, "other": other, "times": times, "total": (times + 1) * young, "years": years}
    params = {"who": who, "other": other, "age": rng.randrange(4, 40), "gap": rng.randrange(2, 25)}
    return params if level == 1 else {**params, "years": years}


def _solve_ages(p: Params, add: Add) -> Solution:
    who, other = p["who"], p["other"]
    if "times" in p:
        parts = p["times"] + 1
        young = Fraction(p["total"], parts)
        old = p["times"] * young
        later = add(old.numerator, p["years"]) if old.denominator == 1 else old + p["years"]
        steps: tuple[str, ...] = (
            f"Together they are {p['times']} + 1 = {parts} times as old as {other}.",
            f"So {other} is {p['total']} ÷ {parts} = {show(young)} years old.",
            f"The age of {who} is {p['times']} × {show(young)} = {show(old)}.",
            f"In {p['years']} years, {who} will be {show(old)} + {p['years']} = {show(later)} years old.",
        )
        return Solution(steps, show(later), f"{show(old)} + {show(young)} = {p['total']}, the sum of the ages.")
    older = add(p["age"], p["gap"])
    both = add(p["age"], older)
    steps = (
        f"The age of {other} is {p['age']} + {p['gap']} = {older} years.",
        f"Together they are {p['age']} + {older} = {both} years old.",
    )
    if "years" not in p:
        return Solution(steps, str(both), f"{both} - {older} = {p['age']}, the age of {who}.")
    more = 2 * p["years"]
    later = add(both, more)
    steps += (
        f"In {p['years']} years both get older, which adds 2 × {p['years']} = {more} years.",
        f"Then the sum is {both} + {more} = {later} years.",
    )
    ages = f"{p['age'] + p['years']} + {older + p['years']}"
    return Solution(steps, str(later), f"Their ages will then be {ages}, which is {later}.")


_OLDER = (
    "{who:name} is {age:int} years old, and {other:name} is {gap:int} years older.",
    "{other:name} is {gap:int} years older than {who:name}, who is {age:int} years old.",
)

AGES = Family(
    "ages",
    {
        1: tellings(
            _OLDER,
            ("What is the sum of their ages?", "How many years do their ages add up to?"),
        ),
        2: tellings(
            _OLDER,
            (
                "What will the sum of their ages be in {years:int} years?",
                "In {years:int} years, what will their ages add up to?",
            ),
        ),
        3: tellings(
            (
                "{who:name} is {times:int} times as old as {other:name}.",
                "The age of {who:name} is {times:int} times the age of {other:name}.",
            ),
            ("Together they are {total:int} years old.", "The sum of their ages is {total:int} years."),
            (
                "How old will {who:name} be in {years:int} years?",
                "In {years:int} years, what will be the age of {who:name}?",
            ),
        ),
    },
    _draw_ages,
    _solve_ages,
)


def _draw_rectangle(rng: Random, level: int) -> Params:
    width = rng.randrange(5, 30 * level)
    params = {"who": people(rng, 1)[0], "length": width + rng.randrange(1, 20 * level), "width": width}
    if level == 2:
        long = rng.randrange(2, width)
        params |= {"pond_length": long, "pond_width": rng.randrange(2, long + 1)}
    if level == 3:
        params |= {"price": rng.randrange(300, 2500, 25), "painting": rng.randrange(5000, 30000, 50)}
    return params


def _solve_rectangle(p: Params, add: Add) -> Solution:
    length, width = p["length"], p["width"]
    if "pond_length" in p:
        whole, pond = length * width, p["pond_length"] * p["pond_width"]
        lawn = whole - pond
        steps: tuple[str, ...] = (
            f"The garden measures {length} × {width} = {whole} square meters.",
            f"The pond measures {p['pond_length']} × {p['pond_width']} = {pond} square meters.",
            f"The lawn measures {whole} - {pond} = {lawn} square meters.",
        )
        return Solution(steps, str(lawn), f"{lawn} + {pond} = {whole}, the whole garden.")
    half = add(length, width)
    around = 2 * half
    steps = (
        f"One long and one short side are {length} + {width} = {half} meters.",
        f"All the way around it is 2 × {half} = {around} meters.",
    )
    if "price" not in p:
        return Solution(steps, str(around), f"2 × {length} + 2 × {width} = {around}.")
    fence = around * p["price"]
    total = add(fence, p["painting"])
    steps += (
        f"The fence costs {around} × {dollars(p['price'])} = {dollars(fence)} dollars.",
        f"With the painting it is {dollars(fence)} + {dollars(p['painting'])} = {dollars(total)} dollars.",
    )
    return Solution(steps, dollars(total), f"{dollars(total)} - {dollars(p['painting'])} = {dollars(fence)}.")


_GARDEN = (
    "{who:name} has a rectangular garden that is {length:int} meters long and {width:int} meters wide.",
    "The rectangular garden of {who:name} is {length:int} meters long and {width:int} meters wide.",
)

RECTANGLE = Family(
    "rectangle",
    {
        1: tellings(
            _GARDEN,
            (
                "How many meters of fence does it take to go all the way around?",
                "What is the perimeter of the garden, in meters?",
                "How many meters does {who:he} walk on the way once around its edge?",
            ),
        ),
        2: tellings(
            _GARDEN,
            (
                "A rectangular pond of {pond_length:int} by {pond_width:int} meters lies inside the garden, and the "
                "rest is lawn.",
                "Inside there is a rectangular pond of {pond_length:int} by {pond_width:int} meters, and everything "
                "else is lawn.",
            ),
            ("How many square meters of lawn are there?", "What is the area of the lawn, in square meters?"),
        ),
        3: tellings(
            _GARDEN,
            (
                "A fence for all four sides costs {price:money} per meter, and painting the whole fence costs "
                "{painting:money} more.",
                "{who:He} has a fence put up all around it for {price:money} per meter and pays {painting:money} once "
                "to have it painted.",
            ),
            ("How much does that cost altogether, in dollars?", "How many dollars does {who:name} pay in all?"),
        ),
    },
    _draw_rectangle,
    _solve_rectangle,
)


def _draw_sequence(rng: Random, level: int) -> Params:
    step = rng.randrange(2, 10)
    if level == 1:
        day = rng.randrange(4, 31)
        return {"who": people(rng, 1)[0], "first": rng.randrange(5, 40), "step": step, "day": day}
    if level == 2:
        return {"first": rng.randrange(8, 40), "step": step, "rows": rng.randrange(5, 31)}
    top = rng.randrange(2, 30)
    return {"who": people(rng, 1)[0], "top": top, "step": step, "bottom": top + step * rng.randrange(4, 25)}


def _solve_sequence(p: Params, add: Add) -> Solution:
    step = p["step"]
    if "top" in p:
        gaps = max(p["bottom"] - p["top"], 0) // step
        rows, ends = gaps + 1, add(p["top"], p["bottom"])
        total = Fraction(rows * ends, 2)
        steps: tuple[str, ...] = (
            f"From the top to the bottom there are ({p['bottom']} - {p['top']}) ÷ {step} = {gaps} steps.",
            f"That makes {gaps} + 1 = {rows} rows.",
            f"The top and the bottom row together have {p['top']} + {p['bottom']} = {ends} cans.",
            f"In all there are {rows} × {ends} ÷ 2 = {show(total)} cans.",
        )
        return Solution(steps, show(total), f"{show(total)} ÷ {rows} is half of {ends}, the cans of an average row.")
    if "rows" in p:
        growth = (p["rows"] - 1) * step
        last = add(p["first"], growth)
        ends = add(p["first"], last)
        total = Fraction(p["rows"] * ends, 2)
        steps = (
            f"The last of these rows has {p['first']} + {p['rows'] - 1} × {step} = {last} seats.",
            f"The first and the last row together have {p['first']} + {last} = {ends} seats.",
            f"In all there are {p['rows']} × {ends} ÷ 2 = {show(total)} seats.",
        )
        return Solution(steps, show(total), f"2 × {show(total)} = {p['rows']} × {ends}.")
    growth = (p["day"] - 1) * step
    count = add(p["first"], growth)
    steps = (
        f"After the first day, the number rises {p['day']} - 1 = {p['day'] - 1} times.",
        f"That adds {p['day'] - 1} × {step} = {growth} push-ups.",
        f"So the number is {p['first']} + {growth} = {count} push-ups.",
    )
    return Solution(steps, str(count), f"{count} - {growth} = {p['first']}, as on the first day.")


SEQUENCE = Family(
    "sequence",
    {
        1: tellings(
            (
                "On the first day of a training plan, {who:name} does {first:int} push-ups.",
                "{who:name} begins a training plan with {first:int} push-ups on the first day.",
            ),
            (
                "On each of the following days, {who:he} does {step:int} more than on the day before.",
                "Every day after that, {who:he} adds {step:int} push-ups to the number of the day before.",
            ),
            (
                "How many push-ups does {who:name} do on the {day:ordinal} day?",
                "How many push-ups is that on the {day:ordinal} day?",
            ),
        ),
        2: tellings(
            (
                "The first row of a theater has {first:int} seats.",
                "In a theater, there are {first:int} seats in the first row.",
                "A concert hall begins with a row of {first:int} seats.",
            ),
            (
                "Each row after that has {step:int} more seats than the row in front of it.",
                "Every following row has {step:int} more seats than the one before.",
            ),
            (
                "How many seats do the first {rows:int} rows have together?",
                "If there are {rows:int} rows, how many seats are there in all?",
            ),
        ),
        3: tellings(
            (
                "{who:name} stacks cans with {top:int} cans in the top row.",
                "In a display that {who:name} has built, the top row has {top:int} cans.",
            ),
            "Each row below has {step:int} more cans than the row above it.",
            ("The bottom row has {bottom:int} cans.", "At the bottom there is a row of {bottom:int} cans."),
            ("How many cans are there altogether?", "How many cans are in the whole stack?"),
        ),
    },
    _draw_sequence,
    _solve_sequence,
)


def _draw_stock(rng: Random, level: int) -> Params:
    params: dict[str, Any] = {
        "who": people(rng, 1)[0],
        "item": rng.choice(STOCK),
        "count": rng.randrange(15, 100 * level),
    }
    if level < 3:
        params["delivered"] = rng.randrange(12, 150 * level)
        top = params["count"] + params["delivered"]
    else:
        params |= {"packs": rng.randrange(3, 25), "pack_size": rng.randrange(6, 50)}
        top = params["count"] + params["packs"] * params["pack_size"]
    return params if level == 1 else {**params, "sold": rng.randrange(5, top - 2)}


def _solve_stock(p: Params, add: Add) -> Solution:
    items, delivered, steps = PLURAL[p["item"]], p.get("delivered", 0), []
    if "packs" in p:
        delivered = p["packs"] * p["pack_size"]
        steps.append(f"The delivery brings {p['packs']} × {p['pack_size']} = {delivered} {items}.")
    full = add(p["count"], delivered)
    steps.append(f"After the delivery there are {p['count']} + {delivered} = {full} {items}.")
    if "sold" not in p:
        return Solution(tuple(steps), str(full), f"{full} - {delivered} = {p['count']}, as before the delivery.")
    left = full - p["sold"]
    steps.append(f"After the sale there are {full} - {p['sold']} = {left} {items} left.")
    return Solution(tuple(steps), str(left), f"{left} + {p['sold']} = {full}, as after the delivery.")


_IN_STOCK = (
    "The shop of {who:name} has {count:int} {item:items} in stock.",
    "{who:name} runs a shop and has {count:int} {item:items} on the shelves.",
)
_SELLS = ("After that, {sold:int} {item:items} are sold.", "During the week, {who:he} sells {sold:int} {item:items}.")

STOCK_KEEPING = Family(
    "stock",
    {
        1: tellings(
            _IN_STOCK,
            ("A delivery brings {delivered:int} more.", "Then {who:he} receives another {delivered:int} of them."),
            ("How many {item:items} does the shop have now?", "How many {item:items} are there now?"),
        ),
        2: tellings(
            _IN_STOCK,
            ("A delivery brings {delivered:int} more.", "Then {who:he} receives another {delivered:int} of them."),
            _SELLS,
            ("How many {item:items} are left?", "How many {item:items} does {who:name} have in the end?"),
        ),
        3: tellings(
            _IN_STOCK,
            (
                "A truck delivers {packs:int} packs with {pack_size:int} {item:items} each.",
                "{who:He} orders and receives {packs:int} packs of {pack_size:int} {item:items}.",
            ),
            _SELLS,
            ("How many {item:items} are left?", "How many {item:items} does {who:name} have in the end?"),
        ),
    },
    _draw_stock,
    _solve_stock,
)

FAMILIES = (AGES, RECTANGLE, SEQUENCE, STOCK_KEEPING)
