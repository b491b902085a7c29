"""The kinds of models there are: one row a kind, with those who open, check and warm it.

A row names them as module:function, and they are opened when they are needed: this table is read by every
command, what it names only by those that score.
"""

from __future__ import annotations

from dataclasses import dataclass
from pkgutil import resolve_name
from typing import Any

from ranking.data.dataset import Missing
from ranking.errors import unknown_name
from ranking.trees.backends import BACKENDS


@dataclass(frozen=True)
class Kind:
    """Who knows a kind of model.

    opener      (kind, bytes, *, feature_names, missing) -> Ranker; ArtifactError for anything damaged
    check       (kind, bytes, feature_count) -> anything: the same checks without what scoring needs, where
                there are cheaper ones than opening
    warm        (kind, *, contributions) compiles what scores and, if so asked, explains, or finds it on disk
    importance  what a model's `importance` shares out
    foreign     does a library that trusts what it reads open it? Then a disposable process does so first
    """

    opener: str
    check: str | None = None
    warm: str | None = None
    importance: str = "share of change in scores, shuffled"
    foreign: bool = False


_TREES = Kind(
    opener="ranking.trees.ranker:TreeRanker.from_bytes",
    check="ranking.trees.reading:read_forest",
    warm="ranking.trees.scoring:warm_up",
    importance="share of gain",
)

KINDS: dict[str, Kind] = {
    **dict.fromkeys(BACKENDS, _TREES),
    "neural": Kind(opener="ranking.neural.ranker:NeuralRanker.from_bytes"),
    "ensemble": Kind(opener="ranking.models.ensemble:open_ensemble", warm="ranking.models.ensemble:warm_up"),
}
"""Every kind by its name, as a manifest has it."""


def open_model(kind: str, content: bytes, *, feature_names: tuple[str, ...], missing: Missing) -> Any:
    """The ranker in these bytes, checked.

    Raises ArtifactError for anything damaged, UsageError for an unknown kind.
    """
    return resolve_name(_named(kind).opener)(kind, content, feature_names=feature_names, missing=missing)


def check_model(kind: str, content: bytes, *, feature_names: tuple[str, ...], missing: Missing) -> None:
    """Raise ArtifactError where these bytes are no sound model of the kind and of these features."""
    if (check := _named(kind).check) is None:
        open_model(kind, content, feature_names=feature_names, missing=missing)
    else:
        resolve_name(check)(kind, content, len(feature_names))


def warm_up(kind: str, *, contributions: bool = False) -> None:
    """Compile what scores (and explains) models of a kind, or find it compiled on disk."""
    if kind in KINDS and (warm := KINDS[kind].warm) is not None:
        resolve_name(warm)(kind, contributions=contributions)


def _named(kind: str) -> Kind:
    if kind not in KINDS:
        raise unknown_name("kind of model", kind, KINDS)
    return KINDS[kind]
