"""One training run as both boosters see it: a job, a watch, and the callback that guards the gradients."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from ranking.dataset import Float32, Missing, RankingDataset
from ranking.errors import DataError, UsageError

if TYPE_CHECKING:
    # The objective is handed in: opening a model to score with it needs no compiled kernels.
    from ranking.objectives import Objective

_OURS = {
    "objective": "--objective",
    "num_iterations": "--rounds",
    "num_threads": "--threads",
    "nthread": "--threads",
    "n_jobs": "--threads",
    "seed": "--seed",
    "random_state": "--seed",
    "metric": "--metric",
    "eval_metric": "--metric",
    "early_stopping_round": "--early-stopping",
}


_FIXED = {"base_score", "deterministic", "disable_default_eval_metric", "verbosity"}


class Watch(Protocol):
    """Called after every round; returns True to stop.

    `rounds` counts from 1 over the whole model; `valid_scores` are the raw held-out scores, or None
    without held-out data; `snapshot()` gives the bytes of the model so far. `see_train_scores` gets the
    training scores before each round, where the objective is ours.
    """

    def see_train_scores(self, scores: Any) -> None: ...

    def __call__(self, rounds: int, valid_scores: Any, snapshot: Callable[[], bytes]) -> bool: ...


@dataclass(frozen=True, kw_only=True)
class Job:
    """One training run of a booster."""

    train: RankingDataset
    valid: RankingDataset | None
    objective: Objective | str
    """ours, or the name of one of the booster's own"""
    booster: Mapping[str, Any]
    """parameters by the booster's own names, over DEFAULTS"""
    rounds: int
    seed: int
    threads: int
    watch: Watch
    start: bytes | None = None
    """a snapshot to continue from"""


def refuse_ours(booster: Mapping[str, Any]) -> None:
    """Booster parameters that a flag of ours decides."""
    for name in booster:
        if name in _OURS:
            raise UsageError(f"booster.{name} is set by {_OURS[name]}: use that instead")
        if name in _FIXED:
            raise UsageError(
                f"booster.{name} is fixed, so that runs can be repeated and compared: leave it out"
            )


def watched_gradients(job: Job, first_round: int) -> Callable[[Any, Any], tuple[Any, Any]]:
    """The callable both boosters take, which refuses what would train a silent constant model.

    `first_round` is how many rounds the model it continues has: what an objective draws at random in a round
    depends on the round's number.
    """
    assert not isinstance(job.objective, str)
    gradients = job.objective.prepare(job.train, job.threads, first_round)
    first = True

    def objective(scores: Any, _: Any) -> tuple[Any, Any]:
        nonlocal first
        job.watch.see_train_scores(scores)
        with np.errstate(over="ignore"):
            gradient, hessian = (part.astype(np.float32, copy=False) for part in gradients(scores))
        bad = np.flatnonzero(~(np.isfinite(gradient) & np.isfinite(hessian)))
        if len(bad):
            row = int(bad[0])
            raise DataError(
                f"the gradient of row {row} (query {job.train.query_of(row)}) is not finite: a booster would "
                "train a constant model from it; lower the learning rate or check the objective's parameters"
            )
        if first and not gradient.any():
            raise DataError(
                "every gradient is zero: no query has two documents with different labels "
                "that this objective compares, so there is nothing to learn"
            )
        first = False
        return gradient, hessian

    return objective


def filled(features: Float32, missing: Missing) -> Float32:
    """The matrix as the model was trained to see it: NaN kept, or 0 where missing means zero."""
    if missing == "zero" and np.isnan(features).any():
        return np.nan_to_num(features, nan=0.0, posinf=np.inf, neginf=-np.inf)
    return features
