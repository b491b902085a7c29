"""LambdaRank with any metric, its debiased form for clicks, and LambdaLoss: logistic pairs by ranks.

Truncation has more than one meaning in the field; `truncation_rule` names the one meant:

lightgbm    pairs need one document among the `truncation` best, and discounts are not cut (LightGBM,
            XGBoost, CatBoost); the ideal DCG is cut
exact       the metric at the cutoff itself: ranks beyond `truncation` are worth nothing
lambdaloss  NDCG-Loss2 and 2++ only: pairs as in `lightgbm`, those that reach rank r beyond `truncation`
            weighted by 1 / (1 − D(r)), which keeps LambdaLoss a bound of the cut metric
            (Jagerman et al. 2022, "On optimizing top-K metrics for neural ranking models")
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from ranking.errors import DataError, UsageError
from ranking.metrics import discounts, gain
from ranking.metrics.conventions import Rule as Worths
from ranking.metrics.conventions import relevance, stop_probabilities
from ranking.objectives.arguments import check_at_least, check_choice
from ranking.objectives.kernel.layout import (
    CASCADE,
    DISTANCE,
    FIRST_RELEVANT,
    LOGISTIC,
    PRECISION_AVERAGE,
    RANKED,
    Rule,
)
from ranking.objectives.pairwise import Logistic

if TYPE_CHECKING:
    from ranking.data.arrays import Float64
    from ranking.data.dataset import RankingDataset

METRICS = ("ndcg", "dcg", "map", "mrr", "err", "precision")


@dataclass(frozen=True, kw_only=True)
class LambdaRank(Logistic):
    """RankNet's pairs, each times |ΔM|, the change of the metric M if the two documents swapped places.

        |ΔNDCG| = |G(y_i) − G(y_j)| · |D(r_i) − D(r_j)| / maxDCG@truncation

    with gain G and discount D of `ranking.metrics`, ranks r by the current scores. |ΔM| and the
    normalisations are held constant in the gradient.

    metric     ndcg; dcg: not divided by the ideal; map, mrr, precision: of documents with label > 0;
               err: with the stop probabilities of `ranking.metrics`
    truncation, truncation_rule   see the module; precision is at `truncation`
    gain, discount   of ndcg and dcg: a name, a table (by label; from rank 1), or a function
    gradient, hessian   RankNet's, times the weight; the hessian is the exact diagonal for a held weight
    source     Burges, Ragno, Le 2006; Burges 2010 (LambdaMART); Donmez, Svore, Burges 2009 (MAP, MRR). The
               defaults are LightGBM's `lambdarank` but for ties; with ties="file" the two give the same
               trees. XGBoost's `rank:ndcg` is ties="file", truncation=32, hessian_scale=2.
    """

    name: ClassVar[str] = "lambdarank"
    formula: ClassVar[str] = "sum over y_i > y_j of |ΔM_ij| log(1 + exp(−sigma (s_i − s_j))), M a metric"
    source: ClassVar[str] = "Burges, Ragno, Le 2006; Burges 2010 (LambdaMART)"

    metric: str = "ndcg"
    truncation: int | None = 30
    truncation_rule: Literal["lightgbm", "exact", "lambdaloss"] = "lightgbm"
    score_normalization: bool = True
    lambda_normalization: bool = True
    gain: Worths = "exponential"
    discount: Worths = "log2"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choice("metric", self.metric, METRICS)
        check_choice("truncation_rule", self.truncation_rule, self.truncation_rules())
        if self.metric == "precision" and self.truncation is None:
            raise UsageError("precision of a whole list says nothing about its order: set truncation")
        gain(np.zeros(1, np.float32), self.gain)
        discounts(1, self.discount)

    def truncation_rules(self) -> tuple[str, ...]:
        return ("lightgbm", "exact")

    def rule(self) -> Rule:
        kind = {
            "map": PRECISION_AVERAGE, "mrr": FIRST_RELEVANT, "err": CASCADE
        }.get(self.metric, RANKED)  # fmt: skip
        others = {} if self._cutoff() is None else {"cutoff": self._cutoff()}
        return self._rule(LOGISTIC, kind, self.sigma, **others)

    def _cutoff(self) -> int | None:
        """The last rank that is worth something, or None for all."""
        exact = self.truncation_rule == "exact" or self.metric == "precision"
        return self.truncation if exact else None

    def working_type(self) -> Literal["float32", "float64"]:
        # Their rank factors are differences of sums over many ranks, which float32 would round away.
        return "float64" if self.metric in ("map", "mrr", "err") else self.precision

    def worth(self, dataset: RankingDataset) -> tuple[Float64, Float64]:
        """The worth of each label, and what divides the metric of each query (0 leaves a query out)."""
        if self.metric == "err":
            return stop_probabilities(dataset.labels), np.ones(dataset.query_count)
        if self.metric in ("map", "mrr", "precision"):
            worth = relevance(dataset.labels)
            relevant = np.add.reduceat(worth, dataset.offsets[:-1])
            divisor = relevant if self.metric == "map" else np.ones(dataset.query_count)
            if self.metric == "precision":
                divisor = divisor * (self.truncation or 1)
            return worth, np.divide(1.0, divisor, out=np.zeros(len(divisor)), where=relevant > 0)
        gains = gain(dataset.labels, self.gain)
        if self.metric == "dcg":
            return gains, np.ones(dataset.query_count)
        return gains, self._inverse_ideals(gains, dataset)

    def _inverse_ideals(self, gains: Float64, dataset: RankingDataset) -> Float64:
        """One over each query's ideal DCG at the truncation; 0 stays 0."""
        discount = discounts(int(dataset.sizes.max()), self.discount)[: self.truncation]
        inverse = np.zeros(dataset.query_count)
        for query in range(dataset.query_count):
            best = np.sort(gains[dataset.offsets[query] : dataset.offsets[query + 1]])[::-1]
            ideal = float(best[: len(discount)] @ discount[: len(best)])
            inverse[query] = 1.0 / ideal if ideal > 0 else 0.0
        return inverse

    def rank_discounts(self, count: int) -> Float64:
        worths = np.ones(count) if self.metric == "precision" else discounts(count, self.discount)
        if self._cutoff() is not None:
            worths[self._cutoff() :] = 0.0
        return worths


