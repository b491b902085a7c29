"""Clicks simulated over judged lists: training data with a known bias, whose true order is known too.

A session shows a query's documents in the order of a ranker. The document at position r is looked at with
chance r^(−eta), and, looked at, clicked with chance noise + (1 − noise) (2^y − 1) / (2^ymax − 1).

Source: the position-based model as simulated in Joachims, Swaminathan, Schnabel 2017 and Ai et al. 2018.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from ranking.data.arrays import Float64, Strings
from ranking.data.dataset import RankingDataset
from ranking.errors import UsageError


def simulate_clicks(
    dataset: RankingDataset,
    scores: Any,
    *,
    sessions: int,
    eta: float = 1.0,
    noise: float = 0.1,
    shown: int = 10,
    seed: int = 1,
) -> RankingDataset:
    """Lists of `sessions` sessions a query: label 1 for a click, `positions`, the documents in order shown.

    `scores` [documents] are those of the ranker that showed them. A query's sessions are called
    `QUERY.1` …. Sessions without a click are kept: they hold no pair, but tell where nobody looks.

    Raises UsageError for chances out of range.
    """
    if sessions < 1 or shown < 2 or eta < 0 or not 0 <= noise <= 1:
        raise UsageError(
            "clicks need sessions from 1, shown from 2, eta from 0 and noise in [0, 1]; got "
            f"sessions={sessions}, shown={shown}, eta={eta}, noise={noise}"
        )
    rng = np.random.default_rng(seed)
    liked = click_chances(dataset, noise)
    order = np.lexsort((-np.asarray(scores), np.repeat(np.arange(dataset.query_count), dataset.sizes)))
    rows, clicks, positions, names = [], [], [], []
    for query in range(dataset.query_count):
        top = order[dataset.offsets[query] : dataset.offsets[query + 1]][:shown]
        ranks = np.arange(1, len(top) + 1)
        clicked = rng.random((sessions, len(top))) < liked[top] * ranks.astype(float) ** -eta
        for session in range(sessions):
            rows.append(top)
            clicks.append(clicked[session])
            positions.append(ranks)
            names.append(f"{dataset.query_ids[query]}.{session + 1}")
    chosen = np.concatenate(rows)
    documents = dataset.document_ids
    return replace(
        dataset,
        features=dataset.features[chosen],
        labels=np.concatenate(clicks).astype(np.float32),
        offsets=np.concatenate([[0], np.cumsum([len(one) for one in rows])]),
        query_ids=names,
        document_ids=None if documents is None else Strings.of(documents[int(row)] for row in chosen),
        weights=None,
        positions=np.concatenate(positions),
        targets=None if dataset.targets is None else dataset.targets[chosen],
    )


def click_chances(dataset: RankingDataset, noise: float) -> Float64:
    """The chance that a document looked at is clicked, float64 [documents]."""
    gains = np.exp2(dataset.labels.astype(np.float64)) - 1
    chances: Float64 = noise + (1 - noise) * gains / max(gains.max(), 1.0)
    return chances
