"""`Ranker`: what every trained model can do, and `load_ranker`, which opens a model folder safely.

The order of checks: manifest, sizes and hashes; our own reading of the model's structure; a disposable
child process that scores the golden rows with it; only then this process, which scores them once more. No
booster ever opens a model here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from ranking.artifact import Artifact, read_artifact, read_manifest
from ranking.dataset import Float32, Float64, Missing
from ranking.errors import ArtifactError, RankwrightError
from ranking.kinds import KINDS, TREES, open_model, warm_up
from ranking.manifest import REMEDY
from ranking.probe import probe as run_probe

NOT_PROTECTED = (
    "its manifest is of format 1 and not protected by a hash: a change of it is not noticed "
    "(`rankwright verify --reseal` seals it as it is)"
)


class Ranker(Protocol):
    """A trained model that scores documents by their features."""

    @property
    def kind(self) -> str:
        """One of `ranking.kinds.KINDS`."""

    @property
    def feature_count(self) -> int: ...

    @property
    def feature_names(self) -> tuple[str, ...]: ...

    @property
    def missing(self) -> Missing:
        """What an absent feature was in training: `zero` or `nan`."""

    def score(self, features: Float32) -> Float32:
        """Scores, float32 [documents], of float32 [documents, features]; NaN is missing."""

    @property
    def per_list(self) -> bool:
        """Does a document's score depend on the others of its list? Then `score` takes those of one list."""

    @property
    def explains(self) -> bool:
        """Has it `contributions`?"""

    def contributions(self, features: Float32) -> Float64:
        """TreeSHAP, float64 [documents, features + 1], the bias last. Raises UsageError without any."""

    def save(self, folder: Path) -> None:
        """Write the model as one file into an existing folder."""


@dataclass(frozen=True)
class Check:
    """One step of a verification."""

    name: str
    ok: bool
    detail: str


def load_ranker(folder: Path | str, *, probe: bool = True) -> Ranker:
    """Open a model folder.

    `probe=False` leaves out the child process, for folders that went through it when they were published.
    Raises ArtifactError for anything damaged, altered, incomplete or of an unknown kind.
    """
    return open_artifact(read_artifact(Path(folder)), probe=probe)


def open_artifact(artifact: Artifact, *, probe: bool = True) -> Ranker:
    """The ranker in these verified bytes, after the remaining checks of `load_ranker`."""
    _check_model(artifact)
    # Here, where it may take its time: the child's is limited.
    warm_up(artifact.manifest.kind)
    if probe:
        run_probe(artifact)
    return _open(artifact)


def _check_model(artifact: Artifact) -> None:
    manifest = artifact.manifest
    if manifest.kind not in KINDS:
        known = ", ".join(sorted(KINDS))
        raise ArtifactError(f"{artifact.where}: unknown kind of model {manifest.kind!r} (known: {known})")
    try:
        if manifest.kind in TREES:
            # Without compiled code, which is for scoring.
            from ranking.structure import read_forest

            read_forest(manifest.kind, artifact.model, manifest.feature_count)
        else:
            _opened(artifact)
    except ArtifactError as error:
        raise ArtifactError(f"{artifact.where / manifest.model}: {error}; {REMEDY}") from error


def _open(artifact: Artifact) -> Ranker:
    """Open in this process and compare the golden scores."""
    manifest = artifact.manifest
    place = artifact.where / manifest.model
    try:
        ranker = _opened(artifact)
    except ArtifactError as error:
        raise ArtifactError(f"{place}: {error}; {REMEDY}") from error
    scores = ranker.score(artifact.golden.features)
    difference = artifact.golden.mismatch(scores, exact=manifest.same_platform)
    if difference is not None:
        raise ArtifactError(f"{place}: {difference}; {REMEDY}")
    return ranker


def _opened(artifact: Artifact) -> Ranker:
    manifest = artifact.manifest
    ranker: Ranker = open_model(
        manifest.kind, artifact.model, feature_names=manifest.feature_names, missing=manifest.missing
    )
    return ranker


def verify(folder: Path | str, *, remembered: str | None = None) -> list[Check]:
    """Every check of `load_ranker`, one by one; after a failed one the others are skipped.

    `remembered` is the digest of the manifest that the folder was published with, where that is known.
    """
    place = Path(folder)
    held: list[Artifact] = []

    def hashes() -> str:
        held.append(read_artifact(place))
        return f"{len(held[0].manifest.files)} files have their size and SHA-256"

    def manifest() -> str:
        found = read_manifest(place)
        found.check_digest(remembered, place)
        told = f"{found.kind}, {found.feature_count} features, missing is {found.missing}"
        protected = found.sealed or remembered is not None
        return told if protected else f"{told}; {NOT_PROTECTED}"

    def structure() -> str:
        _check_model(held[0])
        return f"{len(held[0].model)} bytes of a sound {held[0].manifest.kind} model"

    def child() -> str:
        warm_up(held[0].manifest.kind)
        run_probe(held[0])
        return "a child process opened it and scored the golden rows"

    def golden() -> str:
        _open(held[0])
        exactly = (
            "to the bit" if held[0].manifest.same_platform else "to 1e-6 (other library version or machine)"
        )
        return f"{len(held[0].golden.scores)} golden rows score the same {exactly}"

    steps: dict[str, Callable[[], str]] = {
        "manifest": manifest,
        "hashes": hashes,
        "structure": structure,
        "probe": child,
        "golden": golden,
    }
    checks: list[Check] = []
    for name, step in steps.items():
        failed = next((check.name for check in checks if not check.ok), None)
        if failed is not None:
            checks.append(Check(name, False, f"skipped because {failed} failed"))
            continue
        try:
            checks.append(Check(name, True, step()))
        except (RankwrightError, OSError) as error:
            checks.append(Check(name, False, str(error)))
    return checks
