"""Index folders: whole or not there, with a manifest that knows the hash of every file.

`manifest.json` holds what the writer says of the index (its facts), `files` with SHA-256 and size of each,
and `sha256`, the hash of all the rest.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ranking.data.atomic import fresh_folder, replace_folder, to_disk, write_folder
from ranking.errors import ArtifactError
from ranking.models.manifest import MANIFEST, SEAL, digest_of

FORMAT = 1

_REMEDY = "build the index again, or restore the folder"


def write_index(folder: Path, kind: str, facts: Mapping[str, Any], fill: Callable[[Path], None]) -> None:
    """What `fill` writes into the folder it is given, and its manifest, in the place of any older folder."""
    with fresh_folder(folder) as fresh:
        fill(fresh)
        for file in _files(fresh).values():
            with file.open("rb+") as stream:
                to_disk(stream)
        files = {name: _file_facts(file) for name, file in _files(fresh).items()}
        values = {"format": FORMAT, "kind": kind, **facts, "files": files}
        text = json.dumps({**values, SEAL: digest_of(values)}, sort_keys=True, indent=2, allow_nan=False)
        write_folder(fresh, {MANIFEST: text.encode() + b"\n"})
        replace_folder(fresh, folder)


def read_index(folder: Path, kind: str) -> dict[str, Any]:
    """The manifest of an index of this kind, every file of it compared with its hash.

    Raises ArtifactError for a folder that is not whole, not as it was written, or of another kind.
    """
    manifest = folder / MANIFEST
    if not manifest.exists():
        raise ArtifactError(f"{folder}: expected a folder that was built ({kind}), and it has no {MANIFEST}")
    try:
        values: dict[str, Any] = json.loads(manifest.read_bytes())
        sealed = isinstance(values, dict) and values.get(SEAL) == digest_of(values)
    except (OSError, ValueError, RecursionError) as error:
        raise ArtifactError(f"{manifest}: no manifest of an index: {error}; {_REMEDY}") from error
    if not sealed:
        raise ArtifactError(f"{manifest}: it was changed after it was written; {_REMEDY}")
    if (values.get("format"), values.get("kind")) != (FORMAT, kind):
        raise ArtifactError(
            f"{manifest}: expected {kind} of format {FORMAT}, got {values.get('kind')!r} of format "
            f"{values.get('format')!r}: another folder, or written by another release?"
        )
    found = _files(folder)
    for name, facts in values["files"].items():
        if name not in found:
            raise ArtifactError(f"{folder / name} is missing; {_REMEDY}")
        size = found[name].stat().st_size
        if size != facts["bytes"]:
            raise ArtifactError(
                f"{folder / name}: expected {facts['bytes']} bytes, got {size}: cut or changed; {_REMEDY}"
            )
        if _file_facts(found[name]) != facts:
            raise ArtifactError(f"{folder / name}: its content is not what was written; {_REMEDY}")
    return values


def unsound(folder: Path, why: object) -> ArtifactError:
    """The error for files that are as they were written, and yet make no index."""
    return ArtifactError(f"{folder}: its files make no index: {why}; {_REMEDY}")


def _files(folder: Path) -> dict[str, Path]:
    """Every file below but the manifest, by its path from here.

    Of a folder inside that has a manifest, the manifest alone: it vouches for the rest when it is opened.
    """
    found: dict[str, Path] = {}
    for entry in sorted(folder.iterdir()):
        if entry.is_dir():
            inside = {MANIFEST: entry / MANIFEST} if (entry / MANIFEST).exists() else _files(entry)
            found |= {f"{entry.name}/{name}": file for name, file in inside.items()}
        elif entry.name != MANIFEST:
            found[entry.name] = entry
    return found


def _file_facts(file: Path) -> dict[str, Any]:
    with file.open("rb") as stream:
        return {"sha256": hashlib.file_digest(stream, "sha256").hexdigest(), "bytes": file.stat().st_size}
