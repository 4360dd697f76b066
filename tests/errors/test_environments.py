"""Whatever the machine is like, the command does its work or says what is missing, with its exit code and no traceback."""

from __future__ import annotations

import ctypes
import json
import os
import pty
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from campaign import command, first
from tracemill.testing import Answer, ScriptedServer

RECIPE = """\
name: tiny
license: MIT
prompts: {generate: word_problems, count: 3}
teachers: {careful: {url: builtin, model: builtin-careful}}
"""


@pytest.fixture
def place(tmp_path):
    (tmp_path / "r.yaml").write_text(RECIPE)
    return tmp_path


def called(place: Path, *words: object, env: dict | None = None, unset: tuple = (), **more: object):
    told = {k: v for k, v in {**os.environ, **(env or {})}.items() if k not in unset}
    words = words or ("build", "r.yaml", "--out", "run", "--workers", 1)
    given = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "stdin": subprocess.DEVNULL} | more
    return subprocess.run(command(*words), cwd=place, env=told, timeout=60, **given)


def fine(done: subprocess.CompletedProcess, out: Path) -> bool:
    assert done.returncode == 0, done.stderr
    assert not done.stderr or b"Traceback" not in done.stderr
    return json.loads((out / "status.json").read_text())["state"] == "done"


def refused(done: subprocess.CompletedProcess, code: int, *said: str) -> None:
    told = (done.stderr or b"").decode()
    assert done.returncode == code, told
    assert [part for part in said if part not in told] == [], told
    assert "Traceback" not in told


def bound() -> None:
    """Permissions mean nothing to root: give up, in the child, what lets root pass them by."""
    if os.getuid() == 0:
        libc = ctypes.CDLL(None, use_errno=True)
        for capability in (1, 2, 3):  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH, CAP_FOWNER
            assert libc.prctl(24, capability) == 0  # PR_CAPBSET_DROP: from the next program on


@pytest.fixture
def open_place(place):
    """A place where permissions count, for a process that starts with `bound`."""
    (place / "probe").write_text("?")
    (place / "probe").chmod(0)
    words = [sys.executable, "-c", f"open({str(place / 'probe')!r})"]
    if subprocess.run(words, preexec_fn=bound, capture_output=True).returncode == 0:
        pytest.skip("permissions cannot be made to count here")
    (place / "probe").unlink()
    return place


# the machine's own


def test_without_a_home_and_with_hardly_any_environment(place):
    done = subprocess.run(
        command("build", "r.yaml", "--out", "run"), cwd=place, env={}, capture_output=True, timeout=60
    )
    assert fine(done, place / "run")


def test_an_output_directory_that_may_not_be_written(open_place):
    (open_place / "locked").mkdir(mode=0o555)
    words = ("build", "r.yaml", "--out", "locked/run")
    refused(called(open_place, *words, preexec_fn=bound), 6, "locked", "ermission denied")


def test_a_run_that_may_only_be_read_can_be_looked_at_and_not_built(open_place):
    assert fine(called(open_place), open_place / "run")
    for path in (open_place / "run", *(open_place / "run").rglob("*")):
        path.chmod(0o555 if path.is_dir() else 0o444)
    assert called(open_place, "status", "run", preexec_fn=bound).returncode == 0
    assert called(open_place, "audit", "run", preexec_fn=bound).returncode == 0
    refused(called(open_place, preexec_fn=bound), 6, "run", "ermission denied")


def test_an_input_that_may_not_be_read(open_place):
    (open_place / "p.jsonl").write_text('{"prompt": "1+1?"}\n')
    (open_place / "p.jsonl").chmod(0)
    (open_place / "r.yaml").write_text(RECIPE.replace("{generate: word_problems, count: 3}", "{path: p.jsonl}"))
    refused(called(open_place, preexec_fn=bound), 3, "r.yaml, line 3", "p.jsonl", "ermission denied")


def test_an_input_that_is_only_readable_is_enough(open_place):
    (open_place / "data").mkdir()
    (open_place / "data" / "p.jsonl").write_text('{"prompt": "Tom has 3 apples and buys 4. How many?"}\n')
    (open_place / "data" / "p.jsonl").chmod(0o444)
    (open_place / "data").chmod(0o555)
    (open_place / "r.yaml").write_text(RECIPE.replace("{generate: word_problems, count: 3}", "{path: data/p.jsonl}"))
    assert fine(called(open_place, preexec_fn=bound), open_place / "run")


