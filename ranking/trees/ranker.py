"""`TreeRanker`: a LightGBM or XGBoost model by its bytes, scored without either library."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import numpy as np

from ranking.data.arrays import Float32, Float64
from ranking.data.dataset import Missing
from ranking.trees.backends import BACKENDS
from ranking.trees.reading import read_forest
from ranking.trees.scoring.evaluator import ForestEvaluator


@dataclass(frozen=True, eq=False)
class TreeRanker:
    """A tree ensemble that scores documents; safe to use from several threads at once.

    kind            of BACKENDS
    model           LightGBM text or XGBoost UBJSON
    feature_names   one a column
    missing         what an absent feature was in training: `zero`, for which NaN is taken here, or `nan`
    """

    kind: str
    model: bytes = field(repr=False)
    feature_names: tuple[str, ...]
    missing: Missing
    evaluator: ForestEvaluator = field(repr=False)

    @classmethod
    def from_bytes(cls, kind: str, model: bytes, *, feature_names: tuple[str, ...], missing: Missing) -> Self:
        """Read the model; ArtifactError where it is not sound, or not of as many features."""
        forest = read_forest(kind, model, len(feature_names))
        return cls(
            kind, model, feature_names, missing, ForestEvaluator.of(forest, nan_is_zero=missing == "zero")
        )

    @property
    def feature_count(self) -> int:
        return len(self.feature_names)

    @property
    def rounds(self) -> int:
        return self.evaluator.forest.rounds

    @property
    def per_list(self) -> bool:
        return False

    def score(self, features: Float32, threads: int = 1) -> Float32:
        """Raw scores, float32 [documents], of float32 [documents, features]; NaN is missing."""
        return self.evaluator.score(features, threads).astype(np.float32, copy=False)

    def contributions(self, features: Float32) -> Float64:
        """TreeSHAP, float64 [documents, features + 1]; the last column is the bias, rows sum to scores."""
        return self.evaluator.contributions(features)

    def importance(self) -> Float64:
        """Total gain of the splits on each feature, float64 [features]."""
        return self.evaluator.forest.importance()

    def to_bytes(self) -> bytes:
        return self.model

    def save(self, folder: Path) -> None:
        (folder / BACKENDS[self.kind].model_file).write_bytes(self.model)
