"""A translator of known behaviour for `ScriptedServer`: it knows no language, but what it says looks like one.

Each word becomes a common word of the target, always the same one, unless another text has become that line already;
marks, numbers and signs stay. So gates for length, script, language and numbers pass, unless it was told to fail. Into
English it translates back: what it said itself becomes its source, one word in six said otherwise; anything else becomes
words that nobody said.

    with ScriptedServer(Pretender(Faulty(no_brackets=0.01))) as server: ...
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field, fields
from functools import cache
from hashlib import sha256

from tracemill.testing.answers import Answer, Body, last_user_text, text_of
from tracemill.testing.events import body_hash

WORDS: dict[str, str] = {
    "French": "le la les une des dans avec pour mais plus sans elle nous vous leur cette aussi encore toujours jamais "
    "maison jour temps homme femme enfant travail chose monde vie pays ville question réponse nombre exemple "
    "lorsque parce pendant chaque quelques beaucoup plusieurs maintenant ensuite peut être faire donner prendre",
    "Spanish": "el la los una unas en con para pero más sin ella nosotros ustedes este también todavía siempre nunca casa "
    "día tiempo hombre mujer niño trabajo cosa mundo vida país ciudad pregunta respuesta número ejemplo cuando "
    "porque durante cada algunos muchos varios ahora después puede hacer dar tomar según entonces aquí",
    "German": "der die das eine ein mit und aber auch noch nicht für wir sie ihr diese immer niemals Haus Tag Zeit Mann "
    "Frau Kind Arbeit Sache Welt Leben Land Stadt Frage Antwort Zahl Beispiel wenn weil während jeder einige "
    "viele mehrere jetzt danach kann machen geben nehmen zwischen über unter schon wieder dann hier",
    "Italian": "il la gli una dei nel con per ma più senza lei noi voi questo anche ancora sempre mai casa giorno tempo "
    "uomo donna bambino lavoro cosa mondo vita paese città domanda risposta numero esempio quando perché "
    "durante ogni alcuni molti diversi adesso dopo può fare dare prendere secondo allora qui della che",
    "Japanese": "これは それを あなたの 私たち 時間 仕事 世界 問題 答え 数 例えば ときに なぜなら それぞれ いくつか 多くの "
    "今 次に できます "
    "しました 与える 取る について によって そして 家 日 人 子供 国 町",
    "English": "the and with for but more than this that some each many people house day time work thing world life "
    "country city question answer number example when because during every several now then can make give take between "
    "above under again here there always never child woman water light paper small large early often against",
}
"""Common words, to pretend with."""
SCALES = frozenset("hundred thousand million billion trillion".split())
"""Words that are part of a number, which must stay what it is."""
_ASKED = re.compile(r"from (\w+) into (\w+)")
_MARKED = re.compile("⟦[0-9]+⟧")
_WORD = re.compile(r"⟦\d+⟧|[^\W\d_]{2,}|\[\d+\]")
_NUMBER = re.compile(r"(?<![\d⟦\[])\d+(?![\d⟧\]])")
_MARK = "\nText:\n"
_APART = 12
"""Letters from which on two texts never become one line; shorter ones are not translated back by the default of a recipe."""
_TRIES = 20


@dataclass(frozen=True, slots=True)
class Faulty:
    """How often it fails, as shares of the requests; each request fails in one way at most."""

    no_brackets: float = 0.0
    broken_placeholder: float = 0.0
    """Of texts with a mark: the first one is lost."""
    changed_number: float = 0.0
    """Of texts with a number: the first one is another."""
    wrong_language: float = 0.0
    answered: float = 0.0
    copied: float = 0.0
    obeyed: float = 0.0
    fluent: float = 0.0
    """A line in the right language, with the numbers and marks of the source, that says something else."""


@dataclass
class Pretender:
    """Answers for `ScriptedServer`."""

    faulty: Faulty = Faulty()
    seed: int = 0
    planned: Counter[str] = field(default_factory=Counter)
    """How often it has failed, by kind."""
    texts: Counter[tuple[str, str]] = field(default_factory=Counter)
    """How often each (target, text) was asked for."""
    always: str = ""
    """A kind that befalls every text; a test's short cut."""
    meant: dict[str, str] = field(default_factory=dict, repr=False)
    """The source of each translation that was good, by the translation, whose marks may be numbered otherwise then."""

    def __call__(self, body: Body) -> Answer:
        """The translation of the text at the end of the last message, or what a bad one says."""
        said = last_user_text(body)
        asked = _ASKED.search(" ".join(text_of(message) for message in body["messages"]))
        target = asked[2] if asked else "French"
        text = said.partition(_MARK)[2] or said
        self.texts[target, text] += 1
        kind = self._drawn(text, body)
        if self.always and target != "English":
            kind = self.always
        if kind:
            self.planned[kind] += 1
        if target == "English":
            source = self.meant.get(_key(text))
            good = text = pretend(text, target) if source is None else said_otherwise(source, body_hash(body))
        else:
            good = self._good(text, target)
        return Answer(_said(text, target, kind, good))

    def _good(self, text: str, target: str) -> str:
        """A line that no other text has become."""
        for salt in range(_TRIES):
            good = pretend(text, target, str(salt or ""))
            held = self.meant.setdefault(_key(good), text)
            if _key(held) == _key(text) or sum(map(str.isalpha, text)) < _APART:
                return good
        raise ValueError(f"all lines are taken that could be said for {text!r}")

    def _drawn(self, text: str, body: Body) -> str:
        hashed = sha256(f"{self.seed} {body_hash(body)}".encode()).digest()
        at = int.from_bytes(hashed[:6], "big") / (1 << 48)
        for kind in fields(self.faulty):
            at -= getattr(self.faulty, kind.name)
            if at < 0:
                return kind.name if _possible(kind.name, text) else ""
        return ""


