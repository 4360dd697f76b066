"""Which rows are to go: uuids and prompt hashes, as words or as lines of a file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import orjson

from tracemill.errors import UsageError
from tracemill.legible import quoted
from tracemill.storage.fs import REAL
from tracemill.storage.tombstones import PROMPT_HASH, UUID, Kind

Asked = frozenset[tuple[Kind, str]]
SHOULD_BE: dict[Kind, str] = {
    "uuid": "a uuid such as 6f1f2c3d-0000-4000-8000-000000000001, as in a row's column `uuid`",
    "prompt_hash": "64 hexadecimal digits, as `tracemill explain` shows them",
}


def read_asked(
    uuids: Iterable[str], prompt_hashes: Iterable[str], file: str | Path | None, *, any_id: bool = False
) -> Asked:
    """All that is meant.

    Args:
        any_id: Other people's rows may have any text as their uuid.
        file: A uuid or prompt hash in each line, or a JSON object that has one as `uuid` or `prompt_hash`.
    Raises:
        UsageError: Nothing is asked for, or one is neither a uuid nor a prompt hash; the text says where it stands.
    """
    found = {_checked("uuid", text, "--uuid", any_id) for text in uuids}
    found |= {_checked("prompt_hash", text, "--prompt-hash") for text in prompt_hashes}
    if file is not None:
        found.update(_lines(Path(file), any_id))
    if not found:
        raise UsageError("nothing to remove: name rows with --uuid, --prompt-hash or --from FILE")
    return frozenset(found)


def _checked(kind: Kind, text: str, where: str, any_id: bool = False) -> tuple[Kind, str]:
    if kind == "uuid" and any_id and text.strip():
        return kind, text.strip()
    value = text.strip().lower()
    if not (UUID if kind == "uuid" else PROMPT_HASH).fullmatch(value):
        raise UsageError(f"{where} {quoted(text)}: this should be {SHOULD_BE[kind]}")
    return kind, value


def _lines(file: Path, any_id: bool) -> Iterator[tuple[Kind, str]]:
    try:
        lines = REAL.read(file).splitlines()
    except OSError as exc:
        raise UsageError(f"--from {quoted(str(file))} cannot be read: {exc.strerror or exc}") from exc
    for number, line in enumerate(lines, 1):
        text = line.decode(errors="replace").strip()
        where = f"{file}:{number}:"
        if not text:
            continue
        if text.startswith("{"):
            yield from _object(line, where, any_id)
        else:
            yield _checked("prompt_hash" if PROMPT_HASH.fullmatch(text.lower()) else "uuid", text, where, any_id)


def _object(line: bytes, where: str, any_id: bool) -> Iterator[tuple[Kind, str]]:
    try:
        told = orjson.loads(line)
    except orjson.JSONDecodeError as exc:
        raise UsageError(f"{where} this is no JSON object: {exc}") from exc
    kinds: tuple[Kind, ...] = ("uuid", "prompt_hash")
    named = [(kind, told[kind]) for kind in kinds if isinstance(told.get(kind), str)]
    if not named:
        raise UsageError(f"{where} there is neither `uuid` nor `prompt_hash`; the keys are {', '.join(told) or 'none'}")
    yield _checked(*named[0], where, any_id)
