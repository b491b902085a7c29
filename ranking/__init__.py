"""Rankwright: train rankers on judged lists, measure them, and serve them.

The rooms:
    errors       every failure a user can cause, with its exit code
    places       places to write to, tried before the work
    dataset      RankingDataset: ragged lists, the one currency of training, scoring and serving
    letor        LETOR and LIBSVM text in and out: compiled parser, writer, lint, binary cache
    metrics      Metric ("ndcg@10"): gain, discount, ties, per-query values
    comparison   bootstrap intervals, paired randomisation test, Holm correction
    synthetic    seeded collections with a known relevance model
    objectives   what trees train on: compiled gradient and hessian on ragged lists
    losses       the same names in torch (extra `neural`)
    boosting     LightGBM and XGBoost behind one training call
    artifact     the model folder: manifest, hashes, golden rows
    rankers      the Ranker protocol and load_ranker
    registry     named, versioned artifacts on disk, aliases, atomic publish
    training     TrainConfig -> Ranker and report
    cli          the `rankwright` command
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ranking.dataset import RankingDataset
    from ranking.letor import read_letor, write_letor
    from ranking.metrics import Metric
    from ranking.objectives import OBJECTIVES
    from ranking.rankers import load_ranker
    from ranking.registry import Registry
    from ranking.training import TrainConfig, train

__all__ = [
    "OBJECTIVES",
    "Metric",
    "RankingDataset",
    "Registry",
    "TrainConfig",
    "load_ranker",
    "read_letor",
    "train",
    "write_letor",
]

_ROOMS = {
    "OBJECTIVES": "objectives",
    "Metric": "metrics",
    "RankingDataset": "dataset",
    "Registry": "registry",
    "TrainConfig": "training",
    "load_ranker": "rankers",
    "read_letor": "letor",
    "train": "training",
    "write_letor": "letor",
}


def __getattr__(name: str) -> Any:
    """Open a room only when something in it is asked for, so that `import ranking` stays light."""
    if name not in _ROOMS:
        raise AttributeError(f"module 'ranking' has no attribute {name!r}")
    return getattr(import_module(f"ranking.{_ROOMS[name]}"), name)
