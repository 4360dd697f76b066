"""Which answer goes to which request, and what becomes of every other line."""

from __future__ import annotations

import gzip
from contextlib import closing
from dataclasses import replace

import pytest
from batch_service import answered, asked, cancelled, expired, output, read, recipe_for, refused, write

from campaign import answers, write_problems
from tracemill.engines.inline import InlineEngine
from tracemill.errors import Locked, UsageError
from tracemill.exchange.exporting import export_requests
from tracemill.exchange.importing import import_answers
from tracemill.exchange.lines import BadLine, read_line
from tracemill.exchange.lines import asked as told_by
from tracemill.exchange.shelf import REASONS
from tracemill.mill import build
from tracemill.recipe_file import load_recipe
from tracemill.storage.journal import Journal
from tracemill.storage.lock import RunLock
from tracemill.testing import Answer, ScriptedServer

PROMPTS = 6


class Scene:
    """A recipe of twelve samples whose endpoint is nowhere, and the batch input for them."""

    def __init__(self, folder, *sets):
        self.folder, self.out = folder, folder / "run"
        self.table = write_problems(folder / "problems.jsonl", PROMPTS)
        self.file = recipe_for(folder, "http://127.0.0.1:9/v1")
        self.recipe = load_recipe(self.file, list(sets))
        export_requests(self.recipe, self.out, folder / "batch.jsonl")
        self.batch = read(folder / "batch.jsonl")

    def bought(self):
        return answered(self.batch, self.table)

    def take(self, *lines, name="bought.jsonl", **how):
        return import_answers(self.recipe, self.out, [write(self.folder / name, lines)], **how)

    def entries(self, line):
        with closing(Journal(self.out / ".tracemill" / "journal", writable=False)) as journal:
            return journal.find(line["custom_id"])


@pytest.fixture
def scene(tmp_path):
    return Scene(tmp_path)


def renamed(lines):
    """The same lines under names of the user's own."""
    return [{**line, "custom_id": f"request-{n}"} for n, line in enumerate(lines, 1)]


def pairs(lines, bought, reply="response", without=()):
    return [
        {"request": {k: v for k, v in line["body"].items() if k not in without}, reply: got["response"]["body"]}
        for line, got in zip(lines, bought, strict=True)
    ]


def different(reply, name):
    """The same reply, told apart from others."""
    return {**reply, "id": name}


def test_an_imported_answer_lies_in_the_journal_as_if_it_had_come_over_the_wire(scene, tmp_path):
    bought = scene.bought()
    scene.take(*bought)
    table = scene.table
    with ScriptedServer(answers(table)) as server:
        there = load_recipe(scene.file, [f"teachers.main.url={server.url}"])
        build(there, tmp_path / "wire", engine=InlineEngine())
    with closing(Journal(tmp_path / "wire" / ".tracemill" / "journal", writable=False)) as wire:
        for line in scene.batch:
            [ours] = scene.entries(line)
            [theirs] = wire.find(line["custom_id"])
            assert ours.endpoint == "imported:bought.jsonl"
            assert ours == replace(theirs, endpoint=ours.endpoint, at=ours.at, latency_ms=None)


def test_own_names_are_joined_with_the_batch_input(scene):
    lines = renamed(scene.batch)
    bought = [
        output(line["custom_id"], got["response"]["body"]) for line, got in zip(lines, scene.bought(), strict=True)
    ]
    alone = scene.take(*bought)
    assert (alone.imported, alone.lines) == (0, {"no_request": 12})
    both = import_answers(
        scene.recipe, scene.out, [scene.folder / "bought.jsonl", write(scene.folder / "in.jsonl", lines)]
    )
    assert (both.imported, both.lines, both.requests, both.missing) == (12, {"imported": 12}, 12, 0)


def test_a_name_of_two_requests_is_nobodys(scene):
    first, second, *_ = renamed(scene.batch)
    second["custom_id"] = first["custom_id"]
    told = scene.take(first, second, output(first["custom_id"], scene.bought()[0]["response"]["body"]))
    assert told.lines == {"ambiguous": 1}


@pytest.mark.parametrize("reply", ["response", "reply"])
def test_pairs_are_matched_by_body_and_seed_in_any_order(scene, reply):
    told = scene.take(*reversed(pairs(scene.batch, scene.bought(), reply)), form="pairs")
    assert (told.imported, told.missing) == (12, 0)
    assert all(len(scene.entries(line)) == 1 for line in scene.batch)


def test_answers_without_a_seed_are_handed_out_in_file_order_each_once(scene):
    """Two samples a prompt: three different answers, one of them twice, one too many."""
    line = scene.batch[0]
    mine = [n for n in scene.batch if n["body"]["messages"] == line["body"]["messages"]]
    [[first, second, third]] = [[different(asked_reply(scene, line), name) for name in "abc"]]
    lines = pairs([line] * 4, [output("", r) for r in (first, first, second, third)], without=("seed",))
    told = scene.take(*lines)
    assert told.lines == {"imported": 2, "duplicate": 1, "surplus": 1}
    stored = [scene.entries(n)[0].body for n in mine]
    assert [b'"id":"a"' in stored[0], b'"id":"b"' in stored[1]] == [True, True]
    again = scene.take(*lines)
    assert (again.imported, again.lines) == (0, {"stored": 3, "surplus": 1})


