"""Rankwright: train rankers on judged lists, measure them, and serve them.

The rooms, each importing only from those above it:
    errors      every failure a user can cause, with its exit code
    compiled    how our code meets the compiler
    data        judged lists, and what reads or writes them: LETOR, Parquet, a journal, a store
    metrics     Metric ("ndcg@10"), its conventions and values; evaluation and comparison of systems
    objectives  what trees train on: compiled gradient and hessian on ragged lists
    losses      the same names in torch, and metric learning (extra `neural`)
    trees       tree ensembles: reading, scoring, boosting
    neural      networks over lists: training needs torch, scoring does not
    models      a model as an object, a folder and an entry of a registry: Ranker, load_ranker, Registry
    training    TrainConfig -> Ranker and page; cross-validation and tuning
    retrieval   text in, candidates out: collections, BM25, encoders, index, fusion
    cli         the `rankwright` command
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ranking.data.dataset import RankingDataset
    from ranking.data.letor import read_letor, write_letor
    from ranking.metrics import Metric
    from ranking.metrics.comparison import compare
    from ranking.metrics.evaluation import evaluate_scores
    from ranking.models.loading import load_ranker
    from ranking.models.ranker import score_dataset
    from ranking.models.registry import Registry
    from ranking.objectives import OBJECTIVES
    from ranking.training.config import TrainConfig
    from ranking.training.run import train

__all__ = [
    "OBJECTIVES",
    "Metric",
    "RankingDataset",
    "Registry",
    "TrainConfig",
    "compare",
    "evaluate_scores",
    "load_ranker",
    "read_letor",
    "score_dataset",
    "train",
    "write_letor",
]

_HOMES = {
    "OBJECTIVES": "objectives",
    "Metric": "metrics",
    "RankingDataset": "data.dataset",
    "Registry": "models.registry",
    "TrainConfig": "training.config",
    "compare": "metrics.comparison",
    "evaluate_scores": "metrics.evaluation",
    "load_ranker": "models.loading",
    "read_letor": "data.letor",
    "score_dataset": "models.ranker",
    "train": "training.run",
    "write_letor": "data.letor",
}


def __getattr__(name: str) -> Any:
    """Open a room only when something in it is asked for, so that `import ranking` stays light."""
    if name not in _HOMES:
        raise AttributeError(
            f"module 'ranking' has no attribute {name!r}", name=name, obj=sys.modules[__name__]
        )
    return getattr(import_module(f"ranking.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return list(__all__)
