"""What a run needs of the machine, looked at before anything is paid for."""

from __future__ import annotations

import resource
from contextlib import suppress
from importlib.util import find_spec

from tracemill.errors import DiskError, MissingExtra, not_installed

NEEDED = ("math_verify", "sympy", "latex2sympy2_extended")
"""What the checks import only when they meet an answer that needs it: too late to find it missing."""
FEWEST_FILES = 40
"""Open files without which no run gets to its end: journal, locks, pipes, event loops, libraries."""
WANTED_FILES = 8192


def check_machine() -> None:
    """Raise the limit on open files as far as it goes, and see that what is needed is there.

    Raises:
        MissingExtra: a package is not installed.
        DiskError: this process may hardly open any file.
    """
    for name in NEEDED:
        if not _there(name):
            raise MissingExtra(not_installed(name))
    now, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if now < WANTED_FILES:
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (min(WANTED_FILES, most), most))
        now = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if now < FEWEST_FILES:
        raise DiskError(
            f"this process may open {now} files at once, and a run needs {FEWEST_FILES}; "
            "raise the limit (`ulimit -n 4096`) and run the same command again"
        )


def _there(name: str) -> bool:
    try:
        return find_spec(name) is not None
    except ModuleNotFoundError:
        return False