@pytest.mark.parametrize("out", first(2, ["afile", "afile/run", "broken/run"]))
def test_an_output_path_that_is_or_leads_through_a_file(out, place):
    (place / "afile").write_text("mine")
    (place / "broken").symlink_to("nowhere/at/all")
    done = called(place, "build", "r.yaml", "--out", out)
    assert done.returncode in (2, 6), done.stderr
    refused(done, done.returncode, out.split("/")[0])
    assert (place / "afile").read_text() == "mine"


def test_a_file_in_the_place_of_the_runs_inner_directory(place):
    (place / "run").mkdir()
    (place / "run" / ".tracemill").write_text("?")
    done = called(place)
    assert done.returncode in (2, 6), done.stderr
    refused(done, done.returncode, ".tracemill")


def test_few_open_files(place):
    def few() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (48, 48))

    done = called(place, preexec_fn=few)
    assert fine(done, place / "run")


@pytest.mark.parametrize("most", first(1, [16, 8, 12, 20]))
def test_hardly_any_open_files(most, place):
    def few() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))

    done = called(place, preexec_fn=few)
    if done.returncode:
        refused(done, 6, "ulimit -n")
    again = called(place)
    assert fine(again, place / "run")


def test_no_place_for_temporary_files(open_place):
    assert fine(called(open_place), open_place / "run")
    done = called(open_place, "audit", "run", env={"TMPDIR": "/nowhere/at/all"})
    assert done.returncode == 0, done.stderr  # the system has others
    program = (
        "import tempfile; tempfile._candidate_tempdir_list = lambda: ['/nowhere/at/all']\n"
        "from tracemill.cli import main; main()"
    )
    words = [sys.executable, "-c", program, "audit", "run"]
    refused(subprocess.run(words, cwd=open_place, capture_output=True), 6, "TMPDIR")


@pytest.mark.parametrize("zone", first(1, ["Pacific/Kiritimati", "Etc/GMT+12", "nonsense", ":/no/such/file"]))
def test_time_zones(zone, place):
    assert fine(called(place, env={"TZ": zone}), place / "run")


def test_a_umask_that_takes_all_away_leaves_a_run_that_its_owner_can_use(place):
    assert fine(called(place, preexec_fn=lambda: os.umask(0o077) and None), place / "run")
    assert called(place, "audit", "run").returncode == 0
    assert {oct(p.stat().st_mode & 0o077) for p in (place / "run" / "data").glob("*")} == {"0o0"}


def test_a_working_directory_that_is_gone(place):
    (place / "gone").mkdir()

    def leave() -> None:
        os.chdir(place / "gone")
        (place / "gone").rmdir()

    done = called(place, "build", place / "r.yaml", "--out", place / "run", preexec_fn=leave)
    assert fine(done, place / "run")
    done = called(place, "build", "r.yaml", "--out", "run", preexec_fn=lambda: ((place / "gone").mkdir(), leave()))
    refused(done, 3, "r.yaml", "no such file")


# terminals


def test_without_a_terminal_and_with_one(place):
    assert fine(called(place, start_new_session=True), place / "run")
    parent, child = pty.openpty()
    done = called(place, "build", "r.yaml", "--out", "two", stdout=child, stderr=child, stdin=child)
    os.close(child)
    assert done.returncode == 0
    shown = b""
    while chunk := _read_or_nothing(parent):
        shown += chunk
    os.close(parent)
    assert b"rows kept" in shown


def _read_or_nothing(handle: int) -> bytes:
    try:
        return os.read(handle, 65536)
    except OSError:  # the last of the other side has closed it
        return b""


@pytest.mark.parametrize(
    "words", first(1, [("build", "r.yaml", "--out", "run"), ("--help",), ("audit", "run")]), ids=lambda w: w[0]
)
@pytest.mark.parametrize("stream", first(1, ["stdout", "stderr"]))
def test_a_reader_who_has_gone_changes_nothing(words, stream, place):
    assert fine(called(place), place / "run")
    reading, writing = os.pipe()
    os.close(reading)
    done = called(place, *words, **{stream: writing})
    os.close(writing)
    assert done.returncode == 0, done.stderr
    assert b"Traceback" not in (done.stdout or b"") + (done.stderr or b"")
    assert b"Exception ignored" not in (done.stderr or b"")


