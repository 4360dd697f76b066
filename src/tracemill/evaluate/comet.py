"""COMET, a learned metric, where the package `unbabel-comet` is installed and a model is at hand.

Nothing here was measured: no weights could be had. What is tested is the contract: what is handed over and what comes back.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tracemill.errors import MissingExtra, UsageError
from tracemill.evaluate.lines import Line

NEEDS = "COMET is not installed; install it: python -m pip install unbabel-comet"


class Comet:
    """Scores of a COMET model, higher is better.

    Args:
        checkpoint: Path of a model's checkpoint file; models that need no reference are told by their own settings.
    Raises:
        MissingExtra: The package is not installed.
        UsageError: There is no such file.
    """

    def __init__(self, checkpoint: str | Path) -> None:
        try:
            from comet import load_from_checkpoint
        except ImportError:
            raise MissingExtra(NEEDS) from None
        if not Path(checkpoint).is_file():
            raise UsageError(f"{checkpoint}: there is no checkpoint file of COMET")
        self._model: Any = load_from_checkpoint(str(checkpoint))
        self.name = Path(checkpoint).name

    def __call__(self, lines: Sequence[Line]) -> list[float]:
        """One score for each line, in order.

        Raises:
            UsageError: The model needs references, and a line has none.
        """
        needs = bool(self._model.requires_references())
        if needs and any(line.reference is None for line in lines):
            raise UsageError(
                f"{self.name} compares with references, and there are none; take a model without, or --reference"
            )
        asked = [
            {"src": line.source, "mt": line.translation, **({"ref": line.reference} if needs else {})} for line in lines
        ]
        told = self._model.predict(asked, batch_size=8, gpus=0, progress_bar=False)
        scores = [float(score) for score in told["scores"]]
        if len(scores) != len(lines):
            raise UsageError(f"{self.name} gave {len(scores)} scores for {len(lines)} lines")
        return scores
