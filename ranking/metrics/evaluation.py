"""Evaluating rankers on judged lists: metric values with intervals, and the paired comparison of two."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from ranking.data.arrays import Float32, Float64
from ranking.data.dataset import RankingDataset
from ranking.metrics import Metric
from ranking.metrics.comparison import Comparison, bootstrap_interval, compare
from ranking.metrics.conventions import takes_stop_probabilities

DEFAULT_METRICS = ("ndcg@10", "ndcg@5", "map", "mrr@10", "err@10", "precision@5")
"""What `evaluate` prints when no metric is named."""

_ERR = "err@10"

_FEATURE_SEARCH_QUERIES = 1000
"""Queries the best single feature is chosen on, at most: its rank hardly moves beyond."""


def default_metrics(*parts: RankingDataset) -> tuple[str, ...]:
    """`DEFAULT_METRICS`, but for ERR where a label of these lists is more than it takes."""
    if all(takes_stop_probabilities(part.labels) for part in parts):
        return DEFAULT_METRICS
    return tuple(name for name in DEFAULT_METRICS if name != _ERR)


def left_out(names: Sequence[str]) -> list[str]:
    """What to tell the reader of a table without some of the `DEFAULT_METRICS`."""
    absent = [name for name in DEFAULT_METRICS if name not in names]
    return [f"{name} is left out: it takes labels up to 31" for name in absent]


@dataclass(frozen=True)
class Evaluation:
    """The values of some metrics over one set of lists."""

    queries: int
    documents: int
    per_query: Mapping[str, Float64]
    """by metric, float64 [queries], NaN where the query is skipped"""
    means: Mapping[str, float]
    intervals: Mapping[str, tuple[float, float]]
    """95 % percentile bootstrap over queries"""
    conventions: Mapping[str, Any]

    def as_json(self) -> dict[str, Any]:
        return {
            "queries": self.queries,
            "documents": self.documents,
            "metrics": dict(self.means),
            "intervals": {name: list(interval) for name, interval in self.intervals.items()},
            "conventions": dict(self.conventions),
        }


def evaluate_scores(
    scores: Any, dataset: RankingDataset, metrics: Sequence[Metric], seed: int = 0
) -> Evaluation:
    """The metrics of these scores [documents] on the lists of `dataset`."""
    per_query = {str(metric): metric.per_query(scores, dataset) for metric in metrics}
    weights = dataset.query_weights
    return Evaluation(
        queries=dataset.query_count,
        documents=dataset.document_count,
        per_query=per_query,
        means={str(metric): metric.mean(scores, dataset) for metric in metrics},
        intervals={
            name: bootstrap_interval(values, weights, seed=seed) for name, values in per_query.items()
        },
        conventions=conventions_of(metrics),
    )


def conventions_of(metrics: Sequence[Metric]) -> dict[str, Any]:
    """What the numbers mean, once for all metrics of a report."""
    merged: dict[str, Any] = {}
    for metric in metrics:
        merged |= metric.conventions()
    return {key: value for key, value in merged.items() if key not in ("metric", "name", "k")}


def comparison_json(comparisons: Mapping[str, Comparison]) -> dict[str, Any]:
    return {name: asdict(one) for name, one in comparisons.items()}


def compare_evaluations(
    ours: Evaluation, other: Evaluation, weights: Float64 | None, seed: int = 0
) -> dict[str, Comparison]:
    """Ours minus the other, paired over queries, with Holm's correction over the metrics."""
    return compare(ours.per_query, other.per_query, weights, seed=seed)


@dataclass(frozen=True)
class FeatureBaseline:
    """Ranking by one feature alone, in the better direction: the least a model must beat."""

    feature: int
    descending: bool

    def score(self, features: Float32) -> Float32:
        """float32 [documents]; a missing value ranks below every other."""
        column = features[:, self.feature].astype(np.float32)
        scores = column if self.descending else -column
        return np.where(np.isnan(scores), np.float32(-3e38), scores).astype(np.float32)


def best_feature(dataset: RankingDataset, metric: Metric, seed: int = 0) -> FeatureBaseline:
    """The single feature, and direction, with the highest mean of the metric on these lists."""
    sample = dataset
    if dataset.query_count > _FEATURE_SEARCH_QUERIES:
        chosen = np.random.default_rng(seed).choice(
            dataset.query_count, _FEATURE_SEARCH_QUERIES, replace=False
        )
        sample = dataset.queries(np.sort(chosen))
    evaluate = metric.evaluator(sample)
    candidates = [
        FeatureBaseline(feature, descending)
        for feature in range(dataset.feature_count)
        for descending in (True, False)
    ]
    return max(candidates, key=lambda one: evaluate(one.score(sample.features)))
