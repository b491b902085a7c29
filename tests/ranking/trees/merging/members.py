"""Pairs of models of every form the libraries write, the libraries' own scores, and sums of them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import lightgbm
import numpy as np
import xgboost

from ranking.trees.ranker import TreeRanker
from tests.ranking.models.small import NAMES, labels, lightgbm_model, rows, xgboost_model
from tests.ranking.trees.reading.written_lightgbm import WRITTEN as LIGHTGBM
from tests.ranking.trees.reading.written_xgboost import WRITTEN as XGBOOST

FORMS = [
    ("lightgbm", "plain"), ("xgboost", "plain"), ("xgboost", "categorical"), ("xgboost", "logistic"),
    ("xgboost", "dropped"),
    *(("lightgbm", name) for name in LIGHTGBM), *(("xgboost", name) for name in XGBOOST),
]  # fmt: skip

_DROPPED: dict[str, dict[str, object]] = {"dropped": {"booster": "dart", "rate_drop": 0.9, "one_drop": 1}}
"""DART whose weights are not all 1."""


def ranker(kind: str, model: bytes, **changed: Any) -> TreeRanker:
    named: dict[str, Any] = {"feature_names": NAMES, "missing": "nan"} | changed
    return TreeRanker.from_bytes(kind, model, **named)


@cache
def pair(kind: str, form: str) -> tuple[TreeRanker, TreeRanker]:
    """Two models of a form that have learned at different rates."""
    return ranker(kind, _model(kind, form, 0.1)), ranker(kind, _model(kind, form, 0.4))


def _model(kind: str, form: str, rate: float) -> bytes:
    if kind == "lightgbm":
        return lightgbm_model(learning_rate=rate, **LIGHTGBM.get(form, {}))
    if form == "categorical":
        return _categorical(rate)
    if form == "logistic":
        return _logistic(rate)
    return xgboost_model(learning_rate=rate, **(XGBOOST | _DROPPED).get(form, {}))


def _categorical(rate: float) -> bytes:
    kinds = ["q", "q", "q", "c"]
    data = xgboost.DMatrix(rows(), labels(), feature_types=kinds, enable_categorical=True)
    settings = {"max_depth": 4, "nthread": 1, "max_cat_to_onehot": 1, "learning_rate": rate}
    return bytes(xgboost.train(settings, data, 3).save_raw("ubj"))


def _logistic(rate: float) -> bytes:
    data = xgboost.DMatrix(rows(), labels() > 1)
    settings = {"objective": "binary:logistic", "base_score": rate, "nthread": 1}
    return bytes(xgboost.train(settings, data, 3).save_raw("ubj"))


def library_scores(kind: str, model: bytes, features: Any) -> Any:
    """By the library itself, before any link; LightGBM's raw score of a random forest would be no mean."""
    if kind == "lightgbm":
        return lightgbm.Booster(model_str=model.decode()).predict(features, num_threads=1)
    booster = xgboost.Booster({"nthread": 1})
    booster.load_model(bytearray(model))
    data = xgboost.DMatrix(features, missing=np.nan, nthread=1, feature_types=booster.feature_types)
    data.feature_names = booster.feature_names
    return booster.predict(data, output_margin=True)


def summed_scores(members: Sequence[TreeRanker], scales: Sequence[float], features: Any) -> Any:
    """float64: the sum that a merged model must give, of the libraries' scores."""
    scores = [library_scores(m.kind, m.model, features).astype(np.float64) for m in members]
    return sum(scale * one for scale, one in zip(scales, scores, strict=True))
