"""Classification under imbalance: the focal family and class-balanced weights, on logits of any shape.

These are means over examples, as classifiers are trained (`normalisation` has the other ways); losses of
lists are sums.

Everything is computed from log sigmoid(z) and log sigmoid(−z), so that values and gradients are finite for
every logit and every power, below 1 too. (`(1 − exp(−ce))^gamma · ce`, as it is often written, has a NaN
gradient at confident logits when gamma < 1.)

The focal loss' gradient by the logit is, for both classes,

    (2 y − 1) alpha_t (1 − p_t)^gamma (gamma p_t log p_t + p_t − 1);

printed without the factor 2 y − 1 it holds for y = 1 alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, logsigmoid

from ranking.errors import UsageError, unknown_name

_LEAST_MISS = 1e-12

Normalisation = Literal["none", "sum", "mean", "positives"]
"""`positives` divides the sum by the number of positives, at least 1: RetinaNet's."""


def focal(
    logits: Tensor,
    targets: Tensor,
    gamma: float = 2.0,
    alpha: float | None = 0.25,
    *,
    normalisation: Normalisation = "mean",
) -> Tensor:
    """−alpha_t (1 − p_t)^gamma log p_t, targets 0 or 1 of the shape of `logits`.

    alpha   weight of the positives, 1 − alpha that of the others (0.25 with gamma 2 in the paper); None for 1
    gamma   0 is the binary cross-entropy

    source  Lin et al. 2017 (RetinaNet).
    """
    y = targets.to(logits)
    signed = (2 * y - 1) * logits
    value = -torch.exp(gamma * logsigmoid(-signed)) * logsigmoid(signed)
    if alpha is not None:
        value = value * (alpha * y + (1 - alpha) * (1 - y))
    return normalised(value, y, normalisation)


def quality_focal(
    logits: Tensor, quality: Tensor, beta: float = 2.0, *, normalisation: Normalisation = "mean"
) -> Tensor:
    """|q − p|^beta BCE(p, q), quality in [0, 1]; 0 and least at p = q.

    source  Li et al. 2020 (generalized focal loss), beta 2.
    """
    q = _unit(quality, logits)
    entropy = binary_cross_entropy_with_logits(logits, q, reduction="none")
    return normalised(miss_to_the(torch.full_like(q, beta), logits, q) * entropy, q, normalisation)


def varifocal(
    logits: Tensor,
    quality: Tensor,
    gamma: float = 2.0,
    alpha: float = 0.75,
    *,
    normalisation: Normalisation = "mean",
) -> Tensor:
    """q BCE(p, q) where quality q > 0, alpha p^gamma (−log(1 − p)) where it is 0.

    Least at p = q, where a positive's value is q times the entropy of q and not 0.

    source  Zhang et al. 2021 (VarifocalNet), alpha 0.75 and gamma 2.
    """
    q = _unit(quality, logits)
    positive = q * binary_cross_entropy_with_logits(logits, q, reduction="none")
    negative = -alpha * torch.exp(gamma * logsigmoid(logits)) * logsigmoid(-logits)
    return normalised(torch.where(q > 0, positive, negative), q, normalisation)


def class_balanced_weights(counts: Tensor, beta: float = 0.999) -> Tensor:
    """[classes]: (1 − beta) / (1 − beta^n), scaled to sum to the number of classes; 0 for an empty class.

    The effective number of examples: beta = 0 weighs classes alike, beta -> 1 by 1 / n (0.9 … 0.9999 in the
    paper). Raises UsageError for beta outside [0, 1).

    source  Cui et al. 2019.
    """
    if not 0 <= beta < 1:
        raise UsageError(f"beta must be in [0, 1), got {beta!r}")
    counts = counts.double()
    # 1 − beta^n without the cancellation that loses all digits near beta = 1.
    effective = torch.ones_like(counts) if beta == 0 else -torch.expm1(counts * math.log(beta))
    weight = torch.where(counts > 0, (1 - beta) / torch.where(counts > 0, effective, 1.0), 0.0)
    total = weight.sum()
    return weight * len(counts) / torch.where(total > 0, total, 1.0)


def softmax_focal(
    logits: Tensor, classes: Tensor, *, gamma: float = 2.0, class_weights: Tensor | None = None
) -> Tensor:
    """The mean of −w_c (1 − p_c)^gamma log p_c, logits [n, classes], `classes` int [n].

    With `class_weights` of `class_balanced_weights` this is the class-balanced focal loss of Cui et al. 2019,
    with gamma 0 the class-balanced cross-entropy.
    """
    logs = logits.log_softmax(-1)
    own = torch.nn.functional.one_hot(classes, logits.shape[-1]).bool()
    log_p = torch.where(own, logs, 0.0).sum(-1)
    # log(1 − p) as the log-sum of the others: exact where p rounds to 1.
    log_rest = torch.where(own, torch.full_like(logs, -1e30), logs).logsumexp(-1)
    value = -torch.exp(gamma * log_rest) * log_p
    if class_weights is not None:
        value = value * class_weights.to(value)[classes]
    return value.mean() if len(value) else logits.sum() * 0


def prior_bias(positive_share: float = 0.01) -> float:
    """−log((1 − pi) / pi): the bias of a last layer that starts by predicting that share of positives.

    Without it the many easy negatives dominate the first steps (0.01 in Lin et al. 2017).
    Raises UsageError outside (0, 1).
    """
    if not 0 < positive_share < 1:
        raise UsageError(f"positive_share must be between 0 and 1, got {positive_share!r}")
    return -math.log((1 - positive_share) / positive_share)


def miss_to_the(power: Tensor, z: Tensor, target: Tensor) -> Tensor:
    """|y − p|^g, in log space where y is 0 or 1, so that no confident score gives a NaN."""
    hard = (target == 0) | (target == 1)
    in_logs = (power * logsigmoid(-(2 * target - 1) * z)).exp()
    # Both branches are differentiated: the one not taken gets a harmless base.
    # At p = y the base is 0, and a power below 1 has no derivative there: held at the least base.
    soft = torch.where(hard, 0.5, (torch.sigmoid(z) - target).abs().clamp(min=_LEAST_MISS))
    return torch.where(hard, in_logs, soft**power)


def normalised(value: Tensor, targets: Tensor, normalisation: Normalisation) -> Tensor:
    """`value` as it is, its sum, its mean, or its sum over the number of positive targets."""
    if normalisation == "none":
        return value
    if normalisation == "sum":
        return value.sum()
    if normalisation == "mean":
        return value.sum() / max(value.numel(), 1)
    if normalisation == "positives":
        return value.sum() / (targets > 0).sum().clamp(min=1)
    raise unknown_name("normalisation", normalisation, ("none", "sum", "mean", "positives"))


def _unit(quality: Tensor, logits: Tensor) -> Tensor:
    q = quality.to(logits)
    if bool(((q < 0) | (q > 1)).any()):
        raise UsageError("quality must be in [0, 1]: divide grades by the largest")
    return q


CLASSIFICATION_LOSSES: dict[str, Callable[..., Tensor]] = {
    "focal_loss": focal,
    "quality_focal_loss": quality_focal,
    "varifocal_loss": varifocal,
}
"""Of (logits, targets) of one shape, with usual parameters."""
