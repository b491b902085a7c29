"""A metric made ready for one data set: all that depends on the labels alone is computed once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ranking.dataset import Float64, Int64, RankingDataset
from ranking.errors import DataError
from ranking.metrics.conventions import discounts, gain, relevance, stop_probabilities
from ranking.metrics.definitions import METRICS, Definition
from ranking.metrics.kernels import DISCOUNTED_SUM, read_lists

if TYPE_CHECKING:
    from ranking.metrics import Metric

EMPTY: dict[str, float] = {"zero": 0.0, "one": 1.0, "skip": np.nan}
"""What a query without a relevant document counts."""


@dataclass(frozen=True, eq=False)
class Evaluator:
    """The metric of any scores on one data set; call it for the mean.

    rows      int64 [documents] or None: the order in which equal scores stand, where it is not the file's
    worth     float64 [documents], in that order
    weights   float64 [ranks], what a rank is worth
    divisor   float64 [queries]
    empty     bool [queries], without a relevant document
    """

    metric: Metric
    dataset: RankingDataset
    offsets: Int64
    rows: Int64 | None
    worth: Float64
    weights: Float64
    divisor: Float64
    empty: Any

    @classmethod
    def of(cls, metric: Metric, dataset: RankingDataset) -> Evaluator:
        """Raises DataError for labels the gain cannot take, or ties="trec" without document ids."""
        definition = METRICS[metric.name]
        rows = _tie_order(metric.ties, dataset)
        offsets = np.array(dataset.offsets)
        worth = document_worths(metric, dataset)
        worth = worth if rows is None else worth[rows]
        longest = int(dataset.sizes.max(initial=0))
        weights = _weights(definition, metric, min(metric.k or longest, longest))
        relevant = (
            np.add.reduceat(relevance(dataset.labels), offsets[:-1]) if len(offsets) > 1 else np.zeros(0)
        )
        divisor = _divisor(definition, metric, relevant, worth, offsets, weights)
        # A label so small that its gain rounds to zero leaves an ideal DCG of zero: nothing to divide by.
        return cls(metric, dataset, offsets, rows, worth, weights, divisor, (relevant == 0) | (divisor == 0))

    def per_query(self, scores: Any) -> Float64:
        """The metric of each query, float64 [queries], NaN where it is skipped.

        Raises DataError where scores are not one finite number a document.
        """
        scores = self._checked(scores)
        if self.rows is not None:
            scores = scores[self.rows]
        metric, reading = self.metric, METRICS[self.metric.name].reading
        average = metric.ties == "average"
        sums = read_lists(reading, scores, self.worth, self.offsets, len(self.weights), self.weights, average)
        values: Float64 = np.divide(sums, self.divisor, out=sums, where=~self.empty)
        values[self.empty] = EMPTY[metric.empty]
        return values

    def __call__(self, scores: Any) -> float:
        """The mean over queries, by the data set's query weights where it has them.

        Raises DataError where no query is left to average, as well.
        """
        values, query_weights = self.per_query(scores), self.dataset.query_weights
        counted = ~np.isnan(values)
        shares = counted.astype(np.float64) if query_weights is None else query_weights * counted
        total = float(shares.sum())
        if total <= 0:
            raise DataError(
                f"{self.metric}: no query is left to average: of {len(values)}, {int(counted.sum())} count "
                f'with empty="{self.metric.empty}", and their weights add up to {total:g}; '
                'give judgments above 0 and weights above 0, or choose empty="zero"'
            )
        return float(np.dot(shares, np.where(counted, values, 0.0)) / total)

    def _checked(self, scores: Any) -> Any:
        scores = np.asarray(scores)
        if scores.dtype not in (np.float32, np.float64):
            scores = scores.astype(np.float64)
        documents, dataset = self.dataset.document_count, self.dataset
        if scores.shape != (documents,):
            raise DataError(
                f"expected one score for each of the {documents} documents of {dataset.query_count} queries, "
                f"got an array of shape {scores.shape}{self._short_of(scores)}"
            )
        if not np.isfinite(scores).all():
            bad = int(np.flatnonzero(~np.isfinite(scores))[0])
            query = dataset.query_of(bad)
            place = bad - int(dataset.offsets[np.searchsorted(dataset.offsets, bad, side="right") - 1]) + 1
            raise DataError(
                f"query {query!r}, document {place} of its list has the score {scores[bad]}: "
                "a ranking needs finite scores; look for missing or overflowing features"
            )
        # Compiled code is made anew for each kind of array: one kind of memory, so that this happens once.
        return np.require(scores, requirements=["C", "A", "W"])

    def _short_of(self, scores: Any) -> str:
        """Where a list of scores ends too early."""
        if scores.ndim != 1 or len(scores) >= self.dataset.document_count:
            return ""
        return f": they end in query {self.dataset.query_of(len(scores))!r}"


def document_worths(metric: Metric, dataset: RankingDataset) -> Float64:
    """What each document is worth to this metric, float64 [documents].

    Raises DataError for labels the metric cannot take.
    """
    definition = METRICS[metric.name]
    if definition.worth == "gain":
        return gain(dataset.labels, metric.gain)
    return (
        relevance(dataset.labels) if definition.worth == "relevance" else stop_probabilities(dataset.labels)
    )


def _weights(definition: Definition, metric: Metric, count: int) -> Float64:
    if definition.weight == "one":
        return np.ones(count)
    return discounts(count, metric.discount if definition.weight == "discount" else "reciprocal")


def _divisor(
    definition: Definition,
    metric: Metric,
    relevant: Float64,
    worth: Float64,
    offsets: Int64,
    weights: Float64,
) -> Float64:
    if definition.divisor == "ideal":
        ideal: Float64 = read_lists(DISCOUNTED_SUM, worth, worth, offsets, len(weights), weights, False)
        return ideal
    if definition.divisor == "relevant":
        return relevant
    return np.full(len(relevant), float(metric.k or 1) if definition.divisor == "cutoff" else 1.0)


def _tie_order(ties: str, dataset: RankingDataset) -> Int64 | None:
    """The rows of each list in the order that equal scores shall take, or None for the file's."""
    if ties == "pessimistic":
        queries = np.repeat(np.arange(dataset.query_count), dataset.sizes)
        return np.lexsort((dataset.labels, queries))
    if ties != "trec":
        return None
    if dataset.document_ids is None:
        raise DataError(
            'ties="trec" orders equal scores by document id, descending, and this data has no document ids: '
            'add them (in LETOR text as "# docid = …"), or choose ties="average"'
        )
    ids = list(dataset.document_ids)
    rows: list[int] = []
    for start, stop in zip(dataset.offsets[:-1].tolist(), dataset.offsets[1:].tolist(), strict=True):
        rows += sorted(range(start, stop), key=ids.__getitem__, reverse=True)
    return np.array(rows, np.int64)
