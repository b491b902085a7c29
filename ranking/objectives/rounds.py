"""Many rounds of a compiled loop over the pairs of one data set, over several threads."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np

from ranking.data.dataset import RankingDataset
from ranking.objectives.arguments import check_scores

if TYPE_CHECKING:
    from ranking.data.arrays import Int64
    from ranking.objectives.protocol import Gradients

_CHUNKS_PER_THREAD = 4
"""More chunks than threads, so that one slow core does not hold the others."""

Loop = Callable[[Any, Any, Any, Any, Any], None]
"""(queries, scores, orders, gradient, hessian): fills the last two at these queries' documents."""


def rounds_of(
    loop: Loop, dataset: RankingDataset, truncation: int | None, threads: int, dtype: str
) -> Gradients:
    """`scores -> (gradient, hessian)` of this type, [documents]; it may be called from several threads.

    `orders` (int64 [documents]) holds an order of each query's documents, counted from its first, which the
    loop leaves sorted by score: the last call's are a good start for sorting, and change nothing else.
    """
    last_orders, in_use = input_orders(dataset), Lock()
    chunks = _balanced(dataset, truncation, 1 if threads == 1 else threads * _CHUNKS_PER_THREAD)
    pool = ThreadPoolExecutor(threads, "gradients") if threads > 1 else None

    def gradients(scores: Any) -> tuple[Any, Any]:
        at = check_scores(scores, dataset)
        gradient, hessian = np.empty(len(at), dtype), np.empty(len(at), dtype)
        first = in_use.acquire(blocking=False)
        orders = last_orders if first else input_orders(dataset)

        def run(queries: Any) -> None:
            loop(queries, at, orders, gradient, hessian)

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


def input_orders(dataset: RankingDataset) -> Int64:
    """Each query's documents in input order, counted from its first, int64 [documents]."""
    return np.arange(dataset.document_count) - np.repeat(dataset.offsets[:-1], dataset.sizes)


def _balanced(dataset: RankingDataset, truncation: int | None, count: int) -> list[Any]:
    """The queries in up to `count` contiguous chunks of about equal numbers of pairs."""
    sizes = dataset.sizes.astype(np.float64)
    above = sizes if truncation is None else np.minimum(sizes, float(truncation))
    cost = np.cumsum(above * sizes - above * above / 2 + sizes)
    cuts = np.searchsorted(cost, cost[-1] * np.arange(1, count) / count)
    return [chunk for chunk in np.split(np.arange(dataset.query_count), cuts) if len(chunk)]
