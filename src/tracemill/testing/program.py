"""The scripted server as a program: `python -m tracemill.testing.server`."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from tracemill.testing.answers import REASONING_FIELDS, Answers, arithmetic, from_table, read_table
from tracemill.testing.faults import KINDS, Faults
from tracemill.testing.server import ScriptedServer

_DESCRIPTION = """Answer OpenAI chat requests on 127.0.0.1 from a script.

The first line on stdout is the URL. The server stops on SIGTERM or SIGINT, and on Linux when the thread that started it
ends: a harness that is killed leaves no server behind."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until told to stop; returns the exit code."""
    stops = {signal.SIGTERM, signal.SIGINT}
    # Blocked before any thread starts, so that no thread but this one, in sigwait, ever sees them.
    signal.pthread_sigmask(signal.SIG_BLOCK, stops)
    _end_with_parent()
    parser = _parser()
    options = parser.parse_args(arguments)
    try:
        server = ScriptedServer(
            _answers(options),
            latency=options.latency_ms / 1000,
            faults=Faults(
                rates=dict(options.fault),
                seed=options.seed,
                sticky=frozenset(options.sticky),
                retry_after=options.retry_after,
                hang_seconds=options.hang_seconds,
                slow_factor=options.slow_factor,
                max_in_flight=options.max_in_flight,
            ),
            log=options.log,
            port=options.port,
            models=options.model or ("scripted",),
            truncates=not options.no_truncate,
            keep=False,
        )
    except (ValueError, OSError) as error:
        parser.error(str(error))
    with server:
        sys.stdout.write(f"{server.url}\n")
        sys.stdout.flush()
        signal.sigwait(stops)
    return 0


def _parser() -> argparse.ArgumentParser:
    kinds = "\n".join(f"  {kind:14} {meaning}" for kind, meaning in KINDS.items())
    parser = argparse.ArgumentParser(
        prog="python -m tracemill.testing.server",
        description=_DESCRIPTION,
        epilog=f"kinds of faults:\n{kinds}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--port", type=int, default=0, help="0 for a free one")
    add("--answers", default="arithmetic", metavar="FILE.jsonl|arithmetic", help="lines {prompt, answers: [{content}]}")
    add("--content-bytes", type=int, default=80, help="of arithmetic")
    add("--reasoning-bytes", type=int, default=240, help="of arithmetic")
    add("--reasoning-field", choices=REASONING_FIELDS, default="reasoning_content", help="of arithmetic")
    add("--model", action="append", help="a name for GET /v1/models; may be given again")
    add("--no-truncate", action="store_true", help="do not cut answers at max_tokens words")
    add("--latency-ms", type=float, default=0.0)
    add("--log", type=Path, metavar="LOG.jsonl", help="append one line per event to this file")
    add("--fault", type=_rate, action="append", default=[], metavar="KIND=RATE", help="may be given again")
    add("--sticky", action="append", default=[], metavar="KIND", help="draw this kind by request, not by attempt")
    add("--seed", type=int, default=0, help="of the faults")
    add("--retry-after", type=int, default=1, metavar="SECONDS", help="of throttle and throttle_date")
    add("--hang-seconds", type=float, default=30.0)
    add("--slow-factor", type=float, default=10.0)
    add("--max-in-flight", type=int, metavar="N", help="refuse more requests at a time than this with 429")
    return parser


def _rate(text: str) -> tuple[str, float]:
    kind, _, rate = text.partition("=")
    return kind, float(rate)


def _answers(options: argparse.Namespace) -> Answers:
    if options.answers != "arithmetic":
        return from_table(read_table(options.answers))
    return arithmetic(
        content_bytes=options.content_bytes,
        reasoning_bytes=options.reasoning_bytes,
        reasoning_field=options.reasoning_field,
    )


def _end_with_parent() -> None:
    """Ask the kernel for a SIGTERM when the thread that started us ends, however it ends."""
    if sys.platform == "linux":
        import ctypes

        set_death_signal = 1  # PR_SET_PDEATHSIG, from linux/prctl.h
        ctypes.CDLL(None, use_errno=True).prctl(set_death_signal, signal.SIGTERM)
