"""Learning from a teacher's scores instead of labels: `labels` [..., list] are the teacher's scores."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor

from ranking.errors import UsageError
from ranking.losses.facts import OfObjective
from ranking.losses.listwise import log_softmax
from ranking.losses.reduction import Reduction, everywhere, reduced
from ranking.objectives.protocol import Plain


@dataclass(frozen=True, kw_only=True)
class SoftmaxDistillation(Plain):
    """The divergence of a list's softmax from its teacher's, t the teacher's scores.

    temperature   of both; above 1 the teacher's order below the top counts for more. The square keeps the
                  gradient's size (Hinton, Vinyals, Dean 2015)
    """

    name: ClassVar[str] = "kl"
    family: ClassVar[str] = "distillation"
    formula: ClassVar[str] = "temperature² KL(softmax(t / temperature) ‖ softmax(s / temperature))"
    source: ClassVar[str] = "Hinton, Vinyals, Dean 2015; Cao et al. 2007 (ListNet's top-one probabilities)"
    shift_invariant: ClassVar[bool] = True
    stochastic: ClassVar[bool] = False
    needs_positions: ClassVar[bool] = False
    labels: ClassVar[Literal["graded", "real"]] = "real"

    temperature: float = 1.0

    def __post_init__(self) -> None:
        if not self.temperature > 0:
            raise UsageError(f"temperature must be above 0, got {self.temperature!r}")

    def __call__(
        self,
        scores: Tensor,
        labels: Tensor,
        where: Tensor | None = None,
        weights: Tensor | None = None,
        reduction: Reduction = "sum",
    ) -> Tensor:
        """The divergence of each list, reduced over lists; a list of one document is 0."""
        where = everywhere(scores, where)
        student = log_softmax(scores / self.temperature, where)
        teacher = log_softmax(labels.to(scores) / self.temperature, where)
        target = torch.where(where, teacher.exp(), 0.0)
        apart = torch.where(where, teacher - student, 0.0)
        learns = where.sum(-1) > 1
        values = torch.where(learns, (target * apart).sum(-1), 0.0 * apart.sum(-1)) * self.temperature**2
        if weights is not None:
            values = values * weights.to(values)
        return reduced(values, learns, weights, reduction)


@dataclass(frozen=True)
class MarginMSE(OfObjective):
    """The objective `margin_mse` in torch."""

    objective: object

    def __call__(
        self,
        scores: Tensor,
        labels: Tensor,
        where: Tensor | None = None,
        weights: Tensor | None = None,
        reduction: Reduction = "sum",
    ) -> Tensor:
        """The value of each list, reduced over lists: squared differences to the teacher, less their mean."""
        where = everywhere(scores, where)
        apart = torch.where(where, scores - labels.to(scores), torch.zeros_like(scores))
        count = where.sum(-1, keepdim=True).clamp(min=1)
        centred = torch.where(where, apart - apart.sum(-1, keepdim=True) / count, torch.zeros_like(scores))
        values = (centred**2).sum(-1)
        if weights is not None:
            values = values * weights.to(values)
        return reduced(values, where.sum(-1) > 1, weights, reduction)
