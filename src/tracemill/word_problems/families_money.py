"""Problems about money: shopping, discounts, unit prices, savings, restaurant bills."""

from __future__ import annotations

from fractions import Fraction
from random import Random
from typing import Any

from tracemill.word_problems.family import Add, Family, Solution, dollars, people, show
from tracemill.word_problems.sentences import Params, tellings
from tracemill.word_problems.words import GOODS, GROCERIES, PLURAL, STATIONERY, WISHES


def _draw_shopping(rng: Random, level: int) -> Params:
    item, other_item = rng.sample(STATIONERY if rng.randrange(2) else GROCERIES, 2)
    step = (0, 50, 25, 5)[level]
    count = rng.randrange(2, (0, 13, 16, 25)[level])
    price = rng.randrange(1, 13) * 100 if level == 1 else rng.randrange(50, 900, step)
    params: dict[str, Any] = {"who": people(rng, 1)[0], "count": count, "item": item, "price": price}
    if level == 1:
        return params
    params |= {"other_count": rng.randrange(2, 16), "other_item": other_item}
    params["other_price"] = rng.randrange(50, 900, step)
    if level == 3:
        total = count * price + params["other_count"] * params["other_price"]
        params["paid"] = (total // 2000 + 1 + rng.randrange(2)) * 2000
    return params


def _solve_shopping(p: Params, add: Add) -> Solution:
    first = p["count"] * p["price"]
    items = PLURAL[p["item"]]
    steps = [f"The {items} cost {p['count']} × {dollars(p['price'])} = {dollars(first)} dollars."]
    if "other_item" not in p:
        check = f"{dollars(first)} ÷ {p['count']} = {dollars(p['price'])}, the price of one {p['item']}."
        return Solution(tuple(steps), dollars(first), check)
    second, other_items = p["other_count"] * p["other_price"], PLURAL[p["other_item"]]
    total = add(first, second)
    steps += [
        f"The {other_items} cost {p['other_count']} × {dollars(p['other_price'])} = {dollars(second)} dollars.",
        f"Together that is {dollars(first)} + {dollars(second)} = {dollars(total)} dollars.",
    ]
    if "paid" not in p:
        check = f"{dollars(total)} - {dollars(second)} = {dollars(first)}, the price of the {items}."
        return Solution(tuple(steps), dollars(total), check)
    change = p["paid"] - total
    steps.append(f"The change is {dollars(p['paid'])} - {dollars(total)} = {dollars(change)} dollars.")
    check = f"{dollars(change)} + {dollars(total)} = {dollars(p['paid'])}, the amount that {p['who']} gave."
    return Solution(tuple(steps), dollars(change), check)


_TWO_KINDS = (
    "{who:name} buys {count:int} {item:items} for {price:money} each and {other_count:int} {other_item:items} "
    "for {other_price:money} each.",
    "In a shop where one {item:item} costs {price:money} and one {other_item:item} costs {other_price:money}, "
    "{who:name} buys {count:int} {item:items} and {other_count:int} {other_item:items}.",
)

SHOPPING = Family(
    "shopping",
    {
        1: tellings(
            (
                "{who:name} buys {count:int} {item:items} for {price:money} each.",
                "One {item:item} costs {price:money}, and {who:name} buys {count:int} of them.",
                "At the market, {who:name} picks out {count:int} {item:items} that cost {price:money} each.",
            ),
            (
                "How much does {who:name} pay in total, in dollars?",
                "How many dollars does {who:he} spend?",
                "What is the total cost in dollars?",
            ),
        ),
        2: tellings(
            _TWO_KINDS,
            (
                "How much does {who:name} pay altogether, in dollars?",
                "How many dollars does {who:he} spend on everything?",
            ),
        ),
        3: tellings(
            _TWO_KINDS,
            ("{who:He} pays with {paid:money} in cash.", "{who:He} hands {paid:money} to the cashier."),
            ("How much change does {who:name} get, in dollars?", "How many dollars does {who:he} get back?"),
        ),
    },
    _draw_shopping,
    _solve_shopping,
)


def _draw_discount(rng: Random, level: int) -> Params:
    price = rng.randrange(10, 100) * 100 if level == 1 else rng.randrange(500, (0, 0, 6000, 15000)[level], 20)
    params: dict[str, Any] = {"who": people(rng, 1)[0], "item": rng.choice(GOODS), "price": price}
    params["percent"] = rng.randrange(10, 60, 10 if level == 1 else 5)
    if level > 1:
        params["count"] = rng.randrange(2, 6 * level - 5)
    if level == 3:
        params["fee"] = rng.randrange(300, 1500, 5)
    return params


def _solve_discount(p: Params, add: Add) -> Solution:
    total, percent = p["price"] * p.get("count", 1), p["percent"]
    off = Fraction(total * percent, 100)
    left = total - off
    steps = [
        f"The discount is {percent}% of {dollars(total)} = {dollars(off)} dollars.",
        f"With the discount the price is {dollars(total)} - {dollars(off)} = {dollars(left)} dollars.",
    ]
    check = f"{100 - percent}% of {dollars(total)} is {dollars(left)}."
    if "count" in p:
        whole = f"{p['count']} × {dollars(p['price'])} = {dollars(total)} dollars"
        steps.insert(0, f"Without a discount, the {PLURAL[p['item']]} cost {whole}.")
    if "fee" not in p:
        return Solution(tuple(steps), dollars(left), check)
    paid = add(left.numerator, p["fee"]) if left.denominator == 1 else left + p["fee"]
    steps.append(f"With delivery it is {dollars(left)} + {dollars(p['fee'])} = {dollars(paid)} dollars.")
    return Solution(tuple(steps), dollars(paid), f"{check} Adding {dollars(p['fee'])} gives {dollars(paid)}.")


DISCOUNT = Family(
    "discount",
    {
        1: tellings(
            (
                "{who:name} wants to buy {item:an_item} that normally costs {price:money}.",
                "{who:name} has found {item:an_item} with a price tag of {price:money}.",
            ),
            ("Today the shop takes {percent:percent} off the price.", "It is on sale at {percent:percent} off."),
            ("How much does {who:name} pay for it, in dollars?", "What is the sale price in dollars?"),
        ),
        2: tellings(
            (
                "{who:name} buys {count:int} {item:items} that normally cost {price:money} each.",
                "{who:name} needs {count:int} {item:items}, and the usual price is {price:money} for each of them.",
            ),
            (
                "A coupon gives {who:name} {percent:percent} off the whole purchase.",
                "The shop takes {percent:percent} off the total.",
            ),
            ("How many dollars does {who:he} pay?", "How much does {who:name} pay in the end, in dollars?"),
        ),
        3: tellings(
            (
                "{who:name} orders {count:int} {item:items} that normally cost {price:money} each.",
                "From an online shop, {who:name} orders {count:int} {item:items} that usually cost {price:money} each.",
            ),
            "The shop takes {percent:percent} off the price of the {item:items}.",
            (
                "Delivery costs another {fee:money} for the whole order and is not discounted.",
                "On top of that, {who:he} pays {fee:money} once for delivery.",
            ),
            ("How much does {who:name} pay altogether, in dollars?", "How many dollars does the order cost in all?"),
        ),
    },
    _draw_discount,
    _solve_discount,
)


def _draw_unit_price(rng: Random, level: int) -> Params:
    count, each = rng.randrange(3, (0, 11, 16, 25)[level]), rng.randrange(20, 400, (0, 10, 5, 1)[level])
    params: dict[str, Any] = {
        "item": rng.choice(STATIONERY if rng.randrange(2) else GROCERIES),
        "count": count,
        "price": count * each,
    }
    if level == 2:
        params["wanted"] = count + rng.randrange(1, 40)
    if level == 3:
        params["other_count"] = count + rng.randrange(1, 10)
        other_each = each + rng.randrange(1, 30) if rng.randrange(2) else max(each - rng.randrange(1, 15), 2)
        params["other_price"] = params["other_count"] * other_each
    return params


def _solve_unit_price(p: Params, add: Add) -> Solution:
    each = Fraction(p["price"], p["count"])
    if "other_count" in p:
        other = Fraction(p["other_price"], p["other_count"])
        gap = abs(each - other)
        steps = (
            f"At the first shop, one {p['item']} costs {p['price']} ÷ {p['count']} = {show(each)} cents.",
            f"At the second shop, one {p['item']} costs {p['other_price']} ÷ {p['other_count']} = {show(other)} cents.",
            f"The difference is {show(max(each, other))} - {show(min(each, other))} = {show(gap)} cents.",
        )
        check = f"{show(min(each, other))} + {show(gap)} = {show(max(each, other))}, the higher of the two prices."
        return Solution(steps, show(gap), check)
    first = f"One {p['item']} costs {dollars(p['price'])} ÷ {p['count']} = {dollars(each)} dollars."
    if "wanted" not in p:
        return Solution((first,), dollars(each), f"{p['count']} × {dollars(each)} = {dollars(p['price'])}.")
    cost = each * p["wanted"]
    second = f"The {PLURAL[p['item']]} cost {p['wanted']} × {dollars(each)} = {dollars(cost)} dollars."
    return Solution((first, second), dollars(cost), f"{dollars(cost)} ÷ {p['wanted']} = {dollars(each)}.")


_PACK = (
    "A pack of {count:int} {item:items} costs {price:money}.",
    "A shop sells a pack of {count:int} {item:items} for {price:money}.",
)

UNIT_PRICE = Family(
    "unit_price",
    {
        1: tellings(
            _PACK,
            (
                "How much does one {item:item} from this pack cost, in dollars?",
                "What is the price of a single {item:item} at this rate, in dollars?",
            ),
        ),
        2: tellings(
            _PACK,
            (
                "At the same price per {item:item}, how much do {wanted:int} {item:items} cost, in dollars?",
                "How many dollars would {wanted:int} {item:items} cost at the same price for each?",
            ),
        ),
        3: tellings(
            "At one shop, a pack of {count:int} {item:items} costs {price:money}.",
            (
                "At another shop, a pack of {other_count:int} {item:items} costs {other_price:money}.",
                "Another shop sells {other_count:int} {item:items} for {other_price:money}.",
            ),
            (
                "By how many cents does the price of one {item:item} differ between the two shops?",
                "How many cents less does one {item:item} cost at the cheaper shop?",
            ),
        ),
    },
    _draw_unit_price,
    _solve_unit_price,
)


def _draw_savings(rng: Random, level: int) -> Params:
    weeks, start = rng.randrange(3, (0, 13, 25, 40)[level]), rng.randrange(10, 50 * level) * (100 if level < 3 else 50)
    params: dict[str, Any] = {"who": people(rng, 1)[0], "start": start}
    if level == 3:
        params |= {"hours": rng.randrange(4, 20), "wage": rng.randrange(900, 2500, 25), "weeks": weeks}
        params["spent"] = rng.randrange(1000, params["hours"] * params["wage"], 50)
        return params
    params["weekly"] = rng.randrange(3, 30) * (100 if level == 1 else 50)
    if level == 1:
        return {**params, "weeks": weeks}
    return {**params, "item": rng.choice(WISHES), "goal": start + weeks * params["weekly"]}


def _solve_savings(p: Params, add: Add) -> Solution:
    start = p["start"]
    steps: tuple[str, ...] = ()
    if "goal" in p:
        missing = p["goal"] - start
        weeks = -(-missing // p["weekly"])
        steps = (
            f"Still missing are {dollars(p['goal'])} - {dollars(start)} = {dollars(missing)} dollars.",
            f"At {dollars(p['weekly'])} dollars a week, the number of full weeks needed is {weeks}.",
        )
        saved = start + weeks * p["weekly"]
        check = f"{dollars(start)} + {weeks} × {dollars(p['weekly'])} = {dollars(saved)}, which is enough."
        return Solution(steps, str(weeks), check)
    weekly = p.get("weekly", 0)
    if "wage" in p:
        earned = p["hours"] * p["wage"]
        weekly = earned - p["spent"]
        steps = (
            f"Each week {p['who']} earns {p['hours']} × {dollars(p['wage'])} = {dollars(earned)} dollars.",
            f"What is saved each week is {dollars(earned)} - {dollars(p['spent'])} = {dollars(weekly)} dollars.",
        )
    saved = p["weeks"] * weekly
    total = add(start, saved) if saved > 0 else start + saved
    steps += (
        f"In {p['weeks']} weeks that makes {p['weeks']} × {dollars(weekly)} = {dollars(saved)} dollars.",
        f"With the money from the start it is {dollars(start)} + {dollars(saved)} = {dollars(total)} dollars.",
    )
    return Solution(steps, dollars(total), f"{dollars(total)} - {dollars(saved)} = {dollars(start)}, as at the start.")


_SAVES = ("Each week {who:he} saves another {weekly:money}.", "Every week {who:he} puts aside {weekly:money} more.")
_STARTS = ("{who:name} has {start:money} in {who:his} savings box.", "{who:name} starts with savings of {start:money}.")

SAVINGS = Family(
    "savings",
    {
        1: tellings(
            _STARTS,
            _SAVES,
            (
                "How much money does {who:name} have after {weeks:int} weeks, in dollars?",
                "How many dollars does {who:he} have {weeks:int} weeks later?",
            ),
        ),
        2: tellings(
            _STARTS,
            _SAVES,
            ("{who:He} wants to buy {item:an_item} for {goal:money}.",),
            ("After how many weeks can {who:name} afford it?", "How many weeks does {who:name} have to save?"),
        ),
        3: tellings(
            "{who:name} has {start:money} and finds a job that pays {wage:money} an hour.",
            "{who:He} works {hours:int} hours each week.",
            (
                "Each week {who:he} spends {spent:money} and saves the rest of {who:his} wages.",
                "Of {who:his} wages, {who:he} spends {spent:money} each week and keeps the rest.",
            ),
            (
                "How many dollars does {who:name} have after {weeks:int} weeks?",
                "How much money does {who:he} have after {weeks:int} weeks, in dollars?",
            ),
        ),
    },
    _draw_savings,
    _solve_savings,
)


def _draw_bill(rng: Random, level: int) -> Params:
    if level == 3:
        guests = rng.randrange(3, 13)
        base = guests * 20 * rng.randrange(40, 150)
        drinks = rng.randrange(base // 10, base // 3)
        percent = rng.randrange(5, 30, 5)
        return {"guests": guests, "food": base - drinks, "drinks": drinks, "percent": percent}
    step = (0, 50, 20)[level]
    params: dict[str, Any] = {"who": people(rng, 1)[0], "main": rng.randrange(900, 3000, step)}
    params |= {"drink": rng.randrange(200, 800, step), "dessert": rng.randrange(300, 1000, step)}
    return params if level == 1 else {**params, "percent": rng.randrange(5, 30, 5)}


def _solve_bill(p: Params, add: Add) -> Solution:
    parts = [p[part] for part in ("main", "drink", "dessert", "food", "drinks") if part in p]
    bill = parts[0]
    for part in parts[1:]:
        bill = add(bill, part)
    summed = " + ".join(dollars(part) for part in parts)
    steps = [f"The bill is {summed} = {dollars(bill)} dollars."]
    check = f"{dollars(bill)} - {dollars(parts[-1])} = {dollars(bill - parts[-1])}, which is the rest of the bill."
    if "percent" not in p:
        return Solution(tuple(steps), dollars(bill), check)
    tip = Fraction(bill * p["percent"], 100)
    paid = add(bill, tip.numerator) if tip.denominator == 1 else bill + tip
    steps += [
        f"The tip is {p['percent']}% of {dollars(bill)} = {dollars(tip)} dollars.",
        f"With the tip it is {dollars(bill)} + {dollars(tip)} = {dollars(paid)} dollars.",
    ]
    if "guests" not in p:
        return Solution(tuple(steps), dollars(paid), f"{100 + p['percent']}% of {dollars(bill)} is {dollars(paid)}.")
    each = Fraction(paid) / p["guests"]
    steps.append(f"Each friend pays {dollars(paid)} ÷ {p['guests']} = {dollars(each)} dollars.")
    return Solution(tuple(steps), dollars(each), f"{p['guests']} × {dollars(each)} = {dollars(paid)}.")


_ORDER = (
    "{who:name} orders a main course for {main:money}, a drink for {drink:money} and a dessert for {dessert:money}.",
    "At a restaurant, {who:name} has a main course for {main:money}, a drink for {drink:money} and a dessert "
    "for {dessert:money}.",
)

BILL = Family(
    "bill",
    {
        1: tellings(_ORDER, ("How much is the bill, in dollars?", "How many dollars does {who:name} have to pay?")),
        2: tellings(
            _ORDER,
            ("{who:He} adds a tip of {percent:percent}.", "{who:He} leaves a tip of {percent:percent} of the bill."),
            ("How much does {who:name} pay with the tip, in dollars?", "How many dollars does {who:he} pay in all?"),
        ),
        3: tellings(
            ("A group of {guests:int} friends goes out for dinner.", "In a café, {guests:int} friends celebrate."),
            "The food costs {food:money} and the drinks cost {drinks:money}.",
            (
                "They add a tip of {percent:percent} and split the whole amount equally.",
                "Together with a tip of {percent:percent} on everything, they share the cost equally.",
            ),
            ("How many dollars does each friend pay?", "What is each friend's share, in dollars?"),
        ),
    },
    _draw_bill,
    _solve_bill,
)

FAMILIES = (SHOPPING, DISCOUNT, UNIT_PRICE, SAVINGS, BILL)
