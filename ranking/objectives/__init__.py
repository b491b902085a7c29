"""What trees train on: gradient and hessian on ragged lists, compiled.

pairwise      a pair formula (hinge, squared hinge, logistic), each pair alike: kernel, pairwise
lambdarank    logistic pairs weighted by the change of a metric; for clicks; LambdaLoss
listwise      cross-entropy of the list's softmax
pointwise     each document against its own target
distillation  a teacher's scores in place of labels
stochastic    any of them over perturbed scores: `gumbel:NAME`
custom        a formula or a weight from a user's own file: `FILE.py`
registry      every objective by its name
protocol      what a booster needs of one
arguments     what is checked of their arguments
kernel        the compiled pass over pairs: order and ties, weights, formulas
doctor        examines one and certifies it
propensity    how likely each position was seen, from clicks

An objective is a frozen dataclass of its parameters; `dataclasses.replace` or `objective_named` change
them. Losses sum within a list and over lists; nothing is averaged.
"""

from __future__ import annotations

from ranking.objectives.custom import OwnObjective
from ranking.objectives.distillation import MarginMSE
from ranking.objectives.lambdarank import LambdaRank, NDCGLoss2, NDCGLoss2PlusPlus, UnbiasedLambdaRank
from ranking.objectives.listwise import XENDCG, Softmax
from ranking.objectives.pairwise import Hinge, Pairwise, RankNet, SquaredHinge
from ranking.objectives.pointwise import (
    ClassBalancedFocal,
    Focal,
    LogisticLoss,
    QualityFocal,
    SVMHinge,
    Varifocal,
)
from ranking.objectives.protocol import Objective
from ranking.objectives.registry import GUMBEL_PREFIX, OBJECTIVES, objective_named, parameters_of, warm_up
from ranking.objectives.stochastic import Gumbel

__all__ = [
    "GUMBEL_PREFIX",
    "OBJECTIVES",
    "XENDCG",
    "ClassBalancedFocal",
    "Focal",
    "Gumbel",
    "Hinge",
    "LambdaRank",
    "LogisticLoss",
    "MarginMSE",
    "NDCGLoss2",
    "NDCGLoss2PlusPlus",
    "Objective",
    "OwnObjective",
    "Pairwise",
    "QualityFocal",
    "RankNet",
    "SVMHinge",
    "Softmax",
    "SquaredHinge",
    "UnbiasedLambdaRank",
    "Varifocal",
    "objective_named",
    "parameters_of",
    "warm_up",
]
