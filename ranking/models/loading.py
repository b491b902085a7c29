"""`load_ranker`: opens a model folder safely.

The order of checks: manifest, sizes and hashes; our own reading of the model, which refuses whatever is not
sound, and is the one that scores; the golden rows. No booster ever opens a model here.

A kind that a foreign library opens (`ranking.models.kinds`) is read twice more: its structure by us, and the
whole of it by a disposable child process, before this process lets the library have it.
"""

from __future__ import annotations

from pathlib import Path

from ranking.errors import ArtifactError
from ranking.models.folder import Artifact, read_artifact
from ranking.models.kinds import KINDS, Kind, check_model, open_model, warm_up
from ranking.models.manifest import REMEDY
from ranking.models.probe import probe as run_probe
from ranking.models.ranker import Ranker

NOT_PROTECTED = (
    "its manifest is of format 1 and not protected by a hash: a change of it is not noticed "
    "(`rankwright verify --reseal` seals it as it is)"
)


def load_ranker(folder: Path | str, *, probe: bool = True) -> Ranker:
    """Open a model folder.

    `probe=False` leaves out the child process of foreign kinds, for folders that went through it when they
    were published.
    Raises ArtifactError for anything damaged, altered, incomplete or of an unknown kind.
    """
    return open_artifact(read_artifact(Path(folder)), probe=probe)


def open_artifact(artifact: Artifact, *, probe: bool = True) -> Ranker:
    """The ranker in these verified bytes, after the remaining checks of `load_ranker`."""
    kind = _kind(artifact)
    if kind.foreign:
        check_structure(artifact)
    # Here, where it may take its time: the child's is limited.
    warm_up(artifact.manifest.kind)
    if kind.foreign and probe:
        run_probe(artifact)
    return open_compared(artifact)


def _kind(artifact: Artifact) -> Kind:
    if (name := artifact.manifest.kind) not in KINDS:
        known = ", ".join(sorted(KINDS))
        raise ArtifactError(f"{artifact.where}: unknown kind of model {name!r} (known: {known})")
    return KINDS[name]


def check_structure(artifact: Artifact) -> None:
    manifest = artifact.manifest
    _kind(artifact)
    try:
        check_model(
            manifest.kind, artifact.model, feature_names=manifest.feature_names, missing=manifest.missing
        )
    except ArtifactError as error:
        raise ArtifactError(f"{artifact.where / manifest.model}: {error}; {REMEDY}") from error


def open_compared(artifact: Artifact) -> Ranker:
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
