"""What holds for made-up texts holds for those of the real sets: nothing is lost, fair translations pass, bad ones do not."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace

import pytest
from test_segment_gates import TO_FRENCH, TO_JAPANESE

from campaign import SHARED, read_jsonl_gz, shared
from tracemill.languages import language
from tracemill.segments import NumberFormat, check, check_message, join, mask, split

FILES = sorted(SHARED.glob("*/*.jsonl.gz"))
ROWS = 8
"""Rows of each file that the default run looks at."""


def number_format(code: str) -> NumberFormat:
    numbers = language(code).numbers
    return NumberFormat(numbers.decimal, "".join(numbers.groups), numbers.words, numbers.spelled)


TO = {
    code: replace(TO_JAPANESE if code == "ja" else TO_FRENCH, source=number_format("en"), target=number_format(code))
    for code in ("fr", "es", "de", "it", "ja")
}


def strings(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for part in value.values():
            yield from strings(part)
    elif isinstance(value, list):
        for part in value:
            yield from strings(part)


def whole(rows: list[dict]) -> tuple[int, int]:
    """Every text of `rows` through split, mask and back: (characters, those that are sent)."""
    characters = sent = 0
    for text in strings(rows):
        segments = split(text)
        assert join(segments) == text
        characters += len(text)
        for segment in segments:
            if segment.translatable:
                sent += len(segment.text)
                masked = mask(segment.text)
                assert masked.unmask(masked.text) == segment.text
    return characters, sent


@pytest.mark.skipif(not FILES, reason="the real sets are not beside the project")
def test_every_real_text_comes_back():
    characters = sent = 0
    for file in FILES:
        rows = read_jsonl_gz(file)
        total, part = whole(random.Random(file.name).sample(rows, min(ROWS, len(rows))))
        characters += total
        sent += part
    assert 0.6 < sent / characters < 0.95


@pytest.mark.storm
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("file", FILES, ids=lambda file: f"{file.parent.name}/{file.name}")
def test_every_text_of_a_real_set_comes_back(file):
    assert whole(read_jsonl_gz(file))[0] > 0


def pairs(name: str, language: str, column: str = "") -> list[tuple[str, str]]:
    files = {"flores": ("flores", "flores_dev.jsonl.gz"), "mgsm": ("mgsm", "mgsm_parallel.jsonl.gz")}
    if not shared(*files[name]).exists():
        pytest.skip(f"{name} is not beside the project")
    rows = read_jsonl_gz(shared(*files[name]))
    return [(row["en"].strip(), row[column or language].strip()) for row in rows if row.get(column or language)]


def masked_pair(source: str, translation: str):
    """A pair as a translator of the masked text would have given it."""
    masked = mask(source)
    for number, span in enumerate(masked.spans, 1):
        translation = translation.replace(span, f"⟦{number}⟧", 1)
    return masked, translation


@pytest.mark.parametrize(
    ("name", "language", "column", "most"),
    [
        *[("flores", language, "", 0.015) for language in ("fr", "es", "de", "it")],
        *[("flores", language, f"mt_bergamot_tiny_{language}", 0.015) for language in ("fr", "es", "de", "it")],
        *[("mgsm", language, "", 0.025) for language in ("fr", "es", "de")],
        ("flores", "ja", "", 0.03),
        ("mgsm", "ja", "", 0.07),
    ],
)
def test_few_fair_translations_are_refused(name, language, column, most):
    """Those that are were looked at: most are rewritten (miles for kilometres) or wrong (2009 became 2019)."""
    both = [masked_pair(*pair) for pair in pairs(name, language, column)]
    refused = [(m.source, t, p) for m, t in both if (p := check(m, t, TO[language])) is not None]
    assert len(refused) <= most * len(both), refused[:5]


def changed_number(translation: str, source: str, rng: random.Random) -> str:
    places = [at for at, sign in enumerate(translation) if sign.isdecimal()]
    at = rng.choice(places)
    digit = str((int(translation[at]) + rng.randint(1, 8)) % 9 + 1)
    other = digit if digit != translation[at] else str(int(digit) % 9 + 1)
    return translation[:at] + other + translation[at + 1 :]


PLANTS = {
    "numbers": (0.995, changed_number),
    "placeholders": (1.0, lambda t, s, rng: t.replace("⟦1⟧", "", 1)),
    "copied": (1.0, lambda t, s, rng: s),
    "partly copied": (0.9, lambda t, s, rng: s[: len(s) * 2 // 3] + t[len(t) * 2 // 3 :]),
    "residue": (1.0, lambda t, s, rng: f"〘{t}"),
    "lines": (1.0, lambda t, s, rng: f"Here it is:\n{t}"),
    "script": (1.0, lambda t, s, rng: f"{t[:20]}苹果{t[20:]}"),
    "length": (1.0, lambda t, s, rng: t * 4),
}


@pytest.mark.parametrize("kind", PLANTS)
@pytest.mark.parametrize("language", ["fr", "de"])
def test_planted_errors_are_caught(kind, language):
    least, plant = PLANTS[kind]
    rng = random.Random(kind)
    tried = caught = 0
    for source, translation in pairs("mgsm", language) + pairs("flores", language):
        masked, fair = masked_pair(f"{source} `x`" if kind == "placeholders" else source, translation)
        if kind == "placeholders":
            fair += " ⟦1⟧"
        if check(masked, fair, TO[language]) is not None or (kind == "numbers" and not any(map(str.isdecimal, fair))):
            continue
        tried += 1
        caught += check(masked, plant(fair, masked.text, rng), TO[language]) is not None
    assert tried > 300
    assert caught >= least * tried, f"{caught} of {tried}"


@pytest.mark.skipif(not shared("arena_hard").is_dir(), reason="Arena-Hard answers are not beside the project")
def test_a_message_whose_prose_alone_changes_keeps_what_it_must():
    for row in read_jsonl_gz(shared("arena_hard", "answers_o3mini_v2.jsonl.gz"))[:150]:
        text = row["response"]
        segments = split(text)
        translated = []
        for segment in segments:
            if segment.translatable:
                masked = mask(segment.text)
                translated.append(masked.unmask(masked.text.replace("the ", "le ").replace(" is ", " est ")))
        assert check_message(text, join(segments, translated)) is None
