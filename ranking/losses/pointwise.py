"""Pointwise losses on padded lists: |y − p|^g times a cross-entropy, or the binary hinge.

The targets are those of `ranking.objectives.pointwise`, over the documents given in one call.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, logsigmoid

from ranking.objectives import (
    ClassBalancedFocal,
    Focal,
    LogisticLoss,
    QualityFocal,
    SVMHinge,
    Varifocal,
)


@dataclass(frozen=True)
class PointwiseLoss:
    """The torch loss of a pointwise objective; call it with `(scores, labels, where, weights=None)`."""

    objective: Any

    def __call__(
        self, scores: Tensor, labels: Tensor, where: Tensor, weights: Tensor | None = None
    ) -> Tensor:
        """The weighted sum over real documents, a scalar connected to `scores`."""
        each = torch.ones_like(scores) if weights is None else weights[..., None].expand_as(scores)
        z, y, weight = scores[where], labels[where].to(scores), each[where]
        if isinstance(self.objective, SVMHinge):
            sign = torch.where(_positive(self.objective, y), 1.0, -1.0).to(z)
            return ((1 - sign * z).clamp(min=0) * weight).sum()
        target, scale, power = targets(self.objective, y)
        entropy = binary_cross_entropy_with_logits(z, target, reduction="none")
        return (scale * miss_to_the(power, z, target) * entropy * weight).sum()


def targets(objective: Any, labels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """(target in [0, 1], scale, power of the miss) of each document."""
    one = torch.ones_like(labels)
    if isinstance(objective, QualityFocal | Varifocal):
        largest = labels.max() if objective.largest_label is None else objective.largest_label
        q = labels / largest if largest > 0 else labels
        if isinstance(objective, QualityFocal):
            return q, one, one * objective.beta
        return q, torch.where(q > 0, q, objective.alpha), torch.where(q > 0, 0 * q, objective.gamma)
    y = _positive(objective, labels).to(labels)
    if isinstance(objective, Focal):
        return y, y * objective.alpha + (1 - y) * (1 - objective.alpha), one * objective.gamma
    if isinstance(objective, ClassBalancedFocal):
        counts = torch.stack([(1 - y).sum(), y.sum()])
        effective = (1 - objective.beta**counts) / (1 - objective.beta)
        weight = torch.where(counts > 0, 1 / effective.clamp(min=1e-12), 0.0)
        return y, (2 * weight / weight.sum())[y.long()], one * objective.gamma
    assert isinstance(objective, LogisticLoss)
    return y, one, 0 * one


def miss_to_the(power: Tensor, z: Tensor, target: Tensor) -> Tensor:
    """|y − p|^g, in log space where y is 0 or 1, so that no confident score gives a NaN."""
    hard = (target == 0) | (target == 1)
    in_logs = (power * logsigmoid(-(2 * target - 1) * z)).exp()
    # Both branches are differentiated: the one not taken gets a harmless base.
    soft = torch.where(hard, 0.5, (torch.sigmoid(z) - target).abs())
    return torch.where(hard, in_logs, soft**power)


def _positive(objective: Any, labels: Tensor) -> Tensor:
    return labels > 0 if objective.relevant_from is None else labels >= objective.relevant_from
