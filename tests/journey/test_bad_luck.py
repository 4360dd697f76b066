"""What goes wrong outside of us: flipped bits, signals at bad moments, places that cannot be written, damaged notes."""

from __future__ import annotations

import json
import os
import shutil
import signal
import time

import pytest

from campaign import answers, problem_recipe, published, run, start, write_problems
from tracemill import cli
from tracemill.errors import CorruptRun, DiskError, Interrupted, Locked, RecipeError
from tracemill.mill import build
from tracemill.recipe_file import load_recipe
from tracemill.report.audit import audit
from tracemill.report.status import status
from tracemill.storage.fs import Fs
from tracemill.storage.lock import RunLock
from tracemill.testing import ScriptedServer

PROBLEMS = 40
EXITS = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGHUP: 129}


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    """A finished run, its recipe file, and the server that it asked."""
    folder = tmp_path_factory.mktemp("scene")
    table = write_problems(folder / "problems.jsonl", PROBLEMS)
    with ScriptedServer(answers(table)) as server:
        file = problem_recipe(folder / "recipe.yaml", folder / "problems.jsonl", server.url)
        build(load_recipe(file), folder / "run", workers=1)
        yield server, file, folder / "run"


@pytest.fixture
def copy(scene, tmp_path):
    """A copy of the run that a test may spoil."""
    return shutil.copytree(scene[2], tmp_path / "run")


def flip(path, place=0.5):
    data = bytearray(path.read_bytes())
    data[int(len(data) * place)] ^= 1
    path.write_bytes(data)


def doubts(out, **how):
    return {check.name: " ".join(check.problems) for check in audit(out, **how).checks if not check.ok}


@pytest.fixture
def called(monkeypatch, capsys, tmp_path):
    """Calls the command line in this process: its exit code, stdout and stderr."""
    monkeypatch.chdir(tmp_path)

    def call(*words):
        monkeypatch.setattr("sys.argv", ["tracemill", *map(str, words)])
        try:
            cli.main()
            code = 0
        except SystemExit as left:
            code = left.code
        return code, *capsys.readouterr()

    return call


def state(out):
    return json.loads((out / "status.json").read_text())["state"]


# damaged units


def test_a_flipped_bit_in_a_unit_is_doubted_and_mended_before_the_next_publication(scene, copy, tmp_path):
    server, file, _ = scene
    flip(next(copy.glob(".tracemill/units/*/*.kept.parquet")))
    assert "kept.parquet" in doubts(copy, quick=True)["units (P3)"]
    received = server.stats().received
    done = run("build", file, "--out", copy, "--set", "publish.layout=v1", "--workers", 1)
    assert done.returncode == 0, done.stderr
    assert "damaged" in done.stderr
    assert server.stats().received == received
    assert not doubts(copy)
    build(load_recipe(file, ["publish.layout=v1"]), tmp_path / "fresh", workers=1)
    assert published(copy) == published(tmp_path / "fresh")


def test_a_damaged_unit_that_is_deleted_as_the_audit_says_is_worked_again(scene, copy):
    server, file, _ = scene
    unit = next(copy.glob(".tracemill/units/*/*.kept.parquet"))
    before, received = published(copy), server.stats().received
    flip(unit)
    assert "delete this file" in doubts(copy, quick=True)["units (P3)"]
    unit.unlink()
    build(load_recipe(file), copy, workers=1)
    assert published(copy) == before
    assert server.stats().received == received
    assert audit(copy).ok


# signals


class Signalled(Fs):
    """Sends us a signal at the first call of one operation."""

    def __init__(self, operation, number):
        self.operation, self.number = operation, number

    def _now(self, operation):
        if operation == self.operation:
            self.operation = ""
            os.kill(os.getpid(), self.number)

    def append(self, path, data):
        self._now("gather")
        super().append(path, data)

    def put_if_absent(self, path, data):
        self._now("publish")
        super().put_if_absent(path, data)


@pytest.mark.parametrize(("moment", "number"), [("gather", signal.SIGINT), *(("publish", n) for n in EXITS)])
def test_a_signal_while_no_engine_runs_interrupts_and_the_next_build_goes_on(moment, number, scene, tmp_path):
    _, file, made = scene
    before = {n: signal.getsignal(n) for n in EXITS}
    with pytest.raises(Interrupted, match=number.name) as caught:
        build(load_recipe(file), tmp_path / "run", workers=1, fs=Signalled(moment, number))
    assert caught.value.exit_code == EXITS[number]
    assert {n: signal.getsignal(n) for n in EXITS} == before
    assert state(tmp_path / "run") == "stopped"
    if number == signal.SIGINT:
        build(load_recipe(file), tmp_path / "run", workers=1)
        assert published(tmp_path / "run") == published(made)


