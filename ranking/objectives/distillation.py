"""Learning from a teacher: labels are its scores, of which only differences within a list count."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from ranking.objectives.arguments import check_positive, check_scores, row_weights
from ranking.objectives.protocol import Plain

if TYPE_CHECKING:
    from ranking.data.arrays import Float64
    from ranking.data.dataset import RankingDataset
    from ranking.objectives.protocol import Gradients


@dataclass(frozen=True, kw_only=True)
class MarginMSE(Plain):
    """Differences of scores towards those of a teacher's scores t, n the list's documents.

    Which is sum_i (d_i − mean d)² with d = s − t: no pair is ever looked at. t are the data set's targets, or
    its labels where it has none: grades whose differences mean something.

    gradient   2 w_i (d_i − m),   m the weighted mean of d over the list
    hessian    2 w_i (1 − w_i / W), exact; W the list's sum of weights
    """

    name: ClassVar[str] = "margin_mse"
    family: ClassVar[str] = "listwise"
    hessian: ClassVar[Literal["exact", "surrogate"]] = "exact"
    formula: ClassVar[str] = "(1 / n) sum over pairs of ((s_i − s_j) − (t_i − t_j))²"
    source: ClassVar[str] = "Hofstätter et al. 2020 (Margin-MSE), over all pairs of a list"
    shift_invariant: ClassVar[bool] = True
    stochastic: ClassVar[bool] = False
    needs_positions: ClassVar[bool] = False
    labels: ClassVar[Literal["graded", "real"]] = "real"

    hessian_scale: float = 1.0

    def __post_init__(self) -> None:
        check_positive(hessian_scale=self.hessian_scale)

    def prepare(self, dataset: RankingDataset, threads: int = 1, first_round: int = 0) -> Gradients:
        """`scores -> (gradient, hessian)` for many rounds on one data set; threads are not needed."""
        weights = row_weights(dataset)
        total = np.repeat(np.add.reduceat(weights, dataset.offsets[:-1]), dataset.sizes)
        share = np.divide(weights, total, out=np.zeros_like(weights), where=total > 0)
        twice = 2.0 * weights
        hessian = twice * (1.0 - share) * self.hessian_scale
        starts, sizes, targets = dataset.offsets[:-1], dataset.sizes, dataset.lessons.astype(np.float64)

        def gradients(scores: Any) -> tuple[Float64, Float64]:
            apart = check_scores(scores, dataset) - targets
            mean = np.repeat(np.add.reduceat(share * apart, starts), sizes)
            return twice * (apart - mean), hessian.copy()

        return gradients

    def gradients(self, scores: Any, dataset: RankingDataset) -> tuple[Float64, Float64]:
        """(gradient, hessian), float64 [documents], of `loss` at `scores` [documents].

        Raises DataError for scores of the wrong length or not finite.
        """
        return self.prepare(dataset)(scores)

    def loss(self, scores: Any, dataset: RankingDataset, weights_at: Any = None) -> float:
        """The sum over lists; `weights_at` is not needed, since no weight knows ranks."""
        # gradient / 2 is w (d − m), and sum w (d − m)² is that times d, since sum w (d − m) m = 0.
        gradient, _ = self.gradients(scores, dataset)
        apart = check_scores(scores, dataset) - dataset.lessons.astype(np.float64)
        return float(gradient @ apart) / 2.0