@dataclass(frozen=True, kw_only=True)
class UnbiasedLambdaRank(LambdaRank):
    """LambdaRank on clicks, each pair divided by the chance that its clicked document's place was seen.

        |ΔM_ij| / theta(position of i),  i the document with the higher label

    A document shown low is clicked less often than it is liked; dividing by the propensity theta of its
    position makes the expected sum the one over true relevance (inverse propensity weighting).

    propensities         "estimate": a click model fitted to this data (`ranking.objectives.propensity`), once
                         before the first round and the same on a resumed run; or a table from position 1
    positions            "data": the data set's `positions` (Parquet and data frames carry them);
                         "rows": documents were shown in the order of their rows
    smallest_propensity  propensities below are taken as this, which bounds the variance
    source     Joachims, Swaminathan, Schnabel 2017; Wang et al. 2018 (estimation); Hu et al. 2019
               (Unbiased LambdaMART).
    """

    name: ClassVar[str] = "unbiased_lambdarank"
    formula: ClassVar[str] = "LambdaRank with |ΔM_ij| / theta(position_i), y_i > y_j"
    source: ClassVar[str] = "Joachims, Swaminathan, Schnabel 2017; Wang et al. 2018; Hu et al. 2019"
    needs_positions: ClassVar[bool] = True

    propensities: Any = "estimate"
    positions: Literal["data", "rows"] = "data"
    smallest_propensity: float = 0.01

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choice("positions", self.positions, ("data", "rows"))
        check_at_least(1e-6, smallest_propensity=self.smallest_propensity)
        if self.propensities != "estimate":
            if not isinstance(self.propensities, list | tuple) or not self.propensities:
                raise UsageError(
                    "propensities must be 'estimate' or numbers from position 1, such as 1.0,0.6,0.4, "
                    f"got {self.propensities!r}"
                )
            for theta in self.propensities:
                check_at_least(0, propensities=theta)

    def winner_weights(self, dataset: RankingDataset) -> Float64:
        """One over the propensity of each document's position, float64 [documents]."""
        positions = self._positions(dataset)
        theta = self._propensities(dataset, positions)
        if positions.max() > len(theta):
            row = int(positions.argmax())
            raise DataError(
                f"row {row} (query {dataset.query_of(row)}) was shown at position {positions[row]}, and "
                f"propensities are given for {len(theta)} positions: give one for each"
            )
        weights: Float64 = 1.0 / np.maximum(theta, self.smallest_propensity)[positions - 1]
        return weights

    def _positions(self, dataset: RankingDataset) -> Any:
        if self.positions == "rows":
            return np.arange(dataset.document_count) - np.repeat(dataset.offsets[:-1], dataset.sizes) + 1
        if dataset.positions is None:
            raise DataError(
                "unbiased_lambdarank needs the position at which each document was shown: give a column "
                "`position` (Parquet, data frame), or set objective.positions=rows where the rows of each "
                "query stand in the order shown"
            )
        return dataset.positions

    def _propensities(self, dataset: RankingDataset, positions: Any) -> Float64:
        if self.propensities == "estimate":
            from ranking.objectives.propensity import estimate_propensities

            return np.asarray(estimate_propensities(dataset, positions=positions), np.float64)
        return np.array(self.propensities, np.float64)


