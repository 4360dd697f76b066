"""Datasets on the Hub, asked of a server on this machine that speaks as the Hub does."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from urllib.parse import unquote

import pytest

import tracemill as tm
from rows import rows, write_v1
from tracemill.reading.hub import is_hub_id

COMMIT = "c0ffee" + "0" * 34


@pytest.fixture
def hub(tmp_path):
    """(address, files that were fetched) of a Hub with one dataset, `someone/maths`, and a gated one."""
    root = tmp_path / "repo"
    write_v1(root / "data" / "math-00000-of-00001.parquet", rows("math", 30))
    write_v1(root / "data" / "tool-00000-of-00001.parquet", rows("tool_calling", 10))
    (root / "README.md").write_text("# A card\n")
    fetched = []

    class Handler(BaseHTTPRequestHandler):
        def answer(self, status, body=b"", **headers):
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name.replace("_", "-"), value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        def do_GET(self):
            path = unquote(self.path.partition("?")[0])
            if path.startswith("/api/datasets/someone/maths"):
                if "/revision/" in path and not path.endswith(("/main", COMMIT)):
                    return self.answer(404, X_Error_Code="RevisionNotFound")
                files = sorted(p.relative_to(root).as_posix() for p in root.rglob("*") if p.is_file())
                told = {"id": "someone/maths", "sha": COMMIT, "siblings": [{"rfilename": name} for name in files]}
                return self.answer(200, json.dumps(told).encode(), Content_Type="application/json")
            if path.startswith("/api/datasets/someone/gated"):
                return self.answer(403, X_Error_Code="GatedRepo")
            begin = f"/datasets/someone/maths/resolve/{COMMIT}/"
            file = root / path.removeprefix(begin)
            if path.startswith(begin) and file.is_file():
                if self.command == "GET":
                    fetched.append(path.removeprefix(begin))
                return self.answer(200, file.read_bytes(), ETag=f'"{file.name}"', X_Repo_Commit=COMMIT)
            return self.answer(404, X_Error_Code="RepoNotFound")

        do_HEAD = do_GET  # noqa: N815  the name that the server looks for

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", fetched
    server.shutdown()
    server.server_close()


def run(hub, tmp_path, *words):
    environment = os.environ | {"HF_ENDPOINT": hub[0], "HF_HOME": str(tmp_path / "hf"), "HF_HUB_DISABLE_XET": "1"}
    environment.pop("HF_HUB_OFFLINE", None)
    command = [sys.executable, *words]
    return subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60)


def test_a_dataset_of_the_hub_is_read_and_only_what_is_asked_for_is_fetched(hub, tmp_path):
    script = (
        "import tracemill as tm\n"
        "opened = tm.open('someone/maths')\n"
        "print(opened.splits, len(opened['math']), opened['math'][3]['category'])\n"
    )
    done = run(hub, tmp_path, "-c", script)
    assert done.stdout.splitlines() == ["['math', 'tool_calling'] 30 math"], done.stderr
    assert hub[1] == ["README.md", "data/math-00000-of-00001.parquet"]
    again = run(hub, tmp_path, "-c", script)
    assert again.stdout == done.stdout
    assert len(hub[1]) == 2, "what was fetched is kept"


def test_a_dataset_of_the_hub_is_validated_and_counted(hub, tmp_path):
    done = run(hub, tmp_path, "-m", "tracemill", "validate", "someone/maths", "--revision", COMMIT, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["splits"] == {"math": 30, "tool_calling": 10}
    done = run(hub, tmp_path, "-m", "tracemill", "stats", "someone/maths", "--split", "math", "--json")
    assert json.loads(done.stdout)["total"]["rows"] == 30


def test_a_dataset_of_the_hub_is_refined(hub, tmp_path):
    recipe = tmp_path / "recipe.json"
    recipe.write_text(json.dumps({"name": "a", "license": "MIT", "prompts": {"rows": "-", "name": "maths"}}))
    words = ("--recipe", str(recipe), "--out", "run", "--split", "math", "--workers", "1", "--json")
    done = run(hub, tmp_path, "-m", "tracemill", "refine", "someone/maths", *words)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["splits"] == {"math": 30}
    assert "data/tool-00000-of-00001.parquet" not in hub[1], "only what is asked for is fetched"


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["someone/else"], 2, "no someone/else, neither here as a path nor on the Hub"),
        (["someone/gated"], 2, "is gated: accept its terms"),
        (["someone/maths", "--revision", "nowhere"], 2, "nowhere"),
    ],
)
def test_what_the_hub_refuses_is_told(hub, tmp_path, words, code, said):
    done = run(hub, tmp_path, "-m", "tracemill", "stats", *words)
    assert (done.returncode, said in done.stderr) == (code, True), done.stderr
    assert "Traceback" not in done.stderr


def test_a_hub_that_is_not_there_is_an_endpoint_error(tmp_path):
    done = run(("http://127.0.0.1:9", []), tmp_path, "-m", "tracemill", "stats", "someone/maths")
    assert done.returncode == 5, done.stderr


def test_without_the_extra_the_install_line_is_told(hub, tmp_path):
    script = "import sys; sys.modules['huggingface_hub'] = None; import tracemill; tracemill.open('someone/maths')"
    assert "tracemill[hub]" in run(hub, tmp_path, "-c", script).stderr


def test_a_path_is_never_taken_for_a_hub_id(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()
    assert is_hub_id("nvidia/Nemotron-Post-Training-Dataset-v1")
    assert not is_hub_id("data/mth"), "its directory is there, so it is a slip"
    assert not is_hub_id("runs/rows.parquet")
    assert not is_hub_id("a/b/c")
    assert not is_hub_id(tmp_path)


def test_rows_are_taken_from_a_copy_of_a_dataset_on_the_hub(hub, tmp_path):
    uuid = rows("math", 30)[4]["uuid"]
    done = run(hub, tmp_path, "-m", "tracemill", "remove", "someone/maths", "--uuid", uuid, "--out", "copy", "--json")
    assert json.loads(done.stdout)["removed"] == {"data/math": 1}, done.stderr
    copy = tm.open(tmp_path / "copy")
    assert [(split, len(copy[split])) for split in copy.splits] == [("math", 29), ("tool_calling", 10)]


def test_a_source_on_the_hub_is_read_at_the_commit_that_is_named_and_the_record_says_so(hub, tmp_path):
    chosen = [r["uuid"] for r in rows("math", 30)[3:6]]
    (tmp_path / "chosen.jsonl").write_text("".join(json.dumps({"uuid": uuid}) + "\n" for uuid in chosen))
    source = f"mine=someone/maths@{COMMIT}"
    done = run(hub, tmp_path, "-m", "tracemill", "restore", "chosen.jsonl", "--source", source, "--out", "out")
    assert done.returncode == 0, done.stderr
    assert [r["uuid"] for r in tm.open(tmp_path / "out")] == chosen
    told = json.loads((tmp_path / "out" / "restored.json").read_text())["sources"]["mine"]
    assert {(file["dataset"], file["commit"]) for file in told} == {("someone/maths", COMMIT)}
