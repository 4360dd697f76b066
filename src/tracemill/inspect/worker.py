"""The process behind `crew`: `python -m tracemill.inspect.worker`. The first line it reads is the job, then tasks."""

from __future__ import annotations

import gc
import json
import os
import signal
import sys
import traceback
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from tracemill.errors import TracemillError
from tracemill.inspect.crew import Answer, Job, unpack_piece
from tracemill.reading.batch import Piece

if TYPE_CHECKING:
    from tracemill.inspect.rows import Validator


def main() -> None:
    """Answer until stdin ends. Whoever started us decides when we stop, so Ctrl-C is not for us."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    gc.set_threshold(100_000)  # arrays and lists of a batch are no cycles, and there are many
    job: Job = json.loads(sys.stdin.buffer.readline())
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints is no answer
    for line in sys.stdin.buffer:
        number, told = json.loads(line)
        try:
            answer = work(job, number, unpack_piece(told))
        except TracemillError as exc:
            answer = {"refused": type(exc).__name__, "text": str(exc)}
        except Exception:
            answer = {"failure": f"a worker failed on {told[0][1]}:\n{traceback.format_exc()}"}
        out.write(json.dumps(answer).encode() + b"\n")
        out.flush()


def work(job: Job, number: int, piece: Piece) -> Answer:
    """What one job makes of one piece."""
    match job["do"]:
        case "validate":
            tally = _validator(job["spill"], job["fine"], job["benchmark"]).piece(number, piece)
            return tally.pack()
        case "measure":
            from tracemill.inspect.rows import measured

            return measured(piece).pack()
        case "count":
            from tracemill.inspect.counting import counted

            return counted(piece, job["tokenizer"])
    raise ValueError(f"there is no job {job['do']!r}")


@lru_cache(maxsize=1)
def _validator(spill: str | None, fine: bool, benchmark: str | None) -> Validator:
    from tracemill.inspect.duplicates import Spill
    from tracemill.inspect.rows import Validator

    spills = {kind: Spill(Path(spill) / f"{kind}-{os.getpid()}") for kind in ("uuid", "prompt")} if spill else {}
    if benchmark is None:
        return Validator(fine, spills)
    from tracemill.inspect.contamination import read

    return Validator(fine, spills, read(Path(benchmark)))


if __name__ == "__main__":
    main()
