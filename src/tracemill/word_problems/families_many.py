"""Problems about what many numbers make together: mixtures, averages, counting, chances."""

from __future__ import annotations

from fractions import Fraction
from math import comb
from random import Random
from typing import Any

from tracemill.word_problems.family import Add, Family, Solution, dollars, fraction, people, show
from tracemill.word_problems.sentences import Params, tellings


def _draw_mixture(rng: Random, level: int) -> Params:
    if level == 1:
        return {"who": people(rng, 1)[0], "juice": rng.randrange(2, 40) * 25, "water": rng.randrange(2, 40) * 25}
    total = rng.choice((4, 5, 8, 10, 16, 20, 25, 40, 50) if level == 2 else (4, 5, 10, 20, 25, 50))
    amount = rng.randrange(2, total - 1)
    params: dict[str, Any] = {"amount": amount, "other_amount": total - amount}
    if level == 2:
        percent, other_percent = rng.sample(range(2, 60), 2)
        return {**params, "percent": percent, "other_percent": other_percent}
    price, other_price = rng.sample(range(400, 3000, 50), 2)
    return {**params, "price": price, "other_price": other_price}


def _solve_mixture(p: Params, add: Add) -> Solution:
    if "juice" in p:
        whole = add(p["juice"], p["water"])
        share = Fraction(p["juice"], whole)
        steps: tuple[str, ...] = (
            f"The whole drink is {p['juice']} + {p['water']} = {whole} milliliters.",
            f"The fraction that is juice is {p['juice']} ÷ {whole} = {fraction(share)}.",
        )
        rest = 1 - share
        return Solution(
            steps,
            fraction(share),
            f"The rest, {fraction(rest)}, is water, and {fraction(share * whole)} "
            f"+ {fraction(rest * whole)} = {whole}.",
        )
    whole = add(p["amount"], p["other_amount"])
    if "price" in p:
        first, second = p["amount"] * p["price"], p["other_amount"] * p["other_price"]
        cost = add(first, second)
        each = Fraction(cost, whole)
        steps = (
            f"The nuts cost {p['amount']} × {dollars(p['price'])} = {dollars(first)} dollars.",
            f"The raisins cost {p['other_amount']} × {dollars(p['other_price'])} = {dollars(second)} dollars.",
            f"Together they cost {dollars(first)} + {dollars(second)} = {dollars(cost)} dollars.",
            f"The mixture weighs {p['amount']} + {p['other_amount']} = {whole} kilograms.",
            f"One kilogram costs {dollars(cost)} ÷ {whole} = {dollars(each)} dollars.",
        )
        return Solution(steps, dollars(each), f"{whole} × {dollars(each)} = {dollars(cost)}.")
    salt, more = Fraction(p["amount"] * p["percent"], 100), Fraction(p["other_amount"] * p["other_percent"], 100)
    both = Fraction(add(p["amount"] * p["percent"], p["other_amount"] * p["other_percent"]), 100)
    share = both * 100 / whole
    steps = (
        f"The first part holds {p['percent']}% of {p['amount']} = {show(salt)} kg of salt.",
        f"The second part holds {p['other_percent']}% of {p['other_amount']} = {show(more)} kg of salt.",
        f"Together there are {show(salt)} + {show(more)} = {show(both)} kg of salt.",
        f"The mixture weighs {p['amount']} + {p['other_amount']} = {whole} kilograms.",
        f"The share of salt in percent is 100 × {show(both)} ÷ {whole} = {show(share)}.",
    )
    return Solution(steps, show(share), f"{show(share)}% of {whole} is {show(both)}.")