def asked_reply(scene, line):
    with ScriptedServer(answers(scene.table)) as server:
        return asked(server, [line["body"]])[0]


def test_a_larger_file_does_not_give_an_answer_to_a_second_sample(scene):
    line = scene.batch[0]
    mine = [n for n in scene.batch if n["body"]["messages"] == line["body"]["messages"]]
    replies = [output("", different(asked_reply(scene, line), name)) for name in "ab"]
    lines = pairs([line] * 2, replies, without=("seed",))
    assert scene.take(lines[0]).imported == 1
    assert scene.take(*lines).lines == {"imported": 1, "stored": 1}
    assert [b'"id":"a"' in scene.entries(n)[0].body for n in mine] == [True, False]


def test_spelling_does_not_matter_but_sampling_model_and_switch_do(scene):
    line, bought = scene.batch[0], scene.bought()[0]
    [text] = [m["content"] for m in line["body"]["messages"] if m["role"] == "user"]
    spelled = {**line["body"], "stream": False, "n": 1, "stop": None, "user": "me"}
    spelled["messages"] = [
        *line["body"]["messages"][:-1],
        {"role": "user", "content": [{"type": "text", "text": text}]},
    ]
    for change in (
        {"temperature": 0.7}, {"model": "other"}, {"chat_template_kwargs": {"enable_thinking": False}}, {"seed": 1},
    ):  # fmt: skip
        told = scene.take({"request": {**spelled, **change}, "response": bought["response"]["body"]})
        assert told.lines == {"no_request": 1}, change
    assert scene.take({"request": spelled, "response": bought["response"]}).imported == 1


def test_a_key_of_ours_over_another_request_is_not_believed(scene):
    line = {**scene.batch[0], "body": {**scene.batch[0]["body"], "temperature": 0.1}}
    told = scene.take(line, scene.bought()[0])
    assert (told.imported, told.lines) == (0, {"other_request": 1})


def test_every_line_is_counted_by_what_became_of_it(scene):
    names = [line["custom_id"] for line in scene.batch]
    bought = scene.bought()
    told = scene.take(
        bought[0], bought[0], expired(names[1]), cancelled(names[2]), refused(names[3]), refused(names[4], "vllm"),
        output("0" * 64, bought[5]["response"]["body"]), {k: v for k, v in bought[6].items() if k != "custom_id"},
        output(names[7], {"choices": []}), {"custom_id": names[8], "response": None, "error": None}, {"a": 1}, [1],
    )  # fmt: skip
    fates = {"imported": 1, "duplicate": 1, "no_request": 1, "no_custom_id": 1, "malformed": 1, "expired": 1}
    assert told.lines == {**fates, "cancelled": 1, "error": 3, "unreadable": 2}
    assert list(told.lines) == [reason for reason in REASONS if reason in told.lines]
    assert sum(told.lines.values()) == 12
    assert told.examples["expired"] == ["bought.jsonl:3: " + told.examples["expired"][0].split(": ", 1)[1]]
    assert "batch_expired" in told.examples["expired"][0]
    assert told.missing == 11


def test_an_answer_of_another_model_is_not_taken_unless_the_recipe_accepts_it(scene):
    """Stored, it would stop the build: its row would name the wrong model."""
    bought = scene.bought()[0]
    bought["response"]["body"]["model"] = "elsewhere/another"
    assert scene.take(bought).lines == {"other_model": 1}
    scene.recipe = load_recipe(scene.file, ["teachers.main.accept_models=[elsewhere/another]"])
    assert scene.take(bought).imported == 1


def test_a_secret_that_a_service_repeats_is_stored_nowhere(scene, monkeypatch):
    monkeypatch.setenv("MILL_KEY", "sk-very-secret-0815")
    scene.recipe = load_recipe(scene.file, ["teachers.main.api_key=${env:MILL_KEY}"])
    first, second, *_ = scene.bought()
    first["response"]["body"]["choices"][0]["message"]["content"] += " sk-very-secret-0815"
    error = {"code": "bad_key", "message": "sk-very-secret-0815"}
    told = scene.take(first, {**second, "response": None, "error": error})
    assert told.lines == {"imported": 1, "error": 1}
    assert "***" in told.examples["error"][0]
    assert "0815" not in str(told.to_json())
    [entry] = scene.entries(first)
    assert b"0815" not in entry.body
    assert b"***" in entry.body


def test_an_answer_after_an_error_for_the_same_request_is_taken(scene):
    bought = scene.bought()[0]
    assert scene.take(expired(bought["custom_id"]), bought).lines == {"imported": 1, "expired": 1}


