"""Pairs of segments as files that people and their tools read: TMX, XLIFF and JSONL.

    {"source_language": "en", "target_language": "fr", "source": "How many?", "target": "Combien ?", "note": "math 6f1f..."}

XML from outside is read without entities, external parts or anything else that would reach beyond its own bytes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from xml.parsers import expat
from xml.sax.saxutils import escape, quoteattr

import tracemill

FORMS = (".tmx", ".xlf", ".xliff", ".jsonl")
NOT_XML = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that XML cannot hold; a segment with one is left out."""


@dataclass(frozen=True, slots=True)
class Pair:
    """One segment and its translation."""

    source_language: str
    target_language: str
    source: str
    target: str
    note: str = ""
    """Where it stands, for people."""
    machine: str = ""
    """What a model had said, where a person was asked to look at it."""


def read_pairs(name: str, data: bytes) -> list[Pair]:
    """The pairs in a file.

    Args:
        name: Its ending tells the form.
    Raises:
        ValueError: It is none of the three forms, or damaged; says where.
    """
    form = form_of(name)
    if form == ".jsonl":
        return list(_lines(data))
    reader = _Tmx() if form == ".tmx" else _Xliff()
    reader.parse(data)
    return reader.pairs


def form_of(name: str) -> str:
    """The form that the ending of a file's name tells.

    Raises:
        ValueError: It is none of ours.
    """
    form = next((suffix for suffix in FORMS if name.lower().endswith(suffix)), None)
    if form is None:
        raise ValueError(f"its ending is none of {', '.join(FORMS)}")
    return form


def write_pairs(name: str, pairs: Sequence[Pair]) -> bytes:
    """The pairs as a file of the form that its name's ending tells. TMX may hold several languages, XLIFF one pair.

    Raises:
        ValueError: The ending is none of the three.
    """
    form = form_of(name)
    if form == ".jsonl":
        return "".join(json.dumps(_told(pair), ensure_ascii=False) + "\n" for pair in pairs).encode(errors="replace")
    writable = [pair for pair in pairs if not NOT_XML.search(pair.source + pair.target)]
    return (_tmx(writable) if form == ".tmx" else _xliff(writable)).encode(errors="replace")


def _told(pair: Pair) -> dict[str, str]:
    told = {name: getattr(pair, name) for name in ("source_language", "target_language", "source", "target")}
    return told | {name: value for name in ("note", "machine") if (value := getattr(pair, name))}


def _lines(data: bytes) -> Iterator[Pair]:
    for number, line in enumerate(data.splitlines(), 1):
        if not line.strip():
            continue
        try:
            told = json.loads(line)
            source_language, target_language = told["source_language"], told["target_language"]
            source, target = told["source"], told["target"]
        except KeyError as exc:
            raise ValueError(f"line {number}: no pair of segments: it has no {exc}") from exc
        except (ValueError, TypeError, RecursionError) as exc:
            raise ValueError(f"line {number}: no pair of segments ({exc})") from exc
        if not all(isinstance(value, str) for value in (source_language, target_language, source, target)):
            raise ValueError(f"line {number}: languages, source and target must be text")
        if target.strip():
            more = str(told.get("note", "")), str(told.get("machine", ""))
            yield Pair(source_language, target_language, source, target, *more)


def _tmx(pairs: Iterable[Pair]) -> str:
    out = [
        '<?xml version="1.0" encoding="UTF-8"?>\n<tmx version="1.4">\n'
        f'<header creationtool="tracemill" creationtoolversion={quoteattr(tracemill.__version__)} segtype="paragraph" '
        'o-tmf="tracemill" adminlang="en" srclang="*all*" datatype="plaintext"/>\n<body>\n'
    ]
    for pair in pairs:
        note = f"<note>{escape(pair.note)}</note>" if pair.note else ""
        note += f'<prop type="machine">{_kept(pair.machine)}</prop>' if pair.machine else ""
        out.append(f"<tu>{note}")
        for language, text in ((pair.source_language, pair.source), (pair.target_language, pair.target)):
            out.append(f'<tuv xml:lang={quoteattr(language)}><seg xml:space="preserve">{_kept(text)}</seg></tuv>')
        out.append("</tu>\n")
    return "".join([*out, "</body>\n</tmx>\n"])


def _xliff(pairs: Sequence[Pair]) -> str:
    """XLIFF 1.2, one file element for each pair of languages."""
    out = [
        '<?xml version="1.0" encoding="UTF-8"?>\n<xliff version="1.2" xmlns="urn:oasis:names:tc:xliff:document:1.2">\n'
    ]
    ways = dict.fromkeys((pair.source_language, pair.target_language) for pair in pairs)
    for source, target in ways:
        out.append(
            f'<file original="tracemill" datatype="plaintext" source-language={quoteattr(source)} '
            f"target-language={quoteattr(target)}><body>\n"
        )
        mine = [pair for pair in pairs if (pair.source_language, pair.target_language) == (source, target)]
        for number, pair in enumerate(mine, 1):
            note = f"<note>{escape(pair.note)}</note>" if pair.note else ""
            said = f"<alt-trans><target>{_kept(pair.machine)}</target></alt-trans>" if pair.machine else ""
            out.append(
                f'<trans-unit id="{number}" xml:space="preserve"><source>{_kept(pair.source)}</source>'
                f"<target>{_kept(pair.target)}</target>{note}{said}</trans-unit>\n"
            )
        out.append("</body></file>\n")
    return "".join([*out, "</xliff>\n"])


