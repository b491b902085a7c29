"""One matrix in every form a request can take."""

from __future__ import annotations

from typing import Any

import numpy as np

from ranking.data.arrays import Float32
from tests.service.conftest import Linear

NAMES = Linear().feature_names


def matrix(rows: int = 50, seed: int = 3) -> Float32:
    """Features with a fifth of them missing."""
    generator = np.random.default_rng(seed)
    values = generator.normal(size=(rows, 3)).astype(np.float32)
    values[generator.random(values.shape) < 0.2] = np.nan
    return values


def row_values(row: Float32) -> list[float | None]:
    return [None if np.isnan(value) else float(value) for value in row]


def dense(values: Float32) -> dict[str, Any]:
    return {"candidates": [{"id": f"d{i}", "features": row_values(row)} for i, row in enumerate(values)]}


def named(values: Float32) -> dict[str, Any]:
    """Missing ones left out, and the names in another order than the model's."""
    candidates = []
    for i, row in enumerate(values):
        pairs = list(zip(NAMES, row_values(row), strict=True))[::-1]
        candidates.append({"id": f"d{i}", "features": {name: v for name, v in pairs if v is not None}})
    return {"candidates": candidates}


def columnar(values: Float32) -> dict[str, Any]:
    rows = [row_values(row)[::-1] for row in values]
    return {"ids": [f"d{i}" for i in range(len(values))], "columns": list(NAMES[::-1]), "matrix": rows}