def cut(scene, line, limit):
    reply = asked_reply(scene, {**line, "body": {**line["body"], "max_tokens": limit}})
    assert reply["choices"][0]["finish_reason"] == "length"
    return reply


def test_of_several_answers_the_one_that_ended_is_taken(scene):
    line, bought = scene.batch[0], scene.bought()[0]
    told = scene.take(line, output(line["custom_id"], cut(scene, line, 2)), bought)
    assert told.lines == {"imported": 1, "duplicate": 1}
    assert [entry.finish_reason for entry in scene.entries(line)] == ["stop"]


def test_a_cut_answer_serves_up_to_the_limit_that_it_was_asked_with(scene):
    line = scene.batch[0]
    answer = output(line["custom_id"], cut(scene, line, 3))
    assert scene.take(answer).lines == {"cut_short": 1}, "its own length, 3, is all that is known"
    short = {**line, "body": {**line["body"], "max_tokens": 100}}
    assert scene.take(short, answer).lines == {"cut_short": 1}
    assert scene.take(line, answer).lines == {"imported": 1}
    assert [entry.max_tokens for entry in scene.entries(line)] == [line["body"]["max_tokens"]]


def test_an_empty_answer_is_followed_by_the_one_to_the_second_asking(scene):
    """An empty reply is asked anew under another key, over the wire as in a batch."""
    empty = Answer("", None)
    text, right = next(iter(scene.table.items()))
    scene.table[text] = [empty]
    assert scene.take(*scene.bought()).missing == 2
    export_requests(scene.recipe, scene.out, scene.folder / "second.jsonl")
    second = read(scene.folder / "second.jsonl")
    assert len(second) == 2
    assert not {line["custom_id"] for line in second} & {line["custom_id"] for line in scene.batch}
    scene.table[text] = right
    told = scene.take(*answered(second, scene.table))
    assert (told.imported, told.missing) == (2, 0)
    assert build(scene.recipe, scene.out, engine=InlineEngine()).sent == 0


def test_a_file_may_be_compressed_or_damaged(scene):
    bought = scene.bought()
    path = write(scene.folder / "a.jsonl", bought)
    packed = scene.folder / "a.jsonl.gz"
    packed.write_bytes(gzip.compress(path.read_bytes())[:-200])
    damaged = import_answers(scene.recipe, scene.out, [packed])
    assert damaged.lines["unreadable"] == 1
    packed.write_bytes(gzip.compress(path.read_bytes()))
    assert import_answers(scene.recipe, scene.out, [packed]).missing == 0


@pytest.mark.parametrize("form", ["openai-batch", "vllm-batch"])
def test_a_named_format_takes_no_other(scene, form):
    told = scene.take(*pairs(scene.batch, scene.bought()), form=form)
    assert told.lines == {"unreadable": 12}
    assert scene.take(*scene.bought(), form="pairs").lines == {"unreadable": 12}
    assert scene.take(*scene.bought(), form=form).imported == 12


def test_what_does_not_fit_is_told(scene):
    with pytest.raises(UsageError, match=r"nowhere\.jsonl cannot be read"):
        import_answers(scene.recipe, scene.out, [scene.folder / "nowhere.jsonl"])
    with pytest.raises(UsageError, match="--format 'csv'"):
        scene.take(form="csv")
    with pytest.raises(UsageError, match="teachers are main"):
        export_requests(scene.recipe, scene.out, scene.folder / "x.jsonl", teacher="other")
    with RunLock(scene.out / ".tracemill" / "lock"):
        for call in (scene.take, lambda: export_requests(scene.recipe, scene.out, scene.folder / "x.jsonl")):
            with pytest.raises(Locked):
                call()
    assert not (scene.folder / "x.jsonl").exists()


def test_a_seedless_endpoint_keeps_each_answer_with_its_sample(tmp_path):
    """Bodies of a prompt's samples are then equal, but the custom_id tells them apart: none takes another's."""
    scene = Scene(tmp_path, "teachers.main.send_seed=false")
    bought = scene.bought()
    assert scene.take(*scene.batch[1:], *bought[1:]).missing == 1
    assert scene.entries(scene.batch[0]) == []


@pytest.mark.parametrize("line", [b"", b"nul", b'"a"', b"[]", b"{}", b'{"custom_id": 1}', b'{"response": 3}', b"\xff"])
def test_a_strange_line_is_a_bad_line(line):
    with pytest.raises(BadLine):
        read_line(line)


def test_the_hash_of_a_question_is_that_of_what_is_asked():
    body = {"model": "m", "messages": [{"role": "user", "content": "1"}], "temperature": 1}
    same = {**body, "temperature": 1.0, "seed": 5, "max_tokens": 3, "tools": []}
    assert told_by(body).question == told_by(same).question
    assert told_by(same).seed == 5
    assert told_by({**body, "temperature": 0.5}).question != told_by(body).question
