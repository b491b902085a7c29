"""Listwise losses on padded lists: cross-entropy between a target and the softmax of the scores."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ranking.losses.facts import OfObjective
from ranking.losses.reduction import Reduction, everywhere, reduced
from ranking.metrics import gain

_FLOOR = -1e30
"""What padding scores: its softmax is 0, and 0 times its logarithm is not NaN, as it is with −inf."""


@dataclass(frozen=True)
class ListwiseLoss(OfObjective):
    """The torch loss of a listwise objective; call it with `(scores, labels, where, weights=None)`."""

    objective: Any

    def __call__(
        self,
        scores: Tensor,
        labels: Tensor,
        where: Tensor | None = None,
        weights: Tensor | None = None,
        uniform: Tensor | None = None,
        reduction: Reduction = "sum",
    ) -> Tensor:
        """−sum of target · log softmax, reduced over lists, connected to `scores`.

        `uniform` [..., list] in [0, 1) is the draw of XE-NDCG; without it a new one is made.
        """
        where = everywhere(scores, where)
        target = targets(self.objective, labels, where, uniform).to(scores)
        target = torch.where(where.sum(-1, keepdim=True) > 1, target, 0.0)
        learns = (target > 0).any(-1)
        if weights is not None:
            target = target * weights.to(target)[..., None]
        values = -(torch.where(target > 0, log_softmax(scores, where), 0.0) * target).sum(-1)
        return reduced(values, learns, weights, reduction)


def log_softmax(scores: Tensor, where: Tensor) -> Tensor:
    """[..., list]: log softmax over the documents of each list; some finite number at padding."""
    return torch.where(where, scores, torch.full_like(scores, _FLOOR)).log_softmax(-1)


def targets(objective: Any, labels: Tensor, where: Tensor, uniform: Tensor | None) -> Tensor:
    """[..., list], float64: what each document is to get; 0 at padding."""
    labels = torch.where(where, labels, 0.0).double()
    if getattr(objective, "target", None) == "softmax":
        return torch.where(where, labels, -torch.inf).softmax(-1)
    values = torch.from_numpy(gain(labels.cpu().numpy().ravel(), objective.gain)).reshape(labels.shape)
    values = torch.where(where, values.to(labels.device), 0.0)
    if objective.name == "xendcg":
        draw = torch.rand_like(labels) if uniform is None else uniform.to(labels)
        relevant = values.amax(-1, keepdim=True) > 0
        values = torch.where(where & relevant, values + 1 - draw, 0.0)
    if getattr(objective, "target", None) == "raw":
        return values
    total = values.sum(-1, keepdim=True)
    return torch.where(total > 0, values / total.clamp(min=1e-300), 0.0)
