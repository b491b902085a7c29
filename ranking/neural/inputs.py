"""From raw features to what a network can learn from: fitted on the training rows, stored with the model.

A feature with missing values in training gets an indicator column beside it, and a missing value counts as
its median. The same numpy code prepares training rows and rows to score.

The piecewise-linear encoding of a feature is a column for each of its bins: how far its value has come
through the bin, 0 below and 1 above. A layer on it is any piecewise linear function of the feature (Gorishniy
et al. 2022, "On embeddings for numerical features in tabular deep learning").
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
from scipy.special import ndtri

from ranking.data.arrays import Float32, Float64, Int64

_KNOTS = 33
_CLIP = 6.0
"""Standard deviations at which scaled values are held: what lies beyond was not seen in training."""
_HEAVY = 8.0
"""A feature has a heavy tail where its largest deviation is over so many standard deviations."""
_SAMPLE = 200_000
_BINS = 16
_BIN_CLIP = 4.0
_BIN_SCALE, _LEAST_SPREAD = 0.5, 1e-3
"""Bins are made half as wide as a standard score: a feature has many of them; a bin that hardly any row
reaches is not blown up."""
_TOGETHER = 1 << 21
"""Numbers of a block of rows, by which memory is bounded where a feature becomes many columns."""


@dataclass(frozen=True, eq=False)
class Bins:
    """The bins of all features, one after the other: `(clip((x − low) / (high − low), 0, 1) − mean) · scale`.

    feature     int64 [bins], whose each is
    low, high, mean, scale   float64 [bins]
    """

    feature: Int64
    low: Float64
    high: Float64
    mean: Float64
    scale: Float64

    @classmethod
    def none(cls) -> Bins:
        empty = np.zeros(0)
        return cls(np.zeros(0, np.int64), empty, empty, empty, empty)

    @classmethod
    def fitted(cls, rows: Float64) -> Bins:
        """Up to 16 bins a feature between quantiles of its distinct values; a constant one has none.

        Of distinct values, since a feature that is mostly 0 would have most of its bins there.
        """
        parts = []
        for number, column in enumerate(rows.T):
            wanted = np.linspace(0, 1, _BINS + 1)
            edges = np.unique(np.quantile(np.unique(column), wanted, method="nearest"))
            low, high = edges[:-1], edges[1:]
            come = _through(column[:, None], low, high)
            spread = come.std(axis=0) + _LEAST_SPREAD
            own = np.full(len(low), number, np.int64)
            parts.append(cls(own, low, high, come.mean(axis=0), _BIN_SCALE / spread))
        return cls(*(np.concatenate([getattr(part, one.name) for part in parts]) for one in fields(cls)))

    def __call__(self, rows: Float64) -> Float64:
        come = _through(rows[:, self.feature], self.low, self.high)
        return np.clip((come - self.mean) * self.scale, -_BIN_CLIP, _BIN_CLIP)

    def arrays(self) -> dict[str, Any]:
        """What is stored, by name; nothing where there are none."""
        if not len(self.feature):
            return {}
        return {f"inputs.bins.{one.name}": getattr(self, one.name) for one in fields(self)}

    @classmethod
    def of_arrays(cls, arrays: Mapping[str, Any], features: int) -> Bins:
        """The bins stored in these arrays. Raises ValueError where they do not fit."""
        if "inputs.bins.feature" not in arrays:
            return cls.none()
        found = cls(**{one.name: arrays[f"inputs.bins.{one.name}"] for one in fields(cls)})
        numbers = found.feature
        alike = all(getattr(found, one.name).shape == numbers.shape for one in fields(cls))
        if numbers.ndim != 1 or not alike or not (numbers.min() >= 0 and numbers.max() < features):
            raise ValueError("the arrays of the bins do not fit the features")
        if not (found.high > found.low).all():
            raise ValueError("a bin without width")
        return found


@dataclass(frozen=True, eq=False)
class Inputs:
    """The fitted transformation: float32 [documents, features] to float64 [documents, width].

    fill        float64 [features], the median of each
    bins        the piecewise-linear encoding beside the knots, or none
    indicators  int64, the features that have an indicator column, after all others
    knots       float64 [features, knots], rising values of each feature, and `levels` of the same shape, the
                normal score of each; values between are interpolated, those beyond held
    logs        bool [features]: signed log(1 + |x|) first; `mean` and `scale` float64 [features]
    Either knots and levels or logs, mean and scale are there; the others are empty.
    """

    fill: Float64
    indicators: Int64
    knots: Float64
    levels: Float64
    logs: Any
    mean: Float64
    scale: Float64
    bins: Bins = field(default_factory=lambda: Bins.none())

    @property
    def width(self) -> int:
        return len(self.fill) + len(self.bins.feature) + len(self.indicators)

    @property
    def rows_together(self) -> int:
        """How many rows are taken at once where there are many."""
        return max(1, _TOGETHER // max(self.width, 1))

    def __call__(self, features: Float32) -> Float64:
        rows = np.asarray(features, np.float64)
        absent = np.isnan(rows)
        rows = np.where(absent, self.fill, rows)
        scaled = _interpolated(rows, self.knots, self.levels) if self.knots.size else self._standard(rows)
        parts = [scaled]
        if len(self.bins.feature):
            parts.append(self.bins(rows))
        if len(self.indicators):
            parts.append(absent[:, self.indicators].astype(np.float64))
        return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)

    def _standard(self, rows: Float64) -> Float64:
        tamed = np.where(self.logs, np.sign(rows) * np.log1p(np.abs(rows)), rows)
        return np.clip((tamed - self.mean) / self.scale, -_CLIP, _CLIP)

    def arrays(self) -> dict[str, Any]:
        """What is stored, by name."""
        return {
            "inputs.fill": self.fill, "inputs.indicators": self.indicators, "inputs.knots": self.knots,
            "inputs.levels": self.levels, "inputs.logs": np.asarray(self.logs, np.uint8),
            "inputs.mean": self.mean, "inputs.scale": self.scale, **self.bins.arrays(),
        }  # fmt: skip

    @classmethod
    def of_arrays(cls, arrays: Mapping[str, Any], features: int) -> Inputs:
        """The transformation stored in these arrays. Raises ValueError where their shapes do not fit."""
        parts = {
            name: arrays[f"inputs.{name}"]
            for name in ("fill", "indicators", "knots", "levels", "mean", "scale")
        }
        logs = arrays["inputs.logs"].astype(bool)
        standard = len(parts["mean"]) == features
        if parts["fill"].shape != (features,) or parts["knots"].shape != parts["levels"].shape:
            raise ValueError("the arrays of the inputs do not fit the features")
        if standard != (parts["scale"].shape == (features,) and logs.shape == (features,)) or (
            not standard and (parts["knots"].ndim != 2 or parts["knots"].shape[0] != features)
        ):
            raise ValueError("the arrays of the inputs do not fit each other")
        marked = parts["indicators"]
        if marked.ndim != 1 or (len(marked) and not (marked.min() >= 0 and marked.max() < features)):
            raise ValueError("an indicator of no feature")
        return cls(logs=logs, **parts, bins=Bins.of_arrays(arrays, features))


def _through(values: Float64, low: Float64, high: Float64) -> Float64:
    """How far each value has come from `low` to `high`: 0 before, 1 behind."""
    come: Float64 = np.clip((values - low) / (high - low), 0.0, 1.0)
    return come


def fit_inputs(features: Float32, scaling: str, seed: int) -> Inputs:
    """The transformation for these training rows; statistics of at most 200,000 of them."""
    given = np.asarray(features, np.float32)
    marked = np.flatnonzero(np.isnan(given).any(axis=0)).astype(np.int64)
    if len(given) > _SAMPLE:
        chosen = np.random.default_rng(seed).choice(len(given), _SAMPLE, replace=False)
        given = given[np.sort(chosen)]
    rows: Float64 = given.astype(np.float64)
    empty = np.isnan(rows).all(axis=0)
    rows[:, empty] = 0.0
    fill = np.nanmedian(rows, axis=0)
    rows = np.where(np.isnan(rows), fill, rows)
    none = np.zeros(0)
    if scaling in ("quantile", "encoded"):
        knots, levels = _knots_of(rows)
        bins = Bins.fitted(rows) if scaling == "encoded" else Bins.none()
        return Inputs(fill, marked, knots, levels, np.zeros(0, bool), none, none, bins)
    logs = _heavy(rows)
    tamed = np.where(logs, np.sign(rows) * np.log1p(np.abs(rows)), rows)
    deviation = tamed.std(axis=0)
    shape = np.zeros((0, 0))
    return Inputs(
        fill, marked, shape, shape, logs, tamed.mean(axis=0), np.where(deviation > 0, deviation, 1.0)
    )


def _heavy(rows: Float64) -> Any:
    """bool [features]: is the largest deviation many standard deviations out?"""
    deviation = rows.std(axis=0)
    far = np.abs(rows - np.median(rows, axis=0)).max(axis=0)
    return far > _HEAVY * np.where(deviation > 0, deviation, np.inf)


def _knots_of(rows: Float64) -> tuple[Float64, Float64]:
    """(values, their normal scores), float64 [features, knots] each.

    Knots are quantiles; a value that many rows share has the mid rank of all of them, so that a feature of
    few values keeps each apart. Where there are fewer values than knots, the last one is repeated.
    """
    count = len(rows)
    knots, levels = np.zeros((rows.shape[1], _KNOTS)), np.zeros((rows.shape[1], _KNOTS))
    for feature, column in enumerate(rows.T):
        distinct, counts = np.unique(column, return_counts=True)
        middle = (np.cumsum(counts) - counts / 2) / count
        if len(distinct) > _KNOTS:
            wanted = np.linspace(0, 1, _KNOTS)
            places = np.unique(np.searchsorted(middle, wanted).clip(0, len(distinct) - 1))
            distinct, middle = distinct[places], middle[places]
        size = len(distinct)
        knots[feature, :size], levels[feature, :size] = distinct, ndtri(middle)
        knots[feature, size:], levels[feature, size:] = distinct[-1], levels[feature, size - 1]
    return knots, levels


def _interpolated(rows: Float64, knots: Float64, levels: Float64) -> Float64:
    """Linear between knots, held beyond the ends: `np.interp` of each feature, all at once."""
    out = np.empty_like(rows)
    for feature in range(rows.shape[1]):
        out[:, feature] = np.interp(rows[:, feature], knots[feature], levels[feature])
    return out
