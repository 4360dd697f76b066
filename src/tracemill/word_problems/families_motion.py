"""Problems about time and speed: journeys, meetings, time spans, machines and workers."""

from __future__ import annotations

from fractions import Fraction
from random import Random
from typing import Any

from tracemill.word_problems.family import Add, Family, Solution, fraction, people, show
from tracemill.word_problems.sentences import KINDS, Params, tellings
from tracemill.word_problems.words import PLURAL, STATIONERY, STOCK


def _draw_travel(rng: Random, level: int) -> Params:
    params: dict[str, Any] = {"who": people(rng, 1)[0], "hours": rng.randrange(2, 9)}
    if level == 1:
        return {**params, "speed": rng.randrange(30, 120)}
    params["other_hours"] = rng.randrange(2, 9)
    if level == 2:
        return {**params, "speed": rng.randrange(40, 110), "other_speed": rng.randrange(40, 110)}
    hours = params["hours"] + params["other_hours"]
    distance = hours * rng.randrange(50, 100)
    params["distance"] = params["hours"] * rng.randrange(40, 100)
    params["other_distance"] = max(distance - params["distance"], 15)
    return params


def _solve_travel(p: Params, add: Add) -> Solution:
    if "distance" in p:
        distance, hours = add(p["distance"], p["other_distance"]), add(p["hours"], p["other_hours"])
        speed = Fraction(distance, hours)
        steps = (
            f"The whole distance is {p['distance']} + {p['other_distance']} = {distance} kilometers.",
            f"The whole driving time is {p['hours']} + {p['other_hours']} = {hours} hours.",
            f"The average speed is {distance} ÷ {hours} = {show(speed)} kilometers per hour.",
        )
        return Solution(steps, show(speed), f"{hours} × {show(speed)} = {distance}, the whole distance.")
    first = p["hours"] * p["speed"]
    step = f"In {p['hours']} hours at {p['speed']} kilometers per hour, the distance is "
    step += f"{p['hours']} × {p['speed']} = {first} kilometers."
    if "other_speed" not in p:
        return Solution((step,), str(first), f"{first} ÷ {p['hours']} = {p['speed']}, the speed.")
    second = p["other_hours"] * p["other_speed"]
    total = add(first, second)
    steps = (
        step,
        f"The second part is {p['other_hours']} × {p['other_speed']} = {second} kilometers.",
        f"Altogether that is {first} + {second} = {total} kilometers.",
    )
    return Solution(steps, str(total), f"{total} - {second} = {first}, the first part.")


TRAVEL = Family(
    "travel",
    {
        1: tellings(
            (
                "{who:name} drives at a constant speed of {speed:int} kilometers per hour for {hours:int} hours.",
                "{who:name} rides for {hours:int} hours on a train that travels at {speed:int} kilometers per hour.",
            ),
            (
                "How many kilometers does {who:name} travel?",
                "How far does {who:he} get, in kilometers?",
                "What distance does {who:he} cover, in kilometers?",
            ),
        ),
        2: tellings(
            (
                "{who:name} drives for {hours:int} hours at {speed:int} kilometers per hour.",
                "For {hours:int} hours, {who:name} drives at {speed:int} kilometers per hour.",
            ),
            (
                "After a break, {who:he} drives for another {other_hours:int} hours at {other_speed:int} kilometers "
                "per hour.",
                "Then {who:he} continues at {other_speed:int} kilometers per hour for {other_hours:int} more hours.",
            ),
            ("How many kilometers does {who:name} drive altogether?", "How long is the whole route, in kilometers?"),
        ),
        3: tellings(
            (
                "{who:name} drives {distance:int} kilometers in {hours:int} hours.",
                "In the first {hours:int} hours of a trip, {who:name} drives {distance:int} kilometers.",
            ),
            (
                "Then {who:he} drives another {other_distance:int} kilometers in {other_hours:int} hours.",
                "The next {other_distance:int} kilometers take {who:name} {other_hours:int} hours.",
            ),
            (
                "What is {who:his} average speed over the whole trip, in kilometers per hour?",
                "How many kilometers per hour does {who:he} drive on average over the whole trip?",
            ),
        ),
    },
    _draw_travel,
    _solve_travel,
)


def _draw_meeting(rng: Random, level: int) -> Params:
    who, other = people(rng, 2)
    speed, other_speed, hours = rng.randrange(8, 30), rng.randrange(8, 30), rng.randrange(2, 4 + 2 * level)
    params = {"who": who, "other": other, "speed": speed, "other_speed": other_speed}
    if level == 1:
        return {**params, "hours": hours}
    if level == 2:
        return {**params, "distance": (speed + other_speed) * hours}
    head = rng.randrange(2, 6)
    return {**params, "head_start": head, "distance": speed * head + (speed + other_speed) * hours}


