"""The sandbox of Linux: bubblewrap's namespaces, our seccomp filter, resource limits, and a user who is not root.

A program sees /usr (read-only), its own files in /box, an empty /tmp, and a /proc of its own processes. It has no network,
no capabilities, and cannot gain any. A clock and its memory are watched from outside. The kernel
is shared, so a defect of the kernel is a way out.
"""

from __future__ import annotations

import fcntl
import os
import re
import select
import selectors
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

from tracemill.sandbox import seccomp
from tracemill.sandbox.job import Finding, Job, Limited, Outcome, SandboxBroken

NOBODY = 65534
"""Whom root becomes: resource limits on processes do not hold for root."""
WATCH_EVERY = 0.025
"""Seconds between two looks at what all processes hold and use. Pages are touched at some GB/s, so little is missed."""
READ = 1 << 16
KEPT = 1 << 16
"""Bytes of stderr that are kept."""
_HIDDEN = ("/proc/cmdline", "/proc/keys", "/proc/timer_list", "/proc/sched_debug", "/proc/config.gz", "/proc/version")
"""What tells of the host, and is no business of a program."""
_NEEDED = {"bwrap": "bubblewrap", "prlimit": "util-linux", "setpriv": "util-linux"}
"""Programs, and the Debian packages that they are in."""
_PATH = "/usr/bin:/bin:/usr/sbin:/sbin:/usr/local/bin"
_SET_UP = b"bwrap: "


class Bubblewrap:
    """Runs jobs by `bwrap`.

    Args:
        filtered: Whether the seccomp filter is laid on. False is for tests of the probes, which must then find holes.
        dropped: Whether root becomes nobody. False is for the same tests.
    """

    name = "bubblewrap"

    def __init__(self, filtered: bool = True, dropped: bool = True) -> None:
        self._filter = seccomp.program() if filtered else None
        self._bwrap, self._prlimit, self._setpriv = (shutil.which(tool, path=_PATH) or tool for tool in _NEEDED)
        self._dropped = dropped and os.geteuid() == 0

    @staticmethod
    def missing() -> str | None:
        """What this machine lacks for it, with what to do; None: nothing that can be told without trying."""
        if not seccomp.machine_known():
            return f"no system call filter is written for processors of the kind {os.uname().machine}"
        for tool, package in _NEEDED.items():
            if shutil.which(tool, path=_PATH) is None:
                return f"{tool} is not installed; install it: apt-get install {package}"
        return None

    def run(self, job: Job) -> Outcome:
        """Run a job; see `Sandbox`."""
        links = [*job.links]
        with ExitStack() as stack:
            stack.callback(_close, links)
            files = {name: stack.enter_context(_sealed(data)) for name, data in job.files.items()}
            stdin = stack.enter_context(_sealed(job.stdin))
            rules = stack.enter_context(_sealed(self._filter)) if self._filter is not None else None
            told, tells = os.pipe()
            stack.callback(os.close, told)
            command = self._command(job, files, rules, tells)
            inherited = (*files.values(), *job.links, tells, *(() if rules is None else (rules,)))
            begun = time.monotonic()
            try:
                process = subprocess.Popen(
                    command,
                    stdin=stdin,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    pass_fds=inherited,
                    close_fds=True,
                    env={"PATH": "/usr/bin:/bin", "LC_ALL": "C"},
                )
            except OSError as exc:
                raise SandboxBroken(f"{command[0]}: {exc}") from exc
            finally:
                os.close(tells)
                _close(links)
            outcome = _Watched(process, job, begun, told).outcome()
        if outcome.exit not in (0, None) and outcome.stderr.startswith(_SET_UP) and not outcome.stdout:
            why = outcome.stderr.decode(errors="replace").splitlines()[0]
            if not why.startswith("bwrap: execvp"):
                raise SandboxBroken(why)
        return outcome

    def probe(self) -> tuple[Finding, ...]:
        """Try to break out, in every way that we know; takes a second or two."""
        from tracemill.sandbox.probes import probe

        return probe(self)

    def _command(self, job: Job, files: dict[str, int], rules: int | None, tells: int) -> list[str]:
        """The whole command line. The order of the mounts counts: later ones lie over earlier ones.

        Args:
            files: Descriptors of what lies in /box.
            rules: The descriptor of the filter.
            tells: Where bwrap tells the number of the namespace's first process.
        """
        limits = job.limits
        out = []
        if self._dropped:
            out += [self._setpriv, f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "--"]
        out += [self._bwrap, "--unshare-all", "--unshare-user", "--disable-userns", "--die-with-parent"]
        out += ["--new-session", "--cap-drop", "ALL", "--hostname", "box", "--info-fd", str(tells), "--clearenv"]
        for name, value in {"PATH": "/usr/bin:/bin", "HOME": "/tmp", **job.environment}.items():  # noqa: S108
            out += ["--setenv", name, value]
        out += ["--ro-bind", "/usr", "/usr"]
        for name in ("bin", "sbin", "lib", "lib32", "lib64"):
            if Path("/", name).is_symlink():
                out += ["--symlink", f"usr/{name}", f"/{name}"]
            elif Path("/", name).is_dir():
                out += ["--ro-bind", f"/{name}", f"/{name}"]
        for place in job.shows:
            out += ["--ro-bind", place, place]
        out += ["--proc", "/proc"]
        for place in _HIDDEN:
            if Path(place).exists():
                out += ["--ro-bind", "/dev/null", place]
        out += ["--dev", "/dev", "--size", "65536", "--tmpfs", "/dev/shm", "--remount-ro", "/dev/shm"]  # noqa: S108
        out += ["--remount-ro", "/dev", "--size", str(limits.scratch), "--tmpfs", "/tmp"]  # noqa: S108
        for name, descriptor in files.items():
            out += ["--perms", "0555", "--file", str(descriptor), f"/box/{name}"]
        out += ["--remount-ro", "/", "--chdir", "/tmp"]  # noqa: S108
        if rules is not None:
            out += ["--seccomp", str(rules)]
        out += ["--", self._prlimit, f"--data={limits.memory}", f"--nproc={limits.processes}", "--core=0"]
        out += [f"--nofile={limits.open_files}", f"--fsize={limits.file_size}", "--memlock=0", "--msgqueue=0"]
        out += [f"--cpu={limits.cpu}:{limits.cpu + 1}", "--", *job.argv]
        return out


