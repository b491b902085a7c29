"""Known positives, and hard negatives: documents near a query that nobody calls relevant.

source  Xiong et al. 2021 (ANCE: mined again with the model of the moment); Moreira et al. 2024 (NV-Retriever:
        a margin relative to the positive's similarity; of |sim|, so that it also holds for negative ones).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ranking.data.arrays import Float32, Int64
from ranking.retrieval.fitting.settings import Settings
from ranking.retrieval.judgments import Judgments

_BLOCK = 1 << 24
"""Similarities in memory at a time."""


@dataclass(frozen=True, eq=False)
class Known:
    """The relevant documents of each query.

    starts     int64 [queries + 1], where those of a query start in `documents`
    documents  int64, rows
    grades     float32, theirs
    """

    starts: Int64
    documents: Int64
    grades: Float32

    @classmethod
    def of(cls, judgments: Judgments, queries: int) -> Known:
        relevant = judgments.relevant
        order = np.lexsort((relevant.documents, relevant.queries))
        starts = np.searchsorted(relevant.queries[order], np.arange(queries + 1))
        return cls(starts, relevant.documents[order], relevant.grades[order])

    def places(self, queries: Int64) -> tuple[Int64, Int64]:
        """(which of these queries, place in `documents`) of each of their positives."""
        counts = self.starts[queries + 1] - self.starts[queries]
        which = np.repeat(np.arange(len(queries)), counts)
        within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
        return which, self.starts[queries][which] + within

    def among(self, queries: Int64, documents: Int64) -> npt.NDArray[np.bool_]:
        """bool [queries, documents]: is it a known positive?"""
        found, column = np.unique(documents, return_inverse=True)
        known = np.zeros((len(queries), len(found)), bool)
        which, place = self.places(queries)
        at = np.searchsorted(found, self.documents[place])
        at[at == len(found)] = 0
        hit = found[at] == self.documents[place] if len(found) else np.zeros(len(at), bool)
        known[which[hit], at[hit]] = True
        return known[:, column]

    def only(self, queries: Int64) -> Known:
        """Those of these queries, numbered anew in this order."""
        counts = self.starts[queries + 1] - self.starts[queries]
        _, place = self.places(queries)
        starts = np.concatenate([[0], np.cumsum(counts)])
        return Known(starts, self.documents[place], self.grades[place])

    def drawn(self, most: int, rng: np.random.Generator) -> tuple[Int64, Int64, Float32]:
        """(query, document, grade) of pairs, `most` of a query at most, by query."""
        counts = np.diff(self.starts)
        query = np.repeat(np.arange(len(counts)), counts)
        order = np.lexsort((rng.random(len(query)), query))
        chosen = np.sort(order[np.arange(len(query)) - self.starts[:-1][query] < most])
        return query[chosen], self.documents[chosen], self.grades[chosen]


@dataclass(frozen=True, eq=False)
class Mined:
    """Negatives of each query.

    rows    int64 [queries, negatives], rows of documents; -1 where there are too few
    masked  share of the window's documents that the margin left out as false negatives
    short   share of the queries that got too few
    """

    rows: Int64
    masked: float
    short: float


def mine(
    queries: Float32, documents: Float32, known: Known, settings: Settings, rng: np.random.Generator
) -> Mined:
    """For each of these unit vectors: documents drawn from the window of its ranks, positives not counted.

    The first `depth` documents without known positives are ranked by cosine; the first `skip` are passed
    over, then those within the margin of the nearest known positive; the rest is drawn from evenly. A query
    without a known positive has no margin.
    """
    rows = np.full((len(queries), settings.negatives), -1, np.int64)
    masked = window = 0
    at_once = max(1, _BLOCK // len(documents))
    for start in range(0, len(queries), at_once):
        block = np.arange(start, min(start + at_once, len(queries)))
        near = queries[block] @ documents.T
        limit = _limits(near, known, block, settings.margin)
        ranked = _nearest(near, min(settings.depth, len(documents)))[:, settings.skip :]
        similar = np.take_along_axis(near, ranked, 1)
        real = np.isfinite(similar)
        kept = real & (similar < limit[:, None])
        masked, window = masked + int((real & ~kept).sum()), window + int(real.sum())
        # In a random order, those that are left out last.
        order = np.argsort(np.where(kept, rng.random(kept.shape), 2.0), axis=1)[:, : settings.negatives]
        chosen = np.where(kept, ranked, -1)
        rows[block, : order.shape[1]] = np.take_along_axis(chosen, order, 1)
    short = float((rows < 0).any(axis=1).mean()) if rows.size else 0.0
    return Mined(rows, masked / window if window else 0.0, short)


def _limits(near: Float32, known: Known, queries: Int64, margin: float | None) -> Float32:
    """float32 [queries]: a negative's similarity is below. Takes known positives out of `near`, as -inf."""
    which, place = known.places(queries)
    positives = known.documents[place]
    highest = np.full(len(queries), -np.inf, np.float32)
    np.maximum.at(highest, which, near[which, positives])
    near[which, positives] = -np.inf
    limits = np.full(len(queries), np.inf, np.float32)
    if margin is not None:
        some = np.isfinite(highest)
        limits[some] = highest[some] - margin * np.abs(highest[some])
    return limits


def _nearest(similarities: Float32, depth: int) -> Int64:
    """int64 [queries, depth]: the highest first, equal ones by row among those found."""
    if depth < similarities.shape[1]:
        found = np.sort(np.argpartition(-similarities, depth - 1, axis=1)[:, :depth], axis=1)
    else:
        found = np.broadcast_to(np.arange(similarities.shape[1]), similarities.shape)
    order = np.argsort(-np.take_along_axis(similarities, found, 1), axis=1, kind="stable")
    return np.take_along_axis(found, order, 1)
