"""Each gate refuses what it is for, lets a fair translation pass, and says why in a declared word."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from test_splitting import ANY

from tracemill.segments import (
    REASONS,
    NumberFormat,
    Problem,
    Rules,
    check_all,
    check_message,
    judge,
    mask,
    unwrap,
)

SPACES = " \u00a0\u202f"
MANY = {"million": 10**6, "millions": 10**6}
ENGLISH = NumberFormat(".", ",", {"million": 10**6, "thousand": 1000})
FRENCH = NumberFormat(",", SPACES, MANY)
GERMAN = NumberFormat(",", ".", {"Million": 10**6, "Millionen": 10**6})
JAPANESE = NumberFormat(".", ",，", {"万": 10**4, "億": 10**8, "千": 1000})
TO_FRENCH = Rules(ENGLISH, FRENCH)
TO_GERMAN = Rules(ENGLISH, GERMAN)
TO_JAPANESE = Rules(
    ENGLISH,
    JAPANESE,
    lambda n: (0.2 * n - 10, 1.2 * n + 10),
    frozenset({"Hira", "Kana", "Hani"}),
    frozenset({"Hira", "Kana"}),
)


def refused(source: str, reply: str, rules: Rules = TO_FRENCH) -> set[str]:
    return {problem.reason for problem in check_all(mask(source), reply, rules)}


@pytest.mark.parametrize(
    ("reply", "inside"),
    [
        ("〘Bonjour〙", "Bonjour"),
        ("Voici : 〘 Bonjour 〙\n(note)", "Bonjour"),
        ("〘〙", ""),
    ],
)
def test_the_brackets_are_taken_off(reply, inside):
    assert unwrap(reply) == inside


@pytest.mark.parametrize(
    ("reply", "told"),
    [
        ("Bonjour", "none"),
        ("", "none"),
        ("〘Bonjour", "1 opened, 0 closed"),
        ("Bonjour〙", "0 opened, 1 closed"),
        ("〘〘Bonjour〙〙", "nested"),
        ("〘Bonjour〙 〘Salut〙", "one after the other"),
        ("〙Bonjour〘", "closed before opened"),
        ("[[Bonjour]]", "none"),
        ("【Bonjour】", "none"),
    ],
)
def test_what_has_not_one_pair_of_brackets_is_refused(reply, told):
    problem = unwrap(reply)
    assert isinstance(problem, Problem)
    assert (problem.reason, told in problem.detail) == ("brackets", True)


@pytest.mark.parametrize(
    ("reason", "source", "reply"),
    [
        ("empty", "Good morning", " "),
        ("placeholders", "Run `ls` now", "Lance maintenant"),
        ("placeholders", "Say <b>good</b> day", "Dis ⟦2⟧bon⟦1⟧ jour"),
        ("placeholders", "`a` `b` `c` `d` `e` are five", "⟦5⟧ ⟦4⟧ ⟦3⟧ ⟦2⟧ ⟦1⟧ font cinq"),
        ("residue", "Good morning to you", "〘Bonjour à vous"),
        ("residue", "Good morning to you", "Bonjour à vous<|im_end|>"),
        ("residue", "Good morning to you", "<think>Bonjour à vous"),
        ("residue", "Good morning to you", "Bonjour \x1bà vous"),
        ("residue", "Good morning to you", "Bonjour � vous"),
        ("lines", "Good morning to you", "Bonjour\nà vous"),
        ("structure", "Good morning to you", "- Bonjour à vous"),
        ("structure", "Good morning to you", "## Bonjour à vous"),
        ("structure", "Good morning to you", "```Bonjour à vous```"),
        ("structure", "Good morning to you", "Bonjour | à vous"),
        ("numbers", "He has 18 apples", "Il a 81 pommes"),
        ("numbers", "He has 18 apples", "Il a des pommes"),
        ("numbers", "He has 3 of 18 apples", "Il a 5 des 18 pommes"),
        ("numbers", "It is 1,500 long", "C'est long de 1,5 m"),
        ("numbers", "Pay 2 and 2", "Payez 2 et 2 et 20"),
        ("letters", "Options (A) red (B) blue", "Options (A) rouge (C) bleu"),
        ("letters", "The answer is B.", "La réponse est C."),
        ("length", "How many of the apples that he bought are left in the basket?", "Combien ?"),
        ("length", "How many apples?", "Pour savoir combien, comptons une à une toutes les pommes qui sont encore là."),
        ("copied", "How many apples are left in the basket?", "How many apples are left in the basket?"),
        ("copied", "How many apples are left?", "How many apples are left?"),
        ("copied", "How many apples are left in the basket today", "Combien de apples are left in the basket today"),
        ("script", "How many apples are left?", "Combien de 苹果 reste-t-il ?"),
        ("script", "How many apples are left?", "Combien de яблок reste-t-il ?"),
    ],
)
def test_a_bad_translation_is_refused(reason, source, reply):
    assert reason in refused(source, reply)
    assert reason in REASONS


@pytest.mark.parametrize(
    ("source", "reply"),
    [
        ("How many apples are left in the basket?", "Combien de pommes reste-t-il dans le panier ?"),
        ("It costs 1,234.5 dollars", "Cela coûte 1 234,5 dollars"),
        ("It costs 1,234.5 dollars", "Cela coûte 1\u202f234,5 dollars"),
        ("It costs 1,234.5 dollars", "Cela coûte 1,234.5 dollars"),
        ("He has two apples and 30 pears", "Il a 2 pommes et 30 poires"),
        ("He has 3 apples and 30 pears", "Il a trois pommes et 30 poires"),
        ("She needs 48 rolls, so 4 million", "Il lui faut 48 rouleaux, donc 4 millions"),
        ("She needs 4000000 rolls, so 4 million", "Il lui faut 4000000 rouleaux, donc 4 fois"),
        ("Norm 802.11 at 2.4 and 5.0", "Norme 802.11 à 2,4 et 5.0"),
        ("One needs 1kg ÷ 0.5kg/pizza", "Il faut 1 fois 1kg ÷ 0.5kg/pizza"),
        ("It ended in 1100 A.D.", "Cela prit fin en 1100 apr. J.-C."),
        ("It has 90(F) degrees here", "Il fait 90 (F) degrés ici"),
        ("It has 5 km² of forest", "Il a 5 km2 de forêt"),
        ("At 4:00 p.m. he left", "Il est parti à 16 h"),
        ("In the 18th century it began", "Cela commença au XVIIIe siècle"),
        ("About .5 litres of water", "Environ 0,5 litre d'eau"),
        ("About 3 million people", "Environ 3 000 000 de personnes"),
        ("Run `a` before `b` is there", "Avant que ⟦2⟧ soit là, lance ⟦1⟧"),
        ("Options (A) red (B) blue", "Options (A) rouge (B) bleu"),
        ("Jean-Claude Van Damme", "Jean-Claude Van Damme"),
        ("New York Times", "New York Times"),
        ('He said "good morning to all of you here"', 'Il a dit "good morning to all of you here"'),
        ("The letter π is Greek", "La lettre π est grecque"),
        ("The word 漢字 is Chinese", "Le mot 漢字 est chinois"),
        ("A < b | c", "A < b | c"),
    ],
)
def test_a_fair_translation_passes(source, reply):
    assert refused(source, reply) == set()


@pytest.mark.parametrize(
    ("source", "reply", "reasons"),
    [
        ("There are 12,000 people here", "ここには1万2000人がいます", set()),
        ("There are 12,000 people here", "ここには１２，０００人がいます", set()),
        ("There are 12,000 people here", "ここには1万3000人がいます", {"numbers"}),
        ("About 300 million of them", "およそ3億です", set()),
        ("There are 12,000 people here", "ここには1万2千人がいます", set()),
        ("There are 12,000 people here", "ここには1万3千人がいます", {"numbers"}),
        ("From 4.2-3.9 million years ago", "420万〜390万年前から", set()),
        ("From 4.2-3.9 million years ago", "420万〜380万年前から", {"numbers"}),
        ("The sum of the NASA project", "NASAプロジェクトの合計です", set()),
        ("How many of the apples are left?", "how many apples が残っていますか", {"script"}),
        ("How many of the apples are left in it?", "还剩下多少个苹果在这个大篮子里面呢", {"script"}),
        ("The answer is B.", "答えはＢです。", set()),
    ],
)
def test_japanese_is_judged_by_its_own_numbers_and_letters(source, reply, reasons):
    assert refused(source, reply, TO_JAPANESE) == reasons


def test_a_number_is_one_number_however_its_language_writes_it():
    assert (
        ENGLISH.value("1,000") == GERMAN.value("1.000") == JAPANESE.value("１０００") == FRENCH.value("1 000") == "1000"
    )
    assert ENGLISH.value("0.50") == GERMAN.value("0,5") == "0.5"
    assert ENGLISH.value("12,34,567") == "1234567"
    assert GERMAN.value("1.5") == ENGLISH.value("1,5") == ""
    assert NumberFormat("٫", "٬").value("١٬٢٣٤٫٥") == "1234.5"
    assert refused("It is 1,000 long", "Es ist 1.000 lang", TO_GERMAN) == set()
    assert refused("It is 1.5 long", "Es ist 1.5 lang", TO_GERMAN) == set()


def test_number_words_are_looked_up_where_they_are_known():
    words = {"two": 2, "twenty": 20, "five": 5, "fourteen": 14}
    known = Rules(
        NumberFormat(".", ",", {"hundred": 100, "million": 10**6}, words),
        NumberFormat(",", SPACES, MANY, {"trois": 3}),
    )
    for source, reply in (
        ("twenty-five men", "25 hommes"),
        ("two hundred and five men", "205 hommes"),
        ("Fourteen banks", "14 banques"),
        ("five million men", "5 millions d'hommes"),
        ("two apples and 3 pears", "2 pommes et trois poires"),
    ):
        assert refused(source, reply, known) == set(), source
    assert refused("two men came", "7 hommes sont venus", known) == {"numbers"}


def test_a_sign_inside_another_word_is_no_number_word():
    known = Rules(
        NumberFormat(".", ",", {"million": 10**6}, {"two": 2, "three": 3}),
        NumberFormat(".", ",，", {"万": 10**4}, {"両": 2, "三": 3}),
        TO_JAPANESE.length,
    )
    for source, reply in (
        ("two drivers and their vehicles", "2人の運転者と車両です"),
        ("two million to three million years", "200万から300万年です"),
    ):
        assert "numbers" not in refused(source, reply, known), source
    assert "numbers" in refused("two drivers and their vehicles", "3人の運転者と車両です", known)


def test_a_reply_is_judged_whole():
    masked = mask("Run `ls` 3 times")
    assert judge(masked, "〘Lance ⟦1⟧ 3 fois〙", TO_FRENCH) == "Lance `ls` 3 fois"
    assert judge(masked, " Lance ⟦1⟧ 3 fois\n", TO_FRENCH, bracketed=False) == "Lance `ls` 3 fois"
    for reply, reason in (("Lance ⟦1⟧ 3 fois", "brackets"), ("〘Lance 3 fois〙", "placeholders"), ("〘〙", "empty")):
        problem = judge(masked, reply, TO_FRENCH)
        assert isinstance(problem, Problem)
        assert problem.reason == reason


SOURCE = "Solve $x^2$ with `f(x)`.\n\n```py\nx = 1\n```\n$$\ny\n$$\nSee https://a.io: \\boxed{4}.\n"


@pytest.mark.parametrize(
    ("before", "after", "reason"),
    [
        ("x = 1", "x = 2", "protected"),
        ("y\n", "z\n", "protected"),
        ("x^2", "x^3", "protected"),
        ("`f(x)`", "f", "protected"),
        ("a.io", "b.io", "protected"),
        ("{4}", "{5}", "protected"),
        ("Solve", "〘Résous", "residue"),
        ("\n\n", "\n", "lines"),
        ("```\n", "``\n", "protected"),
    ],
)
def test_a_message_must_keep_what_is_not_translated(before, after, reason):
    good = SOURCE.replace("Solve", "Résous").replace("with", "avec").replace("See", "Voir")
    assert check_message(SOURCE, good) is None
    problem = check_message(SOURCE, good.replace(before, after).replace(before.replace("Solve", "Résous"), after))
    assert problem is not None
    assert problem.reason == reason


@settings(max_examples=200, deadline=None)
@given(ANY, ANY)
def test_gates_give_declared_reasons_for_any_text(source, reply):
    for problem in check_all(mask(source), reply, TO_JAPANESE):
        assert problem.reason in REASONS
        assert problem.detail
    assert check_message(source, source) is None
    assert isinstance(judge(mask(source), reply, TO_GERMAN), str | Problem)
