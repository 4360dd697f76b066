"""The manifest: readers see the old one or the new one, two cannot commit the same number, and cuts are rolled forward."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pyarrow as pa
import pytest

from tracemill.errors import CorruptRun, Locked
from tracemill.storage.fs import Fs
from tracemill.storage.layout import RunPaths
from tracemill.storage.manifest import Manifest, commit, keep, newest, read, roll_forward
from tracemill.storage.parquet import ParquetFile, file_sha256


def publish(root: Path, *numbers: int, fs: Fs | None = None, name: str = "math") -> Manifest:
    """Commit a dataset of one file for each number, which holds that number."""
    paths, fs = RunPaths(root), fs or Fs()
    fs.mkdir(paths.objects)
    entries = []
    for place, number in enumerate(numbers):
        table = pa.table({"n": [number] * 100})
        with ParquetFile(paths.objects / f".{os.getpid()}-{number}-{place}.parquet", table.schema) as file:
            file.write(table)
            part = file.finish()
        public = f"data/{name}-{place:05d}-of-{len(numbers):05d}.parquet"
        entries.append(keep(paths, part, public, fs, split=name))
    return commit(paths, {"files": entries, "card": f"# {numbers}\n", "holds": list(numbers)}, fs)


def shown(root: Path) -> dict[str, str]:
    """sha256 of everything that a user sees, by path."""
    seen = (p for p in root.rglob("*") if p.is_file() and ".tracemill" not in p.parts)
    return {p.relative_to(root).as_posix(): file_sha256(p) for p in seen}


def as_told(manifest: Manifest, root: Path) -> dict[str, str]:
    """What `shown` must give for a manifest in force."""
    card = hashlib.sha256(manifest.content["card"].encode()).hexdigest()
    files = {entry["path"]: entry["sha256"] for entry in manifest.files}
    return {**files, "README.md": card, "manifest.json": manifest.sha256}


def test_a_commit_shows_its_files_under_their_public_names(tmp_path):
    manifest = publish(tmp_path, 1, 2)
    assert shown(tmp_path) == as_told(manifest, tmp_path)
    assert newest(RunPaths(tmp_path)) == manifest
    assert [entry["rows"] for entry in manifest.files] == [100, 100]


def test_before_the_first_commit_there_is_no_manifest(tmp_path):
    assert newest(RunPaths(tmp_path)) is None
    with pytest.raises(CorruptRun):
        roll_forward(RunPaths(tmp_path))


def test_each_manifest_names_the_one_before_it(tmp_path):
    manifests = [publish(tmp_path, number) for number in (1, 2, 3)]
    assert [m.number for m in manifests] == [1, 2, 3]
    assert [m.content["parent"] for m in manifests] == [None, manifests[0].sha256, manifests[1].sha256]
    assert [read(p).sha256 for p in sorted(RunPaths(tmp_path).manifests.glob("*.json"))] == [
        m.sha256 for m in manifests
    ]


def test_files_that_a_new_manifest_no_longer_names_are_taken_away(tmp_path):
    publish(tmp_path, 1, 2, 3)
    (tmp_path / "data" / ".left.tmp").write_text("from a death")
    manifest = publish(tmp_path, 2, name="code")
    assert shown(tmp_path) == as_told(manifest, tmp_path)
    assert len(list(RunPaths(tmp_path).objects.iterdir())) == 1


def test_a_file_that_stays_the_same_is_kept_once(tmp_path):
    manifest = publish(tmp_path, 7, 7)
    assert len({entry["object"] for entry in manifest.files}) == 1
    assert shown(tmp_path) == as_told(manifest, tmp_path)


def test_rolling_forward_again_changes_nothing(tmp_path):
    manifest = publish(tmp_path, 1)
    before = {p: p.stat().st_ino for p in tmp_path.rglob("*")}
    assert roll_forward(RunPaths(tmp_path)) == manifest
    assert {p: p.stat().st_ino for p in tmp_path.rglob("*")} == before


class Overtaken(Fs):
    """Someone else commits while we are about to."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def put_if_absent(self, path: Path, data: bytes) -> None:
        publish(self.root, 99)
        super().put_if_absent(path, data)


def test_of_two_committers_the_second_is_refused_and_the_first_stands(tmp_path):
    publish(tmp_path, 1)
    with pytest.raises(Locked, match="committed manifest 2 first"):
        publish(tmp_path, 2, fs=Overtaken(tmp_path))
    manifest = newest(RunPaths(tmp_path))
    assert manifest is not None
    assert (manifest.number, manifest.content["holds"]) == (2, [99])
    assert shown(tmp_path) == as_told(manifest, tmp_path)


