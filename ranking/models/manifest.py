"""`Manifest`: what a model is and expects, how it was made, and the hash of each of its files.

A JSON object of known keys (format, kind, model, feature_count, feature_names, missing, files, versions,
sha256) and of whatever training adds (config, metrics, fingerprints of the data, …). `sha256` is the hash of
all the rest (`digest_of`), so that no value can change unseen. Read with suspicion: another hash, repeated
keys and names, NaN, file names that are paths and wrong types are refused.

Format 1 had no hash of its own. It is still read, as a manifest that is not `sealed`.
"""

from __future__ import annotations

import hashlib
import json
import math
import platform
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

from ranking.data.dataset import Missing
from ranking.errors import ArtifactError, UsageError
from ranking.trees.backends import BACKENDS

FORMAT = 2
UNSEALED = 1
"""The format without a hash of its own."""
SEAL = "sha256"
MANIFEST, GOLDEN = "manifest.json", "golden.npz"
MAX_FILE_BYTES = 1 << 30
MAX_FILES = 64
MAX_FEATURES = 1 << 20

REMEDY = "restore the folder from where it was published, or train again"

_FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_OWN_KEYS = ("format", "kind", "model", "feature_count", "feature_names", "missing", "files", "versions")


@dataclass(frozen=True)
class FileFacts:
    """What the manifest says of a file."""

    sha256: str
    size: int

    @classmethod
    def of(cls, content: bytes) -> FileFacts:
        return cls(hashlib.sha256(content).hexdigest(), len(content))


@dataclass(frozen=True)
class Manifest:
    """What the model is and expects; `facts` holds what training added (config, metrics, data, …)."""

    kind: str
    model: str
    feature_names: tuple[str, ...]
    missing: Missing
    files: Mapping[str, FileFacts]
    versions: Mapping[str, str]
    facts: Mapping[str, Any]
    sealed: bool = True
    """Does its file hold its own hash? That of format 1 does not."""

    @property
    def feature_count(self) -> int:
        return len(self.feature_names)

    @property
    def same_platform(self) -> bool:
        """Was the model written by the library version and machine type that run now?

        Then its golden scores must come out to the bit. Networks' need not: their sums are a BLAS's, which
        has its own order on each processor.
        """
        if self.kind not in BACKENDS:
            return False
        now = platform_versions(self.kind)
        return all(self.versions.get(name) == now[name] for name in ("machine", self.kind) if name in now)

    def to_json(self) -> bytes:
        """Sorted and indented. Raises UsageError for facts that are not finite JSON or use our keys."""
        taken = sorted(set(self.facts) & {*_OWN_KEYS, SEAL})
        if taken:
            raise UsageError(f"the fact {taken[0]!r} is one of the manifest's own keys: name it otherwise")
        try:
            text = json.dumps(self.as_json(), sort_keys=True, indent=2, allow_nan=False)
        except (TypeError, ValueError) as error:
            raise UsageError(f"the facts of a model must be JSON with finite numbers: {error}") from error
        return text.encode() + b"\n"

    @property
    def digest(self) -> str:
        """`digest_of` its values: what it says under `sha256`, and what a registry remembers of it."""
        return digest_of(self._values())

    def check_digest(self, remembered: str | None, folder: Path) -> None:
        """Raises ArtifactError where this is not the manifest that is remembered of the folder."""
        if remembered is not None and self.digest != remembered:
            raise ArtifactError(
                f"{folder / MANIFEST}: it is not the one that was published: it was changed since; {REMEDY}"
            )

    def as_json(self) -> dict[str, Any]:
        """The manifest as its file holds it."""
        values = self._values()
        return {**values, SEAL: digest_of(values)} if self.sealed else values

    def _values(self) -> dict[str, Any]:
        own = {
            "format": FORMAT if self.sealed else UNSEALED,
            "kind": self.kind,
            "model": self.model,
            "feature_count": self.feature_count,
            "feature_names": list(self.feature_names),
            "missing": self.missing,
            "files": {name: {"sha256": file.sha256, "bytes": file.size} for name, file in self.files.items()},
            "versions": dict(self.versions),
        }
        return {**self.facts, **own}

    @classmethod
    def from_json(cls, content: bytes, where: Path) -> Manifest:
        """Read and check. Raises ArtifactError naming the file and what is wrong in it."""
        try:
            value = json.loads(
                content.decode(),
                object_pairs_hook=_without_repeats,
                parse_constant=_finite,
                parse_float=_finite,
            )
            return _manifest_of(value)
        except (ValueError, RecursionError) as error:
            raise ArtifactError(f"{where}: {error}; {REMEDY}") from error


