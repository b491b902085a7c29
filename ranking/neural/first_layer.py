"""The first layer on encoded features, without encoding them.

A value lies in one bin of its feature: those below it are 1 and those above it are 0, so that what all of
them add to the layer is one row of a table, and one more row times how far the value has come through its
own. For a feature of 16 bins that is an eighth of the products.

    a = b + Σ_f (passed[bin] + column(bin) · own[bin] + level · quantile[f])
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ranking.compiled.jit import compiled
from ranking.data.arrays import Float32, Float64, Int64
from ranking.neural.inputs import Inputs
from ranking.neural.inputs.bins import Bins
from ranking.neural.inputs.indicators import Indicators
from ranking.neural.inputs.kernels import BIN_CLIP, place, standardised, through
from ranking.neural.inputs.quantiles import Quantiles

_BLOCK = 128


@dataclass(frozen=True, eq=False)
class FirstLayer:
    """What each value adds to the first layer, float64 throughout; called with float32 [rows, features]."""

    quantiles: Quantiles
    bins: Bins
    bias: Float64
    of_level: Float64
    """[columns, outputs], of the normal score of each feature"""
    passed: Float64
    """[bins, outputs]: what all other bins of the feature add where the value lies in this one"""
    own: Float64
    """[bins, outputs]"""
    starts: Int64
    """[columns + 1]: the first bin of each feature"""
    indicators: Int64
    of_absence: Float64
    """[indicators, outputs]"""

    @classmethod
    def of(cls, inputs: Inputs, weights: Mapping[str, Any]) -> FirstLayer | None:
        """The layer behind these inputs, or None where they have no bins."""
        if len(inputs.parts) != 3:
            return None
        quantiles, bins, indicators = inputs.parts
        assert isinstance(quantiles, Quantiles)
        assert isinstance(bins, Bins)
        assert isinstance(indicators, Indicators)
        matrix = np.ascontiguousarray(weights["layers.0.weight"].T)
        edges = np.cumsum([len(quantiles.feature), len(bins.feature)])
        of_level, own, of_absence = np.split(matrix, edges)
        starts = np.searchsorted(bins.feature, np.append(quantiles.feature, bins.feature[-1] + 1))
        absence = of_absence * indicators.scale[:, None]
        return cls(
            quantiles, bins,
            weights["layers.0.bias"] - indicators.share @ absence, of_level,
            _passed(bins, own, starts), own, starts.astype(np.int64), indicators.feature, absence,
        )  # fmt: skip

    def __call__(self, features: Float32) -> Float64:
        out = np.repeat(self.bias[None], len(features), axis=0)
        q, b = self.quantiles, self.bins
        for start in range(0, len(features), _BLOCK):
            _add(
                features[start : start + _BLOCK], q.feature, q.knots, q.levels, self.of_level, self.starts,
                b.low, b.high, b.mean, b.scale, self.passed, self.own, out[start : start + _BLOCK],
            )  # fmt: skip
        if len(self.indicators):
            out += np.isnan(features[:, self.indicators]) @ self.of_absence
        return out


def _passed(bins: Bins, own: Float64, starts: Int64) -> Float64:
    """What the bins of a feature but one add: those before it full, those behind it empty."""
    full = own * np.clip((1.0 - bins.mean) * bins.scale, -BIN_CLIP, BIN_CLIP)[:, None]
    empty = own * np.clip(-bins.mean * bins.scale, -BIN_CLIP, BIN_CLIP)[:, None]
    found = np.empty_like(own)
    for a, z in itertools.pairwise(starts):
        before = np.cumsum(full[a:z], axis=0) - full[a:z]
        behind = np.cumsum(empty[a:z][::-1], axis=0)[::-1] - empty[a:z]
        found[a:z] = before + behind
    return found


@compiled
def _add(
    features: Float32,
    feature: Int64,
    knots: Float64,
    levels: Float64,
    of_level: Float64,
    starts: Int64,
    low: Float64,
    high: Float64,
    mean: Float64,
    scale: Float64,
    passed: Float64,
    own: Float64,
    out: Float64,
) -> None:
    """Feature by feature, so that the rows of its tables stay near: first where values lie, then the sums."""
    rows, width = out.shape
    level, come, places = np.empty(rows), np.empty(rows), np.empty(rows, np.int64)
    for column in range(len(feature)):
        own_knots, own_levels = knots[column], levels[column]
        last, first, end = len(own_knots) - 1, starts[column], starts[column + 1]
        for row in range(rows):
            x = np.float64(features[row, feature[column]])
            i = place(own_knots, 0, last, x)
            share = through(own_knots[i], own_knots[i + 1], x)
            level[row] = own_levels[i] + share * (own_levels[i + 1] - own_levels[i])
            b = place(low, first, end, x)
            come[row] = standardised(through(low[b], high[b], x), mean[b], scale[b])
            places[row] = -1 if np.isnan(x) else b
        for row in range(rows):
            b = places[row]
            if b < 0:
                continue
            a, c = level[row], come[row]
            for h in range(width):
                out[row, h] += passed[b, h] + c * own[b, h] + a * of_level[column, h]
