"""Pairwise objectives: a pair formula times a pair weight, prepared once for a data set.

Parameters every member has:

truncation            pairs need at least one document among this many best by score; None is all pairs
score_normalization   divide each pair's weight by 0.01 + |s_i - s_j| once scores differ
                      (LightGBM's `lambdarank_norm`, XGBoost's `lambdarank_score_normalization`)
lambda_normalization  scale a query's gradient and hessian by log2(1 + S) / S, S the sum of 2 |lambda|
                      (LightGBM's `lambdarank_norm`, XGBoost's `lambdarank_normalization`)
ties                  "average": a pair's rank factor is its expected value over the orders of equal
                      scores, so that nothing depends on the order of rows in the file;
                      "file": equal scores keep input order, as both boosters have it
hessian_scale         multiplies the hessian; XGBoost's own objectives have 2 here, LightGBM's 1

Weights: a query's weight multiplies its gradient. Documents' weights enter each pair as the geometric mean
sqrt(w_i w_j), over the query's mean weight, which multiplies the query's gradient: gradients still sum to
zero, and a constant weight over a query is that query's weight, whatever the normalisations.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from ranking.errors import DataError, UsageError
from ranking.metrics import discounts, gain

if TYPE_CHECKING:
    from ranking.dataset import Float64, Int64, RankingDataset
    from ranking.objectives.kernel import Lists, Rule

Gradients = Callable[[Any], "tuple[Float64, Float64]"]

_CHUNKS_PER_THREAD = 4
"""More chunks than threads, so that one slow core does not hold the others."""


@dataclass(frozen=True, kw_only=True)
class Pairwise:
    """What all pairwise objectives share; `rule` and `worth` say what each is."""

    hessian: ClassVar[Literal["exact", "surrogate"]]
    name: ClassVar[str]

    truncation: int | None = None
    score_normalization: bool = False
    lambda_normalization: bool = False
    ties: Literal["average", "file"] = "average"
    hessian_scale: float = 1.0

    def __post_init__(self) -> None:
        count = self.truncation
        if count is not None and (not isinstance(count, int) or isinstance(count, bool) or count < 1):
            raise UsageError(
                f"truncation must be a whole number from 1, or none for all pairs, got {count!r}"
            )
        for name in ("score_normalization", "lambda_normalization"):
            if not isinstance(getattr(self, name), bool):
                raise UsageError(f"{name} must be true or false, got {getattr(self, name)!r}")
        if self.ties not in ("average", "file"):
            raise UsageError(f"ties must be 'average' or 'file', got {self.ties!r}")
        if not _is_positive(self.hessian_scale):
            raise UsageError(f"hessian_scale must be positive, got {self.hessian_scale}")

    def rule(self) -> Rule:
        """The objective as the kernel's numbers."""
        raise TypeError(f"{type(self).__name__} names no pair formula")

    def lists(self, dataset: RankingDataset) -> Lists:
        """What the kernel needs of this data set: nothing here changes between rounds."""
        from ranking.objectives.kernel import Lists

        weights, document_weights = dataset.query_weights, dataset.document_weights
        if document_weights is not None and weights is not None:
            # Their mean is the query's weight; what is left inside the query only shares it out.
            means = np.repeat(weights, dataset.sizes)
            document_weights = np.divide(document_weights, means, out=np.ones(len(means)), where=means > 0)
        worth, inverse = self.worth(dataset)
        return Lists(
            offsets=np.asarray(dataset.offsets),
            worth=worth,
            inverse=inverse,
            query_weights=np.ones(dataset.query_count) if weights is None else weights,
            document_weights=np.empty(0) if document_weights is None else document_weights,
            discounts=self.rank_discounts(int(dataset.sizes.max())),
        )

    def worth(self, dataset: RankingDataset) -> tuple[Float64, Float64]:
        """(worth [documents], inverse [queries]): here the label itself, and 1."""
        return dataset.labels.astype(np.float64), np.ones(dataset.query_count)

    def rank_discounts(self, count: int) -> Float64:
        """The discount by rank, float64 [count]: all zero, since a uniform weight knows no ranks."""
        return np.zeros(count)

    def prepare(self, dataset: RankingDataset, threads: int = 1) -> Gradients:
        """`scores -> (gradient, hessian)` for many rounds on one data set, over this many threads.

        What it returns remembers the last order of the documents: call it from one thread at a time.
        """
        from ranking.objectives.kernel import visit_pairs

        lists, rule, nothing, orders = self.lists(dataset), self.rule(), np.empty(0), _input_orders(dataset)
        chunks = _balanced(dataset, rule.truncation, 1 if threads == 1 else threads * _CHUNKS_PER_THREAD)
        pool = ThreadPoolExecutor(threads, "gradients") if threads > 1 else None

        def gradients(scores: Any) -> tuple[Float64, Float64]:
            at = _checked(scores, dataset)
            gradient, hessian = np.empty(len(at)), np.empty(len(at))

            def run(queries: Any) -> None:
                visit_pairs(queries, lists, rule, at, orders, nothing, gradient, hessian)

            if pool is None:
                run(chunks[0])
            else:
                list(pool.map(run, chunks))
            return gradient, hessian

        return gradients

    def gradients(self, scores: Any, dataset: RankingDataset) -> tuple[Float64, Float64]:
        """(gradient, hessian), float64 [documents], of `loss` at `scores` [documents].

        Pair weights are held constant, as LambdaRank has it. A query without a pair gets zeros.
        Raises DataError for scores of the wrong length or not finite.
        """
        return self.prepare(dataset)(scores)

    def loss(self, scores: Any, dataset: RankingDataset, weights_at: Any = None) -> float:
        """The sum over queries of pair weight times pair loss.

        Pair weights (ranks, normalisations) are those at `weights_at`, by default at `scores`
        themselves; holding them still is what makes `gradients` the derivative of this sum.
        """
        from ranking.objectives.kernel import visit_pairs

        probe = _checked(scores, dataset)
        at = probe if weights_at is None else _checked(weights_at, dataset)
        queries, lists, orders = np.arange(dataset.query_count), self.lists(dataset), _input_orders(dataset)
        gradient, hessian = np.empty(len(at)), np.empty(len(at))
        return float(visit_pairs(queries, lists, self.rule(), at, orders, probe, gradient, hessian))

    def _rule(self, formula: int, kind: int, shape: float) -> Rule:
        from ranking.objectives.kernel import TIES_AVERAGE, TIES_FILE, Rule

        return Rule(
            formula=formula,
            kind=kind,
            shape=float(shape),
            truncation=np.iinfo(np.int64).max if self.truncation is None else self.truncation,
            ties=TIES_AVERAGE if self.ties == "average" else TIES_FILE,
            score_norm=self.score_normalization,
            lambda_norm=self.lambda_normalization,
            hessian_scale=float(self.hessian_scale),
        )


