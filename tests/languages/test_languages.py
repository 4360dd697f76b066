"""Languages are data: ours are whole, a user's own needs no code, and a wrong file is told by line and key."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest

from campaign import read_jsonl_gz, shared
from tracemill.errors import RecipeError
from tracemill.identify import fasttext, identify
from tracemill.languages import codes, language, read_language
from tracemill.segments.numbers import difference
from tracemill.translation.rules import number_format

WANTED = {"ar", "de", "en", "es", "fr", "hi", "it", "ja", "ko", "nl", "pl", "pt", "zh"}
ESPERANTO = """
code: eo
name: Esperanto
own_name: Esperanto
scripts: [Latn]
numbers: {decimal: ",", groups: [" "]}
quotes: {outer: ["“", "”"]}
lengths:
  - {above: 0, least: 0.5, most: 2}
identified_as: [eo]
"""
SAID = "La hundo kuras tra la granda kampo kaj serĉas sian malgrandan amikon apud la rivero."


@pytest.fixture
def esperanto(tmp_path: Path) -> Path:
    file = tmp_path / "eo.yaml"
    file.write_text(ESPERANTO, encoding="utf-8")
    return file


def test_thirteen_languages_are_shipped():
    assert set(codes()) == WANTED


@pytest.mark.parametrize("code", sorted(WANTED))
def test_a_file_describes_the_language_that_it_is_named_for(code):
    found = language(code)
    assert found.code == code
    own, letters = found.own_letters(found.own_name)
    assert own == letters > 0, "its own name is written in its own scripts"
    assert found.numbers.decimal not in found.numbers.groups
    assert all(unicodedata.digit(zero) == 0 for zero in found.numbers.digits)


def test_every_label_is_one_that_the_model_knows_and_means_one_language():
    labels = [label for code in codes() for label in language(code).identified_as]
    known = {
        label.removeprefix("__label__") for word in ("a", "佢") for label in fasttext().model.predict(word, k=200)[0]
    }
    assert len(known) > 150
    assert set(labels) <= known
    assert len(labels) == len(set(labels))


def test_a_language_is_added_by_a_file_outside_the_package(esperanto):
    own = language(str(esperanto))
    assert own.code == "eo"
    assert language("eo", [esperanto]) == own
    assert identify(SAID, ["en", own]).language == "eo"
    with pytest.raises(RecipeError, match=r"no language 'eo'; there are ar, de"):
        language("eo")


def test_a_file_of_ones_own_takes_the_place_of_ours(tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text(ESPERANTO.replace("code: eo", "code: fr"), encoding="utf-8")
    assert language("fr", [file]).name == "Esperanto"
    assert language("fr").name == "French"


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("decimal:", "decimals:", ("line 6", "numbers.decimals", "Did you mean 'decimal'?", "groups, digits, words")),
        ("scripts: [Latn]", "scripts: [Latin]", ("line 5", "scripts", "Latn, Grek")),
        ("above: 0", "above: 10", ("lengths", "`above: 0`")),
        ("least: 0.5", "least: 3", ("least", "smaller than most")),
        ("code: eo", "code: Esperanto!", ("line 2", "code")),
        ("code: eo", "code: no", ("line 2", "code", "in quotes")),
        ("identified_as: [eo]", "identified_as: []", ("identified_as", "at least 1")),
        ("name: Esperanto", "name: &a Esperanto\nbleu: *a", ("aliases",)),
        ("identified_as: [eo]", "bleu: 13b\nidentified_as: [eo]", ("line 10", "bleu", "'13a'")),
        (
            "identified_as: [eo]",
            "identified_as: [eo]\nregister: {wanted: a, rule: b, wrong: [{pattern: '('}]}",
            ("line 11", "pattern", "regular expression"),
        ),
    ],
)
def test_a_wrong_file_is_told_by_line_and_key(esperanto, old, new, told):
    esperanto.write_text(ESPERANTO.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(RecipeError) as raised:
        read_language(esperanto)
    for part in (str(esperanto), *told):
        assert part in str(raised.value)


@pytest.mark.parametrize("data", [b"\xff\xfea", b"- a\n", b"", b"a: " + b"x" * 100_001])
def test_what_is_no_language_is_refused(tmp_path, data):
    file = tmp_path / "bad.yaml"
    file.write_bytes(data)
    with pytest.raises(RecipeError, match=r"bad\.yaml"):
        read_language(file)
    with pytest.raises(RecipeError, match="cannot be read"):
        read_language(tmp_path)


@pytest.mark.parametrize(
    ("code", "right", "wrong", "marks"),
    [
        ("fr", "Vous avez trois pommes ; votre ami en a deux. Le statut, tout, tuer.", "Tu as trois pommes.", ["Tu"]),
        ("fr", "Peut-on, doit-il, avez-vous ?", "As-tu compris ?", ["-tu"]),
        ("de", "Sie haben drei Äpfel, und Ihr Freund die Dusche.", "Hast du deine Äpfel?", ["du", "deine"]),
        ("es", "Usted tiene su libro; titular, tutor.", "Tú tienes un libro.", ["Tú"]),
        ("it", "Lei ha il Suo libro, tutto tuona.", "Tu hai il tuo libro.", ["Tu", "tuo"]),
        ("ko", "사과가 세 개 있습니다. 얼마입니까?", "사과가 세 개 있어.", ["있어"]),
        ("ja", "りんごが三つあります。いくらですか。", "りんごは三つである。", ["である"]),
        ("zh", "请您计算一下。", "请你计算一下。", ["你"]),
        ("nl", "U hebt drie appels, jeugd.", "Heb je drie appels?", ["je"]),
        ("hi", "आप कितने सेब खरीदते हैं?", "तुम कितने सेब खरीदते हो?", ["तुम"]),
        ("pt", "Você tem três maçãs, titular, tudo.", "Tu tens as tuas maçãs.", ["Tu", "tuas"]),
        ("pl", "Czy ma Pan jabłka? Tytan, ciężar.", "Czy ty masz twoje jabłka?", ["ty", "twoje"]),
        ("ar", "أريد الآن ثلاث تفاحات.", "عايز دلوقتي ثلاث تفاحات.", ["عايز", "دلوقتي"]),
    ],
)
def test_the_wrong_register_is_seen_and_the_right_one_is_not(code, right, wrong, marks):
    register = language(code).register_
    assert register is not None
    assert register.breaches(right) == []
    assert register.breaches(wrong) == marks


@pytest.mark.parametrize(
    ("code", "right", "wrong"),
    [
        ("ko", "사과 스물다섯 개와 배 다섯 개, 감 두 개가 있습니다.", "사과 스물네 개와 배 다섯 개, 감 두 개가 있습니다."),
        ("zh", "他有二十五个苹果、五个梨和两个柿子。", "他有二十四个苹果、五个梨和两个柿子。"),
        ("pt", "Ele tem vinte e cinco maçãs, cinco peras e dois caquis.",
         "Ele tem vinte e quatro maçãs, seis peras e dois caquis."),
        ("nl", "Hij heeft vijfentwintig appels, vijf peren en twee kaki's.",
         "Hij heeft vierentwintig appels, vijf peren en twee kaki's."),
        ("pl", "Ma dwadzieścia pięć jabłek, pięć gruszek i dwie persymony.",
         "Ma dwadzieścia cztery jabłka, sześć gruszek i dwie persymony."),
        ("hi", "उसके पास पच्चीस सेब, पाँच नाशपाती और दो तेंदू हैं।", "उसके पास चौबीस सेब, पाँच नाशपाती और दो तेंदू हैं।"),
    ],
)  # fmt: skip
def test_numbers_may_be_spelled_out_and_others_are_still_seen(code, right, wrong):
    english, other = number_format(language("en")), number_format(language(code))
    source = "He has 25 apples, 5 pears and 2 persimmons."
    assert difference(source, right, english, other) == ([], [])
    assert "25" in difference(source, wrong, english, other)[0]


def test_lengths_are_those_of_real_translations():
    pairs = shared("ntrex", "ntrex.jsonl.gz")
    if not pairs.exists():
        pytest.skip("the NTREX sentences are not beside the project")
    rows = read_jsonl_gz(pairs)
    for code in ("fr", "es", "de", "it", "ja", "pt", "nl", "zh", "ko"):
        outside = 0
        for row in rows:
            least, most = language(code).length(len(row["en"]))
            outside += not least <= len(row[code]) <= most
        assert outside <= 0.002 * len(rows), code
        short = [row for row in rows if len(row["en"]) >= 60]
        halves = sum(len(row[code]) / 3 < language(code).length(len(row["en"]))[0] for row in short)
        assert halves > 0.5 * len(short), f"{code}: a third of a translation is mostly seen"


def test_letters_of_other_scripts_are_counted():
    assert language("ja").own_letters("これはCPUです。") == (5, 8)
    assert language("fr").own_letters("C'est 好 été") == (7, 8)
