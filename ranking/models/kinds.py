"""The kinds of models there are, and how each is opened from the bytes of its file.

lightgbm, xgboost   trees, read by `ranking.trees.reading`, scored by `ranking.trees.scoring`
neural              a network, `ranking.neural.ranker`
ensemble            several of these, `ranking.models.ensemble`
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ranking.data.dataset import Missing
from ranking.errors import unknown_name
from ranking.trees.backends import BACKENDS

KINDS = (*BACKENDS, "neural", "ensemble")


def open_model(kind: str, content: bytes, *, feature_names: tuple[str, ...], missing: Missing) -> Any:
    """The ranker in these bytes, checked.

    Raises ArtifactError for anything damaged, UsageError for an unknown kind.
    """
    return _opener(kind)(kind, content, feature_names, missing)


def warm_up(kind: str, *, contributions: bool = False) -> None:
    """Compile what scores (and explains) models of a kind, or find it compiled on disk."""
    if kind in (*BACKENDS, "ensemble"):
        from ranking.trees.scoring import warm_up as compile_scorer

        for tree in BACKENDS if kind == "ensemble" else (kind,):
            compile_scorer(tree, contributions=contributions)


# Here and not above: this room is opened by every command, compiled code only by those that score.
def _tree(kind: str, content: bytes, names: tuple[str, ...], missing: Missing) -> Any:
    from ranking.trees.ranker import TreeRanker

    return TreeRanker.from_bytes(kind, content, feature_names=names, missing=missing)


def _neural(kind: str, content: bytes, names: tuple[str, ...], missing: Missing) -> Any:
    from ranking.neural.ranker import NeuralRanker

    return NeuralRanker.from_bytes(content, feature_names=names, missing=missing)


def _ensemble(kind: str, content: bytes, names: tuple[str, ...], missing: Missing) -> Any:
    from ranking.models.ensemble import EnsembleRanker

    def member(kind: str, content: bytes) -> Any:
        return open_model(kind, content, feature_names=names, missing=missing)

    return EnsembleRanker.from_bytes(content, member)


_OPENERS: dict[str, Callable[..., Any]] = {
    **dict.fromkeys(BACKENDS, _tree),
    "neural": _neural,
    "ensemble": _ensemble,
}


def _opener(kind: str) -> Callable[..., Any]:
    if kind not in _OPENERS:
        raise unknown_name("kind of model", kind, KINDS)
    return _OPENERS[kind]