@dataclass(frozen=True, kw_only=True)
class Hinge(Pairwise):
    """The margin of each pair: sum over y_i > y_j of max(0, margin − (s_i − s_j)).

    gradient   −1 on i and +1 on j for each pair closer than the margin; 0 at exactly the margin.
    hessian    surrogate. The second derivative is zero, so a Newton step would be infinite. Taken
               instead is that of the quadratic hinge (margin − d)₊² / (2 margin), which has the same
               gradient at a tie: 1 / margin on both documents of an active pair. Then
               |gradient| <= margin · hessian for every document, and no leaf, however little
               regularised, moves a score by more than the margin times the learning rate.
    source     Herbrich, Graepel, Obermayer 2000; Joachims 2002 (ranking SVM).
    """

    hessian: ClassVar[Literal["exact", "surrogate"]] = "surrogate"
    name: ClassVar[str] = "hinge"

    margin: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not _is_positive(self.margin):
            raise UsageError(f"margin must be a positive number, got {self.margin!r}")

    def rule(self) -> Rule:
        from ranking.objectives.kernel import HINGE, UNIFORM

        return self._rule(HINGE, UNIFORM, self.margin)


@dataclass(frozen=True, kw_only=True)
class RankNet(Pairwise):
    """Pairwise logistic: sum over y_i > y_j of log(1 + exp(−sigma (s_i − s_j))).

    gradient   −sigma p on i, +sigma p on j, with p = 1 / (1 + exp(sigma (s_i − s_j)))
    hessian    exact diagonal: sigma² p (1 − p) on both
    source     Burges et al. 2005. XGBoost's `rank:pairwise` is this with its two normalisations off,
               truncation at least the longest list, and hessian_scale=2.
    """

    hessian: ClassVar[Literal["exact", "surrogate"]] = "exact"
    name: ClassVar[str] = "ranknet"

    sigma: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not _is_positive(self.sigma):
            raise UsageError(f"sigma must be a positive number, got {self.sigma!r}")

    def rule(self) -> Rule:
        from ranking.objectives.kernel import LOGISTIC, UNIFORM

        return self._rule(LOGISTIC, UNIFORM, self.sigma)


