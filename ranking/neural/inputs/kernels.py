"""Where a value stands among rising numbers: compiled, for the encoding and for the first layer on it."""

from __future__ import annotations

import numpy as np

from ranking.compiled.jit import compiled
from ranking.data.arrays import Float32, Float64, Int64

BIN_CLIP = 4.0


@compiled
def place(edges: Float64, first: int, end: int, x: float) -> int:
    """The last place from `first` on, before `end`, whose edge is not above x; `first` where there is none.

    Counted, not bisected: there is nothing to predict, and several edges are compared at once.
    """
    found = first
    for k in range(first + 1, end):
        found += edges[k] <= x
    return found


@compiled
def through(low: float, high: float, x: float) -> float:
    """How far x has come from low to high, 0 to 1; all the way past an edge without width."""
    width = high - low
    if width > 0:
        return min(max((x - low) / width, 0.0), 1.0)
    return 1.0 if x > low else 0.0


@compiled
def standardised(come: float, mean: float, scale: float) -> float:
    """A bin's column of how far its feature has come through it."""
    return min(max((come - mean) * scale, -BIN_CLIP), BIN_CLIP)


@compiled
def quantile_columns(
    features: Float32, feature: Int64, knots: Float64, levels: Float64, out: Float64
) -> None:
    """Linear between rising knots, held beyond the ends, as `np.interp`; into float64 [rows, columns].

    0 for NaN.
    """
    for row in range(len(features)):
        for column in range(len(feature)):
            x = np.float64(features[row, feature[column]])
            out[row, column] = 0.0
            if not np.isnan(x):
                own, level = knots[column], levels[column]
                i = place(own, 0, len(own) - 1, x)
                out[row, column] = level[i] + through(own[i], own[i + 1], x) * (level[i + 1] - level[i])


@compiled
def bin_columns(
    features: Float32,
    feature: Int64,
    low: Float64,
    high: Float64,
    mean: Float64,
    scale: Float64,
    out: Float64,
) -> None:
    """Into float64 [rows, bins]; 0 for NaN."""
    for row in range(len(features)):
        for b in range(len(feature)):
            x = np.float64(features[row, feature[b]])
            out[row, b] = 0.0
            if not np.isnan(x):
                out[row, b] = standardised(through(low[b], high[b], x), mean[b], scale[b])