@pytest.mark.parametrize("number", EXITS, ids=lambda n: n.name)
def test_a_signal_while_input_is_read_exits_as_the_contract_says(number, tmp_path):
    recipe = problem_recipe(tmp_path / "r.yaml", tmp_path / "p.jsonl", "http://127.0.0.1:9/v1")
    tree = json.loads(recipe.read_text())
    tree["prompts"] = {"generate": "word_problems", "count": 5_000_000}
    recipe.write_text(json.dumps(tree))
    process = start("build", recipe, "--out", tmp_path / "run", "--json")
    first = process.stderr.readline()
    assert "rows read" in first, first
    process.send_signal(number)
    stdout, stderr = process.communicate(timeout=20)
    assert process.returncode == EXITS[number]
    assert f"stopped by {number.name}" in stderr
    assert f"go on with: python -m tracemill build {recipe}" in stderr
    assert "Traceback" not in stderr
    assert json.loads(stdout) == {"error": f"stopped by {number.name}", "exit_code": EXITS[number]}
    assert state(tmp_path / "run") == "stopped"


def test_a_build_that_fails_does_not_leave_a_running_status(scene, tmp_path):
    _, file, _ = scene
    with pytest.raises(RecipeError):
        build(load_recipe(file, ["prompts.fields.prompt=nothing"]), tmp_path / "run", workers=1)
    assert state(tmp_path / "run") == "stopped"


# places that cannot be written


@pytest.mark.parametrize("out", ["/proc/tracemill", "/dev/null/run", "x" * 300])
def test_a_place_that_cannot_be_made_is_told_in_one_line(out, scene, called):
    code, stdout, stderr = called("build", scene[1], "--out", out, "--json")
    assert code in (2, 6), stderr
    assert len(stderr.splitlines()) == 1
    assert out in stderr
    assert json.loads(stdout) == {"error": stderr.strip(), "exit_code": code}


def test_a_link_to_nowhere_is_a_disk_error(scene, tmp_path):
    (tmp_path / "run").symlink_to(tmp_path / "nowhere" / "run")
    with pytest.raises(DiskError, match="cannot be made"):
        build(load_recipe(scene[1]), tmp_path / "run", workers=1)


# damaged notes of the run itself


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[1]", b"{}", b"\xff\x00", b"name: [", b"name: 3", b"- {a: 2024-13-45}"]
)
@pytest.mark.parametrize("name", ["plan.json"])
def test_a_damaged_note_is_a_corrupt_run_that_a_build_repairs(name, content, scene, copy, called):
    _, file, made = scene
    (copy / ".tracemill" / name).write_bytes(content)
    for look in (status, audit):
        with pytest.raises(CorruptRun, match=name):
            look(copy)
    if content == b"{":
        for words in (["status", copy], ["explain", copy, "0"], ["audit", copy]):
            code, stdout, stderr = called(*words)
            assert (code, stdout) == (1, "")
            assert len(stderr.splitlines()) == 1
        assert build(load_recipe(file), copy, workers=1).sent == 0
        assert published(copy) == published(made)
        assert audit(copy).ok


# what the commands say


def test_the_audit_says_that_the_recipe_has_changed_since_the_publication(scene, copy):
    with pytest.raises(Interrupted):
        build(load_recipe(scene[1], ["publish.layout=v1"]), copy, fs=Signalled("publish", signal.SIGTERM))
    found = doubts(copy)
    assert list(found) == ["plan"]
    assert "recipe has changed" in found["plan"]


def test_a_second_process_is_refused_in_time(scene, copy, called):
    waited = []
    with RunLock(copy / ".tracemill" / "lock"):
        for _ in range(3):  # on a busy machine one of them may be late
            began = time.monotonic()
            with pytest.raises(Locked):
                build(load_recipe(scene[1]), copy)
            waited.append(time.monotonic() - began)
        code, stdout, _ = called("build", scene[1], "--out", copy, "--json")
        assert status(copy).state != "stopped"
    assert min(waited) < 0.7
    assert code == json.loads(stdout)["exit_code"] == 7
    assert f"process {os.getpid()}" in json.loads(stdout)["error"]


@pytest.mark.parametrize(("words", "code"), [
    (["status", "nowhere"], 2),
    (["build", "nowhere.yaml", "--out", "run"], 3),
    (["audit"], 2),
    (["build", "recipe.yaml", "--out", "run", "--workers", "many"], 2),
])  # fmt: skip
def test_errors_are_one_json_document_too(words, code, called):
    left, stdout, stderr = called(*words, "--json")
    told = json.loads(stdout)
    assert left == told["exit_code"] == code
    assert told["error"]
    assert stderr.strip()
    assert called(*words)[:2] == (code, "")


def test_a_doubt_is_the_only_document_of_an_audit(copy, called):
    flip(next((copy / "data").glob("*.parquet")))
    code, stdout, _ = called("audit", copy, "--quick", "--json")
    assert code == 1
    assert json.loads(stdout)["ok"] is False
