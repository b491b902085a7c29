"""The model folder: the booster's own file, golden rows with their scores, and a manifest with hashes.

    model.txt | model.ubj   what the booster wrote
    golden.npz              `features` float32 [rows, features], `scores` float32 [rows]
    manifest.json           what the model is and expects, how it was made, SHA-256 of every other file and
                            of itself
    …                       extra files, such as a report

Nothing here opens a model. Files are read once, without following links, under size limits, and the bytes
that were hashed are the bytes handed on, so that a file changed in between is never used. Two equal
trainings write equal folders, byte for byte: there is no time stamp anywhere.
"""

from __future__ import annotations

import io
import math
import os
import shutil
import stat
import tempfile
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from ranking.data.arrays import Float32
from ranking.data.atomic import fresh_folder, replace_file, replace_folder, sweep, sync_folder, write_folder
from ranking.data.dataset import Missing
from ranking.data.places import check_folder
from ranking.errors import ArtifactError, DataError, UsageError
from ranking.models.manifest import (
    GOLDEN,
    MANIFEST,
    MAX_FILE_BYTES,
    REMEDY,
    FileFacts,
    Manifest,
    platform_versions,
)

MAX_MANIFEST_BYTES = 8 << 20
"""Names and ranges of some 50,000 features."""
_GOLDEN_ROWS = 16


class Savable(Protocol):
    """What a model folder needs of a ranker."""

    @property
    def kind(self) -> str: ...
    @property
    def feature_names(self) -> tuple[str, ...]: ...
    @property
    def missing(self) -> Missing: ...
    def score(self, features: Float32) -> Float32: ...
    def save(self, folder: Path) -> None:
        """Write the model as one file into the folder."""


@dataclass(frozen=True, eq=False)
class Golden:
    """Rows with the scores they had when the model was saved: float32 [rows, features] and [rows]."""

    features: Float32
    scores: Float32

    def mismatch(self, scores: Float32, *, exact: bool) -> str | None:
        """What differs, or None; `exact` compares bits, otherwise 1e-6 relative is the same."""
        got = np.asarray(scores)
        if got.shape != self.scores.shape:
            return f"{self.scores.shape} golden scores expected, got {got.shape}"
        equal = got == self.scores if exact else np.isclose(got, self.scores, rtol=1e-6, atol=1e-6)
        if equal.all():
            return None
        row = int(np.flatnonzero(~equal)[0])
        return f"golden row {row} scores {got[row]!r}, the manifest's model scored it {self.scores[row]!r}"


@dataclass(frozen=True, eq=False)
class Artifact:
    """A folder's verified content: `contents` are the bytes of the manifest and of all files it lists."""

    where: Path
    manifest: Manifest
    golden: Golden
    contents: Mapping[str, bytes]

    @property
    def model(self) -> bytes:
        return self.contents[self.manifest.model]


# --- Writing ----------------------------------------------------------------------------------------


def save_artifact(
    folder: Path,
    ranker: Savable,
    *,
    facts: Mapping[str, Any],
    golden: Float32,
    extra: Mapping[str, bytes] | None = None,
) -> Path:
    """Write a model folder in one step: it is there whole, or what was there before is.

    `golden` are rows [rows, features] to be scored now and at every opening; `facts` go into the manifest;
    `extra` are further files by name. A folder that is empty or a model folder is replaced.
    Raises UsageError where `folder` is anything else, or facts and files cannot be written as given, and
    DataError where the disk does not let us; the model is then kept in the folder of temporary files.
    """
    target = Path(os.path.realpath(folder))
    _check_replaceable(target)

    def write(place: Path) -> None:
        _write_artifact(place, ranker, facts, golden, extra or {})

    try:
        write(target)
    except OSError as error:
        raise DataError(
            f"writing {target} failed: {error.strerror}; what was there before is as it was. "
            f"{_kept_elsewhere(target.name, write)}"
        ) from error
    return Path(folder)


def _kept_elsewhere(name: str, write: Callable[[Path], None]) -> str:
    """Write the model among the temporary files, and say where it is or that it is lost."""
    place = None
    try:
        place = Path(tempfile.mkdtemp(prefix="rankwright-"))
        write(place / name)
    except OSError:
        if place is not None:
            shutil.rmtree(place, ignore_errors=True)
        return "Free space there, and run this again"
    return f"The model is kept in {place / name}: move it to another place"


