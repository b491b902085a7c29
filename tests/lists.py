"""Small judged lists for tests."""

from __future__ import annotations

from typing import Any

import numpy as np

from ranking.data.dataset import RankingDataset


def random_lists(
    queries: int = 8, longest: int = 12, features: int = 4, grades: int = 4, seed: int = 0, **more: Any
) -> RankingDataset:
    """Uneven lists of 1 to `longest` documents; the labels follow the first two features."""
    rng = np.random.default_rng(seed)
    sizes = rng.integers(1, longest + 1, queries)
    offsets = np.concatenate([[0], np.cumsum(sizes)])
    x = rng.normal(size=(offsets[-1], features)).astype(np.float32)
    utility = x[:, 0] + 0.5 * x[:, 1] + 0.5 * rng.normal(size=len(x))
    labels = np.clip(np.floor(utility + grades / 2), 0, grades - 1)
    return RankingDataset(
        features=x,
        labels=labels.astype(np.float32),
        offsets=offsets,
        query_ids=[f"q{i}" for i in range(queries)],
        **more,
    )


def one_list(labels: list[float], **more: Any) -> RankingDataset:
    """A single query with these labels and one feature."""
    count = len(labels)
    return RankingDataset(
        features=np.arange(count, dtype=np.float32)[:, None],
        labels=np.array(labels, np.float32),
        offsets=np.array([0, count]),
        query_ids=["q"],
        **more,
    )


def permuted_within(dataset: RankingDataset, seed: int) -> tuple[RankingDataset, np.ndarray[Any, Any]]:
    """The documents of each query in another order, and the rows they came from."""
    rng = np.random.default_rng(seed)
    rows = np.concatenate(
        [start + rng.permutation(size) for start, size in zip(dataset.offsets, dataset.sizes, strict=False)]
    )
    shuffled = RankingDataset(
        features=dataset.features[rows],
        labels=dataset.labels[rows],
        offsets=dataset.offsets,
        query_ids=dataset.query_ids,
        weights=dataset.weights if dataset.document_weights is None else dataset.weights[rows],
        positions=None if dataset.positions is None else dataset.positions[rows],
        targets=None if dataset.targets is None else dataset.targets[rows],
    )
    return shuffled, rows
