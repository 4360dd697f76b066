"""The last rung: sentence by sentence."""

from __future__ import annotations

import asyncio

import pytest

from tracemill.models.wire import Reply
from tracemill.record import Message, Sample
from tracemill.segments.masks import mask
from tracemill.testing.translator import pretend
from tracemill.translation.exchange import Pair, write_pairs
from tracemill.translation.stage import Translator, setup

from scenes import recipe  # isort: skip

ONCE = {"ladder": {"samples": 1, "context": 0}, "routes": {"default": ("small",)}}


def door(said):
    """Says what `said` has for the text of a request, or something without brackets."""

    async def answer(request):
        text = request.messages[-1]["content"].partition("\nText:\n")[2]
        return Reply(request.key, said.get(text, "I cannot."), None, "stop")

    return answer


def climbed(said, text, tmp_path, to, **more):
    stage = Translator(setup(recipe(tmp_path, "http://127.0.0.1:1/v1", (to,), **ONCE, **more)), door(said))
    return asyncio.run(stage.climb(to)(mask(text), ()))


def test_sentences_of_a_language_without_spaces_are_parted_in_one_with_them(tmp_path):
    said = {"猫がここにいます。": "〘The cat is here.〙", "犬もここにいます。": "〘The dog is here too.〙"}
    got = climbed(said, "".join(said), tmp_path, "en", source="ja")
    assert (got.text, got.rung) == ("The cat is here. The dog is here too.", "sentences at small")


def test_each_refusal_is_counted_once(tmp_path):
    first, second = "The house is white.", "The garden is green."
    got = climbed({first: "〘La maison est blanche.〙"}, f"{first} {second}", tmp_path, "fr")
    assert got.text is None
    assert got.asked == 3
    assert got.reasons == {"brackets": 2}


def test_what_people_translated_stays_when_the_whole_is_asked_again(tmp_path):
    """Each line is too short to be judged alone; together they are German."""
    lines = ["We go there now.", "They eat it all.", "You see the sun.", "He has the key.", "She buys a hat."]
    german = ["Wir gehen jetzt.", "Sie essen es auf.", "Du siehst sie.", "Er hat ihn nicht.", "Sie kauft ihn."]
    memory = tmp_path / "people.jsonl"
    memory.write_bytes(write_pairs(memory.name, [Pair("en", "fr", lines[0], "On y va.")]))
    asked = []

    async def answer(request):
        text = request.messages[-1]["content"].partition("\nText:\n")[2]
        asked.append(text)
        said = pretend(text, "French") if request.retry else dict(zip(lines, german, strict=True)).get(text, text)
        return Reply(request.key, f"〘{said}〙", None, "stop")

    wanted = recipe(tmp_path, "http://127.0.0.1:1/v1", ("fr",), memory=(str(memory),))
    turns = (Message("user", "Why?"), Message("assistant", "\n".join(lines)))
    parent = Sample("0" * 8 + "-0000-4000-8000-" + "0" * 12, "chat", "off", turns, domain="chat")
    got = asyncio.run(Translator(setup(wanted), answer)(parent, "fr"))
    assert got.drop is None, got.drop
    assert got.sample.messages[1].content.startswith("On y va.\n")
    assert got.measured["remembered"] == 1
    assert lines[0] not in asked
    assert asked.count(lines[1]) == 2


@pytest.mark.parametrize("space", [" ", "\u3000"])
def test_a_space_between_such_sentences_stays_one(space, tmp_path):
    said = {"猫がここにいます。": "〘The cat is here.〙", "犬もここにいます。": "〘The dog is here too.〙"}
    got = climbed(said, space.join(said), tmp_path, "en", source="ja")
    assert got.text == "The cat is here. The dog is here too."
