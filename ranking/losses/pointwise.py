"""Pointwise losses on padded lists: |y − p|^g times a cross-entropy, or the binary hinge.

The targets are those of `ranking.objectives.pointwise`, over the documents given in one call.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from ranking.losses.classification import class_balanced_weights, miss_to_the
from ranking.losses.facts import OfObjective
from ranking.losses.reduction import Reduction, everywhere, reduced
from ranking.objectives import ClassBalancedFocal, Focal, LogisticLoss, QualityFocal, Varifocal
from ranking.objectives.pointwise import Pointwise


@dataclass(frozen=True)
class PointwiseLoss(OfObjective):
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
        if self.objective.name == "svm_hinge":
            sign = torch.where(_positive(self.objective, labels), 1.0, -1.0).to(scores)
            return (1 - sign * scores).clamp(min=0)
        target, scale, power = TARGETS[self.objective.name](self.objective, labels)
        entropy = binary_cross_entropy_with_logits(scores, target, reduction="none")
        return scale * miss_to_the(power, scores, target) * entropy


Targets = tuple[Tensor, Tensor, Tensor]
"""(target in [0, 1], scale, power of the miss) of each document."""


def _logistic(objective: LogisticLoss, labels: Tensor) -> Targets:
    return _positive(objective, labels).to(labels), torch.ones_like(labels), torch.zeros_like(labels)


def _focal(objective: Focal, labels: Tensor) -> Targets:
    y = _positive(objective, labels).to(labels)
    scale = y * objective.alpha + (1 - y) * (1 - objective.alpha)
    return y, scale, torch.full_like(labels, objective.gamma)


def _class_balanced(objective: ClassBalancedFocal, labels: Tensor) -> Targets:
    y = _positive(objective, labels).to(labels)
    positives = y.double().sum()
    weights = class_balanced_weights(torch.stack([len(y) - positives, positives]), objective.beta)
    return y, weights.to(y)[y.long()], torch.full_like(labels, objective.gamma)


def _quality(objective: QualityFocal, labels: Tensor) -> Targets:
    q = _qualities(objective, labels)
    return q, torch.ones_like(q), torch.full_like(q, objective.beta)


def _varifocal(objective: Varifocal, labels: Tensor) -> Targets:
    q = _qualities(objective, labels)
    return q, torch.where(q > 0, q, objective.alpha), torch.where(q > 0, 0 * q, objective.gamma)


TARGETS: dict[str, Callable[[Any, Tensor], Targets]] = {
    "logistic": _logistic,
    "focal": _focal,
    "class_balanced_focal": _class_balanced,
    "quality_focal": _quality,
    "varifocal": _varifocal,
}
"""What each document is to be, by the objective's name."""


def _qualities(objective: QualityFocal | Varifocal, labels: Tensor) -> Tensor:
    """Labels over the largest: the objective's, or that of these documents."""
    largest = objective.largest_label
    if largest is None:
        largest = float(labels.max()) if len(labels) else 1.0
    return labels / largest if largest > 0 else labels


def _positive(objective: Pointwise, labels: Tensor) -> Tensor:
    return labels > 0 if objective.relevant_from is None else labels >= objective.relevant_from
