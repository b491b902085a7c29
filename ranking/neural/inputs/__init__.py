"""From raw features to what a network learns from: fitted on the training rows, stored with the model.

columns     what all parts have in common: each makes columns of features
kernels     where a value stands among rising numbers, compiled
quantiles   a feature's normal score by its rank in training
bins        the piecewise-linear encoding of a feature
standard    a feature, or its signed logarithm, with mean 0 and deviation 1
indicators  is a value missing?

A feature with one value in all training rows is left out; a missing value is 0 in every column, the mean of
the training rows, and where it happens often enough to be learned from, an indicator says so. The same numpy
code prepares training rows and rows to score.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ranking.data.arrays import Float32, Float64
from ranking.errors import DataError
from ranking.neural.inputs.bins import Bins
from ranking.neural.inputs.columns import Distinct, Part, restored, stored
from ranking.neural.inputs.indicators import Indicators
from ranking.neural.inputs.quantiles import Quantiles
from ranking.neural.inputs.standard import Logs, Standard

__all__ = ["FORMS", "Inputs", "fit_inputs"]

_SAMPLE = 200_000
_TOGETHER = 1 << 21
"""Numbers of a block of rows, by which memory is bounded where a feature becomes many columns."""

FORMS: dict[str, tuple[type[Part], ...]] = {
    "quantile": (Quantiles,),
    "encoded": (Quantiles, Bins),
    "standard": (Standard,),
    "log": (Logs,),
}
"""What `neural.inputs` names."""


@dataclass(frozen=True, eq=False)
class Inputs:
    """The fitted transformation: float32 [documents, features] to float64 [documents, width].

    parts   side by side, the indicators last
    """

    parts: tuple[Part, ...]

    @property
    def width(self) -> int:
        return sum(len(part.feature) for part in self.parts)

    @property
    def rows_together(self) -> int:
        """How many rows are taken at once where there are many."""
        return max(1, _TOGETHER // self.width)

    def __call__(self, features: Float32) -> Float64:
        rows = np.ascontiguousarray(features, np.float32)
        return np.concatenate([part(rows) for part in self.parts if len(part.feature)], axis=1)

    def arrays(self) -> dict[str, Any]:
        """What is stored, by name."""
        return {name: array for part in self.parts for name, array in stored(part).items()}

    @classmethod
    def of_arrays(cls, form: str, arrays: Mapping[str, Any], features: int) -> Inputs:
        """The transformation stored in these arrays. Raises ValueError where they do not fit."""
        kinds: tuple[type[Part], ...] = (*FORMS[form], Indicators)
        parts = tuple(restored(kind, arrays, features) for kind in kinds)
        found = cls(parts)
        if found.arrays().keys() != {name for name in arrays if name.startswith("inputs.")}:
            raise ValueError(f"the arrays of the inputs are not those of {form}")
        if not found.width:
            raise ValueError("inputs without a column")
        first, *others = (np.unique(part.feature) for part in found.parts[:-1])
        if not all(np.array_equal(first, other) for other in others):
            raise ValueError("the parts of the inputs are not of the same features")
        return found


def fit_inputs(features: Float32, form: str, seed: int) -> Inputs:
    """The transformation for these training rows; statistics of at most 200,000 of them.

    Raises DataError where no feature tells one row from another.
    """
    rows = np.asarray(features, np.float32)
    if len(rows) > _SAMPLE:
        chosen = np.random.default_rng(seed).choice(len(rows), _SAMPLE, replace=False)
        rows = rows[np.sort(chosen)]
    distinct = [Distinct.of(column) for column in rows.T]
    varying = np.array([n for n, one in enumerate(distinct) if len(one.values) > 1], np.int64)
    parts = tuple(part.fitted(varying, [distinct[n] for n in varying]) for part in FORMS[form])
    everywhere = np.arange(len(distinct), dtype=np.int64)
    found = Inputs((*parts, Indicators.fitted(everywhere, distinct)))
    if not found.width:
        raise DataError(
            "every feature has one value in all training documents: there is nothing to rank by "
            "(`rankwright data describe` shows them)"
        )
    return found
