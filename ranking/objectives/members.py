"""Each objective by its name, blends of them aside."""

from __future__ import annotations

import dataclasses

from ranking.objectives.clicks import Propensities
from ranking.objectives.distillation import MarginMSE
from ranking.objectives.listwise import XENDCG, Softmax
from ranking.objectives.pair_losses import HingePair, SquaredHingePair
from ranking.objectives.pair_weights import DistanceWeight, MetricWeight
from ranking.objectives.pairwise import Pairwise
from ranking.objectives.pointwise import (
    ClassBalancedFocal,
    Focal,
    LogisticLoss,
    QualityFocal,
    SVMHinge,
    Varifocal,
)
from ranking.objectives.protocol import Objective

_LAMBDARANK = Pairwise(
    weight=MetricWeight(), truncation=30, score_normalization=True, lambda_normalization=True
)
"""LightGBM's `lambdarank` but for ties; with ties="file" the two give the same trees.

XGBoost's `rank:ndcg` is ties="file", truncation=32, hessian_scale=2.
"""

PRODUCTS: dict[str, Pairwise] = {
    "hinge": Pairwise(pair_loss=HingePair()),
    "squared_hinge": Pairwise(pair_loss=SquaredHingePair()),
    "ranknet": Pairwise(),  # with hessian_scale=2 `rank:pairwise`, its normalisations off, over all pairs
    "lambdarank": _LAMBDARANK,
    "lambdarank_dcg": _LAMBDARANK.with_parameters({"metric": "dcg"}),
    "lambdarank_map": _LAMBDARANK.with_parameters({"metric": "map"}),
    "lambdarank_mrr": _LAMBDARANK.with_parameters({"metric": "mrr"}),
    "lambdarank_err": _LAMBDARANK.with_parameters({"metric": "err"}),
    "lambdarank_precision": _LAMBDARANK.with_parameters({"metric": "precision", "truncation": 10}),
    "unbiased_lambdarank": dataclasses.replace(_LAMBDARANK, clicks=Propensities()),
    "ndcg_loss2": dataclasses.replace(_LAMBDARANK, weight=DistanceWeight()),
    "ndcg_loss2pp": dataclasses.replace(_LAMBDARANK, weight=DistanceWeight(mu=10.0)),
}
"""A pair loss times a pair weight, by the name the field has for it."""

MEMBERS: dict[str, Objective] = {
    "logistic": LogisticLoss(),
    "focal": Focal(),
    "quality_focal": QualityFocal(),
    "varifocal": Varifocal(),
    "class_balanced_focal": ClassBalancedFocal(),
    "svm_hinge": SVMHinge(),
    **PRODUCTS,
    "softmax": Softmax(),
    "xendcg": XENDCG(),
    "margin_mse": MarginMSE(),
}
"""With default parameters."""
