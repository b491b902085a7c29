"""Pair weights: what a pair counts, by the labels and ranks of its documents; held still in the gradient.

Truncation has more than one meaning in the field; `truncation_rule` names the one meant:

lightgbm    pairs need one document among the `truncation` best, and discounts are not cut (LightGBM,
            XGBoost, CatBoost); the ideal DCG is cut
exact       the metric at the cutoff itself: ranks beyond `truncation` are worth nothing
lambdaloss  NDCG-Loss2 and 2++ only: pairs as in `lightgbm`, those that reach rank r beyond `truncation`
            weighted by 1 / (1 − D(r)), which keeps LambdaLoss a bound of the cut metric
            (Jagerman et al. 2022, "On optimizing top-K metrics for neural ranking models")
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal, NamedTuple

import numpy as np

from ranking.errors import UsageError
from ranking.metrics import discounts, gain
from ranking.metrics.conventions import Worths, relevance, stop_probabilities
from ranking.objectives.arguments import check_at_least, check_choice, check_switches
from ranking.objectives.kernel.layout import (
    CASCADE,
    DISTANCE,
    FIRST_RELEVANT,
    PRECISION_AVERAGE,
    RANKED,
    UNIFORM,
)

if TYPE_CHECKING:
    from ranking.data.arrays import Float64
    from ranking.data.dataset import RankingDataset

WEIGHT_METRICS = ("ndcg", "dcg", "map", "mrr", "err", "precision")


class WeightRule(NamedTuple):
    """A pair weight as the kernel's numbers; `ranking.objectives.kernel.layout.Rule` says what each is."""

    kind: int
    cutoff: int | None = None
    """None: no rank is beyond it"""
    ranked: float = 0.0
    near: float = 0.0
    ties_as_half: bool = False


class PairWeight:
    """What pair weights share. Every method has the objective's `truncation`: None is no truncation.

    name             in `PAIR_WEIGHTS`, or "own"
    formula, source  one line each; both empty where each pair weighs 1
    """

    source: ClassVar[str] = ""

    @property
    def name(self) -> str:
        raise TypeError(f"{type(self).__name__} has no name")

    @property
    def formula(self) -> str:
        return ""

    @property
    def double(self) -> bool:
        """Are pairs weighed in float64 whatever `precision` says?"""
        return False

    def check(self, truncation: int | None) -> None:
        """Raise UsageError for a truncation that this weight cannot have."""

    def rule(self, truncation: int | None) -> WeightRule:
        raise TypeError(f"{type(self).__name__} has no rule")

    def worth(self, dataset: RankingDataset, truncation: int | None) -> tuple[Float64, Float64]:
        """(worth of each label [documents], what multiplies the weights of each query; 0 leaves it out)."""
        return dataset.labels.astype(np.float64), np.ones(dataset.query_count)

    def discounts(self, count: int, truncation: int | None) -> Float64:
        """The discount by 0-based rank, float64 [count]; all zero where the weight knows no ranks."""
        return np.zeros(count)

    def steps(self, count: int, truncation: int | None) -> tuple[Float64, Float64]:
        """(weight by distance of ranks [count + 1], factor by lower rank [count]); empty where unused."""
        return np.empty(0), np.empty(0)

    def function(self) -> Callable[..., float] | None:
        """A compiled function the kernel does not have, or None."""
        return None


@dataclass(frozen=True, kw_only=True)
class UniformWeight(PairWeight):
    """Every pair of different labels weighs 1.

    ties_as_half   a pair of equal labels has the target one half, as in the RankNet paper: it adds the mean
                   of the losses of its two orders, and so draws the two scores together (logistic pairs)
    """

    ties_as_half: bool = False

    def __post_init__(self) -> None:
        check_switches(ties_as_half=self.ties_as_half)

    @property
    def name(self) -> str:
        return "uniform"

    def rule(self, truncation: int | None) -> WeightRule:
        return WeightRule(UNIFORM, ties_as_half=self.ties_as_half)


