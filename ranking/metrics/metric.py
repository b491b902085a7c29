"""A metric, and the same made ready for one data set."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ranking.data.arrays import Float64, Int64
from ranking.data.dataset import RankingDataset
from ranking.errors import DataError, UsageError, unknown_name
from ranking.metrics.conventions import Worths, discounts, gain, relevance, stop_probabilities
from ranking.metrics.definitions import ALIASES, METRICS, Definition
from ranking.metrics.kernels import DISCOUNTED_SUM, values_of_lists

TIES: dict[str, str] = {
    "average": "expected value over all orders of equal scores",
    "file": "input order",
    "pessimistic": "ascending label",
    "trec": "document id descending, as trec_eval",
}
"""How equal scores are ranked."""


@dataclass(frozen=True)
class Metric:
    """A metric with its cutoff and conventions.

    name      ndcg, dcg, map, mrr, err, precision, recall, hit_rate
    k         the last rank that counts, None for the whole list; precision, recall and hit_rate need one
    gain      of ndcg and dcg: "exponential" 2^y - 1, "linear" y, a table by label, or a function
    discount  of ndcg and dcg: "log2" 1/log2(1 + rank), "reciprocal" 1/rank, a table by rank, or a function
    empty     what a query without a relevant document (label > 0) counts: "zero", "one", "skip"
    ties      how equal scores are ranked: "average" (the expected value over their orders), "file",
              "pessimistic" (ascending label), "trec" (document id descending)

    map@k divides by all relevant documents, as trec_eval's map_cut; precision@k by k, however short the list.

    Raises UsageError for an unknown name or a cutoff that is not a whole number from 1.
    """

    name: str
    k: int | None = None
    gain: Worths = "exponential"
    discount: Worths = "log2"
    empty: str = "zero"
    ties: str = "average"

    def __post_init__(self) -> None:
        for kind, name, known in (
            ("metric", self.name, METRICS),
            ("rule for empty queries", self.empty, EMPTY),
            ("rule for ties", self.ties, TIES),
        ):
            if name not in known:
                raise unknown_name(kind, name, known)
        for part in ("gain", "discount"):
            table = getattr(self, part)
            if isinstance(table, Sequence) and not isinstance(table, str):
                object.__setattr__(self, part, tuple(table))
        gain(np.zeros(1), self.gain)
        discounts(1, self.discount)
        if self.k is None:
            if METRICS[self.name].needs_cutoff:
                raise UsageError(f"{self.name} needs a cutoff: write {self.name}@10, for instance")
        elif not isinstance(self.k, int) or isinstance(self.k, bool) or self.k < 1:
            raise UsageError(f"the cutoff of {self.name} must be a whole number from 1, got {self.k!r}")

    @classmethod
    def parse(cls, text: str, **conventions: Any) -> Metric:
        """The metric of a name such as "ndcg@10", "map", "P@5", "RR" or "ndcg_cut_10".

        Spellings of ir_measures and trec_eval are taken too, in any case; they set no conventions: gain,
        discount, empty and ties are those given here.

        >>> str(Metric.parse("nDCG@10")), str(Metric.parse("AP")), str(Metric.parse("Success@5"))
        ('ndcg@10', 'map', 'hit_rate@5')
        """
        written = text.strip()
        name, at, cutoff = written.partition("@")
        if not at and (trec := re.fullmatch(r"(.*\D)[_.](\d+)", written)):
            name, cutoff = trec.groups()
            at = "@"
        name = ALIASES.get(name.lower(), name.lower())
        if name not in METRICS:
            raise unknown_name("metric", text, METRICS)
        if at and not re.fullmatch(r"0*[1-9][0-9]{0,8}", cutoff):
            raise UsageError(
                f"the cutoff of {text!r} must be a whole number from 1, got {cutoff!r}: "
                f"write {name}@10, for instance"
            )
        return cls(name, int(cutoff) if at else None, **conventions)

    def __str__(self) -> str:
        return self.name if self.k is None else f"{self.name}@{self.k}"

    def check(self, dataset: RankingDataset) -> None:
        """Raise DataError for labels the metric cannot take."""
        document_worths(self, dataset)

    def evaluator(self, dataset: RankingDataset) -> Evaluator:
        """The metric made ready for many evaluations on one data set: `evaluator(scores)` is the mean.

        Raises DataError for labels the gain cannot take, or ties="trec" without document ids.
        """
        return Evaluator.of(self, dataset)

    def per_query(self, scores: Any, dataset: RankingDataset) -> Float64:
        """The metric of each query, float64 [queries], NaN where it is skipped; scores are [documents].

        Raises DataError where scores are not one finite number a document, or as `evaluator` does.
        """
        return self.evaluator(dataset).per_query(scores)

    def mean(self, scores: Any, dataset: RankingDataset) -> float:
        """The mean over queries, by the data set's query weights where it has them; skipped ones left out.

        Raises DataError as `per_query` does, and where no query is left to average.
        """
        return self.evaluator(dataset)(scores)

    def conventions(self) -> dict[str, Any]:
        """What the number means, for a report: the choices made, and the rules that are fixed."""
        stated: dict[str, Any] = {"metric": str(self), "name": self.name, "k": self.k}
        if METRICS[self.name].worth == "gain":
            stated |= {"gain": _stated(self.gain), "discount": _stated(self.discount)}
        if self.name == "err":
            stated["err_max_grade"] = "4, or the largest label where one is larger"
        return stated | {
            "relevant": "label > 0",
            "empty": self.empty,
            "ties": self.ties,
            "mean": "over queries, by query weight where given",
        }


def _stated(rule: Worths) -> Any:
    """A rule as a report has it: its name, or its numbers."""
    if isinstance(rule, str):
        return rule
    return getattr(rule, "__name__", repr(rule)) if callable(rule) else list(rule)


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
        sums = values_of_lists(
            reading, scores, self.worth, self.offsets, len(self.weights), self.weights, average
        )
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
        ideal: Float64 = values_of_lists(DISCOUNTED_SUM, worth, worth, offsets, len(weights), weights, False)
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
