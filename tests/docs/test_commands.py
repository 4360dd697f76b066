"""docs/commands.md names every command and option there is, and no other."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from typer.main import get_command

from tracemill import errors
from tracemill.cli.app import app

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "commands.md").read_text(encoding="utf-8")
GROUP = get_command(app)
SECTIONS = dict(re.findall(r"^## tracemill ?([\w ]*)\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL))
COMMANDS = {name: command for name, command in GROUP.commands.items() if not hasattr(command, "commands")}
COMMANDS |= {
    f"{group} {name}": command
    for group, held in GROUP.commands.items()
    for name, command in getattr(held, "commands", {}).items()
}
"""Those of a group by both names: "eval translation"."""
CODES = {int(code) for row in re.findall(r"^\| ([\d, ]+) \|", PAGE, re.MULTILINE) for code in row.split(",")}


def options(command) -> set[str]:
    return {opt for p in command.params if p.param_type_name == "option" for opt in p.opts}


def test_every_command_has_a_section_and_no_other():
    assert set(SECTIONS) == {"", *COMMANDS}


@pytest.mark.parametrize("name", ["", *COMMANDS])
def test_a_section_names_each_option_and_argument_and_no_other(name):
    command = COMMANDS[name] if name else GROUP
    table = set(re.findall(r"^\| `([^`]+)` \|", SECTIONS[name], re.MULTILINE))
    there = options(command) | ({"--help"} if not name else set())
    there |= {p.metavar.strip("{}") for p in command.params if p.param_type_name == "argument"}
    assert table == there
    shown = set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", SECTIONS[name])) - {"--help"}
    assert shown <= options(command)


@pytest.mark.parametrize("name", ["", *COMMANDS])
def test_a_section_has_an_example(name):
    example = re.search(r"```sh\n(.*?)```", SECTIONS[name], re.DOTALL)
    assert example, name
    assert f"tracemill {name}".strip() in example[1]


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_says_what_it_does(name):
    assert COMMANDS[name].help
    for parameter in COMMANDS[name].params:
        assert parameter.help, f"{name}: {parameter.name}"


def test_the_page_lists_every_exit_code():
    ours = {e.exit_code for e in vars(errors).values() if isinstance(e, type) and issubclass(e, errors.TracemillError)}
    assert ours <= CODES


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["--version"], 0),
        (["--help"], 0),
        (["build", "--help"], 0),
        (["grind"], 2),
        (["build"], 2),
        (["audit", "run", "--bogus"], 2),
        (["build", "recipe.yaml", "--out", "run", "--workers", "many"], 2),
        (["status", "nowhere"], 2),
        (["build", "nowhere.yaml", "--out", "run"], 3),
    ],
    ids=lambda v: " ".join(v) if isinstance(v, list) else None,
)
def test_a_command_exits_as_the_page_says(words, code, tmp_path):
    done = subprocess.run([sys.executable, "-m", "tracemill", *words], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == code, done.stderr
    assert code == 0 or done.stderr.strip(), "a refusal says why"
