"""The manifest: which files a run has published. A commit is one link, which either happens or does not.

`.tracemill/manifests/N.json` is linked into place (put-if-absent), `manifest.json` is a copy of the newest. Every file
is kept once under the hash of its content in `.tracemill/objects/`; its public name is a second link to the same bytes.
A commit that was cut between the two is rolled forward by whoever opens the run next.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tracemill.errors import CorruptRun, Locked
from tracemill.storage.fs import REAL, Fs, crash_point
from tracemill.storage.layout import RunPaths
from tracemill.storage.parquet import Part, file_sha256

FORMAT = 1
"""Version of the manifest. A newer Tracemill reads older ones; an older one refuses newer ones."""
PUBLIC = ("data", "rejected", "failed")
"""Directories of a run that hold manifest files and nothing else."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """A committed manifest and where it stands in the chain."""

    number: int
    sha256: str
    """Of the manifest file itself."""
    content: dict[str, Any]

    @property
    def files(self) -> list[dict[str, Any]]:
        """One entry per file: path, split, rows, bytes, sha256, object."""
        files: list[dict[str, Any]] = self.content["files"]
        return files


def newest(paths: RunPaths, fs: Fs = REAL) -> Manifest | None:
    """The manifest in force, or None before the first commit."""
    names = [n for n in fs.names(paths.manifests) if n.endswith(".json") and not n.startswith(".")]
    if not names:
        return None
    return read(paths.manifests / names[-1], fs)


def read(path: Path, fs: Fs = REAL) -> Manifest:
    """One manifest file. Raises CorruptRun if it cannot be understood."""
    data = fs.read(path)
    try:
        content = json.loads(data)
        version, number = int(content["format"]), int(content["number"])
    except (ValueError, KeyError, TypeError) as exc:
        raise CorruptRun(f"{path}: not a manifest: {exc}") from exc
    if version > FORMAT:
        raise CorruptRun(
            f"{path}: written by a newer Tracemill (manifest format {version}, this one knows {FORMAT}); upgrade"
        )
    return Manifest(number, hashlib.sha256(data).hexdigest(), content)


def keep(paths: RunPaths, part: Part, public: str, fs: Fs = REAL, **more: Any) -> dict[str, Any]:
    """Move a finished file among the objects, and give the manifest's entry for it."""
    fs.mkdir(paths.objects)
    target = paths.objects / f"{part.sha256}{part.path.suffix}"
    fs.rename(part.path, target)
    return {
        "path": public,
        "rows": part.rows,
        "bytes": part.bytes,
        "sha256": part.sha256,
        "object": str(target.relative_to(paths.root)),
        **more,
    }


def commit(paths: RunPaths, content: dict[str, Any], fs: Fs = REAL) -> Manifest:
    """Make `content` the manifest in force, and show its files under their public names.

    Raises:
        Locked: someone else committed the same number first.
    """
    fs.mkdir(paths.manifests)
    before = newest(paths, fs)
    number = before.number + 1 if before else 1
    whole = {"format": FORMAT, "number": number, "parent": before.sha256 if before else None, **content}
    data = (json.dumps(whole, indent=1, ensure_ascii=False, sort_keys=True) + "\n").encode()
    if paths.objects.exists():
        fs.sync_dir(paths.objects)
    crash_point("publish.objects")
    try:
        fs.put_if_absent(paths.manifests / f"{number:08d}.json", data)
    except FileExistsError:
        raise Locked(
            f"{paths.root}: another process committed manifest {number} first; run the command again"
        ) from None
    crash_point("manifest.linked")
    return roll_forward(paths, fs)


def roll_forward(paths: RunPaths, fs: Fs = REAL) -> Manifest:
    """Make the public names show the manifest in force. Does nothing where they do already."""
    manifest = newest(paths, fs)
    if manifest is None:
        raise CorruptRun(f"{paths.root}: there is no manifest to show")
    shown = {entry["path"] for entry in manifest.files}
    for entry in manifest.files:
        public, target = paths.root / entry["path"], paths.root / entry["object"]
        if not target.exists():
            _bring_back(public, target, entry["sha256"], fs)
        if public.exists() and public.samefile(target):
            continue
        fs.mkdir(public.parent)
        aside = public.with_name(f".{public.name}.tmp")
        fs.unlink(aside)
        fs.link(target, aside)
        fs.rename(aside, public)
    for directory in PUBLIC:
        for name in fs.names(paths.root / directory):
            if f"{directory}/{name}" not in shown:
                fs.unlink(paths.root / directory / name)
        if (paths.root / directory).exists():
            fs.sync_dir(paths.root / directory)
    crash_point("publish.shown")
    data = fs.read(paths.manifests / f"{manifest.number:08d}.json")
    if not paths.manifest.exists() or fs.read(paths.manifest) != data:
        fs.replace(paths.card, manifest.content["card"].encode())
        if "attribution" in manifest.content:
            fs.replace(paths.attribution, manifest.content["attribution"].encode())
        fs.replace(paths.manifest, data)
    crash_point("manifest.copied")
    kept = {Path(entry["object"]).name for entry in manifest.files}
    for name in fs.names(paths.objects):
        if name not in kept:
            fs.unlink(paths.objects / name)
    return manifest


def _bring_back(public: Path, target: Path, sha256: str, fs: Fs) -> None:
    """An object that was taken away is linked again from its public name, if that still holds the same bytes."""
    if not public.exists() or file_sha256(public, fs) != sha256:
        raise CorruptRun(f"{target}: the manifest names this file, and it is missing")
    fs.link(public, target)