def digest_of(values: Mapping[str, Any]) -> str:
    """SHA-256, in hexadecimal digits, of a manifest's values without `sha256`: what it must say there.

    Of their JSON with keys sorted, nothing between them and everything beyond ASCII escaped: spaces and the
    order of keys in the file are free.
    """
    content = {key: value for key, value in values.items() if key != SEAL}
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def platform_versions(kind: str) -> dict[str, str]:
    """Versions of what computes the scores of this kind of model, by name."""
    versions = {"python": platform.python_version(), "machine": platform.machine()}
    for name, packages in {
        "numpy": ("numpy",),
        "rankwright": ("rankwright",),
        kind: BACKENDS[kind].packages if kind in BACKENDS else (),
    }.items():
        for package in packages:
            if (version := _version(package)) is not None:
                versions[name] = version
    return versions


@cache
def _version(package: str) -> str | None:
    """What is installed when it is first asked for: what runs stays that, and finding it takes a while."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        [(repeated, _)] = Counter(key for key, _ in pairs).most_common(1)
        raise ValueError(f"key {repeated!r} appears twice")
    return result


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text[:40]} is not a finite number")
    return value


def _expect(found: bool, message: str) -> None:
    if not found:
        raise ValueError(message)


def _manifest_of(value: Any) -> Manifest:
    _expect(isinstance(value, dict), "a JSON object expected")
    sealed = _check_seal(value)
    absent = [key for key in _OWN_KEYS if key not in value]
    _expect(not absent, f"key {absent[:1]} is missing")
    names, files, versions = value["feature_names"], value["files"], value["versions"]
    _expect(isinstance(value["kind"], str), "kind must be a text")
    _expect(_texts(names) and 0 < len(names) <= MAX_FEATURES, "feature_names must be a list of texts")
    if len(set(names)) < len(names):
        [(repeated, count)] = Counter(names).most_common(1)
        raise ValueError(f"feature_names must differ: {repeated!r} stands there {count} times")
    _expect(value["feature_count"] == len(names), f"feature_count must be the {len(names)} feature_names")
    _expect(value["missing"] in ("zero", "nan"), f"missing must be zero or nan, got {value['missing']!r}")
    _expect(isinstance(versions, dict) and _texts(list(versions.values())), "versions must be texts by name")
    _expect(
        isinstance(files, dict) and len(files) <= MAX_FILES, f"files must be an object of at most {MAX_FILES}"
    )
    for needed in (value["model"], GOLDEN):
        _expect(isinstance(needed, str) and needed in files, f"files must list the model and {GOLDEN}")
    return Manifest(
        kind=value["kind"],
        model=value["model"],
        feature_names=tuple(names),
        missing=value["missing"],
        files={name: _file_facts(name, facts) for name, facts in files.items()},
        versions=versions,
        facts={key: entry for key, entry in value.items() if key not in (*_OWN_KEYS, SEAL)},
        sealed=sealed,
    )


def _check_seal(value: Mapping[str, Any]) -> bool:
    """Is there a hash, the right one? Raises ValueError for another one, or an unknown format."""
    found = value.get("format")
    if type(found) is int and found == UNSEALED and SEAL not in value:
        return False
    if type(found) is not int or found != FORMAT:
        raise ValueError(f"format {FORMAT} expected, got {found!r}: written by another release?")
    if value.get(SEAL) != digest_of(value):
        raise ValueError(f"its {SEAL} is not that of its other values: it was changed after it was written")
    return True


def _texts(values: Any) -> bool:
    return isinstance(values, list) and all(isinstance(value, str) for value in values)


def _file_facts(name: str, facts: Any) -> FileFacts:
    _expect(
        _FILE_NAME.fullmatch(name) is not None and name != MANIFEST,
        f"file name {name!r}: letters, digits, dots and dashes only, no path",
    )
    _expect(
        isinstance(facts, dict) and facts.keys() == {"sha256", "bytes"}, f"{name}: sha256 and bytes expected"
    )
    digest, size = facts["sha256"], facts["bytes"]
    _expect(
        isinstance(digest, str) and re.fullmatch("[0-9a-f]{64}", digest) is not None, f"{name}: no SHA-256"
    )
    _expect(type(size) is int and 0 <= size <= MAX_FILE_BYTES, f"{name}: bytes must be 0..{MAX_FILE_BYTES}")
    return FileFacts(digest, size)
