"""Datasets on the Hugging Face Hub, pinned to one commit; each file is fetched when it is first read, and kept.

Needs the extra `hub`. Address, token and cache are those of `huggingface_hub`: HF_ENDPOINT, HF_TOKEN, HF_HOME.
"""

from __future__ import annotations

import re
from dataclasses import replace
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from tracemill.errors import DataError, EndpointError, MissingExtra, UsageError
from tracemill.legible import one_line
from tracemill.reading.shards import Shard, configured, kind_of, make_shard

INSTALL = "pip install 'tracemill[hub]'"
_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")


def is_hub_id(data: str | Path) -> bool:
    """Whether `data` is written like a Hub id, and no path of that kind is there: not even its directory."""
    if isinstance(data, Path) or not _ID.fullmatch(data) or kind_of(Path(data)) is not None:
        return False
    return not Path(data).exists() and not Path(data).parent.exists()


def hub_shards(repo: str, revision: str | None = None) -> list[Shard]:
    """The data files of a dataset at one commit; only the list of files and the card are fetched.

    Raises:
        MissingExtra: `huggingface_hub` is not installed.
        UsageError: There is no such dataset or revision, or it may not be read with this token.
        DataError: It holds no data.
        EndpointError: The Hub cannot be reached.
    """
    hub = _library(repo)
    try:
        told = hub.HfApi().dataset_info(repo, revision=revision)
        files = sorted(str(file.rfilename) for file in told.siblings or [])
        card = _fetch(hub, repo, "README.md", told.sha).read_text(errors="replace") if "README.md" in files else ""
    except Exception as exc:
        raise _translated(hub, repo, exc) from exc
    patterns = configured(card)
    shards = []
    for name in files:
        if kind_of(Path(name)) is None or Path(name).suffix == ".json" or name.startswith("."):
            continue
        split = next((split for split, pattern in patterns if fnmatch(name, pattern)), None)
        shard = make_shard(Path(name), Path(), split, declared=split is not None or not patterns)
        shards.append(replace(shard, remote=(repo, str(told.sha))))
    if not shards:
        raise DataError(f"{repo} at {told.sha} holds no data file; it holds {', '.join(files[:8]) or 'nothing'}")
    return sorted(shards, key=lambda shard: (shard.split, shard.name))


def fetched(shard: Shard) -> Shard:
    """`shard` as a local file; one of the Hub is fetched unless it is in the cache already."""
    if shard.remote is None:
        return shard
    repo, commit = shard.remote
    hub = _library(repo)
    try:
        return replace(shard, path=_fetch(hub, repo, shard.name, commit), remote=None)
    except Exception as exc:
        raise _translated(hub, f"{repo}, {shard.name}", exc) from exc


def _library(repo: str) -> Any:
    try:
        import huggingface_hub
    except ImportError as exc:
        raise MissingExtra(f"{repo} is no path here; to read it from the Hub, install the extra: {INSTALL}") from exc
    return huggingface_hub


def _fetch(hub: Any, repo: str, name: str, commit: str | None) -> Path:
    return Path(hub.hf_hub_download(repo, name, repo_type="dataset", revision=commit))


def _translated(hub: Any, what: str, exc: Exception) -> Exception:
    errors = hub.errors
    if isinstance(exc, errors.GatedRepoError):
        return UsageError(f"{what} is gated: accept its terms on its page, then set HF_TOKEN")
    if isinstance(exc, errors.RepositoryNotFoundError):
        return UsageError(f"there is no {what}, neither here as a path nor on the Hub (or it needs HF_TOKEN)")
    if isinstance(exc, errors.RevisionNotFoundError | errors.EntryNotFoundError | errors.HFValidationError):
        return UsageError(f"{what}: {one_line(exc, 200)}")
    transport = type(exc).__module__.partition(".")[0].startswith("httpx")  # as the library names its own client
    if transport or isinstance(exc, OSError | errors.HfHubHTTPError):
        return EndpointError(f"the Hub cannot be reached for {what}: {one_line(exc, 200)}")
    return exc
