"""Named, versioned model folders on disk, with aliases.

    ROOT/NAME/versions/7/      a model folder; numbers rise from 1 and are never used again
    ROOT/NAME/seals/7          SHA-256 of that version's manifest (`Manifest.digest`)
    ROOT/NAME/aliases.json     {"production": {"version": 7, "previous": [3, 5]}}
    ROOT/NAME/.lock            held while NAME is changed

A version appears whole, by one rename of a folder that is already on disk, or not at all; aliases are
replaced in the same way. A process killed at any moment leaves at most a hidden folder, which the next
publisher removes. Readers need no lock.

A version without a seal was published by a release that wrote none, or its publisher was killed before it
could: it is served on the word of its own manifest.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ranking.data.atomic import fresh_folder, replace_file, sweep, sync_folder, write_folder
from ranking.data.places import check_folder
from ranking.errors import ArtifactError, DataError, UsageError, unknown_name
from ranking.models.folder import Artifact, read_artifact
from ranking.models.loading import open_artifact
from ranking.models.ranker import Ranker

DEFAULT_ALIAS = "production"

_VERSIONS, _SEALS = "versions", "seals"

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_VERSION = re.compile(r"[1-9][0-9]{0,8}")
_MAX_ALIASES_BYTES = 1 << 20
_SEAL_BYTES = 65


class UnknownModelError(UsageError):
    """A model, version or alias that is not in the registry."""


@dataclass(frozen=True)
class ModelRef:
    """A version of a named model and its folder."""

    name: str
    version: int
    folder: Path

    def __str__(self) -> str:
        return f"{self.name}@{self.version}"


@dataclass(frozen=True)
class _Alias:
    """Where an alias points, and where it pointed before, oldest first."""

    version: int
    previous: tuple[int, ...] = ()


class Registry:
    """The models under one folder.

    Names and aliases match `^[a-z0-9][a-z0-9._-]{0,63}$`; links inside the registry are refused, so that
    no name leads outside. Raises UsageError for names that cannot be, UnknownModelError for those that
    are not there, and DataError where the disk does not let us.
    """

    def __init__(self, root: Path | str) -> None:
        self.root = Path(os.path.realpath(root))

    # Reading

    def names(self) -> list[str]:
        """Models with at least one version."""
        return sorted(name for name in _folders(self.root, _NAME) if self.versions(name))

    def versions(self, name: str) -> list[int]:
        """Published versions, rising; none for a name that is not there."""
        return sorted(map(int, _folders(self._folder(name) / _VERSIONS, _VERSION)))

    def aliases(self, name: str) -> dict[str, int]:
        """Alias -> version."""
        return {alias: entry.version for alias, entry in self._read_aliases(name).items()}

    def resolve(self, reference: str) -> ModelRef:
        """`movies@7`, `movies:production`, or `movies`: its production version, else its latest."""
        found = re.fullmatch(r"([^@:]*)(?:@([^@:]*)|:([^@:]*))?", reference)
        if found is None:
            raise UsageError(f"a model is NAME, NAME@VERSION or NAME:ALIAS, got {reference!r}")
        name, version, alias = found.groups()
        numbers = self._known(name)
        if version is not None:
            return self._ref(name, self._version(name, version))
        aliases = self.aliases(name)
        if alias is not None and _checked("alias", alias) not in aliases:
            raise _unknown(f"alias of {name}", alias, aliases)
        return self._ref(name, aliases.get(alias or DEFAULT_ALIAS, numbers[-1]))

    def load(self, reference: str | ModelRef) -> Ranker:
        """The ranker, with hashes, structure and golden scores checked; publishing has probed it."""
        ref = self.resolve(reference) if isinstance(reference, str) else reference
        return open_artifact(self.read(ref), probe=False)

    def read(self, ref: ModelRef) -> Artifact:
        """The version's verified bytes, of the manifest that was published."""
        artifact = read_artifact(ref.folder)
        artifact.manifest.check_digest(published_digest(ref.folder), ref.folder)
        return artifact

    def listing(self) -> list[dict[str, Any]]:
        """All models as JSON: name, versions, aliases."""
        return [
            {"name": name, "versions": self.versions(name), "aliases": self.aliases(name)}
            for name in self.names()
        ]

    # Changing

    def check_writable(self, name: str) -> None:
        """Raise UsageError where nothing can be published under this name."""
        check_folder(self._folder(name) / "versions")

    def publish(self, folder: Path | str, name: str, alias: str | None = None) -> int:
        """Copy a model folder in as the next version and return its number; then move the alias to it.

        The model is opened first, with every check of `load_ranker`, and the bytes that passed are the
        bytes written. Raises ArtifactError where they do not pass; the registry is then as it was.
        """
        self._folder(name)
        if alias is not None:
            _checked("alias", alias)
        artifact = read_artifact(Path(folder))
        open_artifact(artifact)
        version = self._store(artifact, name)
        if alias is not None:
            self.promote(name, version, alias)
        return version

    def promote(self, name: str, version: int | str, alias: str = DEFAULT_ALIAS) -> None:
        """Point the alias to a version; the one it had is remembered for `rollback`."""
        self._known(name)
        number = self._version(name, str(version))
        _checked("alias", alias)
        with self._changing(name, "promoting"):
            entries = self._read_aliases(name)
            old = entries.get(alias)
            if old is None:
                entries[alias] = _Alias(number)
            elif old.version != number:
                entries[alias] = _Alias(number, (*old.previous, old.version))
            self._write_aliases(name, entries)

    def rollback(self, name: str, alias: str = DEFAULT_ALIAS) -> int:
        """Point the alias back to the version it had before, and return that."""
        self._known(name)
        with self._changing(name, "rolling back"):
            entries = self._read_aliases(name)
            if _checked("alias", alias) not in entries:
                raise _unknown(f"alias of {name}", alias, entries)
            previous = entries[alias].previous
            if not previous:
                raise UsageError(
                    f"{name}:{alias} has always been version {entries[alias].version}: promote another one"
                )
            entries[alias] = _Alias(previous[-1], previous[:-1])
            self._write_aliases(name, entries)
        return previous[-1]

    def _store(self, artifact: Artifact, name: str) -> int:
        """Write verified files as the next version, and remember its manifest."""
        with self._changing(name, "publishing"):
            folder = self._folder(name) / _VERSIONS
            self._sweep(name)
            with fresh_folder(folder / "next") as fresh:
                write_folder(fresh, artifact.contents)
                version = self._rename_to_next(fresh, name)
            sync_folder(folder)
            self._seal(name, version, artifact.manifest.digest)
            return version

    def _sweep(self, name: str) -> None:
        """Remove what killed publishers left: they held the lock and are gone."""
        for place in ("", _VERSIONS, _SEALS):
            sweep(self._folder(name) / place)

    def _seal(self, name: str, version: int, digest: str) -> None:
        """Written whole beside and renamed: a reader sees all of it or nothing."""
        seals = self._folder(name) / _SEALS
        seals.mkdir(exist_ok=True)
        replace_file(seals / str(version), f"{digest}\n".encode())
        sync_folder(seals)

    def _rename_to_next(self, fresh: Path, name: str) -> int:
        """Take the next free number; rename refuses one that is taken, so that no version is overwritten."""
        version = max(self.versions(name), default=0) + 1
        while True:
            try:
                fresh.rename(fresh.with_name(str(version)))
            except OSError as error:
                # Taken meanwhile: possible where a network file system does not keep locks.
                if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                    raise
                version += 1
            else:
                return version

    @contextmanager
    def _changing(self, name: str, doing: str) -> Iterator[None]:
        """Hold the model's lock; failures of the disk become DataError."""
        folder = self._folder(name)
        try:
            (folder / _VERSIONS).mkdir(parents=True, exist_ok=True)
            descriptor = os.open(
                folder / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o666
            )
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX)
                yield
            finally:
                os.close(descriptor)
        except OSError as error:
            raise DataError(
                f"{doing} {name} in {self.root} failed: {error.strerror or error}; "
                "the registry is as it was: check space and permissions there"
            ) from error

    def _write_aliases(self, name: str, entries: Mapping[str, _Alias]) -> None:
        """Replace the file whole; the caller holds the lock."""
        folder = self._folder(name)
        value = {alias: {"version": e.version, "previous": list(e.previous)} for alias, e in entries.items()}
        replace_file(folder / "aliases.json", json.dumps(value, sort_keys=True, indent=2).encode() + b"\n")
        sync_folder(folder)

    # Names and places

    def _folder(self, name: str) -> Path:
        """The model's folder, there or not, without a link on the way."""
        folder = self.root / _checked("model name", name)
        for place in (folder, folder / _VERSIONS, folder / _SEALS):
            if place.is_symlink():
                raise DataError(f"{place} is a link: the registry must hold its models itself")
        return folder

    def _ref(self, name: str, version: int) -> ModelRef:
        return ModelRef(name, version, self._folder(name) / _VERSIONS / str(version))

    def _known(self, name: str) -> list[int]:
        numbers = self.versions(name)
        if not numbers:
            raise _unknown(f"model in {self.root}", name, self.names())
        return numbers

    def _version(self, name: str, version: str) -> int:
        numbers = [str(number) for number in self.versions(name)]
        if version not in numbers:
            raise _unknown(f"version of {name}", version, numbers)
        return int(version)

    def _read_aliases(self, name: str) -> dict[str, _Alias]:
        path = self._folder(name) / "aliases.json"
        try:
            with path.open("rb") as file:
                value = json.loads(file.read(_MAX_ALIASES_BYTES))
            return {
                _checked("alias", alias): _Alias(int(entry["version"]), tuple(map(int, entry["previous"])))
                for alias, entry in value.items()
            }
        except FileNotFoundError:
            return {}
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError, UsageError) as error:
            raise DataError(f"{path}: damaged ({error}): remove it and promote again") from error


