"""Listwise objectives: cross-entropy between a target over a list's documents and the softmax of its scores.

    L = −sum_i t_i (s_i − log sum_j exp s_j),   gradient T p_i − t_i,   diagonal hessian T p_i (1 − p_i)

with p the softmax of the scores and T the sum of t over the list: 1 where targets are normalised, times the
query's weight. Documents' weights multiply their targets. Losses sum over lists.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from ranking.metrics import gain
from ranking.metrics.conventions import Worths
from ranking.objectives.arguments import (
    check_at_least,
    check_choice,
    check_positive,
    check_scores,
    row_weights,
)
from ranking.objectives.protocol import Plain

if TYPE_CHECKING:
    from ranking.data.arrays import Float64
    from ranking.data.dataset import RankingDataset
    from ranking.objectives.protocol import Gradients


@dataclass(frozen=True, kw_only=True)
class Listwise(Plain):
    """What listwise objectives share; `targets` says what each is."""

    name: ClassVar[str]
    family: ClassVar[str] = "listwise"
    hessian: ClassVar[Literal["exact", "surrogate"]] = "exact"
    formula: ClassVar[str]
    source: ClassVar[str]
    shift_invariant: ClassVar[bool] = True
    stochastic: ClassVar[bool] = False
    needs_positions: ClassVar[bool] = False

    hessian_scale: float = 1.0

    def __post_init__(self) -> None:
        check_positive(hessian_scale=self.hessian_scale)

    def targets(self, dataset: RankingDataset, number: int) -> Float64:
        """t of round `number`, float64 [documents], >= 0."""
        raise TypeError(f"{type(self).__name__} names no targets")

    def prepare(self, dataset: RankingDataset, threads: int = 1, first_round: int = 0) -> Gradients:
        """`scores -> (gradient, hessian)` for many rounds on one data set; threads are not needed.

        It may be called from several threads: each call is a round of its own.
        """
        weights = row_weights(dataset)
        first_targets = _without_single(self.targets(dataset, first_round) * weights, dataset)
        rounds = count(first_round)

        def gradients(scores: Any) -> tuple[Float64, Float64]:
            at = check_scores(scores, dataset)
            number, targets = next(rounds), first_targets  # no two threads get one number
            if self.stochastic and number > first_round:
                targets = _without_single(self.targets(dataset, number) * weights, dataset)
            p, _ = _softmax(at, dataset)
            total = np.repeat(np.add.reduceat(targets, dataset.offsets[:-1]), dataset.sizes)
            return total * p - targets, total * p * (1.0 - p) * self.hessian_scale

        return gradients

    def gradients(self, scores: Any, dataset: RankingDataset) -> tuple[Float64, Float64]:
        """(gradient, hessian), float64 [documents], of `loss` at `scores` [documents].

        Raises DataError for scores of the wrong length or not finite.
        """
        return self.prepare(dataset)(scores)

    def loss(self, scores: Any, dataset: RankingDataset, weights_at: Any = None) -> float:
        """The sum over lists, with the targets of round 0; `weights_at` is not needed here."""
        targets = _without_single(self.targets(dataset, 0) * row_weights(dataset), dataset)
        _, logs = _softmax(check_scores(scores, dataset), dataset)
        return float(-(np.where(targets > 0, targets * logs, 0.0)).sum())


@dataclass(frozen=True, kw_only=True)
class Softmax(Listwise):
    """ListNet's top-one cross-entropy, with normalised labels as the target.

    target     "normalised": t_i = G(y_i) / sum_j G(y_j); a list of zeros has no target and no gradient
               "raw": t_i = G(y_i), so that lists with more relevance weigh more (rax's default)
               "softmax": t_i = exp(y_i) / sum_j exp(y_j), as in the paper; a list of equal labels then
               draws its scores together
    gain       G, a name, a table by label, or a function
    gradient, hessian   see the module; one relevant document makes it InfoNCE
    """

    name: ClassVar[str] = "softmax"
    formula: ClassVar[str] = "−sum_i t_i log softmax(s)_i, t the labels, normalised"
    source: ClassVar[str] = "Cao et al. 2007 (ListNet); normalised labels: Bruch et al. 2019"

    target: Literal["normalised", "raw", "softmax"] = "normalised"
    gain: Worths = "linear"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choice("target", self.target, ("normalised", "raw", "softmax"))
        gain(np.zeros(1, np.float32), self.gain)

    def targets(self, dataset: RankingDataset, number: int) -> Float64:
        if self.target == "softmax":
            return _softmax(dataset.labels.astype(np.float64), dataset)[0]
        gains = gain(dataset.labels, self.gain)
        return gains if self.target == "raw" else _shares(gains, dataset)


@dataclass(frozen=True, kw_only=True)
class XENDCG(Listwise):
    """XE-NDCG: softmax cross-entropy against perturbed gains, drawn anew in each round.

    A convex bound of a generalised NDCG. The draw depends on noise_seed, the round and the row alone, so that
    a resumed run draws the same. A list without a relevant document is left out.

    gradient, hessian   of the cross-entropy with this round's target, exact (LightGBM's `rank_xendcg` adds
               two terms of a Newton step in place of the hessian's other entries)
    """

    name: ClassVar[str] = "xendcg"
    formula: ClassVar[str] = "−sum_i t_i log softmax(s)_i, t_i ∝ 2^y_i − u_i, u_i uniform in [0, 1)"
    source: ClassVar[str] = "Bruch 2021 (An alternative cross entropy loss for learning-to-rank)"
    stochastic: ClassVar[bool] = True

    gain: Worths = "exponential"
    noise_seed: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        check_at_least(0, noise_seed=self.noise_seed)
        gain(np.zeros(1, np.float32), self.gain)

    def targets(self, dataset: RankingDataset, number: int) -> Float64:
        gains = gain(dataset.labels, self.gain)
        relevant = np.repeat(np.maximum.reduceat(gains, dataset.offsets[:-1]) > 0, dataset.sizes)
        uniform = np.random.default_rng([self.noise_seed, number]).random(len(gains))
        return _shares(np.where(relevant, gains + 1.0 - uniform, 0.0), dataset)


def _shares(values: Float64, dataset: RankingDataset) -> Float64:
    """Each value over the sum of its list, 0 where that is 0."""
    totals = np.repeat(np.add.reduceat(values, dataset.offsets[:-1]), dataset.sizes)
    shares: Float64 = np.divide(values, totals, out=np.zeros(len(values)), where=totals > 0)
    return shares


def _softmax(scores: Float64, dataset: RankingDataset) -> tuple[Float64, Float64]:
    """(softmax over each list, its logarithm), float64 [documents]."""
    starts, sizes = dataset.offsets[:-1], dataset.sizes
    shifted = scores - np.repeat(np.maximum.reduceat(scores, starts), sizes)
    powers = np.exp(shifted)
    totals = np.repeat(np.add.reduceat(powers, starts), sizes)
    return powers / totals, shifted - np.log(totals)


def _without_single(targets: Float64, dataset: RankingDataset) -> Float64:
    """A list of one document has nothing to order: its target is 0, so that rounding leaves no gradient."""
    kept: Float64 = np.where(np.repeat(dataset.sizes > 1, dataset.sizes), targets, 0.0)
    return kept
