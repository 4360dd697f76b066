"""What a removal came to."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tracemill.legible import how_many


@dataclass(frozen=True)
class RemoveReport:
    """What became of the rows that were to go."""

    out: Path
    manifest: int
    """Number of the manifest that is now in force."""
    removed: dict[str, int]
    """Rows that this call took down, by where they stood, e.g. "data/math" or "rejected/math/wrong_answer"."""
    earlier: int
    """Rows that earlier calls had taken down."""
    absent: tuple[str, ...]
    """Ids that no row has, now or before. In a run they are remembered all the same."""
    rewritten: tuple[str, ...]
    """Files that held such a row."""
    files: int
    """Files in all, now."""

    @property
    def ok(self) -> bool:
        """Whether each id meant a row."""
        return not self.absent

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {**self.__dict__, "out": str(self.out), "absent": [*self.absent], "rewritten": [*self.rewritten]}

    def to_text(self) -> str:
        """For a person."""
        total = sum(self.removed.values())
        lines = [
            f"{how_many(total, 'row')} taken down, {self.earlier:,} before; manifest {self.manifest}: "
            f"{how_many(len(self.rewritten), 'file')} written anew, {how_many(self.files, 'file')} now"
        ]
        lines += [f"  {rows:>9,} {place}" for place, rows in self.removed.items()]
        lines += [f"  no row has {value}" for value in self.absent[:20]]
        if len(self.absent) > 20:
            lines.append(f"  and {len(self.absent) - 20:,} more that no row has")
        return "\n".join(lines)
