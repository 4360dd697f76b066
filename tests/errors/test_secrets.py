"""Secrets are in no byte of any output: builds that end well, fail, are killed or interrupted, against a server that
repeats what it was sent in every way we could think of.
"""

from __future__ import annotations

import html
import json
import os
import re
import signal
import sqlite3
import subprocess
import time
from contextlib import closing
from pathlib import Path
from urllib.parse import quote, unquote

import pyarrow.parquet as pq
import pytest
import zstandard
from echoing_server import WAYS, echoing, every_escape

from campaign import command, kill, run, start
from tracemill.models.masking import Mask

SECRETS = {
    "A_KEY": "sk-live-AbC/dEf+0123==",
    "A_TOKEN": "Bearer tok-9f8e7d6c5b4a",
    "A_COOKIE": "c00kie-value-77",
    "A_LOGIN": "Basic dXNlcjpodW50ZXIyLXBhc3M5",
    "A_QUOTED": "q\"u'o<t>e&d\\9/%x",
}
NEEDLES = (
    *SECRETS.values(),
    "sk-live-AbC/dEf",
    "tok-9f8e7d6c5b4a",
    "dXNlcjpodW50ZXIyLXBhc3M5",
    "hunter2-pass9",
)
"""What must not be found: the values, and what of them is secret without a scheme word around it."""
PROBLEMS = 2 * len(WAYS)


def readings(data: bytes) -> list[str]:
    """Bytes as texts: as they are, and with the escapes of URLs, HTML and JSON undone."""
    text = data.decode("utf-8", errors="replace")
    found = [text]
    for _ in range(3):
        text = re.sub(r"\\+u([0-9a-fA-F]{4})", lambda m: chr(int(m[1], 16)), text)
        text = html.unescape(unquote(text))
        found.append(text)
    return found


def leaks(data: bytes, where: str) -> list[str]:
    texts = readings(data)
    texts += [text.replace("\\", "") for text in texts]
    return [
        f"{needle!r} in {where}"
        for needle in NEEDLES
        if any(needle in text or needle.replace("\\", "") in text for text in texts)
    ]