def _write_artifact(
    target: Path, ranker: Savable, facts: Mapping[str, Any], golden: Float32, extra: Mapping[str, bytes]
) -> None:
    with fresh_folder(target) as fresh:
        ranker.save(fresh)
        names = sorted(path.name for path in fresh.iterdir())
        if len(names) != 1:
            raise UsageError(f"a ranker must save one file, {ranker.kind} saved {names}")
        model = (fresh / names[0]).read_bytes()
        (fresh / names[0]).unlink()
        features = np.ascontiguousarray(golden, np.float32)
        rows = Golden(features, ranker.score(features))
        contents = {names[0]: model, GOLDEN: _golden_bytes(rows), **extra}
        write_folder(fresh, {**contents, MANIFEST: _manifest_bytes(ranker, names[0], contents, facts)})
        replace_folder(fresh, target)


def check_destination(folder: Path) -> None:
    """Raise UsageError where no model folder can be written, before there is a model to lose.

    `folder` exists and is neither empty nor a model folder to replace, or nothing can be written beside it.
    """
    target = Path(os.path.realpath(folder))
    check_folder(target.parent, target.name)
    _check_replaceable(target)


def _check_replaceable(target: Path) -> None:
    if not target.exists():
        return
    if not target.is_dir() or not _is_ours(target):
        raise UsageError(f"{target} exists and is no model folder: choose another place, or remove it first")
    if os.path.ismount(target):
        raise UsageError(f"{target} is a mount point, which cannot be replaced: name a folder in it")


def _is_ours(folder: Path) -> bool:
    """Empty, or a manifest of ours and no file that it does not list."""
    present = {path.name for path in folder.iterdir()}
    if not present:
        return True
    try:
        manifest = read_manifest(folder)
    except (ArtifactError, OSError):
        return False
    return present <= {MANIFEST, *manifest.files}


def _manifest_bytes(
    ranker: Savable, model: str, contents: Mapping[str, bytes], facts: Mapping[str, Any]
) -> bytes:
    manifest = Manifest(
        kind=ranker.kind,
        model=model,
        feature_names=ranker.feature_names,
        missing=ranker.missing,
        files={name: FileFacts.of(content) for name, content in contents.items()},
        versions=platform_versions(ranker.kind),
        facts=facts,
    ).to_json()
    if len(manifest) > MAX_MANIFEST_BYTES:
        raise UsageError(
            f"the manifest has {len(manifest)} bytes, over {MAX_MANIFEST_BYTES}: shorten the facts"
        )
    # What cannot be read back must not be written.
    Manifest.from_json(manifest, Path(MANIFEST))
    return manifest


def _golden_bytes(golden: Golden) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, features=golden.features, scores=golden.scores)
    return buffer.getvalue()


def seal(folder: Path) -> None:
    """Give a folder of format 1 a manifest of format 2, which holds its own hash; replaced in one step.

    What it says from then on is what it says now: check the folder before. Raises ArtifactError where the
    manifest cannot be read, UsageError where the folder cannot be written.
    """
    folder = Path(folder)
    manifest = read_manifest(folder)
    try:
        sweep(folder)
        replace_file(folder / MANIFEST, replace(manifest, sealed=True).to_json())
        sync_folder(folder)
    except OSError as error:
        raise UsageError(
            f"{folder} cannot be written ({error.strerror}): seal a copy of it instead"
        ) from error


def golden_rows(features: Float32, seed: int) -> Float32:
    """Rows to recognise a model by, float32 [rows, features]: of those given, with and without gaps.

    Some rows as they are, the same ones with a drawn third of their values missing, and one all missing: a
    model that takes missing values otherwise scores them otherwise.
    """
    rng = np.random.default_rng(seed)
    count = min(_GOLDEN_ROWS, len(features))
    rows = np.asarray(features[np.sort(rng.choice(len(features), count, replace=False))], np.float32)
    gaps = np.where(rng.random(rows.shape) < 1 / 3, np.float32(np.nan), rows)
    absent = np.full((1, rows.shape[1]), np.nan, np.float32)
    return np.concatenate([rows, gaps, absent])


# --- Reading ----------------------------------------------------------------------------------------


def read_manifest(folder: Path) -> Manifest:
    """The folder's manifest, checked in itself; the files it lists are not looked at.

    Raises ArtifactError where there is none or it is damaged.
    """
    folder = Path(folder)
    return Manifest.from_json(_read(folder, MANIFEST, MAX_MANIFEST_BYTES), folder / MANIFEST)


