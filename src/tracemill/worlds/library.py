"""A lending library: members, books, loans, reservations and fees in cents."""

from __future__ import annotations

from typing import Any

from tracemill.worlds.world import Refused, State, World

MOST_LOANS = 3
"""Books that one member may have at once."""
_TITLES = (
    ("Tides and Moons", "Ines Okafor", "science"),
    ("The Copper Bridge", "Jan Vermaas", "history"),
    ("Bread for Beginners", "Lucia Moretti", "cooking"),
    ("Small Engines", "Ravi Deshmukh", "technology"),
    ("A Field Guide to Clouds", "Ines Okafor", "science"),
    ("Letters from Ostrava", "Marta Kovar", "history"),
    ("Knots and Ropes", "Tom Whitlock", "technology"),
    ("Soups of the North", "Lucia Moretti", "cooking"),
    ("Counting Birds", "Yuki Tanabe", "science"),
    ("The Salt Road", "Jan Vermaas", "history"),
)
_NAMES = ("Ada Brandt", "Bo Lindqvist", "Chiara Conti", "Dai Nakamura")


def start(seed: int) -> State:
    """Ten books and four members; the seed turns who has what, and who owes what."""
    books = {
        f"B{i + 1:02d}": {"title": title, "author": author, "subject": subject, "lent_to": None, "reserved_by": None}
        for i, (title, author, subject) in enumerate(_TITLES)
    }
    members = {
        f"M{i + 1}": {"name": name, "fee_cents": (seed * 7 + i * 150) % 400 if (seed + i) % 2 else 0}
        for i, name in enumerate(_NAMES)
    }
    for i in range(3):
        books[f"B{(seed * 3 + i * 4) % len(_TITLES) + 1:02d}"]["lent_to"] = f"M{(seed + i) % len(_NAMES) + 1}"
    return {"books": books, "members": members}


def search_books(state: State, author: str = "", subject: str = "", title: str = "") -> list[dict[str, Any]]:
    """Books whose author, subject and title hold these texts."""
    wanted = {"author": author, "subject": subject, "title": title}
    return [
        {"book_id": key, **book}
        for key, book in sorted(state["books"].items())
        if all(text.casefold() in book[field].casefold() for field, text in wanted.items())
    ]


def get_member(state: State, member_id: str) -> dict[str, Any]:
    """A member, with the books lent."""
    return {"member_id": member_id, **_member(state, member_id), "loans": _loans(state, member_id)}


def lend_book(state: State, member_id: str, book_id: str) -> dict[str, Any]:
    """Lend a book, unless it is away or kept for another, or the member owes a fee or has too many."""
    member, book = _member(state, member_id), _book(state, book_id)
    if book["lent_to"] is not None:
        raise Refused(f"{book_id} is lent to {book['lent_to']}")
    if book["reserved_by"] not in (None, member_id):
        raise Refused(f"{book_id} is reserved by {book['reserved_by']}")
    if member["fee_cents"]:
        raise Refused(f"{member_id} owes {member['fee_cents']} cents")
    if len(_loans(state, member_id)) >= MOST_LOANS:
        raise Refused(f"{member_id} has {MOST_LOANS} books")
    book["lent_to"], book["reserved_by"] = member_id, None
    return {"ok": True, "loans": _loans(state, member_id)}


def return_book(state: State, book_id: str) -> dict[str, Any]:
    """Take a book back; who has reserved it is named."""
    book = _book(state, book_id)
    if book["lent_to"] is None:
        raise Refused(f"{book_id} is not lent")
    book["lent_to"] = None
    return {"ok": True, "reserved_by": book["reserved_by"]}


def reserve_book(state: State, member_id: str, book_id: str) -> dict[str, Any]:
    """Keep a lent book for a member, for when it comes back."""
    _member(state, member_id)
    book = _book(state, book_id)
    if book["lent_to"] is None:
        raise Refused(f"{book_id} is here; lend it")
    if book["reserved_by"] is not None:
        raise Refused(f"{book_id} is reserved by {book['reserved_by']}")
    book["reserved_by"] = member_id
    return {"ok": True}


def pay_fee(state: State, member_id: str, amount_cents: int) -> dict[str, Any]:
    """Pay some or all of what a member owes."""
    member = _member(state, member_id)
    if (
        isinstance(amount_cents, bool)
        or not isinstance(amount_cents, int)
        or not 0 < amount_cents <= member["fee_cents"]
    ):
        raise Refused(f"{member_id} owes {member['fee_cents']} cents")
    member["fee_cents"] -= amount_cents
    return {"ok": True, "fee_cents": member["fee_cents"]}


def _member(state: State, member_id: str) -> dict[str, Any]:
    found: dict[str, Any] | None = state["members"].get(member_id)
    if found is None:
        raise Refused(f"there is no member {member_id!r}")
    return found


def _book(state: State, book_id: str) -> dict[str, Any]:
    found: dict[str, Any] | None = state["books"].get(book_id)
    if found is None:
        raise Refused(f"there is no book {book_id!r}")
    return found


def _loans(state: State, member_id: str) -> list[str]:
    return [key for key, book in sorted(state["books"].items()) if book["lent_to"] == member_id]


_MEMBER = {"type": "string", "description": "Id of a member, such as M1."}
_BOOK = {"type": "string", "description": "Id of a book, such as B01."}


def _tool(name: str, description: str, required: tuple[str, ...], **properties: dict[str, Any]) -> dict[str, Any]:
    parameters = {
        "type": "object",
        "properties": properties,
        "required": list(required),
        "additionalProperties": False,
    }
    return {"type": "function", "function": {"name": name, "description": description, "parameters": parameters}}


LIBRARY = World(
    name="library",
    about="You are at the desk of a lending library. A member may have three books, and none while a fee is owed.",
    tools=(
        _tool(
            "search_books",
            "Find books by parts of author, subject or title.",
            (),
            author={"type": "string"},
            subject={"type": "string"},
            title={"type": "string"},
        ),
        _tool("get_member", "Show a member, the fee owed and the books lent.", ("member_id",), member_id=_MEMBER),
        _tool("lend_book", "Lend a book to a member.", ("member_id", "book_id"), member_id=_MEMBER, book_id=_BOOK),
        _tool("return_book", "Take a lent book back.", ("book_id",), book_id=_BOOK),
        _tool(
            "reserve_book",
            "Reserve a lent book for a member.",
            ("member_id", "book_id"),
            member_id=_MEMBER,
            book_id=_BOOK,
        ),
        _tool(
            "pay_fee",
            "Pay a member's fee, or part of it.",
            ("member_id", "amount_cents"),
            member_id=_MEMBER,
            amount_cents={"type": "integer", "minimum": 1, "description": "Cents."},
        ),
    ),
    start=start,
    functions={
        "search_books": search_books,
        "get_member": get_member,
        "lend_book": lend_book,
        "return_book": return_book,
        "reserve_book": reserve_book,
        "pay_fee": pay_fee,
    },
    acts=frozenset({"lend_book", "return_book", "reserve_book", "pay_fee"}),
)
