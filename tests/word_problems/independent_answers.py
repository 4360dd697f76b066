"""Every family's answer once more, by another way: counting, trying out, or plain arithmetic on the params."""

from fractions import Fraction
from itertools import combinations, count, product


def shopping(p):
    total = sum([p["price"]] * p["count"]) + sum([p.get("other_price", 0)] * p.get("other_count", 0))
    return Fraction(p["paid"] - total if "paid" in p else total, 100)


def discount(p):
    goods = p["price"] * p.get("count", 1) * Fraction(100 - p["percent"], 100)
    return (goods + p.get("fee", 0)) / 100


def unit_price(p):
    if "other_price" in p:
        low, high = sorted([Fraction(p["price"], p["count"]), Fraction(p["other_price"], p["other_count"])])
        return high - low
    return Fraction(p["price"], 100) / p["count"] * p.get("wanted", 1)


def savings(p):
    have = p["start"]
    if "goal" in p:
        for week in count():
            if have >= p["goal"]:
                return week
            have += p["weekly"]
    for _ in range(p["weeks"]):
        have += p["weekly"] if "weekly" in p else p["hours"] * p["wage"] - p["spent"]
    return Fraction(have, 100)


def bill(p):
    eaten = sum(p.get(part, 0) for part in ("main", "drink", "dessert", "food", "drinks"))
    return Fraction(eaten * (100 + p.get("percent", 0)), 10_000 * p.get("guests", 1))


def travel(p):
    if "distance" in p:
        return Fraction(p["distance"] + p["other_distance"], p["hours"] + p["other_hours"])
    return sum([p["speed"]] * p["hours"] + [p.get("other_speed", 0)] * p.get("other_hours", 0))


def meeting(p):
    if "hours" in p:
        return p["hours"] * p["speed"] + p["hours"] * p["other_speed"]
    here, there, clock = 0, p["distance"], -p.get("head_start", 0)
    while here < there:  # hour by hour; drawn problems meet on the hour
        here += p["speed"]
        there -= p["other_speed"] if clock >= 0 else 0
        clock += 1
    assert here == there
    return clock


def time_span(p):
    net = len(range(p["start"], p["end"])) - p.get("pause", 0)
    return Fraction(net * p["days"], 60) if "days" in p else net


def work_rate(p):
    if "machines" in p:
        return sum(p["rate"] for _ in product(range(p["machines"]), range(p["hours"])))
    if "workers" in p:
        return Fraction(p["days"]) / Fraction(p["other_workers"], p["workers"])
    return 1 / (Fraction(1, p["hours"]) + Fraction(1, p["other_hours"]))


def fraction(p):
    left = p["count"] * (1 - Fraction(p["share"]) - Fraction(p.get("other_share", "0")))
    return left * (1 - Fraction(p.get("next_share", "0")))


def percent(p):
    if "growth" in p:
        return Fraction(p["count"] * (100 + p["growth"]) * (100 - p["fall"]), 10_000)
    if "other_percent" in p:
        return p["count"] - Fraction(p["count"] * p["percent"], 100) - Fraction(p["count"] * p["other_percent"], 100)
    return Fraction(p["percent"], 100) * p["count"]


def sharing(p):
    heap = p["count"] + p.get("other_count", 0)
    if "crate" in p:
        return len(range(0, heap, p["crate"]))
    while heap >= p["friends"]:
        heap -= p["friends"]
    return heap


def ratio(p):
    if "prize" in p:
        return Fraction(
            p["prize"] * (p["third_part"] - p["part"]), 100 * (p["part"] + p["other_part"] + p["third_part"])
        )
    if "other_item" in p:
        return p["count"] + Fraction(p["count"], p["part"]) * p["other_part"]
    return next(n for n in count() if n * p["other_part"] == (p["count"] - n) * p["part"])


def mixture(p):
    if "juice" in p:
        return 1 - Fraction(p["water"], p["juice"] + p["water"])
    values = (
        [p["percent"], p["other_percent"]]
        if "percent" in p
        else [Fraction(p["price"], 100), Fraction(p["other_price"], 100)]
    )
    share = Fraction(p["amount"], p["amount"] + p["other_amount"])
    return share * values[0] + (1 - share) * values[1]


def average(p):
    if "mean" in p:
        scores = [p["mean"]] * p["count"] + [p["other_mean"]] * p["other_count"]
        return Fraction(sum(scores), len(scores))
    scores = [p["first"], p["second"], p["third"]]
    if "target" in p:
        return next(n for n in count(-999) if Fraction(sum([*scores, n]), 4) == p["target"])
    return Fraction(sum(scores), 3)


def counting(p):
    if "shirts" in p:
        return sum(1 for _ in product(range(p["shirts"]), range(p["pants"]), range(p["hats"])))
    if "players" in p:
        return sum(1 for _ in combinations(range(p["players"]), 2))
    return sum(1 for _ in product(combinations(range(p["girls"]), 2), combinations(range(p["boys"]), 2)))


def probability(p):
    if "white" in p:
        bag = ["white"] * p["white"] + ["black"] * p["black"]
        pairs = list(combinations(bag, 2))
        return Fraction(pairs.count(("white", "white")), len(pairs))
    bag = [color for color in ("red", "green", "blue") for _ in range(p.get(color, 0))]
    return Fraction(sum(color != "blue" for color in bag), len(bag))


def ages(p):
    if "times" in p:
        young = next(n for n in count() if n * p["times"] + n == p["total"])
        return young * p["times"] + p["years"]
    return sum(age + p.get("years", 0) for age in (p["age"], p["age"] + p["gap"]))


def rectangle(p):
    if "pond_length" in p:
        return p["length"] * p["width"] - p["pond_length"] * p["pond_width"]
    around = sum([p["length"], p["width"], p["length"], p["width"]])
    return Fraction(around * p["price"] + p["painting"], 100) if "price" in p else around


def sequence(p):
    if "top" in p:
        return sum(range(p["top"], p["bottom"] + 1, p["step"]))
    if "rows" in p:
        return sum(p["first"] + row * p["step"] for row in range(p["rows"]))
    return [p["first"] + day * p["step"] for day in range(p["day"])][-1]


def stock(p):
    packs = [p["pack_size"]] * p["packs"] if "packs" in p else [p["delivered"]]
    return sum([p["count"], *packs]) - p.get("sold", 0)
