"""Translations that are killed, and translations by several processes: nothing is lost, nothing asked twice."""

from __future__ import annotations

import json
import random
import subprocess
import time
from collections import Counter

from campaign import kill, published, run, start, unexplained
from tracemill.report.audit import audit
from tracemill.testing import ScriptedServer
from tracemill.testing.translator import Faulty, Pretender

from scenes import made_rows, recipe, real_rows, write_rows  # isort: skip

FAULTS = Faulty(no_brackets=0.01, broken_placeholder=0.005, changed_number=0.005, wrong_language=0.005)
LOOSE = 0.5
"""Seconds before a death in which a reply may not have been stored yet, while other tests run beside."""


def written(path, rows, url, to=("fr", "de")):
    """A recipe file over rows."""
    told = recipe(rows, url, to).model_dump(mode="json", exclude_none=True)
    path.write_text(json.dumps(told))
    return path


def translation(recipe_file, out, workers=2):
    return ("translate", "--recipe", recipe_file, "--out", out, "--workers", workers, "--progress", "none")


def test_killed_in_the_midst_it_goes_on_to_the_same_bytes_and_asks_nothing_twice(tmp_path):
    rows = write_rows(tmp_path / "rows.jsonl", real_rows(40))
    draw, deaths = random.Random(4), []
    with ScriptedServer(Pretender(FAULTS), latency=0.03) as server:
        file = written(tmp_path / "recipe.yaml", rows, server.url)
        while len(deaths) < 2:
            process = start(*translation(file, tmp_path / "run", draw.choice((1, 2))))
            seen = server.stats().received
            while process.poll() is None and server.stats().received < seen + 20:
                time.sleep(0.005)
            try:
                process.wait(draw.uniform(0.0, 0.2))
            except subprocess.TimeoutExpired:
                deaths.append(kill(process))
                continue
            process.communicate()
            break
        done = run(*translation(file, tmp_path / "run"))
        assert done.returncode == 0, done.stderr
        events = list(server.log)
        clean = run(*translation(file, tmp_path / "clean", 1))
        assert clean.returncode == 0, clean.stderr
    assert len(deaths) >= 2
    assert unexplained(events, deaths, LOOSE) == []
    assert published(tmp_path / "run") == published(tmp_path / "clean")
    assert audit(tmp_path / "run").ok


def test_two_processes_ask_a_line_that_both_need_once(tmp_path):
    """Rows of two units hold the same lines, and the server is so slow that both processes want them at once."""
    rows = made_rows(40)
    for number, row in enumerate(rows):
        row["messages"][0]["content"] = f"Question {number}: how many apples are left in the basket by the window?"
        row["messages"][1]["content"] += "\n\n" + "\n\n".join(SHARED)
    source = write_rows(tmp_path / "rows.jsonl", [{**row, "uuid": f"{n:08d}-0000-4000-8000-{m:012d}"}
                                                  for m in range(28) for n, row in enumerate(rows)])  # fmt: skip
    pretender = Pretender()
    with ScriptedServer(pretender, latency=0.3) as server:
        file = written(tmp_path / "recipe.yaml", source, server.url, ("fr",))
        done = run(*translation(file, tmp_path / "run", 2))
    assert done.returncode == 0, done.stderr
    assert len(list((tmp_path / "run" / ".tracemill" / "flight").iterdir())) == 2
    assert Counter(pretender.texts.values()).keys() == {1}
    assert pretender.texts["French", SHARED[0]] == 1


SHARED = tuple(
    f"Everybody reads line {word} of this text before the lesson begins." for word in "one two three".split()
)
