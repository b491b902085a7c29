"""Pairwise losses on padded lists: a pair formula times a pair weight.

This is the readable definition of what `ranking.objectives.kernel` computes fast. Pair weights are
detached: they are held constant in the gradient, as LambdaRank has it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.nn.functional import softplus

from ranking.metrics import discounts, gain
from ranking.objectives import Hinge, LambdaRank, RankNet
from ranking.objectives.kernel import SCORE_GAP_FLOOR


@dataclass(frozen=True)
class PairwiseLoss:
    """The torch loss of a pairwise objective; call it with `(scores, labels, where, weights=None)`."""

    objective: Hinge | RankNet | LambdaRank

    def __call__(
        self, scores: Tensor, labels: Tensor, where: Tensor, weights: Tensor | None = None
    ) -> Tensor:
        """The sum over lists of pair weight times pair loss, a scalar connected to `scores`."""
        labels = torch.where(where, labels, torch.zeros_like(labels))
        gap = scores[..., :, None] - scores[..., None, :]
        pairs = (labels[..., :, None] > labels[..., None, :]) & where[..., :, None] & where[..., None, :]
        # Padding may hold anything, infinities too: it is taken out before the formula, not after.
        values = pair_formula(self.objective, torch.where(pairs, gap, torch.zeros_like(gap)))
        with torch.no_grad():
            weight = torch.where(pairs, pair_weights(self.objective, scores, labels, where), 0.0)
            weight = weight * lambda_scale(self.objective, gap, weight)[..., None, None]
            if weights is not None:
                weight = weight * weights[..., None, None]
        return (values * weight).sum()


def pair_formula(objective: Hinge | RankNet | LambdaRank, gap: Tensor) -> Tensor:
    """max(0, margin − d) for the hinge, log(1 + exp(−sigma d)) for the others."""
    if isinstance(objective, Hinge):
        return (objective.margin - gap).clamp(min=0)
    return softplus(-objective.sigma * gap)


def pair_force(objective: Hinge | RankNet | LambdaRank, gap: Tensor) -> Tensor:
    """−d formula / d gap, which is what the lambda normalisation sums."""
    if isinstance(objective, Hinge):
        return (gap < objective.margin).to(gap)
    return objective.sigma * torch.sigmoid(-objective.sigma * gap)


def lambda_scale(objective: Hinge | RankNet | LambdaRank, gap: Tensor, weight: Tensor) -> Tensor:
    """log2(1 + S) / S of each list with S = sum of 2 |lambda|, or 1."""
    total = 2 * (torch.where(weight > 0, pair_force(objective, gap), 0.0) * weight).sum((-2, -1))
    if not objective.lambda_normalization:
        return torch.ones_like(total)
    return torch.where(total > 0, torch.log2(1 + total) / total.clamp(min=1e-300), 1.0)


def pair_weights(
    objective: Hinge | RankNet | LambdaRank, scores: Tensor, labels: Tensor, where: Tensor
) -> Tensor:
    """[..., list, list]: rank factor, times |difference of gains| / ideal DCG for LambdaRank."""
    lowest = torch.where(where, scores, torch.inf).amin(-1, keepdim=True)
    highest = torch.where(where, scores, -torch.inf).amax(-1, keepdim=True)
    weight = rank_factor(objective, scores, where)
    if isinstance(objective, LambdaRank):
        gains = torch.from_numpy(gain(labels.cpu().numpy(), objective.gain)).to(scores)
        gains = torch.where(where, gains, 0.0)
        best = gains.sort(-1, descending=True).values[..., : objective.truncation]
        ideal = (best * _discounts(objective, best)[: best.shape[-1]]).sum(-1)
        inverse = torch.where(ideal > 0, 1 / ideal, 0.0)
        weight = weight * (gains[..., :, None] - gains[..., None, :]).abs() * inverse[..., None, None]
    if objective.score_normalization:
        gap = (scores[..., :, None] - scores[..., None, :]).abs()
        weight = torch.where((highest > lowest)[..., None], weight / (SCORE_GAP_FLOOR + gap), weight)
    return weight


def rank_factor(objective: Hinge | RankNet | LambdaRank, scores: Tensor, where: Tensor) -> Tensor:
    """[..., list, list]: expected |D_p − D_q| (or 1) where either place is inside the truncation.

    The expectation is over the orders of documents with equal scores: `above` documents stand before a
    document's tie group and `size` are in it, so that it takes each place above .. above + size − 1
    equally often. With ties="file" the input order breaks ties, and each group has one document.
    """
    higher = scores[..., None, :] > scores[..., :, None]
    equal = scores[..., None, :] == scores[..., :, None]
    if objective.ties == "file":
        higher = higher | (equal & torch.ones_like(equal).tril(-1))
        equal = torch.eye(scores.shape[-1], dtype=torch.bool, device=scores.device).expand_as(equal)
    above = (higher & where[..., None, :]).sum(-1)
    size = (equal & where[..., None, :]).sum(-1).clamp(min=1)
    places = _Places.of(objective, scores)
    cut = above + size if objective.truncation is None else (above + size).clamp(max=objective.truncation)
    cut = torch.maximum(cut, above)
    mean = (places.upto[above + size] - places.upto[above]) / size
    mean_top = (places.upto[cut] - places.upto[above]) / size
    tau = (cut - above).to(scores) / size
    if isinstance(objective, LambdaRank):
        across = mean_top[..., :, None] - tau[..., :, None] * mean[..., None, :]
    else:
        across = tau[..., :, None].expand_as(equal)
    pairs = (size * (size - 1)).clamp(min=1).to(scores)
    inside = 2 * places.gaps(above, cut, above + size, uniform=not isinstance(objective, LambdaRank)) / pairs
    upper = above[..., :, None] < above[..., None, :]
    return torch.where(equal, inside[..., :, None], torch.where(upper, across, across.transpose(-1, -2)))


@dataclass(frozen=True)
class _Places:
    """Sums over places p < r, as tables by r: of D_p, of p D_p, and of sum_{q <= p} D_q."""

    upto: Tensor
    weighted: Tensor = field(repr=False)
    twice: Tensor = field(repr=False)

    @classmethod
    def of(cls, objective: Hinge | RankNet | LambdaRank, scores: Tensor) -> _Places:
        discount = _discounts(objective, scores)
        start = discount.new_zeros(1)
        upto = torch.cat([start, discount.cumsum(0)])
        weighted = torch.cat([start, (torch.arange(len(discount)).to(discount) * discount).cumsum(0)])
        return cls(upto, weighted, torch.cat([start, upto[1:].cumsum(0)]))

    def gaps(self, start: Tensor, cut: Tensor, end: Tensor, *, uniform: bool) -> Tensor:
        """Sum over pairs of places p < q in [start, end) with p < cut of (D_p − D_q), or of 1."""
        if uniform:
            outside = end - cut
            size = end - start
            return (size * (size - 1) - outside * (outside - 1)).to(self.upto) / 2
        own = (end - 1) * (self.upto[cut] - self.upto[start]) - (self.weighted[cut] - self.weighted[start])
        below = (cut - start) * self.upto[end] - (self.twice[cut] - self.twice[start])
        return own - below


def _discounts(objective: Hinge | RankNet | LambdaRank, like: Tensor) -> Tensor:
    """The discount by 0-based place of a list as long as `like`'s."""
    name = objective.discount if isinstance(objective, LambdaRank) else "log2"
    return torch.from_numpy(discounts(like.shape[-1], name)).to(like)
