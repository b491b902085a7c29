"""A feature, or its signed logarithm, shifted and scaled to mean 0 and deviation 1."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ranking.data.arrays import Float32, Float64, Int64
from ranking.neural.inputs.columns import Distinct

_CLIP = 6.0
"""Deviations at which values are held: what lies beyond was not seen in training."""


@dataclass(frozen=True, eq=False)
class Standard:
    """`clip((x − mean) / scale, ±6)`; float64 [columns] each."""

    feature: Int64
    mean: Float64
    scale: Float64

    @classmethod
    def fitted(cls, numbers: Int64, distinct: Sequence[Distinct]) -> Standard:
        return cls(numbers, *_moments([one.moments(one.values) for one in distinct]))

    def __call__(self, features: Float32) -> Float64:
        return _held(features[:, self.feature].astype(np.float64), self.mean, self.scale)

    def check(self) -> None:
        _check_scale(self.scale)


@dataclass(frozen=True, eq=False)
class Logs:
    """The same of `sign(x) log(1 + |x|)`: for features with long tails."""

    feature: Int64
    mean: Float64
    scale: Float64

    @classmethod
    def fitted(cls, numbers: Int64, distinct: Sequence[Distinct]) -> Logs:
        return cls(numbers, *_moments([one.moments(_log(one.values)) for one in distinct]))

    def __call__(self, features: Float32) -> Float64:
        return _held(_log(features[:, self.feature].astype(np.float64)), self.mean, self.scale)

    def check(self) -> None:
        _check_scale(self.scale)


def _held(values: Float64, mean: Float64, scale: Float64) -> Float64:
    """Standardised and held, 0 for NaN."""
    return np.nan_to_num(np.clip((values - mean) / scale, -_CLIP, _CLIP), nan=0.0)


def _log(values: Float64) -> Float64:
    found: Float64 = np.sign(values) * np.log1p(np.abs(values))
    return found


def _moments(found: Sequence[tuple[float, float]]) -> tuple[Float64, Float64]:
    """(means, deviations); that of values which are equal but for rounding is 1."""
    mean, scale = np.array(found, np.float64).reshape(-1, 2).T
    return mean, np.where(scale > 0, scale, 1.0)


def _check_scale(scale: Float64) -> None:
    if not (scale > 0).all():
        raise ValueError("a scale that is not above 0")
