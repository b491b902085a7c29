"""What there is to know of each library that grows trees: one record a backend.

Facts alone, so that every room may ask; who reads a model's bytes is `ranking.trees.reading`, who grows one
`ranking.trees.boosting`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Backend:
    """One library of tree ensembles.

    model_file  what a model is saved as
    packages    the distributions that may bring the library, whose version a manifest names
    dtype       of leaf values, and of the sums over trees
    """

    model_file: str
    packages: tuple[str, ...]
    dtype: Literal["float32", "float64"]


BACKENDS: dict[str, Backend] = {
    "lightgbm": Backend("model.txt", ("lightgbm",), "float64"),
    "xgboost": Backend("model.ubj", ("xgboost", "xgboost-cpu"), "float32"),
}
"""Each kind of tree model by its name."""
