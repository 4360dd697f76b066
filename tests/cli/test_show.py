"""Progress as people and programs see it: a panel on a real terminal, plain lines, JSON lines; never a thread of its own."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest

from campaign import answers, command, problem_recipe, run, write_problems
from tracemill.cli.show import Panel, Show, panel
from tracemill.engines.messages import Progress
from tracemill.errors import UsageError
from tracemill.testing import Faults, ScriptedServer

PROMPTS = 60
PRICE = {"prompt": 2, "completion": 10}


@pytest.fixture
def scene(tmp_path):
    table = write_problems(tmp_path / "problems.jsonl", PROMPTS)
    faults = Faults(rates={"error_500": 0.1}, seed=1)
    with ScriptedServer(answers(table), latency=0.15, faults=faults) as server:
        yield (
            problem_recipe(
                tmp_path / "recipe.yaml", tmp_path / "problems.jsonl", server.url, teachers__main__price=PRICE
            ),
            tmp_path,
        )


def on_a_terminal(words, columns=150):
    """Run a command whose stderr is a terminal; (exit code, all that the terminal got)."""
    ours, theirs = pty.openpty()
    env = {**os.environ, "COLUMNS": str(columns), "TERM": "xterm-256color"}
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=theirs, stdin=subprocess.DEVNULL, env=env)
    os.close(theirs)
    got = b""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        ready, _, _ = select.select([ours], [], [], 0.2)
        if ready:
            try:
                data = os.read(ours, 65536)
            except OSError:
                break
            if not data:
                break
            got += data
        elif process.poll() is not None:
            break
    process.communicate(timeout=60)
    os.close(ours)
    return process.returncode, got.decode(errors="replace")


def test_a_terminal_gets_a_panel_that_is_drawn_over(scene):
    file, folder = scene
    code, got = on_a_terminal(command("build", file, "--out", folder / "run", "--workers", 2))
    assert code == 0
    assert "\x1b[1A" in got, "the cursor goes up, so that lines are drawn over"
    assert got.rstrip().endswith("\x1b[?25h"), "the cursor is given back"
    plain = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", got)
    shares = [int(found) for found in re.findall(r"rows \((\d+)%\)", plain)]
    assert len(shares) > 3
    assert shares == sorted(shares)
    assert shares[-1] == 100
    for part in ("kept", "in flight", "tokens/s", "95 % below", "retried", "spent", "left", "━"):
        assert part in plain


def test_no_thread_draws_so_that_workers_can_be_copies(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    before = threading.active_count()
    shown = Panel()
    shown.progress(Progress(4, 1, {"in_flight": 2}, {"kept": 3}, samples=10))
    shown.note("a note")
    assert threading.active_count() == before
    shown.close()


def test_elsewhere_it_is_one_line_now_and_then(scene):
    file, folder = scene
    done = run("build", file, "--out", folder / "run", "--workers", 1)
    lines = [line for line in done.stderr.splitlines() if "rows" in line]
    assert 1 <= len(lines) <= 3
    assert "\x1b" not in done.stderr
    assert re.match(r"working  0/120 rows \(0%\)  units 0/1", lines[0])


def test_programs_get_a_document_on_each_line(scene):
    file, folder = scene
    done = run("build", file, "--out", folder / "run", "--workers", 1, "--progress", "json", "--json")
    assert json.loads(done.stdout)["rows"] > 0
    told = [json.loads(line) for line in done.stderr.splitlines()]
    progress = [line["progress"] for line in told if "progress" in line]
    assert len(progress) >= 2
    last = progress[-1]
    assert (last["rows"], last["samples"], last["units_done"]) == (2 * PROMPTS, 2 * PROMPTS, 1)
    assert last["stats"]["sent"] >= 2 * PROMPTS
    assert last["cost_projected"] == pytest.approx(last["stats"]["cost"])
    assert all(abs(line["at"] - time.time()) < 120 for line in told)
    assert {"eta", "rows_per_second", "tokens_per_second", "fates", "draining"} <= set(last)


def test_notes_are_documents_too(scene):
    file, folder = scene
    assert run("build", file, "--out", folder / "run", "--set", "budget.requests=30").returncode == 5
    recorder = folder / "run" / ".tracemill" / "flight" / "0"
    recorder.write_bytes((3).to_bytes(8, "little") + recorder.read_bytes()[8:])  # as a kill would leave it
    done = run("build", file, "--out", folder / "run", "--progress", "json")
    assert done.returncode == 0
    notes = [told["note"] for line in done.stderr.splitlines() if "note" in (told := json.loads(line))]
    assert "the last run died with 3 requests in flight" in notes[0]


def test_nothing_is_shown_where_none_is_wanted(scene):
    file, folder = scene
    done = run("build", file, "--out", folder / "run", "--progress", "none")
    assert (done.returncode, done.stderr) == (0, "")


def test_another_form_is_refused(scene):
    file, folder = scene
    done = run("build", file, "--out", folder / "run", "--progress", "loud")
    assert done.returncode == 2
    assert "--progress 'loud': it is one of auto, live, plain, json, none" in done.stderr
    with pytest.raises(UsageError):
        Show("loud")


HOSTILE = "failed: \x1b[31m[bold]red[/bold]\x07\u202e"


def test_what_a_server_says_is_shown_escaped(capsys):
    progress = Progress(1, 0, {}, {"kept": 1, HOSTILE: 2}, samples=10)
    for form in ("plain", "json"):
        with Show(form) as show:
            show.progress(progress)
            show.note(HOSTILE)
    told = capsys.readouterr().err
    assert "[bold]red[/bold]" in told
    assert not set(told) & set("\x1b\x07\u202e")


def test_the_panel_shows_it_escaped_too():
    from rich.console import Console

    console = Console(width=200, force_terminal=True, color_system=None)
    with console.capture() as drawn:
        console.print(panel(Progress(1, 0, {}, {"kept": 1, HOSTILE: 2}, samples=10)))
    assert "[bold]red[/bold]" in drawn.get()
    assert not set(drawn.get()) & set("\x1b\x07\u202e")


def started_on_a_terminal(words):
    """(a process whose stderr is a terminal, our end of it)."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=theirs, stdin=subprocess.DEVNULL)
    os.close(theirs)
    return process, ours


def test_a_terminal_that_goes_away_stops_nothing(scene):
    file, folder = scene
    process, ours = started_on_a_terminal(command("build", file, "--out", folder / "run", "--workers", 1))
    assert os.read(ours, 10)
    os.close(ours)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    assert b"rows kept" in out


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="processes are copied on Linux alone")
def test_workers_are_copies_of_a_process_that_shows_a_panel(scene):
    """A copy has its parent's words; a new interpreter would be started with `-m tracemill.engines.worker`."""
    file, folder = scene
    process, ours = started_on_a_terminal(command("build", file, "--out", folder / "run", "--workers", 2))
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    seen = set()
    while process.poll() is None:
        with suppress(OSError):  # whoever is asked may end meanwhile, and the terminal with them
            if select.select([ours], [], [], 0.05)[0]:
                os.read(ours, 65536)
            for child in children.read_text(encoding="ascii").split():
                seen.add(Path(f"/proc/{child}/cmdline").read_bytes())
    os.close(ours)
    process.communicate(timeout=60)
    assert process.returncode == 0
    assert any(b"tracemill\0build" in words for words in seen)
    assert not any(b"tracemill.engines.worker" in words for words in seen)
