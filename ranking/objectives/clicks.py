"""Learning from clicks: what makes up for the places at which documents were shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from ranking.errors import DataError, UsageError
from ranking.objectives.arguments import check_at_least, check_choice

if TYPE_CHECKING:
    from ranking.data.arrays import Float64
    from ranking.data.dataset import RankingDataset


@dataclass(frozen=True, kw_only=True)
class Propensities:
    """Clicks debiased: each pair over the chance that its clicked document's place was seen.

        weight_ij / theta(position of i),  i the document with the higher label

    A document shown low is clicked less often than it is liked; dividing by the propensity theta of its
    position makes the expected sum the one over true relevance (inverse propensity weighting).

    propensities         "estimate": a click model fitted to this data (`ranking.objectives.propensity`),
                         once before the first round and the same on a resumed run; or a table from position 1
    positions            "data": the data set's `positions` (Parquet and data frames carry them);
                         "rows": documents were shown in the order of their rows
    smallest_propensity  propensities below are taken as this, which bounds the variance
    """

    formula: ClassVar[str] = "/ theta(position_i)"
    source: ClassVar[str] = "Joachims, Swaminathan, Schnabel 2017; Wang et al. 2018; Hu et al. 2019"

    propensities: Literal["estimate"] | Sequence[float] = "estimate"
    positions: Literal["data", "rows"] = "data"
    smallest_propensity: float = 0.01

    def __post_init__(self) -> None:
        check_choice("positions", self.positions, ("data", "rows"))
        check_at_least(1e-6, smallest_propensity=self.smallest_propensity)
        if self.propensities != "estimate":
            if not isinstance(self.propensities, list | tuple) or not self.propensities:
                raise UsageError(
                    "propensities must be 'estimate' or numbers from position 1, such as 1.0,0.6,0.4, "
                    f"got {self.propensities!r}"
                )
            for theta in self.propensities:
                check_at_least(0, propensities=theta)

    def winner_weights(self, dataset: RankingDataset) -> Float64:
        """One over the propensity of each document's position, float64 [documents].

        Raises DataError where positions are not known, or propensities do not reach one.
        """
        positions = self._shown_at(dataset)
        theta = self._theta(dataset, positions)
        if positions.max() > len(theta):
            row = int(positions.argmax())
            raise DataError(
                f"row {row} (query {dataset.query_of(row)}) was shown at position {positions[row]}, and "
                f"propensities are given for {len(theta)} positions: give one for each"
            )
        weights: Float64 = 1.0 / np.maximum(theta, self.smallest_propensity)[positions - 1]
        return weights

    def _shown_at(self, dataset: RankingDataset) -> Any:
        if self.positions == "rows":
            return np.arange(dataset.document_count) - np.repeat(dataset.offsets[:-1], dataset.sizes) + 1
        if dataset.positions is None:
            raise DataError(
                "propensities need the position at which each document was shown: give a column `position` "
                "(Parquet, data frame), or set objective.positions=rows where the rows of each query stand "
                "in the order shown"
            )
        return dataset.positions

    def _theta(self, dataset: RankingDataset, positions: Any) -> Float64:
        if self.propensities == "estimate":
            from ranking.objectives.propensity import estimate_propensities

            return np.asarray(estimate_propensities(dataset, positions=positions), np.float64)
        return np.array(self.propensities, np.float64)
