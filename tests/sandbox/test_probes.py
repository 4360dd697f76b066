"""The sandbox withstands every attempt to break out of it; a weaker one is found out, and not used."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from tracemill.sandbox import Finding, Job, SandboxBroken, find_sandbox
from tracemill.sandbox.standing import examined

SRC = Path(__file__).resolve().parents[2] / "src"
NOBODY = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups") if os.geteuid() == 0 else ()
TRIED = (*NOBODY, "bwrap", "--unshare-all", "--ro-bind", "/", "/", "true")
USER_NAMESPACES = (
    shutil.which("bwrap") is not None
    and shutil.which("setpriv") is not None
    and subprocess.run(TRIED, capture_output=True).returncode == 0
)
needs_namespaces = pytest.mark.skipif(
    not USER_NAMESPACES, reason="bwrap is not installed, or cannot make user namespaces here"
)


@needs_namespaces
def test_the_sandbox_withstands_every_probe():
    found = find_sandbox()
    assert [f for f in found.findings if not f.held] == []
    assert found.sandbox is not None
    assert found.missing == ""
    assert found.held == len({f.name for f in found.findings}) >= 60


@needs_namespaces
def test_without_the_filter_the_probes_find_holes_and_nothing_is_run(monkeypatch):
    from tracemill.sandbox import probes
    from tracemill.sandbox.linux import Bubblewrap
    from tracemill.sandbox.probes import _looked

    monkeypatch.setattr(probes, "LOOK", replace(probes.LOOK, wall=6))  # what is traced hangs at its end

    class Unfiltered(Bubblewrap):
        def probe(self):
            return _looked(self)

    found = examined(Unfiltered(filtered=False))
    broken = {f.name for f in found.findings if not f.held}
    assert {"ptrace_of_first", "kernel_keys", "kernel_programs", "hidden_memory", "socket_kinds"} <= broken
    assert {"network_tcp", "files_secret", "write_system", "capabilities"} & broken == {"capabilities"}
    assert found.sandbox is None
    assert "did not withstand" in found.missing


@needs_namespaces
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can run it as root")
def test_a_program_that_is_roots_is_found_out():
    from tracemill.sandbox.linux import Bubblewrap
    from tracemill.sandbox.probes import ATTACKS, _attacked, _looked

    rooted = Bubblewrap(dropped=False)
    broken = {f.name for f in _looked(rooted) if not f.held}
    assert "becoming_root" in broken
    assert not _attacked(rooted, "fork_bomb", ATTACKS["fork_bomb"]).held


@needs_namespaces
@pytest.mark.skipif(os.geteuid() != 0, reason="this process is no root, so the other tests show it")
@pytest.mark.skipif(not Path("/usr/bin/python3").exists(), reason="there is no Python that another user can run")
def test_it_works_for_a_user_who_is_not_root(tmp_path):
    told = "import sys; print(sys.version_info >= (3, 11))"
    if "True" not in subprocess.run(["/usr/bin/python3", "-c", told], capture_output=True, text=True).stdout:
        pytest.skip("the system's Python is older than 3.11")
    for source in (SRC / "tracemill").rglob("*"):
        if source.is_file() and source.relative_to(SRC / "tracemill").parts[0] in ("__init__.py", "sandbox"):
            there = tmp_path / source.relative_to(SRC)
            there.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, there)
    for place in (tmp_path, *tmp_path.parents):
        if place.stat().st_uid == os.geteuid() and place != Path("/"):
            place.chmod(place.stat().st_mode | 0o055)
    program = "from tracemill.sandbox import find_sandbox as f; s = f(); print(len(s.findings), s.held, s.missing)"
    user = ("setpriv", "--reuid=61234", "--regid=61234", "--clear-groups")
    environment = {"PYTHONPATH": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1", "PATH": "/usr/bin:/bin"}
    ran = subprocess.run([*user, "/usr/bin/python3", "-c", program], capture_output=True, text=True, env=environment)
    assert ran.returncode == 0, ran.stderr
    total, held = map(int, ran.stdout.split()[:2])
    assert held == total >= 60, ran.stdout


class Broken:
    name = "broken"

    def run(self, job: Job):
        raise SandboxBroken("no permission")

    def probe(self):
        return (Finding("plain", self.run(Job(("true",))).ok),)


def test_a_sandbox_that_cannot_be_set_up_is_none():
    found = examined(Broken())
    assert found.sandbox is None
    assert "no permission" in found.missing


def test_a_sandbox_without_findings_is_none():
    class Silent(Broken):
        def probe(self):
            return ()

    assert examined(Silent()).sandbox is None


def test_what_is_missing_is_told_with_what_to_do(monkeypatch):
    from tracemill.sandbox import linux

    assert sys.platform != "linux" or linux.Bubblewrap.missing() is None or "install" in linux.Bubblewrap.missing()
    monkeypatch.setattr(linux, "_PATH", "/nonexistent")
    if sys.platform == "linux":
        assert linux.Bubblewrap.missing() == "bwrap is not installed; install it: apt-get install bubblewrap"
