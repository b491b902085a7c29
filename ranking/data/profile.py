"""How each feature was distributed in training: what served traffic is compared with.

A feature's values fall into bins between `edges` (its distinct deciles); `shares` are the parts of the values
in each bin, `missing` the part of the rows without one.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ranking.data.arrays import Float32

MAX_PROFILED = 2_000
"""Beyond it a manifest would be too large; such models have ranges and no profile."""
_SAMPLE = 20_000
_DECILES = np.arange(1, 10) / 10


def feature_ranges(features: Float32) -> list[list[float] | None]:
    """[lowest, highest] of each feature of float32 [rows, features], None where it is always missing."""
    low, high = np.fmin.reduce(features, axis=0), np.fmax.reduce(features, axis=0)
    return [
        None if np.isnan(a) else [float(a), float(b)]
        for a, b in zip(low.tolist(), high.tolist(), strict=True)
    ]


def feature_profile(features: Float32) -> list[dict[str, Any]] | None:
    """{"edges", "shares", "missing"} of each feature of float32 [rows, features], from 20,000 of the rows.

    None where there are more than 2,000 features.
    """
    if features.shape[1] > MAX_PROFILED:
        return None
    sample = features[:: -(-len(features) // _SAMPLE)]
    return [_profile(sample[:, column]) for column in range(features.shape[1])]


def _profile(values: Float32) -> dict[str, Any]:
    present = values[~np.isnan(values)]
    missing = 1 - len(present) / len(values)
    if not len(present):
        return {"edges": [], "shares": [], "missing": missing}
    edges = np.unique(np.quantile(present, _DECILES, method="lower"))
    counts = np.bincount(np.searchsorted(edges, present), minlength=len(edges) + 1)
    return {
        "edges": [float(edge) for edge in edges],
        "shares": [round(float(share), 6) for share in counts / len(present)],
        "missing": round(missing, 6),
    }
