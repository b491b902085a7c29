"""Pointwise losses on padded lists: |y − p|^g times a cross-entropy, or the binary hinge.

The targets are those of `ranking.objectives.pointwise`, over the documents given in one call.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from ranking.losses.classification import class_balanced_weights, miss_to_the
from ranking.losses.reduction import Reduction, everywhere, reduced
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
        self,
        scores: Tensor,
        labels: Tensor,
        where: Tensor | None = None,
        weights: Tensor | None = None,
        reduction: Reduction = "sum",
    ) -> Tensor:
        """The sum over a list's documents, reduced over lists, connected to `scores`."""
        where = everywhere(scores, where)
        each = torch.zeros_like(scores)
        each[where] = self.documents(scores[where], labels[where].to(scores))
        values = each.sum(-1)
        if weights is not None:
            values = values * weights.to(values)
        return reduced(values, where.any(-1), weights, reduction)

    def documents(self, scores: Tensor, labels: Tensor) -> Tensor:
        """[documents]: the loss of each, all of them real."""
        if isinstance(self.objective, SVMHinge):
            sign = torch.where(_positive(self.objective, labels), 1.0, -1.0).to(scores)
            return (1 - sign * scores).clamp(min=0)
        target, scale, power = targets(self.objective, labels)
        entropy = binary_cross_entropy_with_logits(scores, target, reduction="none")
        return scale * miss_to_the(power, scores, target) * entropy


def targets(objective: Any, labels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """(target in [0, 1], scale, power of the miss) of each document."""
    one = torch.ones_like(labels)
    if isinstance(objective, QualityFocal | Varifocal):
        largest = (
            (labels.max() if len(labels) else one.sum())
            if objective.largest_label is None
            else objective.largest_label
        )
        q = labels / largest if largest > 0 else labels
        if isinstance(objective, QualityFocal):
            return q, one, one * objective.beta
        return q, torch.where(q > 0, q, objective.alpha), torch.where(q > 0, 0 * q, objective.gamma)
    y = _positive(objective, labels).to(labels)
    if isinstance(objective, Focal):
        return y, y * objective.alpha + (1 - y) * (1 - objective.alpha), one * objective.gamma
    if isinstance(objective, ClassBalancedFocal):
        positives = y.double().sum()
        weights = class_balanced_weights(torch.stack([len(y) - positives, positives]), objective.beta)
        return y, weights.to(y)[y.long()], one * objective.gamma
    assert isinstance(objective, LogisticLoss)
    return y, one, 0 * one


def _positive(objective: Any, labels: Tensor) -> Tensor:
    return labels > 0 if objective.relevant_from is None else labels >= objective.relevant_from
