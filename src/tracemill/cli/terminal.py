"""All that the commands print goes through here: escaped, in whatever encoding there is, whoever has hung up.

A reader who has gone (`| head`, a closed terminal) changes neither what a command does nor its exit code. A full disk
behind stdout does: half a JSON document is no answer.
"""

from __future__ import annotations

import errno
import json
import os
import sys
from contextlib import suppress
from typing import Any, TextIO

from tracemill.errors import DiskError
from tracemill.legible import printable

FULL = (errno.ENOSPC, errno.EDQUOT)


def prepare() -> None:
    """Make sure that there are three standard streams, and that no character stops them.

    A stream that was closed before we came would give its number to the next file that is opened, and what is printed
    would land in that file.
    """
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number: this one
    sys.stdin = sys.stdin or open(0, closefd=False)  # noqa: SIM115  open as long as the process
    sys.stdout = sys.stdout or open(1, "w", closefd=False)  # noqa: SIM115
    sys.stderr = sys.stderr or open(2, "w", closefd=False)  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def clean(text: str) -> str:
    """`text` escaped, and without a secret that this process knows: the last of several nets."""
    secrets = sys.modules.get("tracemill.recipe.secrets")  # not loaded: none was read
    known = secrets.resolved_secrets() if secrets else ()
    if known:
        from tracemill.models.masking import Mask

        text = Mask(known).text(text)
    return printable(text)


def say(text: str) -> None:
    """Print on stdout."""
    _write(sys.stdout, f"{clean(text)}\n")


def say_json(value: Any) -> None:
    """Print one JSON document on stdout, in ASCII: no locale and no terminal can spoil it."""
    _write(sys.stdout, clean(json.dumps(value, indent=1)) + "\n")


def tell(text: str) -> None:
    """Print on stderr."""
    with suppress(DiskError):
        _write(sys.stderr, f"{clean(text)}\n")


def _write(stream: TextIO, text: str) -> None:
    try:
        stream.write(text)
        stream.flush()
    except OSError as exc:
        hang_up(stream)
        if exc.errno in FULL:
            raise DiskError(f"what is printed cannot be written: {exc.strerror}; the command's work is done") from exc


def hang_up(stream: TextIO) -> None:
    """Let what is still printed go nowhere, at the end of the process too."""
    with suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
