"""NeuralNDCG: NDCG of the labels sorted by a smooth permutation matrix."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from ranking.errors import UsageError
from ranking.losses.reduction import Reduction, everywhere, reduced
from ranking.metrics import gain
from ranking.objectives.protocol import Plain

_FLOOR = -1e30


@dataclass(frozen=True, kw_only=True)
class NeuralNDCG(Plain):
    """1 − NDCG of the gains g as the scores' NeuralSort matrix P orders them.

        P_rj = softmax over j of ((n + 1 − 2 r) s_j − sum_k |s_j − s_k|) / temperature,   r = 1 … n

    temperature   of NeuralSort, 1 in Pobrotyn and Białobrzeski
    sinkhorn      times rows and columns of P are scaled to sum to 1 in turn (50 in their code); 0 leaves P as
                  it is, whose rows sum to 1 and whose columns need not
    truncation    ranks that count, or None
    gain          as in `ranking.metrics`
    """

    name: ClassVar[str] = "neural_ndcg"
    family: ClassVar[str] = "smoothed"
    formula: ClassVar[str] = "1 − sum_r D(r) (P g)_r / maxDCG, P = NeuralSort(s)"
    source: ClassVar[str] = "Grover et al. 2019 (NeuralSort); Pobrotyn, Białobrzeski 2021 (NeuralNDCG)"
    shift_invariant: ClassVar[bool] = True
    stochastic: ClassVar[bool] = False
    needs_positions: ClassVar[bool] = False

    temperature: float = 1.0
    sinkhorn: int = 20
    truncation: int | None = None
    gain: Any = "exponential"

    def __post_init__(self) -> None:
        if not self.temperature > 0:
            raise UsageError(f"temperature must be above 0, got {self.temperature!r}")
        if self.sinkhorn < 0:
            raise UsageError(f"sinkhorn must be at least 0, got {self.sinkhorn!r}")

    def __call__(
        self,
        scores: Tensor,
        labels: Tensor,
        where: Tensor | None = None,
        weights: Tensor | None = None,
        reduction: Reduction = "sum",
    ) -> Tensor:
        """The value of each list, reduced over lists; a list without a relevant document is 0."""
        where = everywhere(scores, where)
        labels = torch.where(where, labels, torch.zeros_like(labels))
        scores = torch.where(where, scores, torch.zeros_like(scores))
        gains = torch.from_numpy(gain(labels.cpu().double().numpy().ravel(), self.gain))
        gains = torch.where(where, gains.reshape(labels.shape).to(scores), 0.0)
        place = torch.arange(scores.shape[-1], device=scores.device)
        discount = 1 / torch.log2(2 + place.to(scores))
        if self.truncation is not None:
            discount = torch.where(place < self.truncation, discount, 0.0)
        matrix = sort_matrix(scores, where, self.temperature, self.sinkhorn)
        found = ((matrix @ gains[..., None])[..., 0] * discount).sum(-1)
        ideal = (gains.sort(-1, descending=True).values * discount).sum(-1)
        learns = ((labels > 0) & where).any(-1) & (where.sum(-1) > 1)
        values = torch.where(learns, 1 - found / torch.where(ideal > 0, ideal, 1.0), 0.0 * found)
        if weights is not None:
            values = values * weights.to(values)
        return reduced(values, learns, weights, reduction)


def sort_matrix(scores: Tensor, where: Tensor, temperature: float, sinkhorn: int) -> Tensor:
    """[..., rank, list]: P; 0 at padding and at ranks beyond a list's documents."""
    size = where.sum(-1)[..., None]
    place = torch.arange(scores.shape[-1], device=scores.device)
    pairs = where[..., None, :] & where[..., :, None]
    spread = torch.where(pairs, (scores[..., :, None] - scores[..., None, :]).abs(), 0.0).sum(-1)
    factor = (size - 1 - 2 * place).to(scores)
    logits = (factor[..., :, None] * scores[..., None, :] - spread[..., None, :]) / temperature
    real = where[..., None, :] & (place < size)[..., :, None]
    logits = torch.where(real, logits, torch.full_like(logits, _FLOOR))
    # In logarithms, so that no row or column of a confident matrix underflows to 0.
    for _ in range(sinkhorn):
        logits = torch.where(real, logits - _log_sum(logits, -1), _FLOOR)
        logits = torch.where(real, logits - _log_sum(logits, -2), _FLOOR)
    logits = torch.where(real, logits - _log_sum(logits, -1), _FLOOR)
    return torch.where(real, torch.exp(torch.where(real, logits, 0.0)), 0.0)


def _log_sum(logits: Tensor, dim: int) -> Tensor:
    return logits.logsumexp(dim, keepdim=True)
