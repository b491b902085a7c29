"""The piecewise-linear encoding of a feature: a column for each of its bins.

It says how far the value has come through the bin: 0 below and 1 above it. A layer on the encoding is any
piecewise linear function of the feature (Gorishniy et al. 2022, "On embeddings for numerical features in
tabular deep learning").
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np

from ranking.data.arrays import Float32, Float64, Int64
from ranking.neural.inputs.columns import Distinct
from ranking.neural.inputs.kernels import bin_columns

_BINS = 16
_SCALE, _LEAST_SPREAD = 0.5, 1e-3
"""Bins are made half as wide as a standard score: a feature has many of them; a bin that hardly any row
reaches is not blown up."""


@dataclass(frozen=True, eq=False)
class Bins:
    """The bins of all features in their order, `(clip((x − low) / (high − low), 0, 1) − mean) · scale` each.

    feature                  int64 [bins], whose each is
    low, high, mean, scale   float64 [bins]
    """

    feature: Int64
    low: Float64
    high: Float64
    mean: Float64
    scale: Float64

    @classmethod
    def fitted(cls, numbers: Int64, distinct: Sequence[Distinct]) -> Bins:
        """Up to 16 bins a feature between quantiles of its distinct values.

        Of distinct values, since a feature that is mostly 0 would have most of its bins there.
        """
        parts = []
        for number, one in zip(numbers, distinct, strict=True):
            edges = np.unique(np.quantile(one.values, np.linspace(0, 1, _BINS + 1)))
            low, high = edges[:-1], edges[1:]
            mean, spread = one.moments(np.clip((one.values[:, None] - low) / (high - low), 0.0, 1.0))
            own = np.full(len(low), number, np.int64)
            parts.append(cls(own, low, high, mean, _SCALE / (spread + _LEAST_SPREAD)))
        if not parts:
            return cls(numbers, *(np.zeros(0) for _ in range(4)))
        return cls(*(np.concatenate([getattr(part, one.name) for part in parts]) for one in fields(cls)))

    def __call__(self, features: Float32) -> Float64:
        out = np.empty((len(features), len(self.feature)))
        bin_columns(features, self.feature, self.low, self.high, self.mean, self.scale, out)
        return out

    def check(self) -> None:
        if not (self.high > self.low).all():
            raise ValueError("a bin without width")
        same = np.diff(self.feature) == 0
        if (np.diff(self.feature) < 0).any() or (same & (self.low[1:] != self.high[:-1])).any():
            raise ValueError("bins that do not follow each other")
