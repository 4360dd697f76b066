"""One process writes a run directory. The second is told who the first is."""

from __future__ import annotations

import fcntl
import json
import os
import socket
import time
from pathlib import Path
from types import TracebackType

from tracemill.errors import DiskError, Locked
from tracemill.storage.fs import disk_errors

PATIENCE = 0.5
"""Seconds to wait for a dying predecessor: contract P8 gives a second process one second, start included, to leave."""


class RunLock:
    """Holds `path` locked while open. Worker processes inherit the descriptor, so that the lock outlives a parent
    that was killed until its last worker is gone too.
    """

    def __init__(self, path: Path, patience: float = PATIENCE, claim: bool = True) -> None:
        """Args:
        patience: Seconds to wait for the lock before Locked is raised.
        claim: Write our name into the file; False only looks whether anyone holds it.
        """
        self.path, self.patience, self.claim = path, patience, claim
        self.fd = -1

    def __enter__(self) -> RunLock:
        deadline = time.monotonic() + self.patience
        while True:
            if self.fd < 0 and not self._open():
                return self  # there is nothing to hold
            try:
                fcntl.flock(self.fd, (fcntl.LOCK_EX if self.claim else fcntl.LOCK_SH) | fcntl.LOCK_NB)
                if not self.claim or self._is_there():
                    break
                os.close(self.fd)  # its holder took it away; what others wait for now is another file
                self.fd = -1
            except BlockingIOError:
                if time.monotonic() > deadline:
                    holder = self._holder()
                    os.close(self.fd)
                    self.fd = -1
                    raise Locked(
                        f"{self.path.parent.parent} is being written by {holder}. Wait for it, or stop it first; "
                        "the same command then goes on where it was"
                    ) from None
                time.sleep(0.02)
        if not self.claim:
            return self
        owner = {"pid": os.getpid(), "host": socket.gethostname(), "since": time.strftime("%Y-%m-%dT%H:%M:%S%z")}
        try:
            with disk_errors(self.path):
                os.ftruncate(self.fd, 0)
                os.pwrite(self.fd, json.dumps(owner).encode(), 0)
        except DiskError:
            os.close(self.fd)  # who was not let in must not hold the door
            self.fd = -1
            raise
        os.set_inheritable(self.fd, True)
        return self

    def _open(self) -> bool:
        """Open the file; False if there is none and none is to be made."""
        try:
            with disk_errors(self.path):
                if self.claim:
                    self.path.parent.mkdir(parents=True, exist_ok=True)
                self.fd = os.open(self.path, os.O_RDWR | os.O_CREAT if self.claim else os.O_RDONLY, 0o600)
        except (FileNotFoundError, FileExistsError) as exc:
            if not self.claim and isinstance(exc, FileNotFoundError):
                return False
            raise DiskError(f"{self.path.parent}: this directory cannot be made: {exc.strerror or exc}") from exc
        return True

    def _is_there(self) -> bool:
        """Whether the file that is open is still the one at the path."""
        try:
            return os.path.samestat(os.fstat(self.fd), self.path.stat())
        except FileNotFoundError:
            return False

    def _holder(self) -> str:
        try:
            owner = json.loads(os.pread(self.fd, 1000, 0))
            return f"process {owner['pid']} on {owner['host']} since {owner['since']}"
        except (ValueError, KeyError, TypeError):
            return "another process"

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.fd >= 0:
            os.close(self.fd)
        self.fd = -1
