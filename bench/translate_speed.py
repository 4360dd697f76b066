"""How fast everything but the model is: split, mask, prompt, gates, identify, reassemble. `python -m bench translate_speed`.

One process, no network and no journal: rows of real text go through the stage, and every reply is known beforehand, so
looking it up is all that the model takes. The baseline does what the article tells: line by line, brackets looked for.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from statistics import median

from bench.result import Figures, Line, Measure, Result, compared, load
from bench.translating import DATA, Bad, lines_of, rows, translator
from tracemill.identify import identifier
from tracemill.languages import Language, language
from tracemill.models.wire import Failure, Reply, Request
from tracemill.record import Sample
from tracemill.segments import brackets, split
from tracemill.segments.gates import check
from tracemill.segments.masks import mask
from tracemill.testing.translator import Pretender, pretend
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

    async def __call__(self, request: Request) -> Reply | Failure:
        """The reply."""
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
        remarks.append(_parts(samples, stage, code))
        lines += compared(runs, [SEGMENTS], f"{code}: ") + compared(runs, [ROWS], f"{code}: ", plain=True)
    if there:
        remarks += [_memory(count if quick else None), asyncio.run(_first_text(samples))]
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
        async with aclosing(live(_streamed(sample.messages[-1].content, whole), climb)) as pieces:
            async for piece in pieces:
                if piece.text != piece.source:
                    delays.append(time.perf_counter() - whole[0])
                    break
    return (
        f"Live, {len(delays)} answers that stream in by {CHUNK} characters every {1000 * TICK:g} ms: the first translation is "
        f"there {1000 * median(delays):,.0f} ms (at most {1000 * max(delays):,.0f} ms) after the first line was whole; the "
        f"model takes {1000 * MODEL:g} ms of them."
    )


async def _streamed(text: str, whole: list[float]) -> AsyncGenerator[str, None]:
    """Notes when the first line, or without a second one the text, is there."""
    for at in range(0, len(text), CHUNK):
        if not whole and ("\n" in text[: at + CHUNK].lstrip() or at + CHUNK >= len(text)):
            whole.append(time.perf_counter())
        yield text[at : at + CHUNK]
        await asyncio.sleep(TICK)


def _memory(most: int | None) -> str:
    """How many requests are saved because equal segments are asked once, in real sets as they are.

    Args:
        most: So many rows of each.
    """
    told = "; ".join(_saved(name, texts[:most]) for name, texts in _sets())
    return f"Requests saved by asking equal segments once, the memory being empty before: {told}."


def _sets() -> Iterator[tuple[str, Sequence[Sequence[str]]]]:
    """Names, and the texts of each row."""
    gsm8k = [(row["question"], row["answer"]) for row in lines_of(DATA / "gsm8k" / "train.jsonl.gz")]
    yield f"GSM8K, {len(gsm8k):,} problems with their solution", gsm8k
    answers = [
        (row["question"], row[model]["solution"])
        for row in lines_of(DATA / "gsm8k" / "model_solutions.jsonl.gz")
        for model in ("6b_finetuning", "6b_verification", "175b_finetuning", "175b_verification")
    ]
    yield f"GSM8K, four recorded answers to each of {len(answers) // 4:,} problems", answers
    mbpp = [(row["text"], f"```python\n{row['code']}\n```") for row in lines_of(DATA / "mbpp" / "mbpp.jsonl.gz")]
    yield f"MBPP, {len(mbpp):,} tasks", mbpp
    asked = {row["question_id"]: row["turns"] for row in lines_of(DATA / "mt_bench" / "questions.jsonl.gz")
             if row["lang"] == "en"}  # fmt: skip
    chat = [
        tuple(text for turn in zip(asked[row["question_id"]], row["turns"], strict=True) for text in turn)
        for name in ("answers_gpt35_turbo", "answers_qwen2_7b_instruct")
        for row in lines_of(DATA / "mt_bench" / f"{name}.jsonl.gz")
        if row["lang"] == "en"
    ]
    yield f"MT-Bench, two models' answers to {len(asked)} talks", chat


def _saved(name: str, texts: Sequence[Sequence[str]]) -> str:
    found = [mask(part.text).text for row in texts for text in row for part in split(text) if part.translatable]
    saved = len(found) - len(set(found))
    return f"{name}: {saved / len(found):.1%} ({saved:,} of {len(found):,})"


def _parts(samples: list[Sample], stage: Translator, code: str) -> str:
    """What the parts of the work take for each segment."""
    gates = stage.climb(code).gates
    tell, among = identifier(), gates.among
    began = time.process_time()
    pieces = [piece for sample in samples for piece in take_apart(sample, 0).pieces]
    cut = time.process_time()
    said = [pretend(piece.masked.text, gates.target.name) for piece in pieces]
    made = time.process_time()
    for piece, text in zip(pieces, said, strict=True):
        check(piece.masked, text, gates.rules)
    checked = time.process_time()
    for text in said:
        tell(text, among)
    told = time.process_time()
    each = [1e6 * seconds / len(pieces) for seconds in (cut - began, checked - made, told - checked)]
    return (
        f"{code}, microseconds for each of {len(pieces):,} segments: cutting and masking {each[0]:.0f}, gates of text "
        f"{each[1]:.0f}, language {each[2]:.0f} if it is asked for every line."
    )