@pytest.mark.parametrize("closed", first(1, [(0, 1, 2), (1,), (2,)]), ids=str)
def test_streams_that_were_closed_before_we_came(closed, place):
    def close() -> None:
        for number in closed:
            os.close(number)

    done = called(place, preexec_fn=close)
    assert fine(done, place / "run")
    assert called(place, "audit", "run").returncode == 0
    done = called(place, "build", "gone.yaml", "--out", "run", preexec_fn=close)
    assert done.returncode == 3


def test_a_full_disk_behind_stdout_is_told(place):
    assert fine(called(place), place / "run")
    with open("/dev/full", "wb") as full:
        done = called(place, "status", "run", "--json", stdout=full)
    refused(done, 6, "No space left")


# letters

ODD = {"POSIX": {"LC_ALL": "POSIX", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
       "ascii": {"PYTHONIOENCODING": "ascii:strict"}, "LC_ALL=C": {"LC_ALL": "C"},
       "Turkish": {"LC_ALL": "tr_TR.UTF-8"}, "no such": {"LC_ALL": "xx_YY.KOI"},
       "latin-1": {"PYTHONIOENCODING": "latin-1:strict"}}  # fmt: skip


@pytest.mark.parametrize("env", first(1, [*ODD.values()]), ids=ODD)
def test_locales_and_encodings(env, place):
    question = "Mariä hat 3 Äpfel 🍎 und 4 Birnen, 共?"
    (place / "p.jsonl").write_text(json.dumps({"q": question, "a": "7"}, ensure_ascii=False) + "\n", encoding="utf-8")
    with ScriptedServer(lambda body: Answer("Das ist \\boxed{7}. 好", "Ich denke, ü.")) as server:
        tree = {
            "name": "letters",
            "license": "MIT",
            "description": "Äpfel",
            "prompts": {"path": "p.jsonl", "fields": {"prompt": "q", "expected": "a"}},
            "teachers": {"main": {"url": server.url, "model": "m"}},
        }
        (place / "r.yaml").write_text(json.dumps(tree, ensure_ascii=False), encoding="utf-8")
        assert fine(called(place, env=env), place / "run")
    import pyarrow.parquet as pq

    [row] = pq.read_table(place / "run" / "data").to_pylist()
    assert question in row["messages"][0]["content"]
    for words in (("explain", "run", row["uuid"]), ("explain", "run", row["uuid"], "--json"), ("audit", "run")):
        done = called(place, *words, env=env)
        assert done.returncode == 0, done.stderr
        assert b"Traceback" not in done.stderr
    assert "Äpfel" in (place / "run" / "README.md").read_text(encoding="utf-8")


NAMES = ["with space\nand line", b"caf\xe9-latin-1", "[glob]*", "ünï-码-🍎", "-dash", "a'quote\"", "$(touch x)"]


@pytest.mark.parametrize("name", first(1, NAMES), ids=repr)
def test_odd_names_of_the_output_and_of_the_input(name, place):
    name = os.fsdecode(name)
    (place / name).mkdir()
    (place / name / "p.jsonl").write_text('{"prompt": "Tom has 3 apples and buys 4 more. How many?"}\n')
    prompts = json.dumps({"path": f"{place / name}/p.jsonl"}) if name.isascii() else "{path: '" + "*/p.jsonl" + "'}"
    (place / "r.yaml").write_text(RECIPE.replace("{generate: word_problems, count: 3}", prompts))
    out = place / name / "run"
    done = called(place, "build", "r.yaml", "--out", out)
    assert fine(done, out)
    assert called(place, "audit", out).returncode == 0
    assert called(place, "status", out, "--json").returncode == 0
    assert not (place / "x").exists()


def test_a_name_with_control_characters_is_shown_escaped(place):
    done = called(place, "build", "r\x1b[31m.yaml", "--out", "run")
    refused(done, 3, "r\\x1b[31m.yaml")
    assert b"\x1b" not in done.stderr


# what is not installed

BLOCK = """
import sys
class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {names!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Blocked())
"""


@pytest.mark.parametrize(
    "missing", first(3, ["pyarrow", "sympy", "rich", "math_verify", "orjson", "yaml", "pydantic", "zstandard"])
)
def test_a_package_that_is_missing_is_told_with_the_line_that_installs_it(missing, place):
    (place / "block").mkdir()
    (place / "block" / "sitecustomize.py").write_text(BLOCK.format(names={missing}))
    done = called(place, env={"PYTHONPATH": str(place / "block")})
    if done.returncode:
        refused(done, 2, missing.replace("_", "-"), "pip install")
    else:
        assert missing == "rich"  # only a terminal needs it
