"""Short conversations: what was said is remembered, put in order, or put into words."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from tracemill.exercises.form import Drawn, Form, Params, Worked, people, plain
from tracemill.record import Message
from tracemill.word_problems.sentences import KINDS, Telling, tellings
from tracemill.word_problems.words import GROCERIES, HARVEST, PLURAL, STATIONERY, TREATS

Between = Callable[[Params], tuple[str, ...]]


def _talk(between: Between) -> Callable[[Params, Telling], Drawn]:
    """A recorded conversation: the user's turns are the sentences of a telling, and the assistant's stand between them."""

    def drawn(params: Params, telling: Telling) -> Drawn:
        turns = [Message("user", Telling((sentence,)).render(params)) for sentence in telling.sentences]
        for place, said in enumerate(between(params)):
            turns.insert(2 * place + 1, Message("assistant", said))
        return Drawn(tuple(turns), metadata={"turns": len(telling.sentences)})

    return drawn


def _scripted(params: Params, telling: Telling) -> Drawn:
    """A conversation that begins with the first sentence of a telling; the user goes on with the others."""
    first, *others = [Telling((sentence,)).render(params) for sentence in telling.sentences]
    return Drawn((Message("user", first),), check={"turns": others}, metadata={"turns": len(telling.sentences)})


def _greeted(p: Params, turn: int, results: tuple[str, ...]) -> Worked:
    return Worked(("Nothing is asked yet.",), f"Nice to meet you, {p['who']}! That is quite a collection.")


def _wrong(worked: Worked, params: Params, number: int) -> Worked:
    """An answer that evades, repeats the question, or knows nothing any more."""
    said = ("I am glad that you ask, and happy to help.", "That is a good question.", "I do not remember that, sorry.")
    return plain(worked, said[number % 3], steps=())


def _draw_memory(rng: Random) -> Params:
    return {"who": people(rng, 1)[0], "count": rng.randrange(2, 60), "item": rng.choice(TREATS + STATIONERY)}


def _memory(p: Params, text: str, results: tuple[str, ...]) -> Worked:
    things = f"{p['count']} {PLURAL[p['item']]}"
    step = f"{p['who']} said at the beginning how many there are: {things}."
    return Worked(
        (step,), f"You told me that you collect {PLURAL[p['item']]} and have {things}, {p['who']}.", holds=(things,)
    )


def _draw_list(rng: Random) -> Params:
    first, second, third = rng.sample(GROCERIES + HARVEST, 3)
    return {"first": first, "second": second, "third": third}


def _listed(p: Params, text: str, results: tuple[str, ...]) -> Worked:
    names = sorted(PLURAL[p[key]] for key in ("first", "second", "third"))
    lines = "\n".join(f"- {name}" for name in names)
    return Worked(
        (f"In the order of the alphabet these are {', '.join(names)}.",), f"Here is your list:\n{lines}", holds=(lines,)
    )


def _draw_train(rng: Random) -> Params:
    return {"leaves": rng.randrange(7 * 60, 21 * 60, 5), "minutes": rng.randrange(10, 55, 5)}


def _train(p: Params, text: str, results: tuple[str, ...]) -> Worked:
    show = KINDS["clock"].show
    latest, leaves = show(p["leaves"] - p["minutes"]), show(p["leaves"])
    steps = (f"{leaves} less {p['minutes']} minutes is {latest}.",)
    ending = f"At {latest} at the latest; then you are there at {leaves}. A few minutes earlier would be safer."
    return Worked(steps, ending, check=f"{latest} and {p['minutes']} minutes make {leaves}.", holds=(f"At {latest} ",))


def _draw_thanks(rng: Random) -> Params:
    who, other = people(rng, 2)
    return {"who": who, "other": other, "item": rng.choice(STATIONERY)}


def _thanks(p: Params, text: str, results: tuple[str, ...]) -> Worked:
    article = KINDS["an_item"].show(p["item"]).split()[0]
    ending = (
        f"Dear {p['who']},\n\nthank you very much for the {p['item']}: I had been looking for {article} good one, and "
        f"use it every day.\n\nWarm regards\n{p['other']}"
    )
    steps = (f"The note goes to {p['who']} and comes from {p['other']}.", f"It is about the {p['item']}.")
    return Worked(steps, ending, holds=(f"Dear {p['who']}", f"the {p['item']}", p["other"]))


FORMS: tuple[Form, ...] = (
    Form(
        "chat_memory",
        "chat",
        tellings(
            (
                "Hello! I am {who:name}, and I collect {item:items}: by now I have {count:int}.",
                "Hi, my name is {who:name}. I have {count:int} {item:items}, which I collect.",
            ),
            (
                "What did I say that I collect, and how many are there?",
                "Do you remember what I collect, and how many I have?",
            ),
        ),
        _draw_memory,
        _scripted,
        _memory,
        _wrong,
        _greeted,
    ),
    Form(
        "chat_list",
        "chat",
        tellings(
            (
                "I still have to buy {first:items}, {second:items} and {third:items}. Please make a list of them in "
                "alphabetical order.",
                "Write a shopping list for me, in alphabetical order: {first:items}, {second:items}, {third:items}.",
            ),
        ),
        _draw_list,
        _talk(lambda p: ()),
        _listed,
        _wrong,
    ),
    Form(
        "chat_train",
        "chat",
        tellings(
            ("My train leaves at {leaves:clock}.", "I have a train to catch, at {leaves:clock}."),
            (
                "I need {minutes:int} minutes to the station.",
                "It takes me {minutes:int} minutes to get to the station.",
            ),
            ("So when do I have to leave home?", "At what time should I set out?"),
        ),
        _draw_train,
        _talk(lambda p: ("All right. Can I help you with the way?", "Good to know.")),
        _train,
        _wrong,
    ),
    Form(
        "chat_thanks",
        "chat",
        tellings(
            (
                "{who:name} gave me {item:an_item} for my birthday. Please write a short thank-you note, signed {other:name}.",
                "Write a short thank-you note to {who:name}, who gave me {item:an_item}. Sign it {other:name}.",
            ),
        ),
        _draw_thanks,
        _talk(lambda p: ()),
        _thanks,
        _wrong,
    ),
)
