r"""Fakes that users may import too: an endpoint that answers from a script and misbehaves on schedule.

    with ScriptedServer(from_table({"What is 2 + 2?": [Answer("\\boxed{4}", "Two and two.")]})) as server:
        ...  # ask server.url

Each name is loaded when it is first used, so that no part of this package pays for another one's imports.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tracemill.testing.answers import Answer, arithmetic, from_table
    from tracemill.testing.emulated import Emulated, emulated_server
    from tracemill.testing.engine import ShuffledEngine
    from tracemill.testing.events import body_hash, read_log
    from tracemill.testing.faults import Faults
    from tracemill.testing.server import ScriptedServer

__all__ = [
    "Answer",
    "Emulated",
    "Faults",
    "ScriptedServer",
    "ShuffledEngine",
    "arithmetic",
    "body_hash",
    "emulated_server",
    "from_table",
    "read_log",
]

_HOMES = {
    "Answer": "answers",
    "Emulated": "emulated",
    "Faults": "faults",
    "ScriptedServer": "server",
    "ShuffledEngine": "engine",
    "arithmetic": "answers",
    "body_hash": "events",
    "emulated_server": "emulated",
    "from_table": "answers",
    "read_log": "events",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
