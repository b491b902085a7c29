"""What torch trains on (extra `neural`).

    loss(scores, labels, where=None, weights=None, reduction="sum") -> scalar, or [...] for reduction="none"

scores   [..., list], any floating dtype; gradients flow into it
labels   [..., list], >= 0
where    bool [..., list], True at real documents; the rest is padding and never counts
weights  [...] one weight a list, or None

pairwise        a pair formula times a pair weight
weights         the pair weights of the metrics, by ranks
pointwise       each document against its own target
listwise        cross-entropy of the list's softmax
list_mle        the likelihood of the ideal order
smoothed        any metric at smooth ranks: ApproxNDCG and its kin
neural_sort     NDCG through a smooth permutation
calibrated      ranking that leaves scores probabilities
distillation    a teacher's scores in place of labels
perturbed       any of them over scores with Gumbel noise
own             one from a user's file
reduction       sum (as the compiled objectives), mean over lists that learn, none
classification  focal, quality focal, varifocal, class-balanced: on logits, for any classifier
doctor          is a loss what it says?
embedding       contrastive, triplets and miners, InfoNCE, SupCon, ArcFace, …: on vectors

Every name of `ranking.objectives.OBJECTIVES` is in `LOSSES` and is the same function: autograd of a member of
`LOSSES` is the gradient of its namesake, and a registry-walking test says so.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from ranking.compiled.own_code import is_file_name
from ranking.errors import UsageError, unknown_name
from ranking.losses.calibrated import Calibrated
from ranking.losses.distillation import MarginMSE, SoftmaxDistillation
from ranking.losses.list_mle import ListMLE
from ranking.losses.listwise import ListwiseLoss
from ranking.losses.neural_sort import NeuralNDCG
from ranking.losses.own import OwnLoss
from ranking.losses.pairwise import PairwiseLoss
from ranking.losses.perturbed import PerturbedLoss
from ranking.losses.pointwise import PointwiseLoss
from ranking.losses.smoothed import SmoothedMetric
from ranking.objectives import GUMBEL_PREFIX, OBJECTIVES, Gumbel, objective_named, parameters_of
from ranking.objectives import MarginMSE as MarginMSEObjective

__all__ = [
    "LOSSES",
    "Calibrated",
    "ListMLE",
    "ListwiseLoss",
    "MarginMSE",
    "NeuralNDCG",
    "OwnLoss",
    "PairwiseLoss",
    "PerturbedLoss",
    "PointwiseLoss",
    "SmoothedMetric",
    "SoftmaxDistillation",
    "describe",
    "loss_named",
    "loss_of",
]

_FAMILIES: dict[str, Any] = {"pairwise": PairwiseLoss, "pointwise": PointwiseLoss, "listwise": ListwiseLoss}


def loss_of(objective: Any) -> Any:
    """The torch loss of an objective with any parameters.

    Raises UsageError for one that has no torch form: a user's file for trees.
    """
    if objective.name == "own":
        raise UsageError(
            f"{objective.file} is compiled for trees and has no torch loss: give a file that defines "
            "loss(scores, labels, where)"
        )
    if isinstance(objective, Gumbel):
        return PerturbedLoss(loss_of(objective.objective), objective.strength, objective.draws)
    if isinstance(objective, MarginMSEObjective):
        return MarginMSE(objective)
    return _FAMILIES[objective.family](objective)


LOSSES: dict[str, Any] = {
    **{name: loss_of(objective) for name, objective in OBJECTIVES.items()},
    "list_mle": ListMLE(),
    "approx_ndcg": SmoothedMetric(),
    "approx_map": SmoothedMetric(metric="map"),
    "approx_mrr": SmoothedMetric(metric="mrr"),
    "neural_ndcg": NeuralNDCG(),
    "calibrated": Calibrated(),
    "softmax_distillation": SoftmaxDistillation(),
}
"""The losses with default parameters; `loss_named` changes them, `loss_of` is that of an objective."""

_NOISE = ("strength", "draws")


def loss_named(name: str, parameters: Mapping[str, Any] | None = None) -> Any:
    """The loss of a name with these parameters changed.

    A name is one of `LOSSES`, `gumbel:NAME` for it over perturbed scores, or a file `FILE.py` that defines
    `loss(scores, labels, where)`. Raises UsageError for an unknown name or parameter.

    >>> loss_named("approx_ndcg", {"temperature": 1.0}).temperature
    1.0
    """
    given = dict(parameters or {})
    prefix, colon, inner = name.partition(":")
    if colon and prefix == GUMBEL_PREFIX and not is_file_name(name):
        noise = {key: given.pop(key) for key in _NOISE if key in given}
        return PerturbedLoss(loss_named(inner, given), **noise)
    if is_file_name(name):
        if given:
            raise UsageError(f"a loss of your own has no parameters to set, got {', '.join(given)}")
        return OwnLoss(file=name)
    if name in OBJECTIVES:
        return loss_of(objective_named(name, given))
    if name not in LOSSES:
        raise unknown_name("loss", name, [*LOSSES, f"{GUMBEL_PREFIX}:NAME", "FILE.py"])
    known = {field.name for field in dataclasses.fields(LOSSES[name])}
    for key in given:
        if key not in known:
            raise unknown_name(f"parameter of loss {name}:", key, known)
    return dataclasses.replace(LOSSES[name], **given)


_FACTS = ("family", "formula", "source", "shift_invariant", "stochastic", "needs_positions")
_TREES_ONLY = ("hessian_scale", "precision", "noise_seed")


def describe(loss: Any) -> dict[str, Any]:
    """Facts of a loss, and `parameters` by name as `loss_named` takes them."""
    if isinstance(loss, PerturbedLoss):
        inner = describe(loss.loss)
        own = {"strength": loss.strength, "draws": loss.draws}
        return {
            **inner, "formula": f"mean over draws of g of L(s + strength · g), L: {inner['formula']}",
            "source": loss.source, "stochastic": True, "parameters": {**inner["parameters"], **own},
        }  # fmt: skip
    told = getattr(loss, "objective", loss)
    facts = {fact: getattr(told, fact) for fact in _FACTS}
    if isinstance(loss, OwnLoss):
        return {**facts, "parameters": {"sha256": loss.sha256}}
    parameters = parameters_of(told)
    return {**facts, "parameters": {k: v for k, v in parameters.items() if k not in _TREES_ONLY}}