class _Watched:
    """A running job: its output is read, its clock and its memory are kept."""

    def __init__(self, process: subprocess.Popen[bytes], job: Job, begun: float, told: int) -> None:
        self.process, self.limits, self.begun, self.told, self.until = process, job.limits, begun, told, job.until
        self.first: int | None = None
        """A descriptor of the namespace's first process: when that has ended, all of them have."""
        self.out, self.err = bytearray(), bytearray()
        self.seen = 0
        self.peak, self.cpu = 0, 0.0
        self.limit: Limited | None = None

    def outcome(self) -> Outcome:
        """Wait for it, or end it."""
        process = self.process
        assert process.stdout is not None
        assert process.stderr is not None
        try:
            with selectors.DefaultSelector() as waiting, process.stdout, process.stderr:
                for stream, keep in ((process.stdout, self._keep_out), (process.stderr, self._keep_err)):
                    os.set_blocking(stream.fileno(), False)
                    waiting.register(stream, selectors.EVENT_READ, keep)
                waiting.register(self.told, selectors.EVENT_READ, self._meet)
                if self.until is not None:
                    waiting.register(self.until, selectors.EVENT_READ, None)
                self._read(waiting)
            return self._ended()
        except BaseException:
            self._end()
            self.process.wait()
            raise
        finally:
            if self.first is not None:
                os.close(self.first)

    def _meet(self, piece: bytes) -> None:
        """Learn who the first process is; bwrap writes this before it lets the program begin."""
        number = _CHILD.search(piece)
        if number is not None and self.first is None:
            with suppress(ProcessLookupError):
                self.first = os.pidfd_open(int(number[1]))

    def _read(self, waiting: selectors.BaseSelector) -> None:
        """Read until both streams have ended: with the last process that could write to them."""
        deadline = self.begun + self.limits.wall
        look = self.begun + WATCH_EVERY
        while self._open(waiting):
            now = time.monotonic()
            if now >= deadline:
                if self.limit is not None:
                    return  # ended, and its streams are still open: nobody can be left who writes
                self._stop("wall")
                deadline = now + 2
            if now >= look:
                look = now + WATCH_EVERY
                self._weigh()
            for key, _ in waiting.select(max(0.0, min(deadline, look) - now)):
                keep: Callable[[bytes], None] | None = key.data
                if keep is None:
                    waiting.unregister(key.fileobj)
                    self._end()
                elif piece := os.read(key.fd, READ):
                    keep(piece)
                else:
                    waiting.unregister(key.fileobj)
        if self.process.poll() is not None:
            return
        ending = os.pidfd_open(self.process.pid)  # nobody but us takes its exit code, so the number is still its own
        try:
            while self.limit is None and not _ended_within(ending, WATCH_EVERY):  # it closed its streams
                if time.monotonic() >= deadline:
                    self._stop("wall")
                self._weigh()
        finally:
            os.close(ending)

    def _open(self, waiting: selectors.BaseSelector) -> bool:
        """Whether a stream is still open; `until` is none."""
        return any(key.data is not None for key in waiting.get_map().values())

    def _keep_out(self, piece: bytes) -> None:
        self.out += piece[: self.limits.output - len(self.out)]
        self._seen(piece)

    def _keep_err(self, piece: bytes) -> None:
        self.err += piece
        del self.err[: max(0, len(self.err) - KEPT)]
        self._seen(piece)

    def _seen(self, piece: bytes) -> None:
        self.seen += len(piece)
        if self.seen > self.limits.output and self.limit is None:
            self._stop("output")

    def _weigh(self) -> None:
        """Look at what all processes hold together. Pages that a fork shares count for each of them."""
        there = list(descendants(self.process.pid))
        held = [_held(pid) for pid in there]
        self.peak = max([self.peak, *held])
        self.cpu = max(self.cpu, sum(map(_used, there)))
        if sum(held) > self.limits.memory and self.limit is None:
            self._stop("memory")

    def _stop(self, limit: Limited) -> None:
        """End it, as it has reached a limit."""
        self.limit = limit
        self._end()

    def _end(self) -> None:
        """End the namespace's first process, and with it all the others; and bwrap, which may not have begun one."""
        with suppress(ProcessLookupError):
            if self.first is not None:
                signal.pidfd_send_signal(self.first, signal.SIGKILL)
        with suppress(ProcessLookupError):
            self.process.kill()

    def _ended(self) -> Outcome:
        code = self.process.wait()
        if self.first is not None and not _ended_within(self.first, 0):
            self._end()  # bwrap's own end does it too, a little later
            _ended_within(self.first, 5)
        number = -code if code < 0 else code - 128 if 128 < code < 128 + signal.NSIG else None
        limit = self.limit
        if limit is None and (
            number == signal.SIGXCPU or (number == signal.SIGKILL and self.cpu >= self.limits.cpu - WATCH_EVERY)
        ):
            limit = "cpu"
        elif limit is None and number == signal.SIGXFSZ:
            limit = "file_size"
        return Outcome(
            exit=code if number is None else None,
            signal=number,
            stdout=bytes(self.out),
            stderr=bytes(self.err),
            wall=time.monotonic() - self.begun,
            cpu=self.cpu,
            memory=self.peak,
            limit=limit,
        )


