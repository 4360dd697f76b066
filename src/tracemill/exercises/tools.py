"""Exercises with tools: requests at the desk of the library of `worlds/`, whose state a seed decides.

One call, several at once, a search and then a call that needs what it found, and requests that no tool fits. Each says in
`check` which calls are wanted, and the world in which they are made again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from random import Random
from typing import Any

import orjson

from tracemill.exercises.form import Call, Drawn, Form, Params, Worked, plain
from tracemill.record import Message
from tracemill.word_problems.sentences import Telling, tellings
from tracemill.worlds import WORLDS

LIBRARY = WORLDS["library"]
SEEDS = 60
"""States that the world begins with."""
CHANGED = ("B99", "M9")
"""A book and a member that there are not."""

Calls = Callable[[Params], tuple[Call, ...]]


def _start(rng: Random) -> tuple[int, Mapping[str, Any]]:
    seed = rng.randrange(SEEDS)
    return seed, LIBRARY.start(seed)


def _free(state: Mapping[str, Any]) -> list[str]:
    return [key for key, book in sorted(state["books"].items()) if book["lent_to"] is None]


def _away(state: Mapping[str, Any]) -> list[str]:
    return [key for key, book in sorted(state["books"].items()) if book["lent_to"] is not None]


def _borrowers(state: Mapping[str, Any]) -> list[str]:
    """Members who owe nothing and have one book at most."""
    lent = [book["lent_to"] for book in state["books"].values()]
    return [key for key, member in sorted(state["members"].items()) if not member["fee_cents"] and lent.count(key) < 2]


def _drawn(wanted: Calls, goal: Calls | None = None) -> Callable[[Params, Telling], Drawn]:
    """A request with its world.

    Args:
        wanted: The calls that must be made.
        goal: Those that change the state, where others must be made first to find out about them; then only these count.
    """

    def drawn(params: Params, telling: Telling) -> Drawn:
        calls = (goal or wanted)(params)
        made = [[call.name, orjson.dumps(call.arguments).decode()] for call in calls]
        told = [{"name": c.name, "arguments": {k: [v] for k, v in c.arguments.items()}} for c in calls]
        check: dict[str, Any] = {"calls": told, "world": {"name": "library", "seed": params["_seed"], "calls": made}}
        if goal is not None:
            check["acts"] = sorted(LIBRARY.acts)
        messages = (Message("system", LIBRARY.about), Message("user", telling.render(params)))
        return Drawn(messages, tools=LIBRARY.tools, check=check, metadata={"calls": len(calls)})

    return drawn


def _work(calls: Calls, step: str, done: str) -> Callable[[Params, str, tuple[str, ...]], Worked]:
    """Call everything at once, and say so when the results are there."""

    def work(params: Params, text: str, results: tuple[str, ...]) -> Worked:
        wanted = calls(params)
        if len(results) < len(wanted):
            return Worked((step,), "", calls=wanted[len(results) :])
        return Worked(("The results are there.",), _said(results) or done)

    return work


def _said(results: Sequence[str]) -> str:
    """What has to be told of results: what was refused; else nothing."""
    values = [_value(result) for result in results]
    refused = [str(value["error"]) for value in values if isinstance(value, dict) and "error" in value]
    return f"That was not possible: {'; '.join(refused)}." if refused else ""


def _value(text: str) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return None


def _slip(worked: Worked, params: Params, number: int) -> Worked:
    """Another book or member, a tool that there is not, an argument that is missing or unknown, or no call at all."""
    if not worked.calls:
        return plain(worked, "I have called the library, and it is all arranged.", calls=(_NEEDLESS,))
    first, *rest = worked.calls
    name, told = first.name, dict(first.arguments)
    key = sorted(told)[0]
    match number % 5:
        case 0:
            told[key] = told[key] + 1 if isinstance(told[key], int) else CHANGED[key == "member_id"]
        case 1:
            name = f"{name}_now"
        case 2:
            del told[key]
        case 3:
            told["urgent"] = True
        case _:
            return plain(worked, "I have done that for you.", calls=())
    return plain(worked, "", calls=(Call(name, told), *rest))


_NEEDLESS = Call("search_books", {"subject": "science"})


def _draw_member(rng: Random) -> Params:
    return {"member": f"M{rng.randrange(1, 5)}", "_seed": rng.randrange(SEEDS)}


def _draw_lend(rng: Random) -> Params:
    while True:  # most states have somebody who may borrow
        seed, state = _start(rng)
        if members := _borrowers(state):
            return {"member": rng.choice(members), "book": rng.choice(_free(state)), "_seed": seed}


def _draw_reserve(rng: Random) -> Params:
    seed, state = _start(rng)
    return {"member": f"M{rng.randrange(1, 5)}", "book": rng.choice(_away(state)), "_seed": seed}


def _draw_fee(rng: Random) -> Params:
    while True:
        seed, state = _start(rng)
        owing = [(key, m["fee_cents"]) for key, m in sorted(state["members"].items()) if m["fee_cents"]]
        if owing:
            member, fee = rng.choice(owing)
            return {"member": member, "count": rng.randrange(1, fee + 1), "_seed": seed}


def _draw_returns(rng: Random) -> Params:
    while True:
        seed, state = _start(rng)
        if len(away := _away(state)) > 1:
            first, second = rng.sample(away, 2)
            return {"book": first, "other": second, "_seed": seed}


def _draw_title(rng: Random) -> Params:
    params = _draw_lend(rng)
    title = LIBRARY.start(params["_seed"])["books"][params["book"]]["title"]
    return {"member": params["member"], "title": title, "_book": params["book"], "_seed": params["_seed"]}


def _draw_other(rng: Random) -> Params:
    places = ("Lisbon", "Oslo", "Kyoto", "Accra", "Lima", "Dublin", "Hanoi", "Tallinn", "Quito", "Perth")
    return {"place": rng.choice(places), "_seed": rng.randrange(SEEDS)}


def _member(p: Params) -> tuple[Call, ...]:
    return (Call("get_member", {"member_id": p["member"]}),)


def _lend(p: Params) -> tuple[Call, ...]:
    return (Call("lend_book", {"member_id": p["member"], "book_id": p["book"]}),)


def _reserve(p: Params) -> tuple[Call, ...]:
    return (Call("reserve_book", {"member_id": p["member"], "book_id": p["book"]}),)


def _pay(p: Params) -> tuple[Call, ...]:
    return (Call("pay_fee", {"member_id": p["member"], "amount_cents": p["count"]}),)


def _returns(p: Params) -> tuple[Call, ...]:
    return tuple(Call("return_book", {"book_id": p[key]}) for key in ("book", "other"))


def _search(p: Params) -> tuple[Call, ...]:
    return (Call("search_books", {"title": p["title"]}),)


def _lend_found(p: Params) -> tuple[Call, ...]:
    return (Call("lend_book", {"member_id": p["member"], "book_id": p["_book"]}),)


def _drawn_turns(params: Params, telling: Telling) -> Drawn:
    """A request in two turns, of which the prompt holds the first."""
    whole = _drawn(_lend, _lend)(params, telling)
    first, second = [Telling((sentence,)).render(params) for sentence in telling.sentences]
    check = {**whole.check, "turns": [second]}
    return replace(whole, messages=(whole.messages[0], Message("user", first)), check=check)


def _work_member(p: Params, text: str, results: tuple[str, ...]) -> Worked:
    if not results:
        return Worked((f"The record of {p['member']} tells this.",), "", calls=_member(p))
    told = _value(results[-1])
    if not isinstance(told, dict) or "fee_cents" not in told:
        return Worked((), _said(results) or "The record cannot be read.")
    loans = ", ".join(told.get("loans") or []) or "no books"
    return Worked(("The record is there.",), f"{p['member']} owes {told['fee_cents']} cents, and has {loans}.")


def _work_title(p: Params, text: str, results: tuple[str, ...]) -> Worked:
    if not results:
        return Worked(("A book is lent by its id, so first the title has to be looked up.",), "", calls=_search(p))
    found = _value(results[0])
    if len(results) == 1 and isinstance(found, list) and found and isinstance(found[0], dict):
        book = str(found[0].get("book_id"))
        step = f"The title has the id {book}."
        return Worked((step,), "", calls=(Call("lend_book", {"member_id": p["member"], "book_id": book}),))
    done = f"The book {p['title']} is now lent to {p['member']}."
    return Worked(
        ("The results are there.",), _said(results) or (done if len(results) > 1 else "There is no such book.")
    )


def _work_other(p: Params, text: str, results: tuple[str, ...]) -> Worked:
    ending = (
        f"I cannot help with {p['place']}: at this desk I can look up books and members, lend, take back and reserve."
    )
    return Worked(("None of the tools is made for this.",), ending)


FORMS: tuple[Form, ...] = (
    Form(
        "tools_turns",
        "tool_calling",
        tellings(
            ("Please show me the record of member {member:id}.", "I would like to see what {member:id} has."),
            ("Good. Then lend {book:id} to that member.", "Fine, so that member can have {book:id}; please lend it."),
        ),
        _draw_lend,
        _drawn_turns,
        _work(_lend, "The member was named before, and the book now.", "Done, the book is lent."),
        _slip,
        lambda params, turn, results: _work_member(params, "", results),
    ),
    Form(
        "tools_member",
        "tool_calling",
        tellings(("Does the member {member:id} owe anything?", "What do we have on record about member {member:id}?")),
        _draw_member,
        _drawn(_member),
        _work_member,
        _slip,
    ),
    Form(
        "tools_lend",
        "tool_calling",
        tellings(
            (
                "Please lend the book {book:id} to member {member:id}.",
                "Member {member:id} would like to take the book {book:id} home.",
            )
        ),
        _draw_lend,
        _drawn(_lend),
        _work(_lend, "Member and book are named, so it can be lent at once.", "Done, the book is lent."),
        _slip,
    ),
    Form(
        "tools_reserve",
        "tool_calling",
        tellings(
            (
                "{book:id} is away. Please reserve it for member {member:id}.",
                "Keep {book:id} for member {member:id} when it comes back.",
            )
        ),
        _draw_reserve,
        _drawn(_reserve),
        _work(_reserve, "The book is away, so it is reserved.", "Done, it is reserved."),
        _slip,
    ),
    Form(
        "tools_fee",
        "tool_calling",
        tellings(
            (
                "Member {member:id} pays {count:int} cents of the fee.",
                "Take {count:int} cents from member {member:id} towards the fee.",
            )
        ),
        _draw_fee,
        _drawn(_pay),
        _work(_pay, "The amount is given in cents already.", "Thank you, that is noted."),
        _slip,
    ),
    Form(
        "tools_returns",
        "tool_calling",
        tellings(
            (
                "The books {book:id} and {other:id} are back.",
                "Somebody has put {book:id} and {other:id} into the return box.",
            )
        ),
        _draw_returns,
        _drawn(_returns),
        _work(
            _returns,
            "The two books do not depend on one another, so both are taken back at once.",
            "Both are taken back.",
        ),
        _slip,
    ),
    Form(
        "tools_title",
        "tool_calling",
        tellings(
            (
                "Please lend the book called {title:title} to member {member:id}.",
                "Member {member:id} asks for {title:title} and wants to take it home.",
            )
        ),
        _draw_title,
        _drawn(_search, _lend_found),
        _work_title,
        _slip,
    ),
    Form(
        "tools_none",
        "tool_calling",
        tellings(
            ("What will the weather be like in {place:title} tomorrow?", "Can you book me a train to {place:title}?")
        ),
        _draw_other,
        _drawn(lambda p: ()),
        _work_other,
        _slip,
    ),
)