def _kept(text: str) -> str:
    """Text whose carriage returns a reader of XML would otherwise take for line ends."""
    return escape(text, {"\r": "&#13;"})


class _Reader:
    """Reads one form of XML, event by event."""

    def __init__(self) -> None:
        self.pairs: list[Pair] = []
        self._text: list[str] | None = None
        self._parser = expat.ParserCreate(namespace_separator=None)
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.CharacterDataHandler = self._characters
        self._parser.EntityDeclHandler = self._refuse
        self._parser.ExternalEntityRefHandler = self._refuse
        self._parser.SetParamEntityParsing(expat.XML_PARAM_ENTITY_PARSING_NEVER)

    def parse(self, data: bytes) -> None:
        try:
            self._parser.Parse(data, True)
        except expat.ExpatError as exc:
            raise ValueError(f"line {exc.lineno}: no XML: {expat.ErrorString(exc.code)}") from exc

    def _refuse(self, *told: Any) -> int:
        raise ValueError(f"line {self._parser.CurrentLineNumber}: entities are not read; take them out")

    def _characters(self, text: str) -> None:
        if self._text is not None:
            self._text.append(text)

    def _begin(self) -> None:
        self._text = []

    def _taken(self) -> str:
        text = "".join(self._text or ())
        self._text = None
        return text

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        raise NotImplementedError

    def _end(self, name: str) -> None:
        raise NotImplementedError


def _local(name: str) -> str:
    return name.rpartition(":")[2]


class _Tmx(_Reader):
    """Each unit gives a pair from its first variant to each of the others."""

    def __init__(self) -> None:
        super().__init__()
        self._variants: list[tuple[str, str]] = []
        self._language = self._note = self._machine = ""
        self._is_machine = False

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        match _local(name):
            case "tu":
                self._variants, self._note, self._machine = [], "", ""
            case "tuv":
                self._language = attributes.get("xml:lang") or attributes.get("lang") or ""
            case "prop":
                self._is_machine = attributes.get("type") == "machine"
                self._begin()
            case "seg" | "note":
                self._begin()

    def _end(self, name: str) -> None:
        match _local(name):
            case "seg":
                self._variants.append((self._language, self._taken()))
            case "note":
                self._note = self._taken()
            case "prop":
                text = self._taken()
                self._machine = text if self._is_machine else self._machine
            case "tu":
                for language, text in self._variants[1:]:
                    first, source = self._variants[0]
                    if text.strip():
                        told = self._note, self._machine
                        self.pairs.append(Pair(_code(first), _code(language), source, text, *told))


class _Xliff(_Reader):
    """XLIFF 1.2; and 2.x, whose languages stand in its root and whose pairs in segments."""

    def __init__(self) -> None:
        super().__init__()
        self._ways = ("", "")
        self._source = self._target = self._note = self._machine = ""
        self._inside_alternative = False

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        match _local(name):
            case "xliff" if "srcLang" in attributes:
                self._ways = (attributes["srcLang"], attributes.get("trgLang", ""))
            case "file" if "source-language" in attributes:
                self._ways = (attributes["source-language"], attributes.get("target-language", ""))
            case "trans-unit" | "segment":
                self._source = self._target = self._note = self._machine = ""
            case "alt-trans":
                self._inside_alternative = True
            case "source" | "target" | "note":
                self._begin()

    def _end(self, name: str) -> None:
        match _local(name):
            case "alt-trans":
                self._inside_alternative = False
            case "source":
                text = self._taken()
                self._source = self._source if self._inside_alternative else text
            case "target":
                text = self._taken()
                if self._inside_alternative:
                    self._machine = text
                else:
                    self._target = text
            case "note":
                self._note = self._taken()
            case "trans-unit" | "segment" if self._target.strip():
                ways = _code(self._ways[0]), _code(self._ways[1])
                self.pairs.append(Pair(*ways, self._source, self._target, self._note, self._machine))


def _code(language: str) -> str:
    """A language as we spell it: "en-US" is what a person's tool says where we say "en"."""
    first, _, region = language.replace("_", "-").partition("-")
    return first.lower() if not region or region.upper() in USUAL else f"{first.lower()}-{region}"


USUAL = frozenset("US GB FR ES DE IT JP KR CN NL PL PT BR IN SA".split())
"""Regions that tools add to a language without meaning another one."""