MIXTURE = Family(
    "mixture",
    {
        1: tellings(
            (
                "{who:name} mixes {juice:int} milliliters of juice with {water:int} milliliters of water.",
                "For a drink, {who:name} pours {juice:int} milliliters of juice and {water:int} milliliters of water "
                "into a jug.",
            ),
            (
                "What fraction of the drink is juice, in lowest terms?",
                "As a fraction in lowest terms, how much of the drink is juice?",
            ),
        ),
        2: tellings(
            (
                "A chemist mixes {amount:int} kilograms of salt water containing {percent:percent} salt with "
                "{other_amount:int} kilograms containing {other_percent:percent} salt.",
                "In a tank, {amount:int} kilograms of salt water with {percent:percent} salt and {other_amount:int} "
                "kilograms of salt water with {other_percent:percent} salt are mixed.",
            ),
            (
                "What percentage of the mixture is salt?",
                "What is the share of salt in the mixture, in percent?",
            ),
        ),
        3: tellings(
            (
                "A grocer mixes {amount:int} kilograms of nuts at {price:money} per kilogram with {other_amount:int} "
                "kilograms of raisins at {other_price:money} per kilogram.",
                "To make trail mix, {amount:int} kilograms of nuts that cost {price:money} per kilogram are mixed with "
                "{other_amount:int} kilograms of raisins that cost {other_price:money} per kilogram.",
            ),
            (
                "What does one kilogram of the mixture cost, in dollars?",
                "How many dollars is one kilogram of the mixture worth?",
            ),
        ),
    },
    _draw_mixture,
    _solve_mixture,
)


def _draw_average(rng: Random, level: int) -> Params:
    if level == 3:
        total = rng.choice((10, 16, 20, 25, 40, 50))
        count = rng.randrange(3, total - 2)
        mean, other_mean = rng.sample(range(40, 96), 2)
        return {"count": count, "mean": mean, "other_count": total - count, "other_mean": other_mean}
    first, second, third = (rng.randrange(11, 40 + 30 * level) for _ in range(3))
    params = {"who": people(rng, 1)[0], "first": first, "second": second, "third": third}
    if level == 1:
        return {**params, "third": third + -(first + second + third) % 3}
    least = (first + second + third) // 4 + 1
    return {**params, "target": least + rng.randrange(1, 20)}


def _solve_average(p: Params, add: Add) -> Solution:
    if "mean" in p:
        first, second = p["count"] * p["mean"], p["other_count"] * p["other_mean"]
        points, students = add(first, second), add(p["count"], p["other_count"])
        mean = Fraction(points, students)
        steps: tuple[str, ...] = (
            f"The first class has {p['count']} × {p['mean']} = {first} points in all.",
            f"The second class has {p['other_count']} × {p['other_mean']} = {second} points.",
            f"Together they have {first} + {second} = {points} points.",
            f"There are {p['count']} + {p['other_count']} = {students} students.",
            f"The average is {points} ÷ {students} = {show(mean)} points.",
        )
        return Solution(steps, show(mean), f"{students} × {show(mean)} = {points}.")
    points = add(add(p["first"], p["second"]), p["third"])
    summed = f"{p['first']} + {p['second']} + {p['third']} = {points}"
    if "target" not in p:
        mean = Fraction(points, 3)
        steps = (f"The sum is {summed} points.", f"The average is {points} ÷ 3 = {show(mean)} points.")
        return Solution(steps, show(mean), f"3 × {show(mean)} = {points}.")
    needed = 4 * p["target"]
    missing = needed - points
    steps = (
        f"Four tests with this average make 4 × {p['target']} = {needed} points.",
        f"The first three tests give {summed} points.",
        f"The fourth test has to give {needed} - {points} = {missing} points.",
    )
    return Solution(steps, str(missing), f"({points} + {missing}) ÷ 4 = {p['target']}.")


_TESTS = (
    "In three tests, {who:name} has scored {first:int}, {second:int} and {third:int} points.",
    "{who:name} has taken three tests and got {first:int}, {second:int} and {third:int} points.",
)