def sqlite_values(path: Path) -> list[bytes]:
    """Every value of every table, compressed ones also opened."""
    found: list[bytes] = []
    with closing(sqlite3.connect(path)) as opened:
        names = [row[0] for row in opened.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        for name in names:
            for row in opened.execute(f'SELECT * FROM "{name}"'):
                for value in row:
                    data = value if isinstance(value, bytes) else str(value).encode()
                    found.append(data)
                    if data.startswith(b"\x28\xb5\x2f\xfd"):
                        found.append(zstandard.ZstdDecompressor().decompressobj().decompress(data))
    return found


def leaks_below(folder: Path) -> list[str]:
    """Every leak in every byte of every file, with columns and values unpacked."""
    found = []
    files = sorted(p for p in folder.rglob("*") if p.is_file())
    for path in files:
        found += leaks(path.read_bytes(), str(path))
        found += leaks(os.fsencode(path.name), f"the name of {path}")
    for path in files:
        if path.suffix == ".parquet":
            for row in pq.read_table(path).to_pylist():
                found += leaks(json.dumps(row, default=str, ensure_ascii=False).encode(), f"a row of {path}")
        if path.suffix == ".sqlite":
            found += [leak for value in sqlite_values(path) for leak in leaks(value, f"a value of {path}")]
    return found


def recipe_for(folder: Path, url: str) -> Path:
    rows = [{"question": f"Problem {n}: what is 2 + 2?", "answer": "4"} for n in range(PROBLEMS)]
    (folder / "p.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    tree = {
        "name": "secrets",
        "license": "MIT",
        "prompts": {"path": str(folder / "p.jsonl"), "fields": {"prompt": "question", "expected": "answer"}},
        "teachers": {
            "main": {
                "url": url,
                "model": "m",
                "api_key": "${env:A_KEY}",
                "attempts": 2,
                "headers": {
                    "X-Token": "${env:A_TOKEN}",
                    "Cookie": "session=${env:A_COOKIE}",
                    "X-Login": "${env:A_LOGIN}",
                    "X-Quoted": "${env:A_QUOTED}",
                },
            }
        },
        "respond": {"ask_anew": 0},
    }
    (folder / "r.yaml").write_text(json.dumps(tree))
    return folder / "r.yaml"


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """(folder, all that was printed) of a run in which the server repeated the secrets in every way."""
    folder = tmp_path_factory.mktemp("secrets")
    (folder / "tmp").mkdir()
    env = {**SECRETS, "TMPDIR": str(folder / "tmp")}
    with echoing() as url:
        recipe = recipe_for(folder, url)
        done = run("build", recipe, "--out", folder / "run", "--workers", 1, "--json", env=env)
    assert done.returncode == 0, done.stderr
    return folder, done.stdout + done.stderr


def rows(out: Path, directory: str) -> list[dict]:
    return [row for path in sorted((out / directory).glob("*.parquet")) for row in pq.read_table(path).to_pylist()]


def test_a_build_leaks_nothing_whatever_the_server_repeats(built):
    folder, printed = built
    assert leaks(printed.encode(), "what was printed") == []
    assert leaks_below(folder) == []


def test_the_server_did_repeat_them_and_all_were_masked(built):
    out = built[0] / "run"
    ended = {kind: rows(out, kind) for kind in ("data", "rejected", "failed")}
    assert sum(map(len, ended.values())) == PROBLEMS
    assert all(ended.values()), {kind: len(found) for kind, found in ended.items()}
    told = json.dumps(ended, default=str)
    assert told.count("***") > len(WAYS)


def test_status_explain_and_audit_say_none(built):
    folder, _ = built
    ids = [row["uuid"] for kind in ("data", "rejected", "failed") for row in rows(folder / "run", kind)]
    for words in (["status"], ["status", "--json"], ["audit"], ["audit", "--json"]):
        done = run(words[0], folder / "run", *words[1:], env=SECRETS)
        assert done.returncode == 0, done.stdout + done.stderr
        assert leaks((done.stdout + done.stderr).encode(), " ".join(words)) == []
    from tracemill import explain

    assert [leak for i in ids for leak in leaks(explain(folder / "run", i).to_text().encode(), i)] == []
    done = run("explain", folder / "run", ids[0], "--json", env=SECRETS)
    assert leaks((done.stdout + done.stderr).encode(), "explain --json") == []


@pytest.mark.parametrize(("deny", "said"), [("key", "bad credentials"), ("model", "asked for the model 'm'")])
def test_a_build_that_fails_leaks_nothing(deny, said, tmp_path):
    (tmp_path / "tmp").mkdir()
    with echoing(deny) as url:
        recipe = recipe_for(tmp_path, url)
        done = run("build", recipe, "--out", tmp_path / "run", env={**SECRETS, "TMPDIR": str(tmp_path / "tmp")})
    assert done.returncode == 5
    assert said in done.stderr
    assert "***" in done.stderr
    assert leaks((done.stdout + done.stderr).encode(), "what was printed") == []
    assert leaks_below(tmp_path) == []


@pytest.mark.parametrize("how", ["killed", "interrupted"])
def test_a_build_that_is_cut_off_leaks_nothing(how, tmp_path):
    (tmp_path / "tmp").mkdir()
    with echoing() as url:
        recipe = recipe_for(tmp_path, url)
        process = start(
            "build", recipe, "--out", tmp_path / "run", "--workers", 1, "--set", "teachers.main.concurrency=4",
            env={**SECRETS, "TMPDIR": str(tmp_path / "tmp")},
        )  # fmt: skip
        journal = tmp_path / "run" / ".tracemill" / "journal"
        while not any(journal.glob("*.sqlite")) and process.poll() is None:
            time.sleep(0.01)
        time.sleep(0.1)
        if how == "killed":
            kill(process)
            printed = ""
        else:
            process.send_signal(signal.SIGINT)
            printed = "".join(process.communicate(timeout=60))
            assert process.returncode in (130, 0)
    assert any(journal.glob("*.sqlite"))
    assert leaks(printed.encode(), "what was printed") == []
    assert leaks_below(tmp_path) == []


DEFECT = """
import os, sys
if sys.argv[-1:] == ["--defect"]:
    sys.argv.pop()
    import tracemill.mill as mill
    def broken(*_, **__):
        raise RuntimeError("a defect that knows " + " ".join(os.environ[n] for n in sorted(os.environ) if n[:2] == "A_"))
    mill.publish = broken
    from tracemill.cli import main
    main()
"""


def test_the_traceback_of_a_defect_of_ours_holds_none(tmp_path):
    (tmp_path / "tmp").mkdir()
    env = {**os.environ, **SECRETS, "TMPDIR": str(tmp_path / "tmp")}
    (tmp_path / "broken.py").write_text(DEFECT)
    with echoing() as url:
        recipe = recipe_for(tmp_path, url)
        words = [*command()[:1], tmp_path / "broken.py", "build", recipe, "--out", tmp_path / "run", "--defect"]
        done = subprocess.run(list(map(str, words)), env=env, capture_output=True, text=True)
    assert done.returncode == 70
    [kept] = (tmp_path / "tmp").glob("tracemill-*.traceback.txt")
    assert "a defect that knows ***" in kept.read_text()
    assert str(kept) in done.stderr
    assert leaks((done.stdout + done.stderr).encode(), "what was printed") == []
    assert leaks_below(tmp_path) == []


# the mask itself


@pytest.mark.parametrize("secret", SECRETS.values())
def test_every_spelling_is_masked_and_json_stays_json(secret):
    mask = Mask({secret})
    for text in (secret, json.dumps(secret), json.dumps(json.dumps(secret)), every_escape(secret), html.escape(secret)):
        told = json.dumps({"a": [f"before {text} after"], "n": 5})
        masked = mask.body(told.encode())
        assert leaks(masked, text) == []
        assert json.loads(masked)["a"][0].startswith("before ")
        assert json.loads(masked)["a"][0].endswith(" after")


def test_what_holds_no_secret_stays_as_it_came():
    body = json.dumps({"content": "Ünïcödé \\u0041 50%25 &amp; Bearer of news", "text": [{"text": "a"}]}).encode()
    assert Mask(SECRETS.values()).body(body) is not None
    assert Mask(SECRETS.values()).body(body) == body
    assert Mask([]).body(body) is body


def test_a_value_too_short_to_be_secret_masks_nothing():
    assert Mask({"EMPTY", "a"}).text("the set is EMPTY, a b c") == "the set is EMPTY, a b c"


@pytest.mark.parametrize(
    "spell", [str, json.dumps, every_escape, html.escape, quote, lambda s: json.dumps(json.dumps(s))], ids=range(6)
)
def test_the_search_finds_a_secret_however_it_is_spelled(spell, tmp_path):
    (tmp_path / "a.txt").write_text(f"before {spell(SECRETS['A_QUOTED'])} after")
    with closing(sqlite3.connect(tmp_path / "b.sqlite")) as opened:
        opened.execute("CREATE TABLE t (body BLOB)")
        body = zstandard.compress(spell(SECRETS["A_KEY"]).encode())
        opened.execute("INSERT INTO t VALUES (?)", (body,))
        opened.commit()
    found = leaks_below(tmp_path)
    assert any("a.txt" in leak for leak in found)
    assert any("b.sqlite" in leak for leak in found)
