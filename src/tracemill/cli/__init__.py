"""The command line: parse, call one public function, print, exit.

Each command is one small file; what it does, `import tracemill` can do in the same words.
"""

from __future__ import annotations

import os
import shlex
import sys
import tempfile
import traceback
from pathlib import Path

from tracemill.errors import Interrupted, TracemillError


def main() -> None:
    """The `tracemill` command."""
    from tracemill.cli.app import app

    try:
        left = app(standalone_mode=False)
        if isinstance(left, int) and left:
            _leave(left)
    except TracemillError as exc:
        sys.stderr.write(f"{exc}\n")
        if isinstance(exc, Interrupted):
            sys.stderr.write(f"go on with: {shlex.join([*program(), *sys.argv[1:]])}\n")
        code = exc.exit_code
        if code == 70:
            sys.stderr.write(f"this is a defect of ours; please report it with {_keep_trace()}\n")
        _leave(code)
    except SystemExit:
        raise
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        _leave(141)
    except KeyboardInterrupt:
        _leave(130)
    except BaseException as exc:
        usage = _usage_error(exc)
        if usage is not None:
            _leave(usage)
        sys.stderr.write(
            f"{type(exc).__name__}: {exc}\nthis is a defect of ours; please report it with {_keep_trace()}\n"
        )
        _leave(70)


def _usage_error(exc: BaseException) -> int | None:
    """What the command line's own errors mean; None for anything else. They print themselves."""
    import typer
    from typer.exceptions import TyperException

    if isinstance(exc, typer.Exit):
        return exc.exit_code
    if isinstance(exc, typer.Abort):
        return 130
    if isinstance(exc, TyperException):
        getattr(exc, "show", lambda: sys.stderr.write(f"{exc}\n"))()
        return 2
    return None


def _keep_trace() -> str:
    """Write the traceback to a file of its own and name it."""
    handle, name = tempfile.mkstemp(prefix="tracemill-", suffix=".traceback.txt")
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        traceback.print_exc(file=file)
    return name


def program() -> list[str]:
    """How this process was called, for lines that the user may copy."""
    return ["python", "-m", "tracemill"] if Path(sys.argv[0]).name == "__main__.py" else [sys.argv[0]]


def _leave(code: int) -> None:
    sys.stderr.flush()
    raise SystemExit(code)
