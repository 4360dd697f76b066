r"""Exercises of science: quantities with units and constants.

A quantity is worked with rationals, so its decimals are exact: "A force of 12 N ..." ends in `\boxed{4.8\,\text{J}}`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction
from random import Random
from typing import NamedTuple

from tracemill.exercises.form import Drawn, Form, Params, Worked, plain
from tracemill.record import Message
from tracemill.word_problems.family import show
from tracemill.word_problems.sentences import Telling, tellings

GRAVITY, WATER_MOLE, WATER_HEAT, SOUND = Fraction("9.81"), Fraction("18.015"), Fraction("4.18"), 343
"""m/s² at sea level; g/mol and J/(g·K) of water; m/s in air of 20 °C."""


class Result(NamedTuple):
    """What a law comes to."""

    steps: tuple[str, ...]
    value: Fraction
    unit: str
    check: str


class Law(NamedTuple):
    """Exercises that one formula solves."""

    name: str
    subject: str
    places: tuple[str | tuple[str, ...], ...]
    draw: Callable[[Random], Params]
    solve: Callable[[Params], Result]


def _ints(**ranges: tuple[int, int]) -> Callable[[Random], Params]:
    return lambda rng: {name: rng.randrange(low, high) for name, (low, high) in ranges.items()}


def _force(p: Params) -> Result:
    value = Fraction(p["mass"] * p["speed"], p["time"])
    gain = Fraction(p["speed"], p["time"])
    steps = (
        f"The acceleration is {p['speed']} m/s ÷ {p['time']} s = {show(gain)} m/s².",
        f"The force is mass times acceleration, {p['mass']} kg × {show(gain)} m/s² = {show(value)} N.",
    )
    return Result(
        steps, value, "N", f"{show(value)} N on {p['mass']} kg for {p['time']} s gives {p['speed']} m/s again."
    )


def _kinetic(p: Params) -> Result:
    value = Fraction(p["mass"] * p["speed"] ** 2, 2)
    steps = (
        f"The square of the speed is {p['speed']} × {p['speed']} = {p['speed'] ** 2} m²/s².",
        f"The energy is ½ × {p['mass']} kg × {p['speed'] ** 2} m²/s² = {show(value)} J.",
    )
    return Result(steps, value, "J", f"Twice {show(value)} over {p['mass']} is {p['speed'] ** 2}, the square again.")


def _lifting(p: Params) -> Result:
    weight = p["mass"] * GRAVITY
    value = weight * p["height"]
    steps = (
        f"The weight is {p['mass']} kg × 9.81 m/s² = {show(weight)} N.",
        f"The work is {show(weight)} N × {p['height']} m = {show(value)} J.",
    )
    return Result(steps, value, "J", f"{show(value)} J ÷ {p['height']} m = {show(weight)} N, the weight.")


def _ohm(p: Params) -> Result:
    value = Fraction(p["resistance"] * p["milliamperes"], 1000)
    steps = (
        f"The current is {p['milliamperes']} mA = {show(Fraction(p['milliamperes'], 1000))} A.",
        f"The voltage is {p['resistance']} Ω × {show(Fraction(p['milliamperes'], 1000))} A = {show(value)} V.",
    )
    return Result(steps, value, "V", f"{show(value)} V ÷ {p['resistance']} Ω gives the current again.")


def _moles(p: Params) -> Result:
    value = p["moles"] * WATER_MOLE
    steps = (
        "One mole of water has a mass of 18.015 g.",
        f"{p['moles']} moles have a mass of {p['moles']} mol × 18.015 g/mol = {show(value)} g.",
    )
    return Result(steps, value, "g", f"{show(value)} ÷ 18.015 = {p['moles']}.")


def _heat(p: Params) -> Result:
    rise = p["rise"]
    value = p["mass"] * WATER_HEAT * rise
    steps = (
        f"Each kelvin takes {p['mass']} g × 4.18 J/(g·K) = {show(p['mass'] * WATER_HEAT)} J/K.",
        f"For {rise} K that is {show(p['mass'] * WATER_HEAT)} J/K × {rise} K = {show(value)} J.",
    )
    return Result(steps, value, "J", f"{show(value)} J over {rise} K is {show(p['mass'] * WATER_HEAT)} J/K.")


def _echo(p: Params) -> Result:
    value = Fraction(SOUND * p["seconds"], 2)
    steps = (
        f"In {p['seconds']} s sound goes 343 m/s × {p['seconds']} s = {SOUND * p['seconds']} m.",
        f"It goes there and back, so the distance is {SOUND * p['seconds']} m ÷ 2 = {show(value)} m.",
    )
    return Result(steps, value, "m", f"Twice {show(value)} m is {SOUND * p['seconds']} m, the whole way of the sound.")


def _density(p: Params) -> Result:
    value = Fraction(p["mass"], p["edge"] ** 3)
    steps = (
        f"The volume of the cube is {p['edge']}³ = {p['edge'] ** 3} cm³.",
        f"The density is {p['mass']} g ÷ {p['edge'] ** 3} cm³ = {show(value)} g/cm³.",
    )
    return Result(steps, value, "g/cm^3", f"{show(value)} g/cm³ × {p['edge'] ** 3} cm³ = {p['mass']} g.")


def _draw_density(rng: Random) -> Params:
    edge = rng.choice((2, 4, 5, 10))
    return {"edge": edge, "mass": rng.randrange(11, 99) * edge**3 // 10 + rng.randrange(1, 9)}


def _growth(p: Params) -> Result:
    doublings = p["hours"] * 60 // p["minutes"]
    value = Fraction(p["cells"] * 2**doublings)
    steps = (
        f"{p['hours']} hours are {p['hours'] * 60} minutes, so there are {doublings} doublings.",
        f"{p['cells']} × 2^{doublings} = {show(value)} cells.",
    )
    return Result(steps, value, "", f"{show(value)} halved {doublings} times is {p['cells']}.")


def _draw_growth(rng: Random) -> Params:
    return {"cells": rng.randrange(2, 60), "minutes": rng.choice((20, 30, 60)), "hours": rng.randrange(2, 4)}


LAWS: tuple[Law, ...] = (
    Law(
        "force",
        "physics",
        (
            (
                "A cart with a mass of {mass:int} kg is pushed from rest to a speed of {speed:int} m/s in {time:int} s.",
                "From rest, a sledge of {mass:int} kg reaches {speed:int} m/s within {time:int} s.",
            ),
            ("What constant force is needed, without friction?", "Without friction, how large is the constant force?"),
        ),
        lambda rng: {"mass": rng.randrange(3, 90), "speed": rng.randrange(2, 30), "time": rng.choice((2, 4, 5, 8, 10))},
        _force,
    ),
    Law(
        "kinetic_energy",
        "physics",
        (
            (
                "A ball with a mass of {mass:int} kg rolls at {speed:int} m/s.",
                "A bird of {mass:int} kg flies at a speed of {speed:int} m/s.",
            ),
            ("What is its kinetic energy of translation?", "How much kinetic energy does it have, rotation apart?"),
        ),
        _ints(mass=(2, 30), speed=(3, 40)),
        _kinetic,
    ),
    Law(
        "lifting",
        "physics",
        (
            (
                "A crane lifts a load of {mass:int} kg by {height:int} m.",
                "A load of {mass:int} kg is raised {height:int} m by a winch.",
            ),
            "The acceleration of gravity is 9.81 m/s².",
            ("How much work is done against gravity?", "What is the gain in potential energy?"),
        ),
        _ints(mass=(20, 900), height=(2, 40)),
        _lifting,
    ),
    Law(
        "ohm",
        "physics",
        (
            (
                "A current of {milliamperes:int} mA flows through a resistor of {resistance:int} Ω.",
                "Through a resistor of {resistance:int} Ω flows a current of {milliamperes:int} mA.",
            ),
            ("What is the voltage across it?", "How large is the voltage at its ends?"),
        ),
        _ints(milliamperes=(5, 900), resistance=(4, 999)),
        _ohm,
    ),
    Law(
        "moles",
        "chemistry",
        (
            ("What is the mass of {moles:int} moles of water?", "How heavy are {moles:int} moles of water?"),
            "The molar mass of water is 18.015 g/mol.",
        ),
        _ints(moles=(2, 200)),
        _moles,
    ),
    Law(
        "heating_water",
        "chemistry",
        (
            (
                "{mass:int} g of water are warmed by {rise:int} K.",
                "The temperature of {mass:int} g of water rises by {rise:int} K.",
            ),
            "The specific heat of water is 4.18 J/(g·K).",
            ("How much heat does the water take up?", "What amount of heat is needed?"),
        ),
        _ints(mass=(50, 900), rise=(5, 70)),
        _heat,
    ),
    Law(
        "echo",
        "geography",
        (
            (
                "A hiker calls towards a cliff and hears the echo after {seconds:int} seconds.",
                "The echo of a shout from a cliff comes back after {seconds:int} seconds.",
            ),
            "Sound travels at 343 m/s.",
            ("How far away is the cliff?", "What is the distance to the cliff?"),
        ),
        _ints(seconds=(2, 60)),
        _echo,
    ),
    Law(
        "density",
        "materials",
        (
            (
                "A solid cube with an edge of {edge:int} cm has a mass of {mass:int} g.",
                "The mass of a solid cube is {mass:int} g, and its edge is {edge:int} cm long.",
            ),
            ("What is the density of the material?", "How dense is the material?"),
        ),
        _draw_density,
        _density,
    ),
    Law(
        "growth",
        "biology",
        (
            (
                "A culture of {cells:int} bacteria doubles every {minutes:int} minutes.",
                "{cells:int} bacteria divide once every {minutes:int} minutes.",
            ),
            ("How many are there after {hours:int} hours?", "What is their number after {hours:int} hours?"),
        ),
        _draw_growth,
        _growth,
    ),
)

OTHER_UNITS: Mapping[str, str] = {"N": "J", "J": "W", "V": "A", "g": "m", "m": "s", "g/cm^3": "g"}
"""What a careless answer writes instead: a unit of another kind."""


def quantity(value: Fraction | str, unit: str) -> str:
    r"""A boxed quantity: \boxed{4.8\,\text{g/cm}^3}."""
    number = value if isinstance(value, str) else show(value)
    base, _, power = unit.partition("^")
    told = f"{number}\\,\\text{{{base}}}" + (f"^{power}" if power else "") if unit else number
    return f"The answer is \\boxed{{{told}}}."


def _of_law(law: Law) -> Form:
    def drawn(params: Params, telling: Telling) -> Drawn:
        result = law.solve(params)
        expected = f"{show(result.value)} {result.unit}".strip()
        return Drawn((Message("user", telling.render(params)),), expected, metadata={"subject": law.subject})

    def work(params: Params, text: str, results: tuple[str, ...]) -> Worked:
        result = law.solve(params)
        facts = tuple(f"{name}: {value}" for name, value in params.items())
        return Worked(result.steps, quantity(result.value, result.unit), facts, result.check)

    def slip(worked: Worked, params: Params, number: int) -> Worked:
        result = law.solve(params)
        if number % 4 == 0 and result.unit:
            return plain(worked, quantity(result.value, OTHER_UNITS[result.unit]))
        wrong = result.value * (2 if number % 4 < 2 else 10 if number % 4 == 2 else Fraction(1, 2))
        return plain(worked, quantity(wrong, result.unit), steps=worked.steps[:-1])

    return Form(f"stem_{law.name}", "stem", tellings(*law.places), law.draw, drawn, work, slip)


FORMS: tuple[Form, ...] = tuple(map(_of_law, LAWS))
