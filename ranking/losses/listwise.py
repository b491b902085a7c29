"""Listwise losses on padded lists: cross-entropy between a target and the softmax of the scores."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ranking.metrics import gain
from ranking.objectives import XENDCG

_FLOOR = -1e30
"""What padding scores: its softmax is 0, and 0 times its logarithm is not NaN, as it is with −inf."""


@dataclass(frozen=True)
class ListwiseLoss:
    """The torch loss of a listwise objective; call it with `(scores, labels, where, weights=None)`."""

    objective: Any

    def __call__(
        self,
        scores: Tensor,
        labels: Tensor,
        where: Tensor,
        weights: Tensor | None = None,
        uniform: Tensor | None = None,
    ) -> Tensor:
        """−sum of target · log softmax, over lists, a scalar connected to `scores`.

        `uniform` [..., list] in [0, 1) is the draw of XE-NDCG; without it a new one is made.
        """
        target = targets(self.objective, labels, where, uniform).to(scores)
        target = torch.where(where.sum(-1, keepdim=True) > 1, target, 0.0)
        if weights is not None:
            target = target * weights[..., None]
        logs = torch.where(where, scores, torch.full_like(scores, _FLOOR)).log_softmax(-1)
        return -(torch.where(target > 0, logs, 0.0) * target).sum()


def targets(objective: Any, labels: Tensor, where: Tensor, uniform: Tensor | None) -> Tensor:
    """[..., list]: sums to 1 over each list's documents, or to 0; float64."""
    labels = torch.where(where, labels, 0.0).double()
    if getattr(objective, "target", None) == "softmax":
        return torch.where(where, labels, -torch.inf).softmax(-1)
    values = torch.from_numpy(gain(labels.cpu().numpy().ravel(), objective.gain)).reshape(labels.shape)
    values = torch.where(where, values.to(labels.device), 0.0)
    if isinstance(objective, XENDCG):
        draw = torch.rand_like(labels) if uniform is None else uniform.to(labels)
        relevant = values.amax(-1, keepdim=True) > 0
        values = torch.where(where & relevant, values + 1 - draw, 0.0)
    total = values.sum(-1, keepdim=True)
    return torch.where(total > 0, values / total.clamp(min=1e-300), 0.0)
