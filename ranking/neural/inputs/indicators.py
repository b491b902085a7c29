"""Is the value of a feature missing? As a number with mean 0 and deviation 1 in training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ranking.data.arrays import Float32, Float64, Int64
from ranking.neural.inputs.columns import Distinct

_LEAST, _MOST = 0.005, 0.995
"""Share of the rows: below there is too little to learn from, above too little else."""


@dataclass(frozen=True, eq=False)
class Indicators:
    """`(missing − share) · scale` for each feature that is missing often enough; float64 [columns] each."""

    feature: Int64
    share: Float64
    scale: Float64

    @classmethod
    def fitted(cls, numbers: Int64, distinct: Sequence[Distinct]) -> Indicators:
        shares = np.array([one.absent / max(one.absent + one.counts.sum(), 1) for one in distinct])
        told = (shares >= _LEAST) & (shares <= _MOST)
        share = shares[told]
        return cls(numbers[told], share, 1.0 / np.sqrt(share * (1.0 - share)))

    def __call__(self, features: Float32) -> Float64:
        made: Float64 = (np.isnan(features[:, self.feature]) - self.share) * self.scale
        return made

    def check(self) -> None:
        if not (self.scale > 0).all():
            raise ValueError("a scale that is not above 0")
