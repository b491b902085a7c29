"""Small training jobs, and what comes of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from ranking.errors import UsageError
from ranking.trees.backends import BACKENDS
from ranking.trees.boosting import Job, boost
from ranking.trees.ranker import TreeRanker

SMALL: dict[str, dict[str, Any]] = {
    "lightgbm": {"num_leaves": 7, "min_data_in_leaf": 5, "learning_rate": 0.1},
    "xgboost": {"max_leaves": 7, "learning_rate": 0.1},
}
both = pytest.mark.parametrize("backend", BACKENDS)


class Silent:
    """A watch that only counts."""

    def __init__(self, stop_after: int | None = None) -> None:
        self.rounds: list[int] = []
        self.valid: list[Any] = []
        self.stop_after = stop_after

    def see_train_scores(self, scores: Any) -> None:
        self.first = np.array(scores) if not self.rounds else self.first

    def __call__(self, rounds: int, valid_scores: Any, snapshot: Callable[[], bytes]) -> bool:
        self.rounds.append(rounds)
        self.valid.append(None if valid_scores is None else np.array(valid_scores))
        self.snapshot = snapshot() if rounds == self.stop_after else None
        return rounds == self.stop_after


def job(backend: str, data: Any, objective: Any, rounds: int = 20, **more: Any) -> Job:
    settings = {"valid": None, "booster": SMALL[backend], "seed": 3, "threads": 1, "watch": Silent()} | more
    return Job(train=data, objective=objective, rounds=rounds, **settings)


def scores_of(backend: str, model: bytes, data: Any) -> Any:
    names = tuple(f"f{i}" for i in range(data.feature_count))
    return TreeRanker.from_bytes(backend, model, feature_names=names, missing="nan").score(data.features)


def refused(backend: str, booster: dict[str, Any], objective: Any, data: Any) -> str:
    """The words of the refusal, which comes before the first round."""
    watch = Silent()
    with pytest.raises(UsageError) as error:
        boost(backend, job(backend, data, objective, booster=booster, watch=watch))
    assert watch.rounds == []
    return str(error.value)
