"""What the pages show works: Python blocks run, commands exist, links lead somewhere."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from importlib.resources import files
from pathlib import Path

import pytest
from typer.core import TyperGroup
from typer.main import get_command

from tracemill.cli.app import app

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[[^\]]+\]\(([^)#\s]+)(#[^)]*)?\)")

OFFLINE = """
import socket

def _refused(self, address, _connect=socket.socket.connect):
    if self.family != socket.AF_UNIX and address[0] not in ("127.0.0.1", "::1", "localhost"):
        raise OSError(f"an example reached for the network: {address}")
    return _connect(self, address)

socket.socket.connect = _refused
"""


def named(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def blocks(page: Path, language: str) -> list[str]:
    return [body for tag, body in FENCE.findall(page.read_text(encoding="utf-8")) if tag == language]


def shell_lines(page: Path) -> list[str]:
    return [line for body in blocks(page, "sh") for line in body.splitlines() if line.strip()]


@pytest.fixture(scope="module")
def beside_a_demo(tmp_path_factory):
    """A directory that holds a small `demo` run, as `make demo` leaves it."""
    place = tmp_path_factory.mktemp("examples")
    recipe = files("tracemill") / "recipes" / "demo.yaml"
    command = [sys.executable, "-m", "tracemill", "build", str(recipe), "--out", "demo", "--limit", "30"]
    subprocess.run(command, cwd=place, check=True, capture_output=True)
    return place


@pytest.mark.parametrize("page", [p for p in PAGES if blocks(p, "python")], ids=named)
def test_the_python_of_a_page_runs_offline_from_its_top_to_its_end(page, beside_a_demo):
    script = beside_a_demo / f"{page.stem}.py"
    script.write_text(OFFLINE + "\n".join(blocks(page, "python")), encoding="utf-8")
    environment = os.environ | {"HF_HOME": str(beside_a_demo / "hf"), "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(
        [sys.executable, script], cwd=beside_a_demo, env=environment, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr


def test_the_readme_begins_with_two_commands():
    commands = [shlex.split(line, comments=True) for line in blocks(ROOT / "README.md", "sh")[0].splitlines()]
    assert commands == [["make", "demo"], ["make", "test"]]


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_the_commands_of_a_page_exist(page):
    group = get_command(app)
    targets = re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    for line in shell_lines(page):
        program, *words = shlex.split(line, comments=True)
        assert program in ("make", "tracemill"), line
        if program == "make":
            assert words[0] in targets, line
        elif not words[0].startswith("-"):
            command = group
            while isinstance(command, TyperGroup):
                assert words[0] in command.commands, line
                command = command.commands[words.pop(0)]
            context = command.make_context("", words, resilient_parsing=False)
            assert context.args == [], line


@pytest.mark.parametrize("command", [["status", "demo"], ["audit", "demo", "--quick"], ["status", "demo", "--json"]])
def test_commands_that_look_at_the_demo_work(command, beside_a_demo):
    done = subprocess.run([sys.executable, "-m", "tracemill", *command], cwd=beside_a_demo, capture_output=True)
    assert done.returncode == 0, done.stderr


def test_an_audit_that_doubts_exits_1(beside_a_demo):
    shutil.copytree(beside_a_demo / "demo", beside_a_demo / "edited")
    with (beside_a_demo / "edited" / "README.md").open("a") as card:
        card.write("A sentence that nobody published.\n")
    command = [sys.executable, "-m", "tracemill", "audit", "edited", "--quick"]
    done = subprocess.run(command, cwd=beside_a_demo, capture_output=True, text=True)
    assert "DOUBT" in done.stdout
    assert done.returncode == 1


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_links_lead_to_files_that_are_there(page):
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    for target, _ in LINK.findall(text):
        if "://" not in target:
            assert (page.parent / target).exists(), target


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_a_page_is_plain_and_no_line_of_prose_is_long(page):
    for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), 1):
        assert "\t" not in line, number
        assert line == line.rstrip(), f"line {number} ends in white space"
        assert len(line) <= 140 or line.startswith(("|", "tracemill ")), f"line {number} has {len(line)} characters"


def test_every_page_can_be_reached_from_the_readme():
    seen, waiting = set(), [ROOT / "README.md"]
    while waiting:
        page = waiting.pop()
        if page in seen:
            continue
        seen.add(page)
        targets = [(page.parent / t).resolve() for t, _ in LINK.findall(page.read_text(encoding="utf-8"))]
        waiting += [t for t in targets if t.suffix == ".md" and t.is_file()]
    assert set(PAGES) <= seen
