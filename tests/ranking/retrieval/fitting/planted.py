"""A collection in which a linear map takes queries to their documents."""

from __future__ import annotations

import numpy as np

from ranking.data.arrays import Float32
from ranking.retrieval.encoders.encoder import unit
from ranking.retrieval.judgments import Judgments

WIDTH, DOCUMENTS, QUERIES = 12, 60, 60


def planted(seed: int = 0, of_random: bool = False) -> tuple[Float32, Float32, Judgments]:
    """(queries, documents, judgments): one document each, seen through a map near a reflection.

    of_random  judgments have nothing to do with the vectors
    """
    rng = np.random.default_rng(seed)
    documents = unit(rng.normal(size=(DOCUMENTS, WIDTH)).astype(np.float32))
    turn = np.eye(WIDTH, dtype=np.float32)
    turn[: WIDTH // 3, : WIDTH // 3] *= -1
    rows = np.arange(QUERIES) % DOCUMENTS
    noise = 0.1 * rng.normal(size=(QUERIES, WIDTH))
    queries = unit((documents[rows] @ turn + noise).astype(np.float32))
    judged = rng.permutation(rows) if of_random else rows
    return queries, documents, Judgments(np.arange(QUERIES), judged, np.ones(QUERIES, np.float32))
