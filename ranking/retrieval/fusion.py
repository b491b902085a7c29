"""One list of the lexical and the dense arm's candidates.

Both arms score every candidate of either: a document that one arm did not list is not punished for it.

    rrf     1 / (60 + rank by BM25) + 1 / (60 + rank by the dense arm); Cormack, Clarke and Büttcher 2009
    convex  (1 − w) · BM25 / its highest + w · (cosine + 1) / (the highest + 1), per query; w in 0 … 1

The bounds are BM25's and the cosine's own lowest, 0 and −1, and the query's highest, which a search finds
however deep it goes: none depends on what else is a candidate (Bruch, Gai and Ingber 2023). Ranks count the
candidates with a higher score; a document without a term of the query has no lexical rank.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from ranking.data.arrays import Float32, Float64, Int64
from ranking.errors import UsageError, unknown_name
from ranking.retrieval.candidates import Arm, Candidates

Method = Literal["lexical", "dense", "rrf", "convex"]

RRF_K = 60


@dataclass(frozen=True, eq=False)
class Pool:
    """The candidates of both arms, each scored by both.

    rows     int64 [queries, width], rising; -1 where there are no more
    lexical  float32 [queries, width], BM25, 0 without a common term; 0 in the padding
    dense    float32 [queries, width], cosines; 0 in the padding
    """

    rows: Int64
    lexical: Float32
    dense: Float32

    @classmethod
    def empty(cls, queries: int, width: int) -> Pool:
        """Nothing but padding, to be filled."""
        shape = (queries, width)
        return cls(np.full(shape, -1, np.int64), np.zeros(shape, np.float32), np.zeros(shape, np.float32))

    @property
    def filled(self) -> npt.NDArray[np.bool_]:
        return self.rows >= 0


def pooled(lexical: Arm, dense: Arm, texts: Sequence[str], vectors: Float32, depth: int) -> Pool:
    """The best `depth` of each arm for queries given as texts and as vectors of the dense arm's encoder."""
    if len(texts) != len(vectors):
        raise UsageError(f"expected a vector for every text, got {len(vectors)} for {len(texts)}")
    listed = np.concatenate([lexical.search(texts, depth).rows, dense.search(vectors, depth).rows], axis=1)
    unions = [np.unique(rows[rows >= 0]) for rows in listed]
    pool = Pool.empty(len(texts), max(map(len, unions), default=0))
    for query, rows in enumerate(unions):
        pool.rows[query, : len(rows)] = rows
        pool.lexical[query, : len(rows)] = lexical.scores(texts[query], rows)
        pool.dense[query, : len(rows)] = dense.scores(vectors[query], rows)
    return pool


@dataclass(frozen=True)
class Fusion:
    """How two scores become one.

    method  lexical, dense, rrf or convex
    weight  of the dense arm in convex, 0 … 1

    Raises UsageError for an unknown method or a weight outside its bounds.
    """

    method: Method
    weight: float = 0.5

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise unknown_name("fusion", self.method, METHODS)
        if not 0 <= self.weight <= 1:
            raise UsageError(f"the weight of the dense arm must lie in 0 … 1, got {self.weight}")

    def __str__(self) -> str:
        return f"convex(dense {self.weight:.2f})" if self.method == "convex" else self.method

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    def scores(self, pool: Pool) -> Float64:
        """float64 [queries, width]; -inf in the padding, and where "lexical" alone finds nothing."""
        return np.where(pool.filled, METHODS[self.method](pool, self.weight), -np.inf)

    def best(self, pool: Pool, depth: int) -> Candidates:
        """The best of the pool, equal ones by row."""
        scores = self.scores(pool)
        order = np.argsort(-scores, axis=1, kind="stable")[:, :depth]
        found = Candidates.empty(len(scores), depth)
        width = order.shape[1]
        found.scores[:, :width] = np.take_along_axis(scores, order, axis=1)
        rows = np.take_along_axis(pool.rows, order, axis=1)
        found.rows[:, :width] = np.where(np.isfinite(found.scores[:, :width]), rows, -1)
        return found


def _lexical(pool: Pool, weight: float) -> Float64:
    return np.where(pool.lexical > 0, pool.lexical.astype(np.float64), -np.inf)


def _dense(pool: Pool, weight: float) -> Float64:
    return pool.dense.astype(np.float64)


def _rrf(pool: Pool, weight: float) -> Float64:
    by_lexical = np.where(pool.lexical > 0, 1 / (RRF_K + _ranks(pool.lexical, pool.filled)), 0.0)
    return by_lexical + 1 / (RRF_K + _ranks(pool.dense, pool.filled))


def _convex(pool: Pool, weight: float) -> Float64:
    by_lexical = _share(pool.lexical.astype(np.float64), pool.filled)
    return (1 - weight) * by_lexical + weight * _share(pool.dense.astype(np.float64) + 1, pool.filled)


METHODS: dict[str, Callable[[Pool, float], Float64]] = {
    "lexical": _lexical,
    "dense": _dense,
    "rrf": _rrf,
    "convex": _convex,
}


def _ranks(scores: Float32, filled: npt.NDArray[np.bool_]) -> Float64:
    """1 + the number of candidates with a higher score: equal ones share the first rank."""
    ordered = np.sort(np.where(filled, -scores, np.inf), axis=1)
    ranks = [np.searchsorted(row, -own, side="left") for row, own in zip(ordered, scores, strict=True)]
    return 1.0 + np.reshape(ranks, scores.shape)


def _share(scores: Float64, filled: npt.NDArray[np.bool_]) -> Float64:
    """Of the highest of each query; 0 where that is 0."""
    highest = np.max(scores, axis=1, keepdims=True, where=filled, initial=0.0)
    shares: Float64 = np.divide(scores, highest, out=np.zeros_like(scores), where=highest > 0)
    return shares
