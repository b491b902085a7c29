"""Metrics as losses: 1 − metric, with ranks that are smooth in the scores."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from ranking.errors import UsageError, unknown_name
from ranking.losses.reduction import Reduction, everywhere, reduced
from ranking.metrics import gain
from ranking.objectives.protocol import Plain

_METRICS = ("ndcg", "dcg", "map", "mrr", "err", "precision", "recall")


@dataclass(frozen=True, kw_only=True)
class SmoothedMetric(Plain):
    """1 − metric at the ranks r_i = 1 + sum_{j != i} sigmoid((s_j − s_i) / temperature); −dcg for DCG.

    metric        "ndcg", "dcg", "map", "mrr", "err", "precision" or "recall"
    truncation    the metric's cut-off k, a sigmoid of k + 1/2 − r_i over the temperature, or None
    temperature   in units of scores: 0.1 in TF-Ranking, 1 in rax and allRank. The smaller, the nearer to the
                  metric, and the fewer pairs have a gradient
    gain          as in `ranking.metrics`: "exponential", "linear", or a table

    MAP counts the relevant documents above i by the same sigmoids; MRR is the largest relevant 1 / r_i; ERR
    multiplies 1 − R_j sigmoid(…) over the others.
    """

    family: ClassVar[str] = "smoothed"
    source: ClassVar[str] = "Qin, Liu, Li 2010 (ApproxNDCG, ApproxMAP); Bruch et al. 2019"
    shift_invariant: ClassVar[bool] = True
    stochastic: ClassVar[bool] = False
    needs_positions: ClassVar[bool] = False

    metric: str = "ndcg"
    truncation: int | None = None
    temperature: float = 0.1
    gain: Any = "exponential"

    def __post_init__(self) -> None:
        if self.metric not in _METRICS:
            raise unknown_name("metric", self.metric, _METRICS)
        if not self.temperature > 0:
            raise UsageError(f"temperature must be above 0, got {self.temperature!r}")
        if self.truncation is not None and self.truncation < 1:
            raise UsageError(f"truncation must be at least 1 or none, got {self.truncation!r}")
        if self.metric == "precision" and self.truncation is None:
            raise UsageError("precision needs a cut-off: set truncation, such as 10")

    @property
    def name(self) -> str:
        return f"approx_{self.metric}"

    @property
    def formula(self) -> str:
        return f"1 − {self.metric}(r), r_i = 1 + sum_j sigmoid((s_j − s_i) / temperature)"

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
        above = _above(torch.where(where, scores, torch.zeros_like(scores)), where, self.temperature)
        ranks = 1 + above.sum(-1)
        learns = ((labels > 0) & where).any(-1) & (where.sum(-1) > 1)
        value = self._value(labels, where, above, ranks)
        one = 0.0 if self.metric == "dcg" else 1.0
        values = torch.where(learns, one - value, 0.0 * value)
        if weights is not None:
            values = values * weights.to(values)
        return reduced(values, learns, weights, reduction)

    def _value(self, labels: Tensor, where: Tensor, above: Tensor, ranks: Tensor) -> Tensor:
        """[...]: the metric; `above` [..., i, j]: how far j stands above i; `ranks` [..., list] from 1."""
        inside = torch.ones_like(ranks)
        if self.truncation is not None:
            inside = torch.sigmoid((self.truncation + 0.5 - ranks) / self.temperature)
        relevant = (labels > 0).to(ranks)
        count = relevant.sum(-1).clamp(min=1)
        if self.metric in ("ndcg", "dcg"):
            return self._dcg(labels, where, ranks, inside)
        if self.metric == "map":
            before = relevant + (above * relevant[..., None, :]).sum(-1)
            return (relevant * before / ranks * inside).sum(-1) / count
        if self.metric == "mrr":
            return (relevant * inside / ranks).amax(-1)
        if self.metric == "err":
            stop = (torch.exp2(labels.to(ranks)) - 1) / torch.exp2(labels.to(ranks).amax().clamp(min=4))
            reach = torch.log1p(-(above * stop[..., None, :])).sum(-1).exp()
            return (stop * reach / ranks * inside).sum(-1)
        hits = (relevant * inside).sum(-1)
        return hits / (self.truncation or 1) if self.metric == "precision" else hits / count

    def _dcg(self, labels: Tensor, where: Tensor, ranks: Tensor, inside: Tensor) -> Tensor:
        gains = torch.from_numpy(gain(labels.cpu().double().numpy().ravel(), self.gain))
        gains = torch.where(where, gains.reshape(labels.shape).to(ranks), 0.0)
        dcg = (gains * inside / torch.log2(1 + ranks)).sum(-1)
        if self.metric == "dcg":
            return dcg
        best = gains.sort(-1, descending=True).values[..., : self.truncation]
        place = torch.arange(best.shape[-1], device=ranks.device).to(ranks)
        ideal = (best / torch.log2(2 + place)).sum(-1)
        return dcg / torch.where(ideal > 0, ideal, 1.0)


def _above(scores: Tensor, where: Tensor, temperature: float) -> Tensor:
    """[..., i, j]: sigmoid((s_j − s_i) / temperature) of different documents, 0 for others."""
    gap = (scores[..., None, :] - scores[..., :, None]) / temperature
    own = torch.eye(scores.shape[-1], dtype=torch.bool, device=scores.device)
    pairs = where[..., None, :] & where[..., :, None] & ~own
    return torch.where(pairs, torch.sigmoid(gap), 0.0)
