"""Is this really a tree model? Our own check of LightGBM text and XGBoost UBJSON.

Both libraries trust what they read: a child index out of range or a cycle makes them read foreign memory
or run for ever, which ends the process and cannot be caught. So the bytes are read here first, by code that
cannot crash, and refused unless every array has its length, every index its range, every number is finite
and the nodes of each tree form one tree. No key may come twice, since one of the two silently wins.

    nodes       what both have in common: nodes that form a tree
    lightgbm    LightGBM text, format v4
    ubj         a safe reader of UBJSON
    xgboost     XGBoost's UBJSON
"""

from __future__ import annotations

from collections.abc import Callable

from ranking.structure.lightgbm import check_lightgbm
from ranking.structure.xgboost import check_xgboost

CHECKS: dict[str, Callable[[bytes, int], None]] = {"lightgbm": check_lightgbm, "xgboost": check_xgboost}
"""The kinds of model that can be checked."""


def check_structure(kind: str, model: bytes, feature_count: int) -> None:
    """Refuse a model of a kind in CHECKS that is not sound, or does not take `feature_count` features.

    Raises ArtifactError with the place inside the model; the caller adds the file.
    """
    CHECKS[kind](model, feature_count)
