"""A kind of ranker that nobody else knows: a weight for each feature. One file and one row."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ranking.data.arrays import Float32
from ranking.data.dataset import Missing
from ranking.errors import ArtifactError
from ranking.models.kinds import Kind

NAME = "linear"
ROW = Kind(opener="tests.toys.linear:LinearRanker.from_bytes", importance="size of the weight")


@dataclass(frozen=True, eq=False)
class LinearRanker:
    weights: Float32
    feature_names: tuple[str, ...]
    missing: Missing
    kind: str = NAME
    per_list: bool = False

    @property
    def feature_count(self) -> int:
        return len(self.feature_names)

    def score(self, features: Float32) -> Float32:
        return np.asarray(np.nan_to_num(features) @ self.weights, np.float32)

    def importance(self) -> Float32:
        return np.abs(self.weights)

    def save(self, folder: Path) -> None:
        (folder / "model.linear").write_text(json.dumps(self.weights.tolist()))

    @classmethod
    def from_bytes(
        cls, kind: str, content: bytes, *, feature_names: tuple[str, ...], missing: Missing
    ) -> LinearRanker:
        weights = np.array(json.loads(content), np.float32)
        if weights.shape != (len(feature_names),) or not np.isfinite(weights).all():
            raise ArtifactError("a finite weight for each feature expected")
        return cls(weights, feature_names, missing)