_CHILD = re.compile(rb'"child-pid": *(\d+)')


def _ended_within(process: int, seconds: float) -> bool:
    """Whether the process of a descriptor has ended, waiting so long for it. By `poll`: `select` cannot look at descriptors
    from 1,024 on, and a worker may hold more.
    """
    ending = select.poll()
    ending.register(process, select.POLLIN)
    return bool(ending.poll(1000 * seconds))


def _close(descriptors: list[int]) -> None:
    """Close them, and forget them."""
    while descriptors:
        os.close(descriptors.pop())


class _sealed:  # noqa: N801  a context manager, used like a function
    """A descriptor of bytes in memory that nobody can change."""

    def __init__(self, data: bytes) -> None:
        self.descriptor = os.memfd_create("box", os.MFD_ALLOW_SEALING)
        view = memoryview(data)
        while view:
            view = view[os.write(self.descriptor, view) :]
        os.lseek(self.descriptor, 0, os.SEEK_SET)
        fcntl.fcntl(self.descriptor, _ADD_SEALS, _ALL_SEALS)

    def __enter__(self) -> int:
        return self.descriptor

    def __exit__(self, *error: object) -> None:
        os.close(self.descriptor)


_ADD_SEALS, _ALL_SEALS = 1033, 0xF
"""F_ADD_SEALS; SEAL, SHRINK, GROW and WRITE."""


def descendants(pid: int) -> Iterator[int]:
    """Every process below one, as far as they can be seen now."""
    waiting = _children(pid)
    while waiting:
        child = waiting.pop()
        yield child
        waiting += _children(child)


def _children(pid: int) -> list[int]:
    out: list[int] = []
    with suppress(OSError):
        for thread in os.listdir(f"/proc/{pid}/task"):
            out += map(int, _told(f"/proc/{pid}/task/{thread}/children").split())
    return out


def _told(path: str) -> bytes:
    """What the kernel says of a process; read as cheaply as can be, since it is read forty times a second."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        return os.read(descriptor, READ)
    finally:
        os.close(descriptor)


def _used(pid: int) -> float:
    """Seconds of processor time of a process, and of its children that have ended."""
    try:
        told = _told(f"/proc/{pid}/stat").rpartition(b")")[2].split()
    except OSError:
        return 0.0
    return sum(map(int, told[11:15])) / _TICKS


_TICKS = os.sysconf("SC_CLK_TCK")


def _held(pid: int) -> int:
    """Bytes of memory that a process holds and that no file backs."""
    try:
        told = _told(f"/proc/{pid}/status")
    except OSError:
        return 0
    return 1024 * sum(map(int, _OURS.findall(told)))


_OURS = re.compile(rb"^Rss(?:Anon|Shmem):\s*(\d+)", re.MULTILINE)
