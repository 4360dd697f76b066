"""The lock of a run: one writer, named to the second, and free the moment the last of its processes is gone."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from tracemill.errors import DiskError, Locked
from tracemill.storage.lock import RunLock

HOLDER = """
import subprocess, sys, time
from pathlib import Path
from tracemill.storage.lock import RunLock
with RunLock(Path(sys.argv[1])) as lock:
    if len(sys.argv) > 2:  # a worker that inherits the lock
        worker = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], pass_fds=[lock.fd])
        print(worker.pid, flush=True)
    else:
        print("held", flush=True)
    time.sleep(60)
"""


def holder(path: Path, *words: str) -> tuple[subprocess.Popen, str]:
    process = subprocess.Popen([sys.executable, "-c", HOLDER, str(path), *words], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    return process, process.stdout.readline().strip()


def end(process: subprocess.Popen) -> None:
    process.kill()
    process.wait()
    assert process.stdout is not None
    process.stdout.close()


def test_a_second_process_is_refused_within_a_second_and_told_who_holds_the_run(tmp_path):
    process, _ = holder(tmp_path / "run" / ".tracemill" / "lock")
    waited = []
    for _ in range(3):  # on a busy machine one of them may be late
        began = time.monotonic()
        with pytest.raises(Locked) as caught, RunLock(tmp_path / "run" / ".tracemill" / "lock"):
            pass
        waited.append(time.monotonic() - began)
        if waited[-1] < 1:
            break
    end(process)
    assert min(waited) < 1
    assert f"process {process.pid} on {socket.gethostname()}" in str(caught.value)
    assert str(tmp_path / "run") in str(caught.value)
    assert caught.value.exit_code == 7


def test_the_lock_of_a_killed_process_is_free_at_once(tmp_path):
    process, _ = holder(tmp_path / "lock")
    end(process)
    with RunLock(tmp_path / "lock", patience=0):
        pass


def test_the_lock_outlives_a_killed_parent_until_its_worker_is_gone(tmp_path):
    process, worker = holder(tmp_path / "lock", "with a worker")
    end(process)
    with pytest.raises(Locked), RunLock(tmp_path / "lock", patience=0):
        pass
    os.kill(int(worker), signal.SIGKILL)
    with RunLock(tmp_path / "lock", patience=5):
        pass


def test_a_process_waits_for_a_predecessor_that_is_about_to_end(tmp_path):
    process, _ = holder(tmp_path / "lock")
    killer = subprocess.Popen(["sh", "-c", f"sleep 0.2; kill -9 {process.pid}"])
    with RunLock(tmp_path / "lock", patience=10):
        pass
    killer.wait()
    end(process)


def test_a_lock_that_was_left_can_be_taken_again(tmp_path):
    for _ in range(2):
        with RunLock(tmp_path / "lock", patience=0):
            pass


def test_looking_whether_a_run_is_held_leaves_the_name_in_the_file(tmp_path):
    (tmp_path / "lock").write_text("whoever was here")
    with RunLock(tmp_path / "lock", claim=False):
        pass
    assert (tmp_path / "lock").read_text() == "whoever was here"


@pytest.mark.parametrize("content", ["", "not JSON", "[]", '{"pid": 1}'])
def test_a_holder_whose_name_cannot_be_read_is_another_process(tmp_path, content):
    with RunLock(tmp_path / "lock"):
        (tmp_path / "lock").write_text(content)
        with pytest.raises(Locked, match="another process"), RunLock(tmp_path / "lock", patience=0):
            pass


def test_a_place_that_cannot_be_written_is_a_disk_error(tmp_path):
    (tmp_path / "lock").mkdir()
    with pytest.raises(DiskError, match="lock"), RunLock(tmp_path / "lock"):
        pass


def test_who_waits_for_a_lock_whose_file_is_taken_away_holds_the_one_that_is_there_then(tmp_path):
    path, same = tmp_path / "run" / "lock", []

    def wait():
        with RunLock(path) as lock:
            same.append(os.path.samestat(os.fstat(lock.fd), path.stat()))

    second = threading.Thread(target=wait)
    with RunLock(path):
        second.start()
        time.sleep(0.1)
        path.unlink()
    second.join()
    assert same == [True]