@dataclass(frozen=True, kw_only=True)
class LambdaRank(RankNet):
    """RankNet's pairs, each times |ΔNDCG|, the change of NDCG if the two documents swapped places.

        |ΔNDCG| = |G(y_i) − G(y_j)| · |D(r_i) − D(r_j)| / maxDCG@truncation

    with gain G and discount D of `ranking.metrics`, ranks r by the current scores, discounts not cut at
    the truncation. |ΔNDCG| and the normalisations are held constant in the gradient.

    gradient, hessian   RankNet's, times the weight; the hessian is the exact diagonal for a held weight
    source     Burges, Ragno, Le 2006; Burges 2010 (LambdaMART). The defaults are LightGBM's
               `lambdarank` but for ties; with ties="file" the two give the same trees. XGBoost's
               `rank:ndcg` is ties="file", truncation=32, hessian_scale=2.
    """

    hessian: ClassVar[Literal["exact", "surrogate"]] = "exact"
    name: ClassVar[str] = "lambdarank"

    truncation: int | None = 30
    score_normalization: bool = True
    lambda_normalization: bool = True
    gain: str = "exponential"
    discount: str = "log2"

    def __post_init__(self) -> None:
        super().__post_init__()
        gain(np.zeros(1, np.float32), self.gain)
        discounts(1, self.discount)

    def rule(self) -> Rule:
        from ranking.objectives.kernel import GAIN_GAP, LOGISTIC

        return self._rule(LOGISTIC, GAIN_GAP, self.sigma)

    def worth(self, dataset: RankingDataset) -> tuple[Float64, Float64]:
        """The gain of each label, and one over each query's ideal DCG at the truncation (0 stays 0)."""
        gains = gain(dataset.labels, self.gain)
        discount = self.rank_discounts(int(dataset.sizes.max()))[: self.truncation]
        inverse = np.zeros(dataset.query_count)
        for query in range(dataset.query_count):
            best = np.sort(gains[dataset.offsets[query] : dataset.offsets[query + 1]])[::-1]
            ideal = float(best[: len(discount)] @ discount[: len(best)])
            inverse[query] = 1.0 / ideal if ideal > 0 else 0.0
        return gains, inverse

    def rank_discounts(self, count: int) -> Float64:
        return discounts(count, self.discount)


def _is_positive(value: Any) -> bool:
    return isinstance(value, int | float) and bool(np.isfinite(value)) and value > 0


def _checked(scores: Any, dataset: RankingDataset) -> Float64:
    """The scores as contiguous float64, refused where they are not one finite number a document."""
    at = np.ascontiguousarray(scores, np.float64)
    if at.shape != (dataset.document_count,):
        raise DataError(f"scores must be [{dataset.document_count}] for this data set, got {at.shape}")
    if not np.isfinite(at).all():
        row = int(np.flatnonzero(~np.isfinite(at))[0])
        raise DataError(
            f"the score of row {row} (query {dataset.query_of(row)}) is {at[row]}: scores must be finite"
        )
    return at


def _input_orders(dataset: RankingDataset) -> Int64:
    """Each query's documents in input order, counted from its first, int64 [documents]."""
    return np.arange(dataset.document_count) - np.repeat(dataset.offsets[:-1], dataset.sizes)


def _balanced(dataset: RankingDataset, truncation: int, count: int) -> list[Any]:
    """The queries in up to `count` contiguous chunks of about equal numbers of pairs."""
    sizes = dataset.sizes.astype(np.float64)
    above = np.minimum(sizes, float(truncation))
    cost = np.cumsum(above * sizes - above * above / 2 + sizes)
    cuts = np.searchsorted(cost, cost[-1] * np.arange(1, count) / count)
    return [chunk for chunk in np.split(np.arange(dataset.query_count), cuts) if len(chunk)]