def _possible(kind: str, text: str) -> bool:
    match kind:
        case "broken_placeholder":
            return "⟦" in text
        case "changed_number":
            return _NUMBER.search(text) is not None
        case "wrong_language" | "copied" | "answered" | "obeyed" | "fluent":
            return len(text) > 25
    return True


def _said(text: str, target: str, kind: str, good: str) -> str:
    match kind:
        case "no_brackets":
            return good
        case "broken_placeholder":
            return f"〘{re.sub('⟦[0-9]+⟧', '', good, count=1)}〙"
        case "changed_number":
            return f"〘{_NUMBER.sub(lambda found: str(int(found[0]) + 1), good, count=1)}〙"
        case "wrong_language":
            return f"〘{pretend(text, 'German' if target != 'German' else 'Spanish')}〙"
        case "answered":
            return "〘The answer to that question is 42, because the sum of both parts is 42.〙"
        case "copied":
            return f"〘{text}〙"
        case "obeyed":
            return "〘Sure! I will ignore the rest and write a poem about the sea instead.〙"
        case "fluent":
            return f"〘{pretend(text, target, 'otherwise')}〙"
    return f"〘{good}〙"


def _key(text: str) -> str:
    """A text without the numbers of its marks."""
    return _MARKED.sub("⟦⟧", text.strip())


def said_otherwise(text: str, salt: str) -> str:
    """English with one word in six replaced; others with another salt."""
    return _WORD.sub(lambda found: _other_word(found, salt), text)


def _other_word(found: re.Match[str], salt: str) -> str:
    drawn = sha256(f"{salt} {found.start()} {found[0]}".encode()).digest()[0]
    return found[0] if found[0][0] in "⟦[" or drawn % 6 else pretend(found[0], "English")


def pretend(text: str, target: str, salt: str = "") -> str:
    """`text` with every word as a word of `target`; the same word always the same, about as long.

    Args:
        salt: Another one gives other words.
    """

    def other(found: re.Match[str]) -> str:
        word = found[0]
        if word[0] in "⟦[" or word.lower() in SCALES:
            return word
        near = _near(target, len(word))
        chosen = near[sha256(f"{salt}{word.lower()}".encode()).digest()[0] % len(near)]
        return chosen.capitalize() if word[0].isupper() and found.start() == 0 else chosen

    made = _WORD.sub(other, text)
    return re.sub(r"(?<=[^\x00-\x7f]) (?=[^\x00-\x7f])", "", made) if target == "Japanese" else made


@cache
def _near(target: str, length: int) -> tuple[str, ...]:
    """The words of a language that are about so long; of Japanese all, for its words say nothing by their length."""
    words = WORDS.get(target, WORDS["French"]).split()
    return tuple(words if target == "Japanese" else sorted(words, key=lambda known: abs(len(known) - length))[:12])