AVERAGE = Family(
    "average",
    {
        1: tellings(
            (
                "{who:name} scores {first:int}, {second:int} and {third:int} points in three games.",
                "In three rounds of a game, {who:name} scores {first:int}, {second:int} and {third:int} points.",
            ),
            ("What is the average number of points?", "How many points is that on average?"),
        ),
        2: tellings(
            _TESTS,
            (
                "How many points does {who:name} need in the fourth test for an average of exactly {target:int} points "
                "over all four tests?",
                "Which score in the fourth test gives {who:him} an average of exactly {target:int} points in all four?",
            ),
        ),
        3: tellings(
            (
                "The {count:int} students of one class scored {mean:int} points on average in a test.",
                "In a test, one class of {count:int} students reached an average of {mean:int} points.",
            ),
            (
                "In the same test, another class of {other_count:int} students had an average of {other_mean:int} "
                "points.",
                "Another class with {other_count:int} students had an average of {other_mean:int} points in this test.",
            ),
            (
                "What is the average score of all the students of both classes?",
                "Taking all students of the two classes together, how many points is the average?",
            ),
        ),
    },
    _draw_average,
    _solve_average,
)


def _draw_counting(rng: Random, level: int) -> Params:
    who = people(rng, 1)[0]
    if level == 1:
        return {"who": who, "shirts": rng.randrange(2, 13), "pants": rng.randrange(2, 9), "hats": rng.randrange(2, 9)}
    if level == 2:
        return {"who": who, "players": rng.randrange(4, 61)}
    return {"who": who, "girls": rng.randrange(3, 16), "boys": rng.randrange(3, 16)}


def _solve_counting(p: Params, add: Add) -> Solution:
    if "shirts" in p:
        pairs = p["shirts"] * p["pants"]
        outfits = pairs * p["hats"]
        steps: tuple[str, ...] = (
            f"Shirts and pants can be combined in {p['shirts']} × {p['pants']} = {pairs} ways.",
            f"With the hats that makes {pairs} × {p['hats']} = {outfits} outfits.",
        )
        return Solution(steps, str(outfits), f"{outfits} ÷ {p['hats']} = {pairs}, the ways with one hat.")
    if "players" in p:
        n = p["players"]
        games = n * (n - 1) // 2
        steps = (
            f"Each of the {n} players has {n} - 1 = {n - 1} opponents, which makes {n} × {n - 1} = {n * (n - 1)}.",
            f"Every game is counted twice that way, so there are {n * (n - 1)} ÷ 2 = {games} games.",
        )
        return Solution(steps, str(games), f"Counting 1 + 2 + ... up to {n - 1} also gives {games}.")
    girls, boys = comb(p["girls"], 2), comb(p["boys"], 2)
    ways = girls * boys
    steps = (
        f"Two of {p['girls']} girls can be chosen in {p['girls']} × {p['girls'] - 1} ÷ 2 = {girls} ways.",
        f"Two of {p['boys']} boys can be chosen in {p['boys']} × {p['boys'] - 1} ÷ 2 = {boys} ways.",
        f"Every choice goes with every other one, which makes {girls} × {boys} = {ways} ways.",
    )
    return Solution(steps, str(ways), f"For each of the {girls} pairs of girls there are {boys} pairs of boys.")


COUNTING = Family(
    "counting",
    {
        1: tellings(
            (
                "{who:name} has {shirts:int} shirts, {pants:int} pairs of pants and {hats:int} hats, all different.",
                "In the closet, {who:name} finds {shirts:int} different shirts, {pants:int} different pairs of pants "
                "and {hats:int} different hats.",
            ),
            (
                "How many different outfits of one shirt, one pair of pants and one hat are possible?",
                "In how many ways can {who:he} choose one shirt, one pair of pants and one hat?",
            ),
        ),
        2: tellings(
            (
                "{who:name} organizes a chess tournament for {players:int} players.",
                "At the club of {who:name}, {players:int} players take part in a chess tournament.",
            ),
            ("Everyone plays exactly once against everyone else.", "Each pair of players plays exactly one game."),
            ("How many games are played?", "How many games are there in the whole tournament?"),
        ),
        3: tellings(
            (
                "{who:name} coaches {girls:int} girls and {boys:int} boys.",
                "In the sports club, {who:name} trains {girls:int} girls and {boys:int} boys.",
            ),
            (
                "For a race, {who:he} chooses two of the girls and two of the boys.",
                "{who:He} needs two of the girls and two of the boys for a relay team, in no particular order.",
            ),
            ("In how many ways can {who:he} choose these four?", "How many different choices does {who:he} have?"),
        ),
    },
    _draw_counting,
    _solve_counting,
)


