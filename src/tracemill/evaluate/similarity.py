"""Semantic similarity by sentence-transformers: how near a translation is to its source, as vectors.

A multilingual model is needed for that. With an English one, such as all-MiniLM-L6-v2, translate back first: across
languages it sees names, numbers and cognates alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from tracemill.errors import MissingExtra, UsageError
from tracemill.legible import one_line, quoted

MULTILINGUAL = "sentence-transformers/paraphrase-multilingual-MiniLM-L12-v2"
"""The default: 50 languages, 118 M parameters, Apache-2.0. It is fetched from the Hub by its library; not measured here."""
NEEDS = "sentence-transformers is not installed; install it: python -m pip install 'tracemill[eval]'"


class Similarity(Protocol):
    """How alike pairs of texts are."""

    @property
    def name(self) -> str: ...

    def __call__(self, sources: Sequence[str], translations: Sequence[str]) -> list[float]:
        """The cosine of each pair, -1 to 1."""
        ...


class SentenceTransformers:
    """Cosine of sentence embeddings.

    Args:
        model: A directory with a model, or its id on the Hub.
    Raises:
        MissingExtra: The package is not installed.
        UsageError: There is no such model.
    """

    def __init__(self, model: str = MULTILINGUAL) -> None:
        try:
            from sentence_transformers import SentenceTransformer
        except ImportError:
            raise MissingExtra(NEEDS) from None
        try:
            self._model: Any = SentenceTransformer(model, device="cpu")
        except (OSError, ValueError) as exc:
            raise UsageError(f"{quoted(model)} cannot be loaded as a sentence model: {one_line(exc, 200)}") from exc
        self.name = model

    def __call__(self, sources: Sequence[str], translations: Sequence[str]) -> list[float]:
        """The cosine of each pair, -1 to 1; texts are cut at the model's own length."""
        if len(sources) != len(translations):
            raise UsageError(f"{len(sources)} sources and {len(translations)} translations are no pairs")
        both = [self._model.encode(list(texts), normalize_embeddings=True) for texts in (sources, translations)]
        return [float(one @ other) for one, other in zip(*both, strict=True)]