@dataclass(frozen=True, kw_only=True)
class MetricWeight(PairWeight):
    """|ΔM|, the change of the metric M if the two documents swapped places.

        |ΔNDCG| = |G(y_i) − G(y_j)| · |D(r_i) − D(r_j)| / maxDCG@truncation

    with gain G and discount D of `ranking.metrics`, ranks r by the current scores.

    metric     ndcg; dcg: not divided by the ideal; map, mrr, precision: of documents with label > 0;
               err: with the stop probabilities of `ranking.metrics`; precision is at `truncation`
    truncation_rule   what ranks beyond `truncation` are worth: "lightgbm", what they always are; "exact",
               nothing
    gain, discount   of ndcg and dcg: a name, a table (by label; from rank 1), or a function
    """

    source: ClassVar[str] = (
        "Burges, Ragno, Le 2006; Burges 2010 (LambdaMART); Donmez, Svore, Burges 2009 (MAP, MRR)"
    )

    metric: str = "ndcg"
    truncation_rule: Literal["lightgbm", "exact"] = "lightgbm"
    gain: Worths = "exponential"
    discount: Worths = "log2"

    def __post_init__(self) -> None:
        check_choice("metric", self.metric, WEIGHT_METRICS)
        check_choice("truncation_rule", self.truncation_rule, ("lightgbm", "exact"))
        check_worths(self.gain, self.discount)

    @property
    def name(self) -> str:
        return "metric"

    @property
    def formula(self) -> str:
        return f"|Δ{self.metric.upper()}_ij|"

    @property
    def double(self) -> bool:
        # Their rank factors are differences of sums over many ranks, which float32 would round away.
        return self.metric in ("map", "mrr", "err")

    def check(self, truncation: int | None) -> None:
        if self.metric == "precision" and truncation is None:
            raise UsageError("precision of a whole list says nothing about its order: set truncation")

    def rule(self, truncation: int | None) -> WeightRule:
        kinds = {"map": PRECISION_AVERAGE, "mrr": FIRST_RELEVANT, "err": CASCADE}
        return WeightRule(kinds.get(self.metric, RANKED), cutoff=self.cutoff(truncation))

    def cutoff(self, truncation: int | None) -> int | None:
        """The last rank that is worth something, or None for all."""
        exact = self.truncation_rule == "exact" or self.metric == "precision"
        return truncation if exact else None

    def worth(self, dataset: RankingDataset, truncation: int | None) -> tuple[Float64, Float64]:
        if self.metric == "err":
            return stop_probabilities(dataset.labels), np.ones(dataset.query_count)
        if self.metric in ("map", "mrr", "precision"):
            worth = relevance(dataset.labels)
            relevant = np.add.reduceat(worth, dataset.offsets[:-1])
            divisor = relevant if self.metric == "map" else np.ones(dataset.query_count)
            if self.metric == "precision":
                divisor = divisor * (truncation or 1)
            return worth, np.divide(1.0, divisor, out=np.zeros(len(divisor)), where=relevant > 0)
        gains = gain(dataset.labels, self.gain)
        if self.metric == "dcg":
            return gains, np.ones(dataset.query_count)
        return gains, inverse_ideals(gains, dataset, self.discount, truncation)

    def discounts(self, count: int, truncation: int | None) -> Float64:
        worths = np.ones(count) if self.metric == "precision" else discounts(count, self.discount)
        if self.cutoff(truncation) is not None:
            worths[self.cutoff(truncation) :] = 0.0
        return worths


