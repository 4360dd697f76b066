"""Restoring from sources as large as the real ones: every planted case is counted, memory stays, nothing changes twice."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections import Counter
from hashlib import sha256
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rows import row
from tracemill.schema import V1_SCHEMA

MOST_MEMORY = 500
"""MB of one process at its peak."""
CHUNK = 50_000
WORDS = "tell me how a small boat may cross the bay when the wind turns and nobody has a map at hand ".split()
ONE = """
import json, re, sys, tracemill
report = tracemill.restore(sys.argv[1], json.loads(sys.argv[2]), sys.argv[3], pins=sys.argv[4] or None)
status = open("/proc/self/status").read()  # ru_maxrss would tell of the process that we were forked from
print(json.dumps([report.to_json(), int(re.search(r"VmHWM:\\s+(\\d+)", status)[1]) / 1024]))
"""


def question(number, version=0):
    text = " ".join(WORDS[(number * 7 + k * (number % 5 + 1)) % len(WORDS)] for k in range(12 + number % 20))
    return f"{number}{' (revised)' * version}: {text}?"


def write_conversations(place, count, lost, doubled, revised):
    """A copy of lmsys-chat-1m: conversation n is c<n>. Those in `lost` are not there, those in `doubled` stand there twice
    with other words, of those in `revised` the words have changed."""
    place.mkdir(parents=True)
    for shard, first in enumerate(range(0, count, CHUNK)):
        numbers = [n for n in range(first, min(first + CHUNK, count)) if n not in lost]
        numbers += [n for n in range(first, min(first + CHUNK, count)) if n in doubled]
        seen: Counter[int] = Counter()
        turns = []
        for n in numbers:
            seen[n] += 1
            said = question(n, version=(n in revised) + (seen[n] - 1))
            turns.append([{"content": said, "role": "user"}, {"content": "Row.", "role": "assistant"}])
        table = pa.table(
            {
                "conversation_id": [f"c{n}" for n in numbers],
                "model": ["vicuna-13b"] * len(numbers),
                "conversation": turns,
                "openai_moderation": [[{"flagged": False, "scores": [0.01] * 6}]] * len(numbers),
            }
        )
        pq.write_table(table, place / f"train-{shard:05d}-of-{-(-count // CHUNK):05d}.parquet")


def write_withheld(place, chats, codes):
    """v1 with chat rows for the conversations `chats`, and code rows of two sources."""
    template = row("chat", 1, 0)
    (place / "data").mkdir(parents=True)
    for name, notes, prompt in (
        ("chat", [{"conversation_id": f"c{n}"} for n in chats], ""),
        ("code", [{"dataset": s, "split": "train", "index": str(n)} for s in ("taco", "apps") for n in codes], "-"),
    ):
        with pq.ParquetWriter(place / "data" / f"{name}-00000-of-00001.parquet", V1_SCHEMA) as writer:
            for first in range(0, len(notes), 5000):
                some = [
                    {
                        **template,
                        "uuid": f"{name}-{first + at}",
                        "category": name,
                        "messages": [
                            {"role": "user", "content": prompt, "tool_calls": []},
                            {"role": "assistant", "content": f"<think>\nSo.\n</think>\n\n{at}", "tool_calls": []},
                        ],
                        "metadata": json.dumps(note),
                    }
                    for at, note in enumerate(notes[first : first + 5000])
                ]
                writer.write_table(pa.Table.from_pylist(some, schema=V1_SCHEMA))


def restored(data, sources, out, pins=""):
    told = json.dumps({name: str(path) for name, path in sources.items()})
    begun = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", ONE, str(data), told, str(out), str(pins)], capture_output=True, text=True, check=True
    )
    report, memory = json.loads(done.stdout)
    print(f"{report['rows']:,} rows in {time.monotonic() - begun:.0f} s, {memory:.0f} MB")
    return report, memory


def hashes(place: Path) -> dict[str, str]:
    return {
        str(file.relative_to(place)): sha256(file.read_bytes()).hexdigest()
        for folder in ("data", "withheld")
        for file in sorted((place / folder).glob("*"))
    }


@pytest.mark.parametrize(
    "count",
    [pytest.param(8_000), pytest.param(1_000_000, marks=[pytest.mark.storm, pytest.mark.timeout(3600)])],
)
def test_each_planted_case_is_counted_and_a_second_run_changes_nothing(count, tmp_path):
    chats = range(0, count, 2)
    lost = {n for n in chats if n % 16 == 0}
    doubled = {n for n in chats if n % 100 == 2} - lost
    revised = {n for n in chats if n % 50 == 4} - lost - doubled
    write_conversations(tmp_path / "old", count, set(), set(), set())
    write_conversations(tmp_path / "new", count, lost, doubled, revised)
    problems = count // 10
    for name, there in (("taco", problems), ("apps", problems - 500)):
        (tmp_path / name).mkdir()
        pq.write_table(pa.table({"question": [f"{name} {question(n)}" for n in range(there)]}),
                       tmp_path / name / "train.parquet")  # fmt: skip
    write_withheld(tmp_path / "v1", chats, range(problems))
    code = {"taco": tmp_path / "taco", "apps": tmp_path / "apps"}

    report, memory = restored(tmp_path / "v1", {"lmsys": tmp_path / "old", **code}, tmp_path / "whole")
    apps = {"restored": problems - 500, "missing": 500}
    assert report["withheld"] == {"apps": apps, "lmsys": {"restored": len(chats)}, "taco": {"restored": problems}}
    assert memory < MOST_MEMORY

    pins = tmp_path / "whole" / "restored-keys.parquet"
    report, memory = restored(tmp_path / "v1", {"lmsys": tmp_path / "new", **code}, tmp_path / "pinned", pins)
    assert report["withheld"]["lmsys"] == {
        "restored": len(chats) - len(lost) - len(doubled) - len(revised),
        "missing": len(lost),
        "ambiguous": len(doubled),
        "changed": len(revised),
    }
    assert report["kept"] == report["rows"] - 500 - len(lost) - len(doubled) - len(revised)
    assert memory < MOST_MEMORY

    again, _ = restored(tmp_path / "v1", {"lmsys": tmp_path / "new", **code}, tmp_path / "again", pins)
    assert again["withheld"] == report["withheld"]
    assert hashes(tmp_path / "again") == hashes(tmp_path / "pinned")
    twice, _ = restored(tmp_path / "pinned", {"lmsys": tmp_path / "new", **code}, tmp_path / "twice", pins)
    assert twice["withheld"] == {}
    assert twice["rows"] == report["kept"]
    for split in ("chat", "code"):
        name = f"data/{split}-00000-of-00001.parquet"
        assert hashes(tmp_path / "twice")[name] == hashes(tmp_path / "pinned")[name]
