"""Neural translation on this machine by CTranslate2: models of the kinds of OPUS-MT, NLLB and MADLAD, converted for it.

Not measured here: no weights of a real model could be had. What is tested is the contract with the engine, with a model of
random weights: as many lines come out as went in, each in its place.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Protocol

from tracemill.errors import MissingExtra, UsageError
from tracemill.legible import one_line
from tracemill.translators.translator import Failure, TranslatorError

NEEDS = "CTranslate2 is not installed; install it: python -m pip install 'tracemill[mt]'"
NLLB = {
    "ar": "arb_Arab", "de": "deu_Latn", "en": "eng_Latn", "es": "spa_Latn", "fr": "fra_Latn", "hi": "hin_Deva",
    "it": "ita_Latn", "ja": "jpn_Jpan", "ko": "kor_Hang", "nl": "nld_Latn", "pl": "pol_Latn", "pt": "por_Latn",
    "zh": "zho_Hans",
}  # fmt: skip
"""NLLB's names of our languages."""
END = "</s>"
Kind = Literal["opus", "nllb", "madlad"]


class Cutter(Protocol):
    """Text to a model's pieces, and back. sentencepiece's processors are such."""

    def encode(self, text: str, out_type: type = str) -> list[str]: ...

    def decode(self, pieces: list[str]) -> str: ...


class CTranslate2Translator:
    """Translates by a converted model.

    Args:
        model: The directory that a converter of CTranslate2 wrote. In it, or beside, lie the models that cut texts into
            pieces: `source.spm` and `target.spm` (OPUS-MT), or one `sentencepiece.bpe.model` or `spiece.model`.
        kind: How languages are named to it: "opus" knows one pair and needs no name, "nllb" is told both, "madlad" the target
            as `<2fr>`.
        pair: For "opus", its languages.
        codes: Names of languages, beside those that we know.
        cutters: (of sources, of targets), in place of the files.
        beam: Translations that are followed at once; 4 is what OPUS-MT was published with.
    Raises:
        MissingExtra: ctranslate2, or sentencepiece where it is needed, is not installed.
        UsageError: There is no such model, or its pieces cannot be found.
    """

    def __init__(
        self,
        model: str | Path,
        kind: Kind = "opus",
        *,
        pair: tuple[str, str] | None = None,
        codes: Mapping[str, str] | None = None,
        cutters: tuple[Cutter, Cutter] | None = None,
        beam: int = 4,
    ) -> None:
        try:
            import ctranslate2
        except ImportError:
            raise MissingExtra(NEEDS) from None
        self._folder = Path(model)
        if kind == "opus" and pair is None:
            raise UsageError("a model of kind 'opus' knows one pair of languages; say which: pair=('en', 'fr')")
        try:
            self._model: Any = ctranslate2.Translator(str(self._folder), device="auto")
        except (RuntimeError, ValueError) as exc:
            raise UsageError(f"{self._folder}: this is no model of CTranslate2 ({one_line(exc, 200)})") from exc
        self._kind, self._pair, self._beam = kind, pair, beam
        self._codes = {**NLLB, **(codes or {})} if kind == "nllb" else dict(codes or {})
        self._cutters = cutters or _cutters(self._folder)
        self.name = f"ctranslate2-{ctranslate2.__version__}:{self._folder.name}:beam{beam}"
        self._turn = asyncio.Lock()

    async def translate(self, lines: Sequence[str], source: str, target: str) -> list[str | Failure]:
        """One result for each line, see `Translator.translate`."""
        begin, forced = self._marks(source, target)
        results: list[str | Failure] = [Failure("not_one_line") if _broken(line) else line for line in lines]
        at = [n for n, line in enumerate(results) if isinstance(line, str) and line.strip()]
        if not at:
            return results
        asked = [begin(self._cutters[0].encode(lines[n], out_type=str)) for n in at]
        async with self._turn:
            told = await asyncio.to_thread(self._run, asked, forced)
        if len(told) != len(asked):
            return [Failure("misaligned", f"{len(asked)} lines went in, {len(told)} came out") for _ in lines]
        for n, pieces in zip(at, told, strict=True):
            kept = pieces[1:] if forced and pieces[:1] == [forced] else pieces
            text = self._cutters[1].decode([piece for piece in kept if piece != END])
            results[n] = Failure("not_one_line", one_line(text, 80)) if _broken(text) else text
        return results

    def _run(self, asked: list[list[str]], forced: str | None) -> list[list[str]]:
        first = [[forced] for _ in asked] if forced else None
        told = self._model.translate_batch(asked, target_prefix=first, beam_size=self._beam, max_batch_size=32)
        return [list(each.hypotheses[0]) for each in told]

    def _marks(self, source: str, target: str) -> tuple[Callable[[list[str]], list[str]], str | None]:
        """What is put around the pieces of a source, and the piece that a translation must begin with."""
        if self._kind == "opus":
            if (source, target) != self._pair:
                a, b = self._pair or ("", "")
                raise TranslatorError(f"{self.name} translates {a} to {b}, not {source} to {target}")
            return (lambda pieces: [*pieces, END]), None
        if self._kind == "madlad":
            mark = f"<2{self._codes.get(target, target)}>"
            return (lambda pieces: [mark, *pieces, END]), None
        if lost := [code for code in (source, target) if code not in self._codes]:
            raise TranslatorError(f"{self.name}: NLLB's name of {lost[0]!r} is not known; give it: codes={{...}}")
        return (lambda pieces: [self._codes[source], *pieces, END]), self._codes[target]

    async def close(self) -> None:
        """Nothing was started."""


def _broken(text: str) -> bool:
    return "\n" in text or "\r" in text


def _cutters(folder: Path) -> tuple[Cutter, Cutter]:
    pairs = (("source.spm", "target.spm"), ("sentencepiece.bpe.model",) * 2, ("spiece.model",) * 2)
    for names in pairs:
        files = [folder / name for name in names]
        if all(file.is_file() for file in files):
            try:
                from sentencepiece import SentencePieceProcessor
            except ImportError:
                raise MissingExtra(NEEDS.replace("CTranslate2", "sentencepiece")) from None
            one, other = (SentencePieceProcessor(model_file=str(file)) for file in files)
            return one, other
    raise UsageError(f"{folder}: there is no source.spm and target.spm, sentencepiece.bpe.model or spiece.model in it")