@dataclass(frozen=True, kw_only=True)
class DistanceWeight(PairWeight):
    """LambdaLoss's weights, by the distance of the ranks: NDCG-Loss2, and with `mu` NDCG-Loss2++.

        |G(y_i) − G(y_j)| · |D(|r_i − r_j|) − D(|r_i − r_j| + 1)| / maxDCG@truncation

    A bound of 1 − NDCG that the EM of the paper descends; pairs of neighbours count most, wherever they are.

    mu         none: this weight alone; a number: mu times it, plus |ΔNDCG| (equation 17; 10 in allRank and
               sentence-transformers)
    metric     ndcg, the only one that is bounded
    truncation_rule   "lightgbm", or "lambdaloss", the bound of the cut metric
    gain, discount   a name, a table (by label; from rank 1), or a function
    """

    source: ClassVar[str] = "Wang et al. 2018 (LambdaLoss)"

    mu: float | None = None
    metric: Literal["ndcg"] = "ndcg"
    truncation_rule: Literal["lightgbm", "lambdaloss"] = "lightgbm"
    gain: Worths = "exponential"
    discount: Worths = "log2"

    def __post_init__(self) -> None:
        if self.metric != "ndcg":
            raise UsageError(f"{self.name} is a bound of NDCG: metric must be ndcg, got {self.metric!r}")
        check_choice("truncation_rule", self.truncation_rule, ("lightgbm", "lambdaloss"))
        if self.mu is not None:
            check_at_least(0, mu=self.mu)
        check_worths(self.gain, self.discount)

    @property
    def name(self) -> str:
        return "ndcg_loss2" if self.mu is None else "ndcg_loss2pp"

    @property
    def formula(self) -> str:
        by_distance = "|G_i − G_j| |D(|r_i − r_j|) − D(|r_i − r_j| + 1)| / maxDCG"
        return by_distance if self.mu is None else f"(mu · {by_distance} + |ΔNDCG_ij|)"

    def factors(self) -> tuple[float, float]:
        """(of the difference of discounts, of the step by distance)."""
        return (0.0, 1.0) if self.mu is None else (1.0, float(self.mu))

    def rule(self, truncation: int | None) -> WeightRule:
        ranked, near = self.factors()
        return WeightRule(DISTANCE, ranked=ranked, near=near)

    def worth(self, dataset: RankingDataset, truncation: int | None) -> tuple[Float64, Float64]:
        gains = gain(dataset.labels, self.gain)
        return gains, inverse_ideals(gains, dataset, self.discount, truncation)

    def discounts(self, count: int, truncation: int | None) -> Float64:
        return discounts(count, self.discount)

    def steps(self, count: int, truncation: int | None) -> tuple[Float64, Float64]:
        """(D(d) − D(d + 1) for each distance d, 1 / (1 − D(rank)) beyond the truncation or 1)."""
        falling = discounts(count + 1, self.discount)
        stretch = np.ones(count)
        if self.truncation_rule == "lambdaloss" and truncation is not None:
            # D of rank 1 is 1 and never stretched, since the truncation is at least 1.
            stretch[truncation:] = 1.0 / (1.0 - falling[truncation:count])
        return np.concatenate([[0.0], falling[:-1] - falling[1:]]), stretch


def check_worths(of_labels: Worths, of_ranks: Worths) -> None:
    """Raise UsageError for a gain or a discount that is none."""
    gain(np.zeros(1, np.float32), of_labels)
    discounts(1, of_ranks)


def inverse_ideals(
    gains: Float64, dataset: RankingDataset, of_ranks: Worths, truncation: int | None
) -> Float64:
    """One over each query's ideal DCG at the truncation; 0 stays 0."""
    discount = discounts(int(dataset.sizes.max()), of_ranks)[:truncation]
    inverse = np.zeros(dataset.query_count)
    for query in range(dataset.query_count):
        best = np.sort(gains[dataset.offsets[query] : dataset.offsets[query + 1]])[::-1]
        ideal = float(best[: len(discount)] @ discount[: len(best)])
        inverse[query] = 1.0 / ideal if ideal > 0 else 0.0
    return inverse


PAIR_WEIGHTS: dict[str, PairWeight] = {
    one.name: one for one in (UniformWeight(), MetricWeight(), DistanceWeight(), DistanceWeight(mu=10.0))
}
"""Each name's pair weight with default parameters."""