@dataclass(frozen=True, kw_only=True)
class NDCGLoss2(LambdaRank):
    """LambdaLoss's NDCG-Loss2: the weight of a pair by the distance of its ranks.

        |G(y_i) − G(y_j)| · |D(|r_i − r_j|) − D(|r_i − r_j| + 1)| / maxDCG@truncation

    A bound of 1 − NDCG that the EM of the paper descends; pairs of neighbours count most, wherever they are.

    gradient, hessian   as LambdaRank
    source     Wang et al. 2018 ("The LambdaLoss framework for ranking metric optimization").
    """

    name: ClassVar[str] = "ndcg_loss2"
    formula: ClassVar[str] = "LambdaRank with |G_i − G_j| |D(|r_i − r_j|) − D(|r_i − r_j| + 1)| / maxDCG"
    source: ClassVar[str] = "Wang et al. 2018 (LambdaLoss, NDCG-Loss2)"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.metric != "ndcg":
            raise UsageError(f"{self.name} is a bound of NDCG: metric must be ndcg, got {self.metric!r}")

    def truncation_rules(self) -> tuple[str, ...]:
        return ("lightgbm", "lambdaloss")

    def factors(self) -> tuple[float, float]:
        """(of LambdaRank's difference of discounts, of the step by distance)."""
        return 0.0, 1.0

    def rule(self) -> Rule:
        ranked, near = self.factors()
        return self._rule(LOGISTIC, DISTANCE, self.sigma, ranked=ranked, near=near)

    def steps(self, count: int) -> tuple[Float64, Float64]:
        """(D(d) − D(d + 1) for each distance d, 1 / (1 − D(rank)) beyond the truncation or 1)."""
        falling = discounts(count + 1, self.discount)
        stretch = np.ones(count)
        if self.truncation_rule == "lambdaloss" and self.truncation is not None:
            # D of rank 1 is 1 and never stretched, since the truncation is at least 1.
            stretch[self.truncation :] = 1.0 / (1.0 - falling[self.truncation : count])
        return np.concatenate([[0.0], falling[:-1] - falling[1:]]), stretch


@dataclass(frozen=True, kw_only=True)
class NDCGLoss2PlusPlus(NDCGLoss2):
    """LambdaLoss's NDCG-Loss2++: mu times NDCG-Loss2's weight, plus LambdaRank's |ΔNDCG|.

    mu         10 in allRank and sentence-transformers
    gradient, hessian   as LambdaRank
    source     Wang et al. 2018 (LambdaLoss, equation 17).
    """

    name: ClassVar[str] = "ndcg_loss2pp"
    formula: ClassVar[str] = "LambdaRank with mu times the weight of ndcg_loss2, plus |ΔNDCG|"
    source: ClassVar[str] = "Wang et al. 2018 (LambdaLoss, NDCG-Loss2++)"

    mu: float = 10.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_at_least(0, mu=self.mu)

    def factors(self) -> tuple[float, float]:
        return 1.0, self.mu
