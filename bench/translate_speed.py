"""How fast everything but the model is: split, mask, prompt, gates, identify, reassemble. `python -m bench.translate_speed`.

One process, no network and no journal: rows of real text go through the stage, and a translator in the same process
answers at once. Its own time is taken off.
"""

from __future__ import annotations

import asyncio
import sys
import time

from bench.translating import Bad, rows, translator
from tracemill.record import Sample
from tracemill.testing.translator import Pretender


async def _all(samples: list[Sample], ask: Bad, code: str) -> int:
    stage = translator(ask, (code,))
    segments = 0
    for sample in samples:
        segments += (await stage(sample, code)).measured["segments"]
    return segments


def main() -> int:
    """Measure and print."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 400
    samples = rows(count)
    for code in ("fr", "ja"):
        ask = Bad(Pretender())
        asyncio.run(_all(samples[:20], ask, code))  # models of languages are loaded
        asyncio.run(_all(samples, ask, code))  # every reply is known from here on
        began, cpu = time.perf_counter(), time.process_time()
        segments = asyncio.run(_all(samples, ask, code))
        wall, used = time.perf_counter() - began, time.process_time() - cpu
        sys.stdout.write(
            f"{code}: {count:,} rows, {segments:,} segments; {segments / used:,.0f} segments for each second of processor "
            f"({segments / wall:,.0f} of the clock); {len(ask.replies):,} requests, {1 - len(ask.replies) / segments:.1%} saved\n"
        )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