def _solve_meeting(p: Params, add: Add) -> Solution:
    both = add(p["speed"], p["other_speed"])
    closing = f"Each hour they come closer by {p['speed']} + {p['other_speed']} = {both} kilometers."
    if "hours" in p:
        apart = both * p["hours"]
        last = f"In {p['hours']} hours that makes {p['hours']} × {both} = {apart} kilometers."
        ways = f"{p['who']} rides {p['hours'] * p['speed']} and {p['other']} {p['hours'] * p['other_speed']} kilometers"
        return Solution((closing, last), str(apart), f"{ways}, together {apart}.")
    steps: tuple[str, ...] = (closing,)
    left = p["distance"]
    if "head_start" in p:
        alone = p["speed"] * p["head_start"]
        left -= alone
        steps = (
            f"Before {p['other']} sets off, {p['who']} covers {p['head_start']} × {p['speed']} = {alone} kilometers.",
            f"That leaves {p['distance']} - {alone} = {left} kilometers between them.",
            closing,
        )
    hours = Fraction(left, both)
    last = f"They need {left} ÷ {both} = {show(hours)} hours."
    return Solution((*steps, last), show(hours), f"{show(hours)} × {both} = {left}, the distance between them.")


_TOWARDS = (
    "Two villages are {distance:int} kilometers apart.",
    "{who:name} and {other:name} live {distance:int} kilometers apart, at the two ends of a straight road.",
)
_SPEEDS = (
    "{who:name} rides at {speed:int} kilometers per hour and {other:name} at {other_speed:int} kilometers per hour.",
)

MEETING = Family(
    "meeting",
    {
        1: tellings(
            (
                "{who:name} and {other:name} set off at the same time from two villages and cycle towards each other.",
                "From two different villages, {who:name} and {other:name} start cycling towards each other at the "
                "same moment.",
            ),
            _SPEEDS,
            ("They meet after {hours:int} hours.", "It takes them {hours:int} hours to meet."),
            (
                "How many kilometers apart are the villages?",
                "How many kilometers of road lie between the villages?",
            ),
        ),
        2: tellings(
            _TOWARDS,
            "At the same moment, {who:name} and {other:name} set off from the two ends and cycle towards each other.",
            _SPEEDS,
            ("After how many hours do they meet?", "How many hours does it take until they meet?"),
        ),
        3: tellings(
            _TOWARDS,
            "{who:name} and {other:name} set off from the two ends and cycle towards each other.",
            _SPEEDS,
            (
                "{who:name} sets off {head_start:int} hours before {other:name}.",
                "{other:name} sets off {head_start:int} hours after {who:name}.",
            ),
            (
                "How many hours after {other:name} sets off do they meet?",
                "How many hours has {other:name} been riding when they meet?",
            ),
        ),
    },
    _draw_meeting,
    _solve_meeting,
)

_DAY = 24 * 60


def _draw_time_span(rng: Random, level: int) -> Params:
    start = rng.randrange(6 * 60, 13 * 60, (0, 5, 1, 15)[level])
    if level < 3:
        params = {"who": people(rng, 1)[0], "start": start, "end": start + rng.randrange(40, 200 * level)}
        return params if level == 1 else {**params, "pause": rng.randrange(5, 31)}
    pause = rng.randrange(15, 61, 15)
    net = rng.randrange(120, 540, 30)
    return {
        "who": people(rng, 1)[0],
        "start": start,
        "end": start + net + pause,
        "pause": pause,
        "days": rng.randrange(2, 25),
    }


def _solve_time_span(p: Params, add: Add) -> Solution:
    start, end = KINDS["clock"].show(p["start"]), KINDS["clock"].show(p["end"])
    span = (p["end"] - p["start"]) % _DAY
    steps = [f"From {start} to {end} it is {span // 60} × 60 + {span % 60} = {span} minutes."]
    check = f"{span} minutes after {start} it is {end}."
    if "pause" not in p:
        return Solution(tuple(steps), str(span), check)
    net = span - p["pause"]
    steps.append(f"Without the break it is {span} - {p['pause']} = {net} minutes.")
    if "days" not in p:
        return Solution(tuple(steps), str(net), check)
    total = net * p["days"]
    hours = Fraction(total, 60)
    steps += [
        f"In {p['days']} days that makes {p['days']} × {net} = {total} minutes.",
        f"In hours it is {total} ÷ 60 = {show(hours)}.",
    ]
    return Solution(tuple(steps), show(hours), f"{show(hours)} × 60 = {total}, and {check}")


