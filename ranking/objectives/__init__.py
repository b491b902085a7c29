"""What trees train on: gradient and hessian on ragged lists, compiled.

pairwise      a pair loss times a pair weight: every one of the two with every other
pair_losses   logistic, hinge, squared hinge
pair_weights  all alike, by the change of a metric, LambdaLoss's by distance
clicks        each pair over the chance that its clicked document was seen
listwise      cross-entropy of the list's softmax
pointwise     each document against its own target
distillation  a teacher's scores in place of labels
stochastic    any of them over perturbed scores: `gumbel:NAME`
blend         several of them added up
members       each of those by its name
custom        a pair loss or a pair weight from a user's own file: `FILE.py`
registry      every objective by its name
protocol      what a booster needs of one
arguments     what is checked of their arguments
rounds        a compiled loop on one data set, round after round, over threads
kernel        the compiled pass over pairs: order and ties, weights, formulas
doctor        examines one and certifies it
propensity    how likely each position was seen, from clicks

An objective is a frozen dataclass of its parameters; `dataclasses.replace` or `objective_named` change
them. Losses sum within a list and over lists; nothing is averaged.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from ranking.objectives.blend import Blend
from ranking.objectives.clicks import Propensities
from ranking.objectives.custom import OwnPair, OwnWeight
from ranking.objectives.distillation import MarginMSE
from ranking.objectives.listwise import XENDCG, Softmax
from ranking.objectives.members import PRODUCTS
from ranking.objectives.pair_losses import PAIR_LOSSES, HingePair, LogisticPair, PairLoss, SquaredHingePair
from ranking.objectives.pair_weights import (
    PAIR_WEIGHTS,
    DistanceWeight,
    MetricWeight,
    PairWeight,
    UniformWeight,
)
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
from ranking.objectives.registry import GUMBEL_PREFIX, OBJECTIVES, objective_named, warm_up
from ranking.objectives.stochastic import Gumbel


def _product(name: str, **parameters: object) -> Pairwise:
    return PRODUCTS[name].with_parameters(parameters)


Hinge: Callable[..., Pairwise] = partial(_product, "hinge")
SquaredHinge: Callable[..., Pairwise] = partial(_product, "squared_hinge")
RankNet: Callable[..., Pairwise] = partial(_product, "ranknet")
LambdaRank: Callable[..., Pairwise] = partial(_product, "lambdarank")
UnbiasedLambdaRank: Callable[..., Pairwise] = partial(_product, "unbiased_lambdarank")
NDCGLoss2: Callable[..., Pairwise] = partial(_product, "ndcg_loss2")
NDCGLoss2PlusPlus: Callable[..., Pairwise] = partial(_product, "ndcg_loss2pp")
"""Products of the field's own names, by parameters: `LambdaRank(metric="map", sigma=2.0)`."""

__all__ = [
    "GUMBEL_PREFIX",
    "OBJECTIVES",
    "PAIR_LOSSES",
    "PAIR_WEIGHTS",
    "XENDCG",
    "Blend",
    "ClassBalancedFocal",
    "DistanceWeight",
    "Focal",
    "Gumbel",
    "Hinge",
    "HingePair",
    "LambdaRank",
    "LogisticLoss",
    "LogisticPair",
    "MarginMSE",
    "MetricWeight",
    "NDCGLoss2",
    "NDCGLoss2PlusPlus",
    "Objective",
    "OwnPair",
    "OwnWeight",
    "PairLoss",
    "PairWeight",
    "Pairwise",
    "Propensities",
    "QualityFocal",
    "RankNet",
    "SVMHinge",
    "Softmax",
    "SquaredHinge",
    "SquaredHingePair",
    "UnbiasedLambdaRank",
    "UniformWeight",
    "Varifocal",
    "objective_named",
    "warm_up",
]
