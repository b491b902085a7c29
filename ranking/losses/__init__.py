"""What torch trains on (extra `neural`).

    loss(scores, labels, where=None, weights=None, reduction="sum") -> scalar, or [...] for reduction="none"

scores   [..., list], any floating dtype; gradients flow into it
labels   [..., list], >= 0; a teacher's scores, of any sign, where a loss learns real numbers
where    bool [..., list], True at real documents; the rest is padding and never counts
weights  [...] one weight a list, or None

pairwise        a pair loss times a pair weight: the definition
truncated       its fast form, over the pairs that count alone
pair_losses     logistic and hinges
weights         the pair weights of the metrics, by ranks
places          what tied documents expect of the places they share
pointwise       each document against its own target
listwise        cross-entropy of the list's softmax
list_mle        the likelihood of the ideal order
smoothed        any metric at smooth ranks: ApproxNDCG and its kin
neural_sort     NDCG through a smooth permutation
calibrated      ranking that leaves scores probabilities
distillation    a teacher's scores in place of labels
blend           several of them added up
perturbed       any of them over scores with Gumbel noise
own             one from a user's file
facts           what each says about itself
trees           any of them as an objective for trees: torch:NAME
reduction       sum (as the compiled objectives), mean over lists that learn, none
classification  focal, quality focal, varifocal, class-balanced: on logits, for any classifier
doctor          is a loss what it says?
embedding       contrastive, triplets and miners, InfoNCE, SupCon, ArcFace, …: on vectors

Every name of `ranking.objectives.OBJECTIVES` is in `LOSSES` and is the same function: autograd of a member of
`LOSSES` is the gradient of its namesake, and a registry-walking test says so.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ranking.compiled.own_code import is_file_name
from ranking.errors import unknown_name
from ranking.losses.blend import BlendLoss
from ranking.losses.calibrated import Calibrated
from ranking.losses.classification import (
    class_balanced_weights,
    focal,
    prior_bias,
    quality_focal,
    softmax_focal,
    varifocal,
)
from ranking.losses.distillation import MarginMSE, SoftmaxDistillation
from ranking.losses.embedding import (
    LearnableTemperature,
    MomentumEncoder,
    NegativeQueue,
    TrainingAudit,
    arcface,
    cached_step,
    clip_loss,
    contrastive,
    cosface,
    info_nce,
    mine_triplets,
    mutual_information_bound,
    nt_xent,
    siglip,
    supcon,
    triplet,
    triplet_in_batch,
)
from ranking.losses.facts import Loss
from ranking.losses.list_mle import ListMLE
from ranking.losses.listwise import ListwiseLoss
from ranking.losses.neural_sort import NeuralNDCG
from ranking.losses.own import OwnLoss
from ranking.losses.pairwise import PairwiseLoss
from ranking.losses.perturbed import PerturbedLoss
from ranking.losses.pointwise import PointwiseLoss
from ranking.losses.smoothed import SmoothedMetric
from ranking.objectives import GUMBEL_PREFIX, OBJECTIVES, Objective, objective_named
from ranking.objectives.protocol import LOSS_FACTS

__all__ = [
    "LOSSES",
    "BlendLoss",
    "Calibrated",
    "LearnableTemperature",
    "ListMLE",
    "ListwiseLoss",
    "Loss",
    "MarginMSE",
    "MomentumEncoder",
    "NegativeQueue",
    "NeuralNDCG",
    "OwnLoss",
    "PairwiseLoss",
    "PerturbedLoss",
    "PointwiseLoss",
    "SmoothedMetric",
    "SoftmaxDistillation",
    "TrainingAudit",
    "arcface",
    "cached_step",
    "class_balanced_weights",
    "clip_loss",
    "contrastive",
    "cosface",
    "facts_of",
    "focal",
    "info_nce",
    "loss_named",
    "loss_of",
    "mine_triplets",
    "mutual_information_bound",
    "nt_xent",
    "prior_bias",
    "quality_focal",
    "siglip",
    "softmax_focal",
    "supcon",
    "triplet",
    "triplet_in_batch",
    "varifocal",
]

_FORMS: dict[str, Callable[[Any], Loss]] = {
    "pairwise": PairwiseLoss,
    "pointwise": PointwiseLoss,
    "listwise": ListwiseLoss,
    "margin_mse": MarginMSE,
    "blend": lambda blend: BlendLoss.of(blend, loss_of),
    "gumbel": lambda gumbel: PerturbedLoss(loss_of(gumbel.objective), gumbel.strength, gumbel.draws),
}
"""What makes the torch form of an objective, by its name or else its family."""


def loss_of(objective: Objective) -> Loss:
    """The torch loss of an objective with any parameters.

    Raises UsageError for one that has no torch form: a user's file for trees.
    """
    return (_FORMS.get(objective.name) or _FORMS[objective.family])(objective)


LOSSES: dict[str, Any] = {
    **{name: loss_of(objective) for name, objective in OBJECTIVES.items()},
    "list_mle": ListMLE(),
    "approx_ndcg": SmoothedMetric(),
    "approx_map": SmoothedMetric(metric="map"),
    "approx_mrr": SmoothedMetric(metric="mrr"),
    "neural_ndcg": NeuralNDCG(),
    "calibrated": Calibrated(),
    "kl": SoftmaxDistillation(),
}
"""The losses with default parameters; `loss_named` changes them, `loss_of` is that of an objective."""

_NOISE = ("strength", "draws")


def loss_named(name: str, parameters: Mapping[str, object] | None = None) -> Loss:
    """The loss of a name with these parameters changed.

    A name is one of `LOSSES`, `gumbel:NAME` for it over perturbed scores, or a file `FILE.py` that defines
    `loss(scores, labels, where)`. Raises UsageError for an unknown name or parameter.

    >>> loss_named("approx_ndcg", {"temperature": 1.0}).temperature
    1.0
    """
    given = dict(parameters or {})
    prefix, colon, inner = name.partition(":")
    if colon and prefix == GUMBEL_PREFIX and not is_file_name(name):
        noise: dict[str, Any] = {key: given.pop(key) for key in _NOISE if key in given}
        return PerturbedLoss(loss_named(inner, given), **noise)
    if is_file_name(name):
        return OwnLoss(file=name).with_parameters(given)
    if name in OBJECTIVES:
        return loss_of(objective_named(name, given))
    if name not in LOSSES:
        raise unknown_name("loss", name, [*LOSSES, f"{GUMBEL_PREFIX}:NAME", "FILE.py"])
    made: Loss = LOSSES[name].with_parameters(given)
    return made


def facts_of(loss: Loss) -> dict[str, Any]:
    """Facts of a loss, and `parameters` by name as `loss_named` takes them."""
    return {**{fact: getattr(loss, fact) for fact in LOSS_FACTS}, "parameters": loss.parameters()}