TIME_SPAN = Family(
    "time_span",
    {
        1: tellings(
            ("{who:name} starts reading at {start:clock} and stops at {end:clock} on the same day.",),
            ("How many minutes does {who:name} read?", "For how many minutes does {who:he} read?"),
        )
        + tellings(
            ("On Saturday, {who:name} works in the garden from {start:clock} to {end:clock} without a break.",),
            ("How many minutes does {who:he} work?", "For how many minutes does {who:name} work in the garden?"),
        ),
        2: tellings(
            (
                "{who:name} starts painting a room at {start:clock} and finishes at {end:clock} on the same day.",
                "From {start:clock} to {end:clock} on the same day, {who:name} is busy painting a room.",
            ),
            (
                "In between, {who:he} takes one break of {pause:int} minutes.",
                "During this time, {who:he} rests once, for {pause:int} minutes.",
            ),
            (
                "How many minutes does {who:name} actually paint?",
                "Without the break, how many minutes does {who:he} paint?",
            ),
        ),
        3: tellings(
            (
                "On each of {days:int} days, {who:name} works from {start:clock} to {end:clock}.",
                "{who:name} has a job for {days:int} days and works from {start:clock} to {end:clock} on each of them.",
            ),
            (
                "Every day {who:he} takes one unpaid break of {pause:int} minutes.",
                "A break of {pause:int} minutes each day does not count as working time.",
            ),
            (
                "How many hours of work is that in all, without the breaks?",
                "How many hours does {who:he} work in total, not counting the breaks?",
            ),
        ),
    },
    _draw_time_span,
    _solve_time_span,
)


def _draw_work_rate(rng: Random, level: int) -> Params:
    if level == 1:
        item = rng.choice(STATIONERY if rng.randrange(2) else STOCK)
        machines, rate, hours = rng.randrange(2, 13), rng.randrange(5, 100), rng.randrange(2, 13)
        return {"machines": machines, "rate": rate, "hours": hours, "item": item}
    if level == 2:
        days, other_days = rng.sample(range(2, 16), 2)
        unit = rng.randrange(1, 6)
        return {"workers": unit * other_days, "days": days, "other_workers": unit * days}
    who, other = people(rng, 2)
    hours, other_hours = rng.sample(range(2, 25), 2)
    return {"who": who, "other": other, "hours": hours, "other_hours": other_hours}


def _solve_work_rate(p: Params, add: Add) -> Solution:
    if "machines" in p:
        each = p["machines"] * p["rate"]
        made = each * p["hours"]
        steps: tuple[str, ...] = (
            f"In one hour the machines make {p['machines']} × {p['rate']} = {each} {PLURAL[p['item']]}.",
            f"In {p['hours']} hours they make {p['hours']} × {each} = {made}.",
        )
        one = p["rate"] * p["hours"]
        return Solution(steps, str(made), f"One machine makes {one}, and {p['machines']} × {one} = {made}.")
    if "workers" in p:
        work = p["workers"] * p["days"]
        days = Fraction(work, p["other_workers"])
        steps = (
            f"One worker alone would need {p['workers']} × {p['days']} = {work} days.",
            f"With {p['other_workers']} workers it takes {work} ÷ {p['other_workers']} = {show(days)} days.",
        )
        return Solution(steps, show(days), f"{p['other_workers']} × {show(days)} = {work}, the same amount of work.")
    first, second = p["hours"], p["other_hours"]
    top, bottom = add(first, second), first * second
    rate, hours = Fraction(top, bottom), Fraction(bottom, top)
    rates = f"\\frac{{1}}{{{first}}} + \\frac{{1}}{{{second}}} = \\frac{{{top}}}{{{bottom}}}"
    steps = (
        f"In one hour, {p['who']} does \\frac{{1}}{{{first}}} of the work and {p['other']} \\frac{{1}}{{{second}}}.",
        f"Together they do {rates} of the work in one hour.",
        f"For all of it they need 1 ÷ {fraction(rate)} = {fraction(hours)} hours.",
    )
    parts = f"{fraction(hours / first)} + {fraction(hours / second)}"
    return Solution(steps, fraction(hours), f"In that time they do {parts} = 1, the whole work.")


WORK_RATE = Family(
    "work_rate",
    {
        1: tellings(
            (
                "A factory has {machines:int} machines that each make {rate:int} {item:items} per hour.",
                "In a workshop there are {machines:int} machines, and every one of them makes {rate:int} {item:items} "
                "per hour.",
            ),
            (
                "How many {item:items} do all the machines make in {hours:int} hours?",
                "How many {item:items} are made in {hours:int} hours if all machines are running?",
            ),
        ),
        2: tellings(
            (
                "It takes {workers:int} workers {days:int} days to paint a school.",
                "A team of {workers:int} workers can paint a school in {days:int} days.",
            ),
            (
                "If everyone works at the same rate, how many days would {other_workers:int} workers need?",
                "How many days would it take {other_workers:int} workers who work at the same rate?",
            ),
        ),
        3: tellings(
            (
                "{who:name} can paint a fence alone in {hours:int} hours, and {other:name} can do it alone in "
                "{other_hours:int} hours.",
                "Working alone, {who:name} needs {hours:int} hours to paint a fence, while {other:name} needs "
                "{other_hours:int} hours.",
            ),
            (
                "How many hours do they need if they paint it together?",
                "Working together at these rates, how many hours do they need?",
            ),
        ),
    },
    _draw_work_rate,
    _solve_work_rate,
)

FAMILIES = (TRAVEL, MEETING, TIME_SPAN, WORK_RATE)
