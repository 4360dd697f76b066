"""Masked spans come back byte for byte, whatever the text holds, and a broken placeholder is told."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from test_splitting import ANY

from tracemill.segments import BrokenPlaceholders, bare, has_words, mask

LAW = settings(max_examples=400, deadline=None)


@LAW
@given(ANY)
@example("⟦1⟧ `a` ⟦⟦2⟧⟧ 〘⟦ 3 ⟧〙")
@example("<b `x` c> $`y`$")
@example("\\text{\\textbf{a}}}{")
def test_unmasking_gives_the_text_back(text):
    masked = mask(text)
    assert masked.unmask(masked.text) == text
    assert len(masked.spans) == len(masked.kinds) == len(re.findall(r"⟦\d+⟧", masked.text))
    assert not set("⟦⟧〘〙\x00\x1b") & set(bare(masked.text))


@LAW
@given(ANY, st.randoms(use_true_random=False))
def test_spans_come_back_in_any_order_and_digits_of_any_script(text, random):
    masked = mask(text)
    marks = re.findall(r"⟦\d+⟧", masked.text)
    random.shuffle(marks)
    wide = "".join(marks).translate({ord("0") + n: ord("０") + n for n in range(10)}).replace("⟦", "⟦ ")
    shuffled = [int(mark.strip("⟦⟧")) for mark in marks]
    assert masked.unmask(wide) == "".join(masked.spans[number - 1] for number in shuffled)


@LAW
@given(ANY)
def test_what_is_hidden_again_comes_back_as_it_stood(text):
    masked = mask(text)
    hidden = masked.hide(text)
    shown = re.sub(r"⟦(\d+)⟧", lambda found: masked.spans[int(found[1]) - 1], hidden)
    assert shown == text
    assert len(set(re.findall(r"⟦\d+⟧", hidden))) == len(re.findall(r"⟦\d+⟧", hidden)) <= len(masked.spans)


@pytest.mark.parametrize(
    ("source", "translation", "hidden"),
    [
        ("Use `a`, then `b`.", "Nach `b` dann `a`.", "Nach ⟦2⟧ dann ⟦1⟧."),
        ("With f(x) and `f(x)` and f(x).", "Mit `f(x)` und f(x) und f(x).", "Mit ⟦2⟧ und ⟦1⟧ und ⟦3⟧."),
        ("Use `a` here.", "Hier `a` und `a`.", "Hier ⟦1⟧ und `a`."),
        ("It has O(n) steps.", "それはO(n)である", "それは⟦1⟧である"),
        ("He pays $7 for `it`.", "彼は $7 払う `it` $。", "彼は $7 払う ⟦1⟧ $。"),
        ("Nothing here.", "Nichts `hier`.", "Nichts `hier`."),
    ],
)
def test_the_spans_of_a_source_are_hidden_in_its_translation_and_no_others(source, translation, hidden):
    assert mask(source).hide(translation) == hidden


@pytest.mark.parametrize(
    ("text", "spans"),
    [
        ("Run `ls -l` or ``a ` b`` now", ["`ls -l`", "``a ` b``"]),
        ("It is $x^2$ or \\(y\\) or \\[z\\] or $$w$$.", ["$x^2$", "\\(y\\)", "\\[z\\]", "$$w$$"]),
        ("Pay $5 and $10, or US$3-$4, or 5$ and 6$.", []),
        ("それぞれ 5 数について $7 時間世界 5*7=$35。", []),
        ("Cela fait $5 à élever à 6$ là, $αβ + 5$ и $7 за штуку, всего$", ["$αβ + 5$"]),
        ("Let $5x + 3$ be $\\text{more than ten}$ here", ["$5x + 3$", "$\\text{more than ten}$"]),
        ("So \\boxed{\\frac{1}{2}} and \\alpha_1 + \\sqrt[3]{x}.", ["\\boxed{\\frac{1}{2}}", "\\alpha_1", "\\sqrt[3]{x}"]),
        ("A \\textbf{bold word} here", ["\\textbf{", "}"]),
        ("See https://a.io/b_(c)?q=1. And (http://x.y/z), www.a.b!", ["https://a.io/b_(c)?q=1", "http://x.y/z", "www.a.b"]),
        ("A [link](docs/a.md) to it", ["docs/a.md"]),
        ("Mail jo.do+x@ex-a.co.uk, or @someone.", ["jo.do+x@ex-a.co.uk", "@someone"]),
        ("In /etc/passwd, ~/a.txt, C:\\new\\table and src/a/b.py", ["/etc/passwd", "~/a.txt", "C:\\new\\table", "src/a/b.py"]),
        ("and/or, 1/2, km/h, 12/25/2020", []),
        ("snake_case camelCase np.sum(x, 0) f(x)", ["snake_case", "camelCase", "np.sum(x, 0)", "f(x)"]),
        ("Call foo() or Math.max(a)", ["foo()", "Math.max(a)"]),
        ("apple(s), John(my friend), e.g. this, i.e. that, 5 p.m. today", []),
        ("iPhone and eBay are brands; __bold__ and _soft_ print", []),
        ("main.py, Node.js and example.com", ["main.py", "Node.js", "example.com"]),
        ("Dear {name}, {{ x }} %s %(a)s ${HOME} $PATH {0}", ["{name}", "{{ x }}", "%s", "%(a)s", "${HOME}", "$PATH", "{0}"]),
        ("50% discount, 100% safe", []),
        ("Say <b>hi</b> to <NAME> &amp; <!-- me --> <|end|>", ["<b>", "</b>", "<NAME>", "&amp;", "<!-- me -->", "<|end|>"]),
        ("5*2 = <<5*2=10>>10 apples", ["<<5*2=10>>"]),
        ("3 < 5 and 7 > 2", []),
        ('<a href="http://x.y" @click="do_it">go</a>', ['<a href="http://x.y" @click="do_it">', "</a>"]),
        ('call it with {"n": [1, {}]} twice', ['{"n": [1, {}]}']),
        ("a ⟦7⟧ b ⟦ c 〘d〙", ["⟦7⟧", "⟦", "〘", "〙"]),
        ("go to www.example.org for it", ["www.example.org"]),
        ("the mask is 0x1F here", ["0x1F"]),
        ("fill in ____ please", ["____"]),
        ("use --dry-run or --to=fr -- he said --well", ["--dry-run", "--to=fr"]),
        ("at 192.168.0.1 or 0xFF, not 1.000.000", ["192.168.0.1", "0xFF"]),
        ("``quoted'' in TeX", []),
    ],
)  # fmt: skip
def test_each_kind_of_span_is_found_and_no_more(text, spans):
    assert list(mask(text).spans) == spans


@pytest.mark.parametrize(
    ("translation", "told"),
    [
        ("Lance ⟦1⟧", "missing 2"),
        ("Lance ⟦1⟧ ⟦2⟧ ⟦2⟧", "doubled 2"),
        ("Lance ⟦1⟧ ⟦2⟧ ⟦3⟧", "new 3"),
        ("Lance ⟦1⟧ ⟦2", "missing 2"),
        ("Lance ⟦1⟧ ⟦2⟧ ⟧", "left over"),
        ("Lance", "missing 1, 2"),
    ],
)
def test_a_broken_placeholder_is_told(translation, told):
    masked = mask("Run `a` and `b`")
    with pytest.raises(BrokenPlaceholders, match=told) as caught:
        masked.unmask(translation)
    assert caught.value.problem.reason == "placeholders"


def test_a_stray_mark_where_nothing_was_masked_is_told():
    assert mask("Hello there").problem("Bonjour ⟦1⟧").reason == "placeholders"
    assert mask("Hello there").problem("Bonjour") is None


def test_what_has_no_words_is_told():
    assert [has_words(text) for text in ("`foo bar`", "x = 5", "A", "$x$ 42", "漢", "ok", "π")] == [
        False, False, False, False, True, True, False,
    ]  # fmt: skip
