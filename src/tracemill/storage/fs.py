"""The one seam between a run and the disk.

Every file of a run is written through an `Fs`, so that a test can record, refuse or cut short each operation. SQLite
does its own I/O; the journal is the only other place that touches the disk.

Crash points are names in the code at which a test kills the process (`TRACEMILL_CRASH=name:n` kills at the n-th pass).
Likewise `TRACEMILL_FAULT=n:ENOSPC` has the n-th operation of each process on the disk refused with that error.
"""

from __future__ import annotations

import errno
import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from tracemill.errors import DiskError

CRASH_POINTS = (
    "spool.written",
    "spool.committed",
    "journal.before_commit",
    "journal.after_commit",
    "unit.written",
    "unit.renamed",
    "unit.committed",
    "publish.written",
    "publish.objects",
    "manifest.written",
    "manifest.linked",
    "publish.shown",
    "manifest.copied",
)
"""Every place where a run can be cut, in the order in which a run passes them."""
REMOVAL_POINTS = ("remove.recorded", "publish.written", "publish.objects", "manifest.written", "manifest.linked",
                  "publish.shown", "manifest.copied")  # fmt: skip
"""The same of taking rows down."""

_FULL = {errno.ENOSPC, errno.EDQUOT}
_passes: dict[str, int] = {}


def crash_point(name: str) -> None:
    """Kill this run, all of its processes, if a test asked for it; otherwise nothing."""
    asked = os.environ.get("TRACEMILL_CRASH")
    if not asked:
        return
    wanted, _, count = asked.partition(":")
    if wanted != name:
        return
    _passes[name] = _passes.get(name, 0) + 1
    if _passes[name] == int(count or 1):
        os.killpg(os.getpgrp(), signal.SIGKILL)


def _refuse_if_asked(path: Path) -> None:
    asked = os.environ.get("TRACEMILL_FAULT")
    if not asked:
        return
    _passes["fault"] = _passes.get("fault", 0) + 1
    place, _, name = asked.partition(":")
    if _passes["fault"] == int(place):
        number = getattr(errno, name)
        raise OSError(number, os.strerror(number), str(path))


@contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Turn the operating system's refusals into our errors, naming the path and what to do."""
    try:
        _refuse_if_asked(path)
        yield
    except OSError as exc:
        if isinstance(exc, DiskError | FileNotFoundError | FileExistsError):
            raise
        if exc.errno in _FULL:
            raise DiskError(
                f"the disk is full at {path}. Nothing that was acknowledged is lost: "
                "free some space and run the same command again"
            ) from exc
        raise DiskError(f"{path}: the disk refuses: {exc.strerror or exc}") from exc


class Fs:
    """Real files. Subclasses in tests record or refuse."""

    def read(self, path: Path) -> bytes:
        """The whole file. Raises FileNotFoundError."""
        with disk_errors(path):
            return path.read_bytes()

    def open(self, path: Path) -> BinaryIO:
        """The file for reading."""
        with disk_errors(path):
            return path.open("rb")

    def create(self, path: Path) -> BinaryIO:
        """A new file for writing; what was there is cut to nothing."""
        with disk_errors(path):
            return path.open("wb")

    def append(self, path: Path, data: bytes) -> None:
        """Add to the end, without waiting for the disk."""
        with disk_errors(path), path.open("ab") as file:
            file.write(data)

    def sync(self, file: BinaryIO, path: Path) -> None:
        """Wait until what was written has reached the disk."""
        with disk_errors(path):
            file.flush()
            os.fsync(file.fileno())

    def sync_dir(self, path: Path) -> None:
        """Wait until the names in a directory have reached the disk."""
        with disk_errors(path):
            fd = os.open(path, os.O_RDONLY)
            try:
                os.fsync(fd)
            finally:
                os.close(fd)

    def rename(self, old: Path, new: Path) -> None:
        """Give a file another name, replacing what had it."""
        with disk_errors(new):
            old.replace(new)

    def link(self, old: Path, new: Path) -> None:
        """Give a file a second name. Raises FileExistsError if the name is taken: put-if-absent."""
        with disk_errors(new):
            os.link(old, new)

    def unlink(self, path: Path) -> None:
        """Take a name away; fine if it is not there."""
        with disk_errors(path):
            path.unlink(missing_ok=True)

    def remove_tree(self, path: Path) -> None:
        """Take a directory away with all that is in it; fine if it is not there."""
        with disk_errors(path), suppress(FileNotFoundError):
            shutil.rmtree(path)

    def mkdir(self, path: Path) -> None:
        """Make a directory and those above it; fine if it is there."""
        with disk_errors(path):
            path.mkdir(parents=True, exist_ok=True)

    def names(self, path: Path) -> list[str]:
        """Sorted names in a directory; none if it is not there."""
        try:
            with disk_errors(path):
                return sorted(os.listdir(path))
        except FileNotFoundError:
            return []

    def free_bytes(self, path: Path) -> tuple[int, int]:
        """(free for us, size of the file system) in bytes."""
        with disk_errors(path):
            stat = os.statvfs(path)
        return stat.f_bavail * stat.f_frsize, stat.f_blocks * stat.f_frsize

    def replace(self, path: Path, data: bytes, durable: bool = True) -> None:
        """Put `data` at `path` at once: readers see the old file or the new one."""
        aside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
        try:
            with disk_errors(path), self.create(aside) as file:
                file.write(data)
                if durable:
                    self.sync(file, aside)
            self.rename(aside, path)
        except DiskError:
            aside.unlink(missing_ok=True)  # on a full disk, half a file would only take up more of it
            raise
        if durable:
            self.sync_dir(path.parent)

    def put_if_absent(self, path: Path, data: bytes) -> None:
        """Put `data` at `path` unless something is there. Raises FileExistsError."""
        with disk_errors(path):
            handle, name = tempfile.mkstemp(prefix=".put-", dir=path.parent)
        aside = Path(name)
        try:
            with disk_errors(path), os.fdopen(handle, "wb") as file:
                file.write(data)
                self.sync(file, aside)
            crash_point("manifest.written")
            self.link(aside, path)
        finally:
            self.unlink(aside)
        self.sync_dir(path.parent)


REAL = Fs()
