"""Pairwise objectives: a pair formula times a pair weight, prepared once for a data set.

Parameters every member has:

truncation            pairs need at least one document among this many best by score; None is all pairs
score_normalization   divide each pair's weight by 0.01 + |s_i - s_j| once scores differ
                      (LightGBM's `lambdarank_norm`, XGBoost's `lambdarank_score_normalization`)
lambda_normalization  scale a query's gradient and hessian by log2(1 + S) / S, S the sum of 2 |lambda|
                      (LightGBM's `lambdarank_norm`, XGBoost's `lambdarank_normalization`)
label_gap             multiply each pair's weight by |y_i - y_j| to this power; 0 leaves it
ties                  "average": nothing depends on the order of rows in the file where scores are equal
                      (how: `ranking.objectives.kernel`); "file": equal scores keep input order, as both
                      boosters have it
hessian_scale         multiplies the hessian; XGBoost's own objectives have 2 here, LightGBM's 1
precision             "float32" or "float64": the type of the pair loop in training (`prepare`);
                      `gradients` and `loss` are always float64

Weights: a query's weight multiplies its gradient. Documents' weights enter each pair as the geometric mean
sqrt(w_i w_j), over the query's mean weight, which multiplies the query's gradient: gradients still sum to
zero, and a constant weight over a query is that query's weight, whatever the normalisations.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from ranking.errors import UsageError
from ranking.objectives.arguments import (
    check_at_least,
    check_choice,
    check_positive,
    check_scores,
    check_switches,
)
from ranking.objectives.kernel.layout import (
    HINGE,
    LOGISTIC,
    SQUARED_HINGE,
    TIES_AVERAGE,
    TIES_FILE,
    UNIFORM,
    Lists,
    Rule,
)

if TYPE_CHECKING:
    from ranking.data.arrays import Float64, Int64
    from ranking.data.dataset import RankingDataset

Gradients = Callable[[Any], "tuple[Any, Any]"]
"""Scores [documents] to (gradient, hessian) [documents], of one round after the other."""

_CHUNKS_PER_THREAD = 4
"""More chunks than threads, so that one slow core does not hold the others."""


@dataclass(frozen=True, kw_only=True)
class Pairwise:
    """What all pairwise objectives share; `rule` and `worth` say what each is."""

    name: ClassVar[str]
    family: ClassVar[str] = "pairwise"
    hessian: ClassVar[Literal["exact", "surrogate"]]
    formula: ClassVar[str]
    source: ClassVar[str]
    shift_invariant: ClassVar[bool] = True
    stochastic: ClassVar[bool] = False
    needs_positions: ClassVar[bool] = False

    truncation: int | None = None
    score_normalization: bool = False
    lambda_normalization: bool = False
    label_gap: float = 0.0
    ties: Literal["average", "file"] = "average"
    hessian_scale: float = 1.0
    precision: Literal["float32", "float64"] = "float32"

    def __post_init__(self) -> None:
        count = self.truncation
        if count is not None and (not isinstance(count, int) or isinstance(count, bool) or count < 1):
            raise UsageError(
                f"truncation must be a whole number from 1, or none for all pairs, got {count!r}"
            )
        check_switches(
            score_normalization=self.score_normalization, lambda_normalization=self.lambda_normalization
        )
        check_choice("ties", self.ties, ("average", "file"))
        check_choice("precision", self.precision, ("float32", "float64"))
        check_at_least(0, label_gap=self.label_gap)
        check_positive(hessian_scale=self.hessian_scale)

    def rule(self) -> Rule:
        """The objective as the kernel's numbers."""
        raise TypeError(f"{type(self).__name__} names no pair formula")

    def visit(self) -> Callable[..., float]:
        """The compiled loop: `kernel.visit_pairs`, or one of the same signature."""
        # Here and not above: Numba is opened by what computes, not by what asks for names.
        from ranking.objectives.kernel.visit import visit_pairs

        return visit_pairs

    def lists(self, dataset: RankingDataset) -> Lists:
        """What the kernel needs of this data set: nothing here changes between rounds."""
        weights, document_weights = dataset.query_weights, dataset.document_weights
        if document_weights is not None and weights is not None:
            # Their mean is the query's weight; what is left inside the query only shares it out.
            means = np.repeat(weights, dataset.sizes)
            document_weights = np.divide(document_weights, means, out=np.ones(len(means)), where=means > 0)
        worth, inverse = self.worth(dataset)
        winners = self.winner_weights(dataset)
        longest = int(dataset.sizes.max())
        steps, stretch = self.steps(longest)
        return Lists(
            offsets=np.asarray(dataset.offsets),
            worth=worth,
            labels=dataset.labels.astype(np.float64) if self.label_gap else np.empty(0),
            inverse=inverse,
            query_weights=np.ones(dataset.query_count) if weights is None else weights,
            document_weights=np.empty(0) if document_weights is None else document_weights,
            winner_weights=np.empty(0) if winners is None else winners,
            discounts=self.rank_discounts(longest),
            steps=steps,
            stretch=stretch,
        )

    def worth(self, dataset: RankingDataset) -> tuple[Float64, Float64]:
        """(worth [documents], inverse [queries]): here the label itself, and 1."""
        return dataset.labels.astype(np.float64), np.ones(dataset.query_count)

    def winner_weights(self, dataset: RankingDataset) -> Float64 | None:
        """What multiplies the pairs in which a document is the better one, [documents], or None for 1."""
        return None

    def rank_discounts(self, count: int) -> Float64:
        """The discount by rank, float64 [count]: all zero, since a uniform weight knows no ranks."""
        return np.zeros(count)

    def steps(self, count: int) -> tuple[Float64, Float64]:
        """(weight by distance of ranks [count + 1], factor by lower rank [count]): here neither is used."""
        return np.empty(0), np.empty(0)

    def prepare(self, dataset: RankingDataset, threads: int = 1, first_round: int = 0) -> Gradients:
        """`scores -> (gradient, hessian)` for many rounds on one data set, over this many threads.

        The arrays it returns are of type `precision`. It may be called from several threads. `first_round` is
        what a continued run has behind it; it changes nothing here.
        """
        lists, rule, nothing = self.lists(dataset), self.rule(), np.empty(0)
        # The last call's orders, a good start for sorting; they change nothing else.
        last_orders, in_use = _input_orders(dataset), Lock()
        chunks = _balanced(dataset, rule.truncation, 1 if threads == 1 else threads * _CHUNKS_PER_THREAD)
        pool = ThreadPoolExecutor(threads, "gradients") if threads > 1 else None
        visit, dtype = self.visit(), np.dtype(self.working_type())

        def gradients(scores: Any) -> tuple[Any, Any]:
            at = check_scores(scores, dataset)
            gradient, hessian = np.empty(len(at), dtype), np.empty(len(at), dtype)
            first = in_use.acquire(blocking=False)
            orders = last_orders if first else _input_orders(dataset)

            def run(queries: Any) -> None:
                visit(queries, lists, rule, at, orders, nothing, gradient, hessian)

            try:
                if pool is None:
                    run(chunks[0])
                else:
                    list(pool.map(run, chunks))
            finally:
                if first:
                    in_use.release()
            return gradient, hessian

        return gradients

    def working_type(self) -> Literal["float32", "float64"]:
        """The type of the pair loop in training."""
        return self.precision

    def gradients(self, scores: Any, dataset: RankingDataset) -> tuple[Float64, Float64]:
        """(gradient, hessian), float64 [documents], of `loss` at `scores` [documents].

        Pair weights are held constant, as LambdaRank has it. A query without a pair gets zeros.
        Raises DataError for scores of the wrong length or not finite.
        """
        gradient, hessian, _ = self._visited(scores, dataset, np.empty(0))
        return gradient, hessian

    def loss(self, scores: Any, dataset: RankingDataset, weights_at: Any = None) -> float:
        """The sum over queries of pair weight times pair loss.

        Pair weights (ranks, normalisations) are those at `weights_at`, by default at `scores`
        themselves; holding them still is what makes `gradients` the derivative of this sum.
        """
        probe = check_scores(scores, dataset)
        return self._visited(probe if weights_at is None else weights_at, dataset, probe)[2]

    def _visited(
        self, scores: Any, dataset: RankingDataset, probe: Float64
    ) -> tuple[Float64, Float64, float]:
        """(gradient, hessian, loss at `probe`) in float64, by one visit of all pairs."""
        at = check_scores(scores, dataset)
        queries, orders = np.arange(dataset.query_count), _input_orders(dataset)
        gradient, hessian = np.empty(len(at)), np.empty(len(at))
        loss = self.visit()(queries, self.lists(dataset), self.rule(), at, orders, probe, gradient, hessian)
        return gradient, hessian, float(loss)

    def _rule(self, formula: int, kind: int, shape: float, **others: Any) -> Rule:
        everything = np.iinfo(np.int64).max
        numbers: dict[str, Any] = {
            "cutoff": everything, "ranked": 0.0, "near": 0.0, "ties_as_half": False, **others
        }  # fmt: skip
        return Rule(
            formula=formula,
            kind=kind,
            shape=float(shape),
            truncation=everything if self.truncation is None else self.truncation,
            ties=TIES_AVERAGE if self.ties == "average" else TIES_FILE,
            label_gap=float(self.label_gap),
            score_norm=self.score_normalization,
            lambda_norm=self.lambda_normalization,
            hessian_scale=float(self.hessian_scale),
            **numbers,
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

    name: ClassVar[str] = "hinge"
    hessian: ClassVar[Literal["exact", "surrogate"]] = "surrogate"
    formula: ClassVar[str] = "sum over y_i > y_j of max(0, margin − (s_i − s_j))"
    source: ClassVar[str] = "Herbrich, Graepel, Obermayer 2000; Joachims 2002 (ranking SVM)"

    margin: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive(margin=self.margin)

    def rule(self) -> Rule:
        return self._rule(HINGE, UNIFORM, self.margin)


@dataclass(frozen=True, kw_only=True)
class SquaredHinge(Hinge):
    """The squared margin of each pair: sum over y_i > y_j of max(0, margin − (s_i − s_j))².

    gradient   −2 (margin − d)₊ on i, and its opposite on j
    hessian    exact but at d = margin: 2 on both documents of a pair closer than the margin, else 0
    source     Chapelle, Keerthi 2010 (RankSVM in the primal, L2 loss).
    """

    name: ClassVar[str] = "squared_hinge"
    hessian: ClassVar[Literal["exact", "surrogate"]] = "exact"
    formula: ClassVar[str] = "sum over y_i > y_j of max(0, margin − (s_i − s_j))²"
    source: ClassVar[str] = "Chapelle, Keerthi 2010 (RankSVM in the primal)"

    def rule(self) -> Rule:
        return self._rule(SQUARED_HINGE, UNIFORM, self.margin)


@dataclass(frozen=True, kw_only=True)
class Logistic(Pairwise):
    """What the objectives of the pair formula log(1 + exp(−sigma d)) share: its steepness."""

    hessian: ClassVar[Literal["exact", "surrogate"]] = "exact"

    sigma: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive(sigma=self.sigma)


@dataclass(frozen=True, kw_only=True)
class RankNet(Logistic):
    """Pairwise logistic: sum over y_i > y_j of log(1 + exp(−sigma (s_i − s_j))).

    gradient   −sigma p on i, +sigma p on j, with p = 1 / (1 + exp(sigma (s_i − s_j)))
    hessian    exact diagonal: sigma² p (1 − p) on both
    ties_as_half   a pair of equal labels has the target one half, as in the paper: it adds the mean of the
               losses of its two orders, and so draws the two scores together
    source     Burges et al. 2005. XGBoost's `rank:pairwise` is this with its two normalisations off,
               truncation at least the longest list, and hessian_scale=2.
    """

    name: ClassVar[str] = "ranknet"
    formula: ClassVar[str] = "sum over y_i > y_j of log(1 + exp(−sigma (s_i − s_j)))"
    source: ClassVar[str] = "Burges et al. 2005 (RankNet)"

    ties_as_half: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        check_switches(ties_as_half=self.ties_as_half)

    def rule(self) -> Rule:
        return self._rule(LOGISTIC, UNIFORM, self.sigma, ties_as_half=self.ties_as_half)


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
