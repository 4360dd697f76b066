"""The other tools, each in a virtual environment of its own, outside the project; made once and kept.

They lie in the folder that `TRACEMILL_BENCH_CACHE` names, else in ~/.cache/tracemill-bench, and come by pip from
whatever index it is set up for.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

CACHE = "TRACEMILL_BENCH_CACHE"


class NotRun(Exception):
    """A tool that could not be measured; says why in a few words."""


@dataclass(frozen=True)
class Peer:
    """A tool that does the same work, and how to find what it delivers."""

    name: str
    package: str
    version: str
    driver: str
    """The file of this folder that runs in its environment."""
    files: str
    """Pattern of the Parquet files that it leaves in its output directory."""
    fields: tuple[str, str, str]
    """Columns of question, content and trace."""
    settings: str
    """How the driver sets it up, in a sentence."""

    @property
    def column(self) -> str:
        """Its heading."""
        return f"{self.name} {self.version}"


PEERS = (
    Peer(
        "curator",
        "bespokelabs-curator",
        "0.1.31",
        "peer_curator.py",
        "rows.parquet",
        ("question", "content", "reasoning"),
        "its `openai` backend, no limits on requests or tokens a minute, its ten retries, its cache on, "
        "and the whole completion given to `parse`, so that the trace is kept",
    ),
    Peer(
        "Data Designer",
        "data-designer",
        "0.9.6",
        "peer_data_designer.py",
        "artifacts/*/parquet-files/*.parquet",
        ("question", "content", "content__reasoning_content"),
        "`resume` on, row groups of 250 (1,000 is not faster here, and loses more in a crash), the native template "
        "engine, no health check, no metrics endpoint, no early shutdown, the trace kept",
    ),
)


def cache() -> Path:
    """The folder of the environments; it may not be there yet."""
    told = os.environ.get(CACHE)
    return Path(told) if told else Path.home() / ".cache" / "tracemill-bench"


def environment(peer: Peer) -> Path:
    """The Python of a tool's environment, which is made first where it is not there.

    Raises:
        NotRun: it cannot be installed here. What pip said stands in `NAME.log` beside it.
    """
    place = cache() / f"{peer.package}-{peer.version}-py{sys.version_info[0]}.{sys.version_info[1]}"
    python, ready = place / "bin" / "python", place / "ready"
    if ready.exists():
        return python
    sys.stderr.write(f"installing {peer.package} {peer.version} ...\n")
    try:
        cache().mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise NotRun(f"its environment cannot be made, see {CACHE}") from error
    shutil.rmtree(place, ignore_errors=True)  # one that was left half made
    steps = (
        [sys.executable, "-m", "venv", str(place)],
        [str(python), "-m", "pip", "install", "--disable-pip-version-check", f"{peer.package}=={peer.version}"],
    )
    with place.with_suffix(".log").open("wb") as log:
        for step in steps:
            done = subprocess.run(step, stdout=log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, check=False)
            if done.returncode != 0:
                sys.stderr.write(f"that failed; see {log.name}\n")
                raise NotRun("it could not be installed")
    ready.touch()
    return python


def variables(pythons: Iterable[Path]) -> dict[str, str]:
    """What is added to the environment of the tools.

    Both count tokens with tiktoken, which fetches its table at the first call. litellm, which comes with one of them,
    brings that table along; where it is there both use it, so that no run waits for a network.
    """
    tables = [
        table
        for python in pythons
        for table in python.parents[1].glob("lib/python*/site-packages/litellm/litellm_core_utils/tokenizers")
    ]
    return {"TIKTOKEN_CACHE_DIR": str(tables[0] if tables else cache() / "tiktoken")}