def _draw_probability(rng: Random, level: int) -> Params:
    params: dict[str, Any] = {"who": people(rng, 1)[0]}
    if level == 3:
        return {**params, "white": rng.randrange(2, 25), "black": rng.randrange(2, 25)}
    params |= {"red": rng.randrange(2, 20 * level), "blue": rng.randrange(2, 25)}
    return params if level == 1 else {**params, "green": rng.randrange(2, 25)}


def _solve_probability(p: Params, add: Add) -> Solution:
    if "white" in p:
        white, whole = p["white"], add(p["white"], p["black"])
        first, second = Fraction(white, whole), Fraction(white - 1, whole - 1)
        chance = first * second
        steps: tuple[str, ...] = (
            f"There are {white} + {p['black']} = {whole} marbles.",
            f"The first marble is white with probability {white} ÷ {whole} = {fraction(first)}.",
            f"Then {white - 1} of {whole - 1} are white, a probability of {fraction(second)}.",
            f"Both are white with probability {fraction(first)} × {fraction(second)} = {fraction(chance)}.",
        )
        pairs = f"{white * (white - 1)} of {whole * (whole - 1)}"
        return Solution(steps, fraction(chance), f"{pairs} ordered pairs are white, which is {fraction(chance)}.")
    kinds = [p[color] for color in ("red", "green", "blue") if color in p]
    whole = kinds[0]
    for count in kinds[1:]:
        whole = add(whole, count)
    counted = f"There are {' + '.join(map(str, kinds))} = {whole} marbles."
    if "green" in p:
        others = whole - p["blue"]
        chance = Fraction(others, whole)
        steps = (
            counted,
            f"Not blue are {whole} - {p['blue']} = {others} of them.",
            f"The probability is {others} ÷ {whole} = {fraction(chance)}.",
        )
    else:
        chance = Fraction(p["red"], whole)
        steps = (counted, f"The probability of red is {p['red']} ÷ {whole} = {fraction(chance)}.")
    blue = f"{fraction(1 - chance)} is the probability of blue"
    return Solution(steps, fraction(chance), f"{blue}, and {fraction(chance)} + {fraction(1 - chance)} = 1.")


_BAG = (
    "A bag that belongs to {who:name} holds {red:int} red and {blue:int} blue marbles.",
    "{who:name} puts {red:int} red and {blue:int} blue marbles into a bag.",
)

PROBABILITY = Family(
    "probability",
    {
        1: tellings(
            _BAG,
            ("One marble is drawn at random.", "Without looking, {who:he} draws one of these marbles."),
            (
                "What is the probability that it is red, as a fraction in lowest terms?",
                "Give the probability of a red marble as a fraction in lowest terms.",
            ),
        ),
        2: tellings(
            (
                "A bag that belongs to {who:name} holds {red:int} red, {green:int} green and {blue:int} blue marbles.",
                "{who:name} puts {red:int} red, {green:int} green and {blue:int} blue marbles into a bag.",
            ),
            ("One marble is drawn at random.", "Without looking, {who:he} draws one of these marbles."),
            (
                "What is the probability that it is not blue, as a fraction in lowest terms?",
                "As a fraction in lowest terms, what is the probability that the marble is not blue?",
            ),
        ),
        3: tellings(
            (
                "{who:name} has a bag with {white:int} white and {black:int} black marbles.",
                "In a bag, {who:name} has {white:int} white and {black:int} black marbles.",
            ),
            (
                "{who:He} draws two marbles at random, without putting the first one back.",
                "Without looking, {who:he} takes two of these marbles out at the same time.",
            ),
            (
                "What is the probability that both are white, as a fraction in lowest terms?",
                "As a fraction in lowest terms, what is the probability that both marbles are white?",
            ),
        ),
    },
    _draw_probability,
    _solve_probability,
)

FAMILIES = (MIXTURE, AVERAGE, COUNTING, PROBABILITY)
