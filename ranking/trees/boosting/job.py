"""One training run as both boosters see it: a job, a watch, and the callback that guards the gradients."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from ranking.data.dataset import RankingDataset
from ranking.errors import DataError, UsageError

if TYPE_CHECKING:
    # The objective is handed in: opening a model to score with it needs no compiled kernels.
    from ranking.objectives import Objective


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
    """parameters by the booster's own names, over the backend's defaults"""
    rounds: int
    seed: int
    threads: int
    watch: Watch
    start: bytes | None = None
    """a snapshot to continue from"""
    categorical: tuple[int, ...] = ()
    """columns (from 0) whose values are categories"""
    gain: Any = None
    discount: Any = None
    """the run's, for one of the booster's own objectives that knows such a thing; None leaves its own"""
    query_fraction: float = 1.0
    """share of the queries, drawn for each round, that an objective of ours gives a gradient"""


def check_discount(job: Job) -> None:
    """Refuse a discount for one of the boosters' own NDCG objectives, which have log2 built in."""
    if job.discount not in (None, "log2"):
        raise UsageError(
            f"the boosters' own objective {job.objective} discounts by log2, and discount={job.discount} was "
            "asked for: take Rankwright's (--objective lambdarank)"
        )


def watched_gradients(job: Job, first_round: int) -> Callable[[Any, Any], tuple[Any, Any]]:
    """The callable both boosters take, which refuses what would train a silent constant model.

    `first_round` is how many rounds the model it continues has: what an objective draws at random in a round
    depends on the round's number.
    """
    assert not isinstance(job.objective, str)
    gradients = job.objective.prepare(job.train, job.threads, first_round)
    first, number = True, first_round

    def objective(scores: Any, _: Any) -> tuple[Any, Any]:
        nonlocal first, number
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
        number += 1
        return _of_drawn_queries(job, number, gradient, hessian)

    return objective


def _of_drawn_queries(job: Job, number: int, gradient: Any, hessian: Any) -> tuple[Any, Any]:
    """Both with zeros outside the queries drawn for this round, by seed and round alone."""
    if job.query_fraction >= 1:
        return gradient, hessian
    sizes = job.train.sizes
    chosen = np.zeros(len(sizes), np.float32)
    count = max(1, round(job.query_fraction * len(sizes)))
    chosen[np.random.default_rng([job.seed, number]).permutation(len(sizes))[:count]] = 1
    drawn = np.repeat(chosen, sizes)
    kept = gradient * drawn
    # Of few queries those drawn may hold nothing to learn; a tree without a split would end the training.
    return (kept, hessian * drawn) if kept.any() else (gradient, hessian)
