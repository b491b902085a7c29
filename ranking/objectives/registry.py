"""Every objective by its name."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from ranking.compiled.own_code import is_file_name
from ranking.compiled.warming import warm_up as compile_pieces
from ranking.compiled.warming import warms
from ranking.data.dataset import RankingDataset
from ranking.errors import UsageError, unknown_name
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
from ranking.objectives.stochastic import Gumbel

GUMBEL_PREFIX = "gumbel"


OBJECTIVES: dict[str, Objective] = {
    "logistic": LogisticLoss(),
    "focal": Focal(),
    "quality_focal": QualityFocal(),
    "varifocal": Varifocal(),
    "class_balanced_focal": ClassBalancedFocal(),
    "svm_hinge": SVMHinge(),
    "hinge": Hinge(),
    "squared_hinge": SquaredHinge(),
    "ranknet": RankNet(),
    "lambdarank": LambdaRank(),
    "lambdarank_dcg": LambdaRank(metric="dcg"),
    "lambdarank_map": LambdaRank(metric="map"),
    "lambdarank_mrr": LambdaRank(metric="mrr"),
    "lambdarank_err": LambdaRank(metric="err"),
    "lambdarank_precision": LambdaRank(metric="precision", truncation=10),
    "unbiased_lambdarank": UnbiasedLambdaRank(),
    "ndcg_loss2": NDCGLoss2(),
    "ndcg_loss2pp": NDCGLoss2PlusPlus(),
    "softmax": Softmax(),
    "xendcg": XENDCG(),
    "margin_mse": MarginMSE(),
}
"""Each name's objective with default parameters."""


def objective_named(name: str, parameters: Mapping[str, Any] | None = None) -> Objective:
    """The objective of a name with these parameters changed.

    A name is one of the registry, `gumbel:NAME` for it over perturbed scores (whose parameters then are the
    noise's and its own), or a file `FILE.py` with a formula or a weight. Raises UsageError for an unknown
    name or parameter.

    >>> objective_named("lambdarank", {"truncation": 10}).truncation
    10
    >>> objective_named("gumbel:ranknet", {"strength": 0.5, "sigma": 2.0}).objective.sigma
    2.0
    """
    objective = _by_name(name)
    known = set(parameters_of(objective))
    for key in parameters or {}:
        if key not in known:
            raise unknown_name(f"parameter of objective {name}:", key, known)
    try:
        if isinstance(objective, Gumbel):
            return objective.with_parameters(dict(parameters or {}))
        return dataclasses.replace(objective, **dict(parameters or {}))
    except TypeError as error:
        raise UsageError(f"objective {name}: {error}") from error


def parameters_of(objective: Objective) -> dict[str, Any]:
    """Its parameters by name, as `objective_named` takes them; a wrapper's beside those of what it wraps."""
    fields = {field.name: getattr(objective, field.name) for field in dataclasses.fields(objective)}
    if isinstance(objective, Gumbel):
        return {**parameters_of(fields.pop("objective")), **fields}
    fields.pop("file", None)
    return fields


def warm_up(objective: Objective) -> None:
    """Compile what training with this objective runs, or find it compiled on disk.

    The first time on a machine this takes some 15 seconds; a user's own file is compiled in every process.
    """
    if isinstance(objective, Gumbel):
        return warm_up(objective.objective)
    if isinstance(objective, OwnObjective):
        _run(objective)
    elif isinstance(objective, Pairwise):
        # The loop is the same for all of them, and does not ask for positions here.
        compile_pieces(f"objectives {objective.working_type()}")
    return None


def _run(objective: Pairwise) -> None:
    pair = RankingDataset(
        features=np.zeros((2, 1), np.float32), labels=np.array([1, 0], np.float32), offsets=np.array([0, 2]),
        query_ids=["q"],
    )  # fmt: skip
    objective.prepare(pair)(np.zeros(2))


warms("objectives float32", lambda: _run(RankNet(precision="float32")))
warms("objectives float64", lambda: _run(RankNet(precision="float64")))


def _by_name(name: str) -> Objective:
    prefix, colon, inner = name.partition(":")
    if is_file_name(name):
        return OwnObjective(file=name)
    if colon and prefix == GUMBEL_PREFIX:
        return Gumbel(objective=_by_name(inner))
    if name not in OBJECTIVES:
        raise unknown_name("objective", name, [*OBJECTIVES, f"{GUMBEL_PREFIX}:NAME", "FILE.py"])
    return OBJECTIVES[name]
