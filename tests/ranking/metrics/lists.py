"""Small judged lists for the tests of metrics, and the plain definition of each metric."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from ranking.data.dataset import RankingDataset
from ranking.metrics import Metric


def dataset(*lists: Sequence[float], **columns: Any) -> RankingDataset:
    """A data set of these lists of labels, with one empty feature; queries are called q0, q1, …"""
    labels = np.array([label for one in lists for label in one], np.float32)
    return RankingDataset(
        features=np.zeros((len(labels), 1), np.float32),
        labels=labels,
        offsets=np.cumsum([0, *map(len, lists)]),
        query_ids=[f"q{i}" for i in range(len(lists))],
        **columns,
    )


def plain(metric: Metric, ranked: Sequence[float], max_grade: float = 4.0) -> float:
    """The metric of labels in ranked order, written as its definition says."""
    size = len(ranked)
    k = min(metric.k or size, size)
    hits = [rank for rank in range(1, k + 1) if ranked[rank - 1] > 0]
    relevant = sum(label > 0 for label in ranked)
    if metric.name in ("dcg", "ndcg"):
        ideal = _dcg(metric, sorted(ranked, reverse=True), k) if metric.name == "ndcg" else 1.0
        return _dcg(metric, ranked, k) / ideal
    if metric.name == "map":
        return sum(sum(r <= rank for r in hits) / rank for rank in hits) / relevant
    if metric.name == "err":
        total, reach = 0.0, 1.0
        for rank in range(1, k + 1):
            stop = (2 ** ranked[rank - 1] - 1) / 2**max_grade
            total, reach = total + reach * stop / rank, reach * (1 - stop)
        return total
    if metric.name == "precision":
        return len(hits) / (metric.k or size)
    return {
        "mrr": 1 / hits[0] if hits else 0.0,
        "recall": len(hits) / relevant,
        "hit_rate": float(bool(hits)),
    }[metric.name]


def _dcg(metric: Metric, ranked: Sequence[float], k: int) -> float:
    gains = [2**y - 1 if metric.gain == "exponential" else y for y in ranked]
    discount = (lambda r: 1 / math.log2(1 + r)) if metric.discount == "log2" else (lambda r: 1 / r)
    return sum(gains[rank - 1] * discount(rank) for rank in range(1, k + 1))


def orders(scores: Sequence[float], labels: Sequence[float]) -> Iterator[list[float]]:
    """The labels in every order that ranks by score, descending, each order of equal scores once."""
    groups = [
        [label for score, label in zip(scores, labels, strict=True) if score == level]
        for level in sorted(set(scores), reverse=True)
    ]
    for choice in itertools.product(*(itertools.permutations(group) for group in groups)):
        yield [label for group in choice for label in group]


def average_over_orders(metric: Metric, scores: Sequence[float], labels: Sequence[float]) -> float:
    """The expected value with equal scores in random order, by listing every order."""
    values = [plain(metric, ranked) for ranked in orders(scores, labels)]
    return math.fsum(values) / len(values)
