"""Claims: of several processes that want the same reply, one asks.

A claim is a lock on one byte of a file that holds nothing, at a place that follows from the key. It ends with the process
that has it, however that ends, so there is nothing to sweep up.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from tracemill.errors import DiskError
from tracemill.storage.fs import disk_errors


class Claims:
    """Claims of one process, which may hold any number. A key that it has already is its own."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: int | None = None

    def take(self, key: str) -> bool:
        """Claim a key, a hex hash, unless another process has it; never waits.

        Raises:
            DiskError: The file cannot be made or locked.
        """
        try:
            if self._file is None:
                with disk_errors(self.path):
                    self._file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, _place(key))
        except BlockingIOError:
            return False
        except DiskError:
            raise
        except OSError as exc:
            raise DiskError(f"{self.path}: cannot be locked: {exc.strerror or exc}") from exc
        return True

    def give(self, key: str) -> None:
        """Let go of a key."""
        if self._file is not None:
            fcntl.lockf(self._file, fcntl.LOCK_UN, 1, _place(key))

    def close(self) -> None:
        """Let go of all keys."""
        if self._file is not None:
            os.close(self._file)
            self._file = None


def _place(key: str) -> int:
    return int(key[:15], 16)
