"""A feature's normal score: where its value stands among those of training, as a normal variable's value."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import ndtri

from ranking.data.arrays import Float32, Float64, Int64
from ranking.neural.inputs.columns import Distinct
from ranking.neural.inputs.kernels import quantile_columns

_KNOTS = 33
_CLIP = 3.5


@dataclass(frozen=True, eq=False)
class Quantiles:
    """Linear between knots, held beyond the ends; mean 0 and deviation 1 in training.

    knots    float64 [columns, knots], rising values of the feature; the last repeated where there are fewer
    levels   float64 [columns, knots], what each becomes
    """

    feature: Int64
    knots: Float64
    levels: Float64

    @classmethod
    def fitted(cls, numbers: Int64, distinct: Sequence[Distinct]) -> Quantiles:
        """A value has the mid rank of all rows that share it, so that one of few values keeps them apart.

        Knots are evenly spaced in the score, not in the rank: a long tail has its share of them.
        """
        knots, levels = np.zeros((len(numbers), _KNOTS)), np.zeros((len(numbers), _KNOTS))
        for column, one in enumerate(distinct):
            middle = (np.cumsum(one.counts) - one.counts / 2) / one.counts.sum()
            scores = np.clip(ndtri(middle), -_CLIP, _CLIP)
            mean, spread = one.moments(scores)
            chosen = np.arange(len(scores))
            if len(scores) > _KNOTS:
                wanted = np.linspace(scores[0], scores[-1], _KNOTS)
                chosen = np.unique(np.searchsorted(scores, wanted).clip(0, len(scores) - 1))
            chosen = np.pad(chosen, (0, _KNOTS - len(chosen)), "edge")
            knots[column], levels[column] = one.values[chosen], ((scores - mean) / spread)[chosen]
        return cls(numbers, knots, levels)

    def __call__(self, features: Float32) -> Float64:
        out = np.empty((len(features), len(self.feature)))
        quantile_columns(features, self.feature, self.knots, self.levels, out)
        return out

    def check(self) -> None:
        alike: Any = self.knots.shape == self.levels.shape and self.knots.shape[1:] > (1,)
        if not (alike and (np.diff(self.knots, axis=1) >= 0).all()):
            raise ValueError("the knots of the quantiles do not rise, or do not fit their levels")
