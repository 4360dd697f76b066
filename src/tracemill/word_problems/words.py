"""The words that fill the slots: names with their pronoun, things with their plural, in groups that fit one story."""

from __future__ import annotations

_SHE = """
Aisha Alice Amara Amelia Anna Astrid Beatriz Carla Chiara Clara Daria Elena Emma Esther Fatima Freya Grace Hana
Helena Ingrid Irene Julia Karin Kavya Laura Leila Lena Linda Lucia Maria Maya Mei Nadia Nina Nora Olivia Paula
Petra Priya Rosa Sara Sofia Susan Tamara Teresa Vera Wendy Yasmin Yuki Zoe
"""
_HE = """
Adam Ahmed Andre Arjun Ben Carlos Daniel David Diego Dmitri Elias Emil Erik Felix Finn Gabriel Hassan Henry Hugo
Ivan Jack Jakob Jonas Kenji Kwame Lars Leo Liam Luca Marco Martin Mateo Max Miguel Nikolai Noah Omar Oscar Otto
Paul Pedro Rafael Ravi Samuel Simon Stefan Thomas Tobias Victor Yusuf
"""

PRONOUN = {**dict.fromkeys(_SHE.split(), "she"), **dict.fromkeys(_HE.split(), "he")}
""""he" or "she" by name."""

NAMES = tuple(sorted(PRONOUN))

STATIONERY = (
    "notebook",
    "pencil",
    "eraser",
    "folder",
    "marker",
    "ruler",
    "envelope",
    "sketchbook",
    "glue stick",
    "pen",
)
GROCERIES = ("lemon", "muffin", "mango", "bagel", "cucumber", "avocado", "pancake", "orange", "pretzel", "croissant")
GOODS = ("lamp", "scarf", "backpack", "sweater", "umbrella", "clock", "suitcase", "jacket", "blanket", "armchair")
TREATS = ("cookie", "strawberry", "marble", "sticker", "balloon", "walnut", "cherry", "chocolate", "grape", "toffee")
COLLECTIBLES = ("stamp", "postcard", "trading card", "seashell", "coin", "comic book", "badge", "bead", "button")
HARVEST = ("apple", "pear", "peach", "tomato", "potato", "pumpkin", "melon", "cabbage", "plum", "onion")
STOCK = ("book", "puzzle", "candle", "basket", "teapot", "toy", "bottle", "box of tea", "brush", "light bulb")
WISHES = ("bicycle", "guitar", "telescope", "skateboard", "camera", "tent", "keyboard", "watch", "game console", "drum")

_IRREGULAR = {
    "strawberry": "strawberries",
    "cherry": "cherries",
    "box of tea": "boxes of tea",
}


def _plural(noun: str) -> str:
    ending = "es" if noun.endswith(("ch", "sh", "x", "tomato", "potato", "mango")) else "s"
    return _IRREGULAR.get(noun, noun + ending)


PLURAL = {
    noun: _plural(noun) for noun in (*STATIONERY, *GROCERIES, *GOODS, *TREATS, *COLLECTIBLES, *HARVEST, *STOCK, *WISHES)
}
"""The plural of every thing, by its singular."""

SINGULAR = {plural: noun for noun, plural in PLURAL.items()}


def with_article(noun: str) -> str:
    """`noun` after "a" or "an". Every noun here that begins with a vowel letter also begins with a vowel sound."""
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"