def published_digest(folder: Path) -> str | None:
    """What a registry remembers of the manifest of this version's folder; None for any other folder.

    Raises ArtifactError where it holds something else than a digest.
    """
    place = Path(os.path.realpath(folder))
    seal = place.parent.parent / _SEALS / place.name
    if place.parent.name != _VERSIONS:
        return None
    try:
        with seal.open("rb") as file:
            content = file.read(_SEAL_BYTES + 1)
    except (FileNotFoundError, NotADirectoryError):
        return None
    if not re.fullmatch(rb"[0-9a-f]{64}\n", content):
        raise ArtifactError(f"{seal}: 64 hexadecimal digits expected: it is damaged; publish the model again")
    return content[:-1].decode()


def _folders(place: Path, pattern: re.Pattern[str]) -> list[str]:
    """Names of the folders in a place that match; links are not folders, and lead nowhere."""
    try:
        entries = list(os.scandir(place))
    except (FileNotFoundError, NotADirectoryError):
        return []
    return [e.name for e in entries if pattern.fullmatch(e.name) and e.is_dir(follow_symlinks=False)]


def _checked(kind: str, name: str) -> str:
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"{kind} {name!r}: 1 to 64 small letters, digits, dots, dashes and underscores, "
            "beginning with a letter or digit"
        )
    return name


def _unknown(kind: str, name: str, known: Any) -> UnknownModelError:
    names = list(known)
    return UnknownModelError(
        str(unknown_name(kind, name, names)) if names else f"unknown {kind} {name!r} (there are none)"
    )
