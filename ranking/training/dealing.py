"""Queries dealt into folds, such that what a model learns from one fold says nothing of another."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from ranking.data.arrays import Int64
from ranking.data.dataset import RankingDataset
from ranking.data.overlap import query_digests
from ranking.errors import DataError

_RELEVANT_A_FOLD = 2
_OF_VALID = " (valid)"
"""Behind the ids of the second file that the first has too: ids are distinct in a data set."""


def pooled(train: RankingDataset, valid: RankingDataset) -> RankingDataset:
    """The lists of both, of one width; an id that both have is known to be that of one query."""
    taken = set(train.query_ids)
    ids = [query + _OF_VALID if query in taken else query for query in valid.query_ids]
    return RankingDataset.concatenate([train, replace(valid, query_ids=ids, trusted=True)])


def dealt_queries(dataset: RankingDataset, folds: int, seed: int | tuple[int, ...]) -> Int64:
    """The fold of each query, int64 [queries] from 0, drawn by the seed.

    Queries of one id (`pooled`), and queries of the same features and labels, are in one fold. The folds have
    as many queries as that leaves possible, and first as many of those with a relevant document. Raises
    DataError where these are fewer than two a fold.
    """
    relevant = np.maximum.reduceat(dataset.labels, dataset.offsets[:-1]) > 0
    _, joined = connected_components(_alike(dataset), directed=False)
    _, group = np.unique(joined[: dataset.query_count], return_inverse=True)
    of_relevant = np.bincount(group, relevant) > 0
    sizes = np.bincount(group)
    if of_relevant.sum() < folds * _RELEVANT_A_FOLD:
        raise DataError(
            f"{of_relevant.sum()} different queries have a relevant document (a label above 0), and "
            f"--preset best needs {folds * _RELEVANT_A_FOLD}: each of its members learns without a part of "
            f"the queries and is stopped by it; take --preset standard, or judge more queries"
        )
    drawn = np.random.default_rng(seed).permutation(len(sizes))
    # The largest first, and of each size those with a relevant document: what is dealt last evens out.
    order = drawn[np.lexsort((~of_relevant[drawn], -sizes[drawn]))]
    filled, with_relevant = np.zeros(folds, np.int64), np.zeros(folds, np.int64)
    of_group = np.empty(len(sizes), np.int64)
    for one in order:
        fold = min(range(folds), key=lambda f: (with_relevant[f] if of_relevant[one] else 0, filled[f]))
        of_group[one] = fold
        filled[fold] += sizes[one]
        with_relevant[fold] += of_relevant[one]
    return of_group[group]


def _alike(dataset: RankingDataset) -> coo_array:
    """Queries joined to their id, and to their list's digest: [nodes, nodes]."""
    count = dataset.query_count
    ids = np.array([query.removesuffix(_OF_VALID) for query in dataset.query_ids], object)
    _, identity = np.unique(ids, return_inverse=True)
    _, content = np.unique(query_digests(dataset), return_inverse=True)
    queries = np.arange(count)
    ends = np.concatenate([count + identity, 2 * count + content])
    return coo_array((np.ones(2 * count), (np.tile(queries, 2), ends)), (3 * count, 3 * count))
