"""Regression-compatible ranking: a listwise loss whose best scores are also probabilities."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, logsigmoid

from ranking.errors import UsageError
from ranking.losses.listwise import log_softmax
from ranking.losses.reduction import Reduction, everywhere, reduced
from ranking.objectives.protocol import Plain


@dataclass(frozen=True, kw_only=True)
class Calibrated(Plain):
    """Cross-entropy of each document and of the list, which leaves scores calibrated; y = label / largest.

    Both terms are least where sigmoid(s) = E[y], so that ranking does not cost calibration: sigmoid(s) is the
    expected relevance, and scores of different queries compare. The first term is a mean over the list.

    balance         of the listwise term; the paper searches 10^-3 … 10^3 by data set
    largest_label   divides the labels; None is the largest of the call
    """

    name: ClassVar[str] = "calibrated"
    family: ClassVar[str] = "listwise"
    formula: ClassVar[str] = "mean BCE(s, y) − balance · sum_i (y_i / sum y) log(sigmoid s_i / sum sigmoid s)"
    source: ClassVar[str] = "Bai et al. 2023 (regression-compatible ranking)"
    shift_invariant: ClassVar[bool] = False
    stochastic: ClassVar[bool] = False
    needs_positions: ClassVar[bool] = False

    balance: float = 1.0
    largest_label: float | None = None

    def __post_init__(self) -> None:
        if self.balance < 0:
            raise UsageError(f"balance must be at least 0, got {self.balance!r}")
        if self.largest_label is not None and not self.largest_label > 0:
            raise UsageError(f"largest_label must be above 0 or none, got {self.largest_label!r}")

    def __call__(
        self,
        scores: Tensor,
        labels: Tensor,
        where: Tensor | None = None,
        weights: Tensor | None = None,
        reduction: Reduction = "sum",
    ) -> Tensor:
        """The value of each list, reduced over lists.

        Raises UsageError for labels above `largest_label`.
        """
        where = everywhere(scores, where)
        y = torch.where(where, labels, torch.zeros_like(labels)).to(scores)
        largest = y.max().clamp(min=1e-30) if self.largest_label is None else self.largest_label
        y = y / largest
        if bool((y > 1).any()):
            raise UsageError(f"a label is above largest_label={self.largest_label}: raise it, or set none")
        safe = torch.where(where, scores, torch.zeros_like(scores))
        entropy = binary_cross_entropy_with_logits(safe, y, reduction="none")
        regression = torch.where(where, entropy, 0.0).sum(-1) / where.sum(-1).clamp(min=1)
        total = y.sum(-1, keepdim=True)
        target = y / torch.where(total > 0, total, 1)
        ranking = -(target * log_softmax(logsigmoid(safe), where)).sum(-1)
        values = regression + self.balance * ranking
        if weights is not None:
            values = values * weights.to(values)
        return reduced(values, where.any(-1), weights, reduction)
