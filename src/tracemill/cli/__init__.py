"""The command line: parse, call one public function, print, exit.

Each command is one small file; what it does, `import tracemill` can do in the same words.
"""

from __future__ import annotations

import json
import os
import shlex
import sys
import tempfile
import traceback
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

from tracemill.errors import Interrupted, TracemillError


def main() -> None:
    """The `tracemill` command."""
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
    except SystemExit:
        raise
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        _leave(141)
    except KeyboardInterrupt:
        _fail("stopped by SIGINT", 130)
    except BaseException as exc:
        usage = _usage_error(exc)
        if usage is not None:
            _fail(usage, 2, shown=True)
        _fail(f"{type(exc).__name__}: {exc}", 70, f"this is a defect of ours; please report it with {_keep_trace()}")


def _usage_error(exc: BaseException) -> str | None:
    """What the command line's own errors say; None for anything else. They print themselves."""
    import typer
    from typer.exceptions import TyperException

    if isinstance(exc, typer.Exit):
        _leave(exc.exit_code)
    if isinstance(exc, typer.Abort):
        _fail("stopped by SIGINT", 130)
    if isinstance(exc, TyperException):
        getattr(exc, "show", lambda: sys.stderr.write(f"{exc}\n"))()
        return exc.format_message()
    return None


def _fail(text: str, code: int, more: str = "", *, shown: bool = False) -> NoReturn:
    """Say on stderr what went wrong, with --json on stdout too, and leave. A terminal that is gone is no obstacle."""
    with suppress(OSError):
        if not shown:
            sys.stderr.write(f"{text}\n" + (f"{more}\n" if more else ""))
            sys.stderr.flush()
    if "--json" in sys.argv[1:]:
        with suppress(OSError):
            sys.stdout.write(json.dumps({"error": text, "exit_code": code}, indent=1) + "\n")
            sys.stdout.flush()
    _leave(code)


def _keep_trace() -> str:
    """Write the traceback to a file of its own and name it."""
    handle, name = tempfile.mkstemp(prefix="tracemill-", suffix=".traceback.txt")
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        traceback.print_exc(file=file)
    return name


def program() -> list[str]:
    """How this process was called, for lines that the user may copy."""
    return ["python", "-m", "tracemill"] if Path(sys.argv[0]).name == "__main__.py" else [sys.argv[0]]


def _leave(code: int) -> NoReturn:
    with suppress(OSError):
        sys.stderr.flush()
    raise SystemExit(code)
