"""How fast everything but the model is: split, mask, prompt, gates, identify, reassemble. `python -m bench translate_speed`.

One process, no network and no journal: rows of real text go through the stage, and every reply is known beforehand, so
looking it up is all that the model takes. The baseline does what the article tells: line by line, brackets looked for.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from statistics import median

from bench.result import Figures, Line, Measure, Result, compared, load
from bench.translating import DATA, Bad, rows, translator
from tracemill.languages import Language, language
from tracemill.models.wire import Failure, Reply, Request
from tracemill.record import Sample
from tracemill.segments import brackets
from tracemill.testing.translator import Pretender
from tracemill.translation.live import live
from tracemill.translation.messages import take_apart
from tracemill.translation.prompting import load_prompt
from tracemill.translation.stage import Translator

COLUMNS = ("tracemill", "line by line, brackets alone")
LANGUAGES = ("fr", "de", "ja")
SEGMENTS = Measure("rate", "segments/s of one processor", headline=True)
CHUNK, TICK, MODEL = 20, 0.005, 0.05
"""Of the live translation: characters that come at once, seconds between them, and seconds that the model takes."""
ROWS = Measure("rows", "rows/s of one processor")


@dataclass
class Known:
    """A door that has heard everything before, by the text of the request."""

    made: Bad = field(default_factory=lambda: Bad(Pretender()))
    by_key: dict[str, Reply] = field(default_factory=dict)
    wanted: int = 0

    async def __call__(self, request: Request) -> Reply | Failure:
        """The reply."""
        self.wanted += 1
        found = self.by_key.get(request.key)
        if found is None:
            got = await self.made(request)
            assert isinstance(got, Reply)  # this door never fails
            found = self.by_key[request.key] = got
        return found


async def _ours(stage: Translator, samples: list[Sample], code: str) -> int:
    return sum([(await stage(sample, code)).measured["segments"] for sample in samples])


def _bare(samples: list[Sample], target: Language, replies: dict[str, str]) -> int:
    """The baseline: each line that is not blank is asked for; a reply without brackets would drop the row."""
    prompt, english = load_prompt("nemotron-v2"), language("en")
    lines = 0
    pretender = Pretender()
    for sample in samples:
        for message in sample.messages:
            out: list[str] = []
            for line in message.content.split("\n"):
                if not line.strip():
                    out.append(line)
                    continue
                lines += 1
                asked = prompt.messages(line, english, target)
                said = replies.get(line)
                if said is None:
                    said = replies[line] = pretender({"model": "", "messages": list(asked)}).content
                inner = brackets.unwrap(said)
                out.append(inner if isinstance(inner, str) else line)
            "\n".join(out)
    return lines


def measure(quick: bool, pairs: int, count: int | None = None) -> Result:
    """Segments for each second of processor, and how many requests equal segments save.

    Args:
        pairs: Interleaved runs.
        count: Rows; by default 400, or 60 if it is to be quick.
    """
    before = load()
    there = (DATA / "gsm8k").exists() and (DATA / "mbpp").exists() and (DATA / "mt_bench").exists()
    count = count or (60 if quick else 400)
    samples = rows(count) if there else []
    lines: list[Line] = []
    remarks = [] if there else ["The texts are not beside the project, so nothing was measured."]
    for code in (LANGUAGES[:1] if quick else LANGUAGES) if there else ():
        door = Known()
        replies: dict[str, str] = {}
        stage = translator(door, (code,))
        asyncio.run(_ours(stage, samples, code))  # every reply is known from here on
        _bare(samples, language(code), replies)
        runs: dict[str, list[Figures]] = {column: [] for column in COLUMNS}
        for number in range(pairs):
            for column in COLUMNS if number % 2 == 0 else reversed(COLUMNS):
                began = time.process_time()
                if column == COLUMNS[0]:
                    found = asyncio.run(_ours(stage, samples, code))
                else:
                    found = _bare(samples, language(code), replies)
                used = max(1e-9, time.process_time() - began)
                runs[column].append({"rate": found / used, "rows": count / used})
        lines += compared(runs, [SEGMENTS], f"{code}: ") + compared(runs, [ROWS], f"{code}: ", plain=True)
    if there:
        remarks += [_memory(), asyncio.run(_first_text(samples))]
    return Result(
        name="translate_speed",
        about=(
            f"{count:,} rows of real text (GSM8K, MBPP, MT-Bench), one process, every reply known beforehand: what is left is "
            "cutting, masking, the prompt, all gates with language identification, and putting together. The baseline does "
            "what the article tells: it asks line by line, code and formulas too, and looks for brackets."
        ),
        columns=list(COLUMNS),
        lines=lines,
        settings={"rows": count, "languages": list(LANGUAGES)},
        pairs=pairs,
        quick=quick,
        noise={"load_before": before, "load_after": load()},
        remarks=remarks,
    )


async def _first_text(samples: list[Sample]) -> str:
    """How long after its first line is whole a text that streams in shows its first translation."""
    door = Known()

    async def slow(request: Request) -> Reply | Failure:
        await asyncio.sleep(MODEL)
        return await door(request)

    climb = translator(slow, ("fr",)).climb("fr")
    delays = []
    for sample in samples[:: max(1, len(samples) // 40)]:
        whole: list[float] = []
        async for piece in live(_streamed(sample.messages[-1].content, whole), climb):
            if piece.text != piece.source:
                delays.append(time.perf_counter() - whole[0])
                break
    return (
        f"Live, {len(delays)} answers that stream in by {CHUNK} characters every {1000 * TICK:g} ms: the first translation is "
        f"there {1000 * median(delays):,.0f} ms (at most {1000 * max(delays):,.0f} ms) after the first line was whole; the "
        f"model takes {1000 * MODEL:g} ms of them."
    )


async def _streamed(text: str, whole: list[float]) -> AsyncIterator[str]:
    """Notes when the first line, or without a second one the text, is there."""
    for at in range(0, len(text), CHUNK):
        if not whole and ("\n" in text[: at + CHUNK].lstrip() or at + CHUNK >= len(text)):
            whole.append(time.perf_counter())
        yield text[at : at + CHUNK]
        await asyncio.sleep(TICK)


def _memory() -> str:
    """How many requests are saved because equal segments are asked once, by category, in 2,000 rows as they come."""
    segments: Counter[str] = Counter()
    different: dict[str, set[str]] = {}
    for sample in rows(2000):
        found = [piece.masked.text for piece in take_apart(sample, 0).pieces]
        segments[sample.category] += len(found)
        different.setdefault(sample.category, set()).update(found)
    parts = [
        f"{category} {1 - len(different[category]) / segments[category]:.1%} "
        f"({segments[category] - len(different[category]):,} of {segments[category]:,})"
        for category in segments
    ]
    return (
        "Requests saved by asking equal segments once, in 2,000 rows that repeat some problems and programs: "
        f"{', '.join(parts)}."
    )
