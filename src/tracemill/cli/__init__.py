"""The command line: parse, call one public function, print, exit.

Each command is one small file; what it does, `import tracemill` can do in the same words.
"""

from __future__ import annotations

import errno
import io
import os
import shlex
import sys
import tempfile
import traceback
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

from tracemill.cli.terminal import clean, hang_up, prepare, say_json, tell
from tracemill.errors import DiskError, Interrupted, MissingExtra, TracemillError, not_installed

OPEN_FILES = (errno.EMFILE, errno.ENFILE)


def main() -> None:
    """The `tracemill` command."""
    prepare()
    try:
        from tracemill.cli.app import app

        left = app(standalone_mode=False)
        if isinstance(left, int) and left:
            _leave(left)
    except TracemillError as exc:
        more = ""
        if isinstance(exc, Interrupted):
            more = f"go on with: {shlex.join([*program(), *sys.argv[1:]])}"
        elif exc.exit_code == 70:
            more = f"this is a defect of ours; please report it with {_keep_trace()}"
        _fail(str(exc), exc.exit_code, more)
    except SystemExit as exc:
        if isinstance(exc.__context__, BrokenPipeError):  # the help was not read to its end
            hang_up(sys.stdout)
            _leave(0)
        raise
    except BrokenPipeError:
        hang_up(sys.stdout)
    except KeyboardInterrupt:
        _fail("stopped by SIGINT", 130)
    except BaseException as exc:
        usage = _usage_error(exc)
        if usage is not None:
            _fail(usage, 2, shown=True)
        if isinstance(exc, ModuleNotFoundError) and (exc.name or "").partition(".")[0] != "tracemill":
            _fail(not_installed(exc.name or str(exc)), MissingExtra.exit_code)
        told = _of_the_system(exc)
        if told is not None:
            _fail(told, DiskError.exit_code)
        _fail(f"{type(exc).__name__}: {exc}", 70, f"this is a defect of ours; please report it with {_keep_trace()}")
    _leave(0)


def _usage_error(exc: BaseException) -> str | None:
    """What the command line's own errors say; None for anything else. They print themselves."""
    import typer
    from typer.exceptions import TyperException

    if isinstance(exc, typer.Exit):
        _leave(exc.exit_code)
    if isinstance(exc, typer.Abort):
        _fail("stopped by SIGINT", 130)
    if isinstance(exc, TyperException):
        shown = io.StringIO()
        exc.show(file=shown) if hasattr(exc, "show") else shown.write(str(exc))
        tell(shown.getvalue().rstrip())
        return exc.format_message()
    return None


def _of_the_system(exc: BaseException) -> str | None:
    """What the machine lacks, where that and no fault of ours is why an operation failed."""
    if isinstance(exc, OSError) and exc.errno in OPEN_FILES:
        return "this process may not open more files; raise the limit (`ulimit -n 4096`) and run the same command again"
    if isinstance(exc, OSError) and exc.errno in (errno.ENOSPC, errno.EDQUOT, errno.EROFS):
        return f"{exc.strerror}: {exc.filename or 'a file'}. Free some space and run the same command again"
    if isinstance(exc, FileNotFoundError) and "temporary directory" in str(exc):
        return f"{exc.strerror}. Set TMPDIR to a directory that can be written into"
    return None


def _fail(text: str, code: int, more: str = "", *, shown: bool = False) -> NoReturn:
    """Say on stderr what went wrong, with --json on stdout too, and leave. A terminal that is gone is no obstacle."""
    if not shown:
        tell(text + (f"\n{more}" if more else ""))
    if "--json" in sys.argv[1:]:
        with suppress(DiskError):
            say_json({"error": text, "exit_code": code})
    _leave(code)


def _keep_trace() -> str:
    """Write the traceback to a file of its own and name it; to the terminal, where no file can be made."""
    try:
        handle, name = tempfile.mkstemp(prefix="tracemill-", suffix=".traceback.txt")
        with os.fdopen(handle, "w", encoding="utf-8", errors="backslashreplace") as file:
            file.write(clean(traceback.format_exc()))
    except OSError:
        return f"this:\n{traceback.format_exc()}"
    return name


def program() -> list[str]:
    """How this process was called, for lines that the user may copy."""
    return ["python", "-m", "tracemill"] if Path(sys.argv[0]).name == "__main__.py" else [sys.argv[0]]


def _leave(code: int) -> NoReturn:
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            hang_up(stream)
    raise SystemExit(code)