def read_artifact(folder: Path) -> Artifact:
    """The whole folder, read once, each file with the size and hash the manifest says.

    Raises ArtifactError naming the file and the reason.
    """
    folder = Path(folder)
    contents = {MANIFEST: _read(folder, MANIFEST, MAX_MANIFEST_BYTES)}
    manifest = Manifest.from_json(contents[MANIFEST], folder / MANIFEST)
    links = sorted(entry.name for entry in os.scandir(folder) if entry.is_symlink())
    if links:
        raise ArtifactError(f"{folder / links[0]}: a link inside a model folder: put the file itself there")
    for name, facts in manifest.files.items():
        content = _read(folder, name, MAX_FILE_BYTES)
        if len(content) != facts.size:
            raise ArtifactError(
                f"{folder / name}: the manifest says {facts.size} bytes, there are {len(content)}; {REMEDY}"
            )
        if FileFacts.of(content) != facts:
            raise ArtifactError(f"{folder / name}: its SHA-256 is not the one in the manifest; {REMEDY}")
        contents[name] = content
    golden = read_golden(contents[GOLDEN], manifest.feature_count, folder / GOLDEN)
    return Artifact(folder, manifest, golden, contents)


def _read(folder: Path, name: str, limit: int) -> bytes:
    """A regular file's bytes, read once, no link followed, no pipe waited for."""
    path = folder / name
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            facts = os.fstat(descriptor)
            if not stat.S_ISREG(facts.st_mode):
                raise ArtifactError(f"{path}: not a regular file; {REMEDY}")
            if facts.st_size > limit:
                raise ArtifactError(
                    f"{path}: {facts.st_size} bytes, more than the {limit} a model folder may hold"
                )
            # One byte more, so that a file that grows meanwhile is seen not to be the one that was told of.
            return file.read(min(facts.st_size + 1, limit))
    except OSError as error:
        if name == MANIFEST and isinstance(error, FileNotFoundError | NotADirectoryError):
            raise ArtifactError(f"{folder} is no model folder: it has no {MANIFEST}") from error
        reason = "a link inside a model folder" if path.is_symlink() else error.strerror
        raise ArtifactError(f"{path}: {reason}; {REMEDY}") from error


def read_golden(content: bytes, feature_count: int, where: Path) -> Golden:
    """The golden rows in these bytes; only what `np.savez` writes, shapes checked before anything is made."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            entries = {entry.filename: entry for entry in archive.infolist()}
            # Stored entries cannot grow when read.
            if sorted(entries) != ["features.npy", "scores.npy"] or len(archive.infolist()) != 2:
                raise ValueError(f"features and scores expected, got {sorted(entries)}")
            if any(
                e.compress_type != zipfile.ZIP_STORED or e.file_size > len(content) for e in entries.values()
            ):
                raise ValueError("compressed entries")
            features, scores = (
                float32_of_npy(archive.read("features.npy")),
                float32_of_npy(archive.read("scores.npy")),
            )
    # zipfile meets damage with many kinds of exceptions, NotImplementedError and RuntimeError among them.
    except Exception as error:
        raise ArtifactError(f"{where}: {error}; {REMEDY}") from error
    rows = len(scores)
    if features.shape != (rows, feature_count) or scores.shape != (rows,) or rows == 0:
        raise ArtifactError(
            f"{where}: {feature_count} features and one score a row expected, "
            f"got {features.shape} and {scores.shape}; {REMEDY}"
        )
    if np.isinf(features).any() or not np.isfinite(scores).all():
        raise ArtifactError(f"{where}: golden features and scores must be finite; {REMEDY}")
    return Golden(features, scores)


def float32_of_npy(content: bytes) -> Float32:
    """The C-ordered float32 array of one or two dimensions in these bytes of an npy file, version 1.0.

    Raises ValueError for anything else; `np.load` would allocate whatever the header claims.
    """
    buffer = io.BytesIO(content)
    if np.lib.format.read_magic(buffer) != (1, 0):
        raise ValueError("npy version 1.0 expected")
    shape, fortran, dtype = np.lib.format.read_array_header_1_0(buffer)
    size = len(content) - buffer.tell()
    if fortran or dtype != np.dtype("<f4") or len(shape) > 2 or 4 * math.prod(shape) != size:
        raise ValueError(f"a float32 array expected, got {dtype} {shape} in {size} bytes")
    return np.frombuffer(content, "<f4", offset=buffer.tell()).reshape(shape)
