"""Is this really a tree model? Our own check of LightGBM text and XGBoost UBJSON.

Both libraries trust what they read: a child index out of range or a cycle makes them read foreign memory
or run for ever, which ends the process and cannot be caught. So the bytes are read here first, by code that
cannot crash, and refused unless every array has its length, every index its range, every number is finite
and the nodes of each tree form one tree. No key may come twice, since one of the two silently wins.

What was read is a `Forest`, which `ranking.trees.scoring` evaluates: no booster ever opens a model to score.

    lightgbm        LightGBM text, format v4
    lightgbm_text   its trees, compiled, where they are as usual
    ubj             a safe reader of UBJSON
    xgboost         XGBoost's UBJSON
"""

from __future__ import annotations

from pkgutil import resolve_name

from ranking.trees.backends import BACKENDS
from ranking.trees.forest import Forest


def read_forest(kind: str, model: bytes, feature_count: int) -> Forest:
    """The trees of a model of a kind in BACKENDS, refused unless sound and of `feature_count` features.

    Raises ArtifactError with the place inside the model; the caller adds the file.
    """
    forest: Forest = resolve_name(BACKENDS[kind].reader)(model, feature_count)
    return forest
