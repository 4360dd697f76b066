"""`build` is an ordinary function: it works in a notebook's event loop and in a thread, and is interrupted there."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import threading
import time

import pytest

from campaign import answers, problem_recipe, published, write_problems
from tracemill import build, load_recipe
from tracemill.testing import ScriptedServer

NOTEBOOK = """
import asyncio, sys
from tracemill import build, load_recipe
async def cell():
    print(build(load_recipe(sys.argv[1]), sys.argv[2], workers=1).rows)
asyncio.run(cell())
"""


@pytest.fixture(scope="module")
def problems(tmp_path_factory):
    folder = tmp_path_factory.mktemp("problems")
    return folder / "problems.jsonl", write_problems(folder / "problems.jsonl", 60)


def test_in_a_running_event_loop_and_in_a_thread_it_comes_to_the_same(problems, tmp_path):
    path, table = problems

    async def cell(recipe):
        return build(recipe, tmp_path / "loop", workers=1)

    with ScriptedServer(answers(table)) as server:
        recipe = load_recipe(problem_recipe(tmp_path / "recipe.yaml", path, server.url))
        build(recipe, tmp_path / "main", workers=1)
        asyncio.run(cell(recipe))
        thread = threading.Thread(target=build, args=(recipe, tmp_path / "thread"), kwargs={"workers": 1})
        thread.start()
        thread.join(60)
    assert published(tmp_path / "loop") == published(tmp_path / "thread") == published(tmp_path / "main")


def test_an_interrupted_cell_drains_and_goes_on(problems, tmp_path):
    path, table = problems
    with ScriptedServer(answers(table), latency=0.1) as server:
        recipe = problem_recipe(tmp_path / "recipe.yaml", path, server.url, teachers__main__concurrency=4)
        cell = [sys.executable, "-c", NOTEBOOK, str(recipe), str(tmp_path / "run")]
        first = subprocess.Popen(cell, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        while server.stats().received < 20 and first.poll() is None:
            time.sleep(0.01)
        first.send_signal(signal.SIGINT)
        _, said = first.communicate(timeout=60)
        assert "Interrupted: stopped by SIGINT" in said
        done = subprocess.run(cell, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        assert server.stats().received == server.stats().distinct, "a reply that had come was asked for again"