def test_what_is_put_if_absent_is_put_by_one_of_many(tmp_path):
    won: list[int] = []
    together = threading.Barrier(8)

    def put(number: int) -> None:
        together.wait()
        try:
            Fs().put_if_absent(tmp_path / "one", b"%d" % number)
            won.append(number)
        except FileExistsError:
            pass

    threads = [threading.Thread(target=put, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [(tmp_path / "one").read_bytes()] == [b"%d" % number for number in won]
    assert [p.name for p in tmp_path.iterdir()] == ["one"]


CHILD = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from test_manifest import publish
for number in map(int, sys.argv[3:]):
    publish(Path(sys.argv[2]), number, number + 1)
print("done")
"""


def child(root: Path, *numbers: int, **env: str) -> subprocess.Popen:
    words = [sys.executable, "-c", CHILD, str(Path(__file__).parent), str(root), *map(str, numbers)]
    return subprocess.Popen(words, env={**os.environ, **env}, start_new_session=True, stdout=subprocess.PIPE)


def test_a_reader_sees_the_old_manifest_or_the_new_one_with_all_its_files(tmp_path):
    publish(tmp_path, 0, 1)
    writer = child(tmp_path, *range(1, 60))
    seen: set[int] = set()
    while writer.poll() is None:
        data = (tmp_path / "manifest.json").read_bytes()
        told = json.loads(data)  # never half of one
        for entry in told["files"]:
            try:
                assert file_sha256(tmp_path / entry["object"]) == entry["sha256"]
            except FileNotFoundError:  # then it is the old one by now
                assert (tmp_path / "manifest.json").read_bytes() != data
        seen.add(told["number"])
    assert writer.communicate()[0] == b"done\n"
    assert len(seen) > 2


CRASHES = ["publish.objects", "manifest.written", "manifest.linked", "publish.shown", "manifest.copied"]


@pytest.mark.parametrize("point", CRASHES)
def test_a_commit_killed_anywhere_is_the_old_one_or_rolled_forward_to_the_new_one(tmp_path, point):
    before = publish(tmp_path, 1, 5)
    died = child(tmp_path, 7, TRACEMILL_CRASH=point)
    died.communicate()
    assert died.returncode == -signal.SIGKILL
    told = json.loads((tmp_path / "manifest.json").read_bytes())
    assert [file_sha256(tmp_path / e["object"]) for e in told["files"]] == [e["sha256"] for e in told["files"]]
    manifest = roll_forward(RunPaths(tmp_path))
    linked = point not in ("publish.objects", "manifest.written")
    assert manifest.content["holds"] == ([7, 8] if linked else [1, 5])
    assert linked or manifest == before
    assert shown(tmp_path) == as_told(manifest, tmp_path)
    assert len(list(RunPaths(tmp_path).objects.iterdir())) == 2
    assert publish(tmp_path, 9).number == (3 if linked else 2)


def test_a_copied_run_is_shown_as_the_run_was(tmp_path):
    manifest = publish(tmp_path / "run", 1, 2)
    shutil.copytree(tmp_path / "run", tmp_path / "copy")  # the links become files of their own
    assert roll_forward(RunPaths(tmp_path / "copy")) == manifest
    assert shown(tmp_path / "copy") == as_told(manifest, tmp_path / "copy")


def test_a_public_file_that_was_changed_or_taken_away_comes_back(tmp_path):
    manifest = publish(tmp_path, 1, 2)
    first, second = (tmp_path / entry["path"] for entry in manifest.files)
    first.unlink()
    second.unlink()
    second.write_text("mine now")
    roll_forward(RunPaths(tmp_path))
    assert shown(tmp_path) == as_told(manifest, tmp_path)


def test_an_object_that_was_taken_away_comes_back_from_its_public_name(tmp_path):
    manifest = publish(tmp_path, 1)
    (tmp_path / manifest.files[0]["object"]).unlink()
    roll_forward(RunPaths(tmp_path))
    assert file_sha256(tmp_path / manifest.files[0]["object"]) == manifest.files[0]["sha256"]


def test_a_file_that_is_gone_for_good_is_named(tmp_path):
    manifest = publish(tmp_path, 1)
    (tmp_path / manifest.files[0]["object"]).unlink()
    (tmp_path / manifest.files[0]["path"]).unlink()
    with pytest.raises(CorruptRun, match=manifest.files[0]["sha256"]):
        roll_forward(RunPaths(tmp_path))


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"format": 1}', '{"format": "x", "number": 1}', "\x80"])
def test_a_file_that_is_no_manifest_is_named(tmp_path, text):
    path = RunPaths(tmp_path).manifests / "00000001.json"
    path.parent.mkdir(parents=True)
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(CorruptRun, match=r"00000001\.json: not a manifest"):
        newest(RunPaths(tmp_path))


def test_a_manifest_of_a_newer_version_is_refused_in_clear_words(tmp_path):
    publish(tmp_path, 1)
    path = RunPaths(tmp_path).manifests / "00000001.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "format": 2}))
    with pytest.raises(CorruptRun, match=r"newer Tracemill \(manifest format 2, this one knows 1\); upgrade"):
        roll_forward(RunPaths(tmp_path))
