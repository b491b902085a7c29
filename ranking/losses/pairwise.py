"""Pairwise losses on padded lists: a pair loss times a pair weight.

This is the readable definition of what `ranking.objectives.kernel` computes fast, and
`ranking.losses.truncated` in torch. Pair weights are detached: they are held constant in the gradient, as
LambdaRank has it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ranking.errors import UsageError
from ranking.losses.facts import OfObjective
from ranking.losses.pair_losses import PAIRS
from ranking.losses.places import group_factors
from ranking.losses.reduction import Reduction, everywhere, reduced
from ranking.losses.truncated import Values, fast_values
from ranking.losses.weights import inverse_of, is_separable, knows_no_ranks, swap_weights, worth_of
from ranking.objectives import Pairwise
from ranking.objectives.kernel.layout import SCORE_GAP_FLOOR


@dataclass(frozen=True)
class PairwiseLoss(OfObjective):
    """The torch loss of a pairwise objective; call it with `(scores, labels, where, weights=None)`.

    Raises UsageError for one with a part from a user's file, which is compiled for trees.
    """

    objective: Pairwise

    def __post_init__(self) -> None:
        file = next(filter(None, map(_file_of, (self.objective.pair_loss, self.objective.weight))), None)
        if file is not None:
            raise UsageError(
                f"{file} is compiled for trees and has no torch loss: give a file that defines "
                "loss(scores, labels, where)"
            )

    def __call__(
        self,
        scores: Tensor,
        labels: Tensor,
        where: Tensor | None = None,
        weights: Tensor | None = None,
        winners: Tensor | None = None,
        reduction: Reduction = "sum",
        weights_at: Tensor | None = None,
        readable: bool = False,
    ) -> Tensor:
        """The sum over a list's pairs of pair weight times pair loss, reduced over lists; differentiable.

        `winners` [..., list] multiplies the pairs in which a document is the better one: one over the
        propensity of its position, for clicks. `weights_at` are the scores at which pair weights are
        taken, by default these: with them held, the gradient is the value's derivative.
        `readable` asks for the definition below, also where there is the fast form of
        `ranking.losses.truncated`; the two agree in value and in all derivatives.
        """
        where = everywhere(scores, where)
        labels = torch.where(where, labels, torch.zeros_like(labels))

        def definition(at: Tensor) -> Tensor:
            return self._values(at, labels, where, winners, weights_at).values

        fast = None
        if not readable:
            fast = fast_values(self.objective, scores, labels, where, winners, weights_at, definition)
        values, learns = fast or self._values(scores, labels, where, winners, weights_at)
        if weights is not None:
            values = values * weights.detach().to(values)
        return reduced(values, learns, weights, reduction)

    def _values(
        self,
        scores: Tensor,
        labels: Tensor,
        where: Tensor,
        winners: Tensor | None,
        weights_at: Tensor | None,
    ) -> Values:
        """The readable definition, on [..., list, list]; labels are 0 at padding."""
        gap = scores[..., :, None] - scores[..., None, :]
        at = scores if weights_at is None else weights_at
        real = where[..., :, None] & where[..., None, :]
        with torch.no_grad():
            worth = worth_of(self.objective.weight, labels, where)
            pairs = (worth[..., :, None] > worth[..., None, :]) & real
            every = pair_weights(self.objective, at, labels, worth, where)
            weight = torch.where(pairs, every, 0.0)
            if winners is not None:
                weight = weight * torch.where(where, winners, 0.0).to(weight)[..., :, None]
            halves = self._halves(real & (labels[..., :, None] == labels[..., None, :]), every)
            scale = lambda_scale(self.objective, at[..., :, None] - at[..., None, :], weight, halves)
            learns = ((weight > 0) | (halves > 0)).flatten(-2).any(-1)
            weight, halves = weight * scale[..., None, None], halves * scale[..., None, None]
        # Padding may hold anything, infinities too: it is taken out before the formula, not after.
        used = torch.where((weight > 0) | (halves > 0), gap, torch.zeros_like(gap))
        pair = PAIRS[self.objective.pair_loss.name]
        value = (pair.loss(self.objective.pair_loss, used) * weight).sum((-2, -1))
        if self.objective.ties_as_half:
            both = pair.loss(self.objective.pair_loss, used) + pair.loss(self.objective.pair_loss, -used)
            value = value + (both / 2 * halves).sum((-2, -1))
        return Values(value, learns)

    def _halves(self, tied: Tensor, weight: Tensor) -> Tensor:
        """The weight of pairs of equal labels: half of it where they aim at one half, else 0."""
        if not self.objective.ties_as_half:
            return torch.zeros_like(weight)
        # each unordered pair of equal labels stands twice in the square
        halves = torch.where(tied, weight, 0.0) / 2
        return halves - torch.diag_embed(halves.diagonal(dim1=-2, dim2=-1))


def _file_of(part: Any) -> str | None:
    """The user's file that a part of the objective comes from, if it is theirs."""
    return str(part.file) if part.name == "own" else None


def lambda_scale(objective: Pairwise, gap: Tensor, weight: Tensor, halves: Tensor) -> Tensor:
    """log2(1 + S) / S of each list with S = sum of 2 |lambda|, or 1."""
    if not objective.lambda_normalization:
        return torch.ones_like(weight[..., 0, 0])
    force, part = PAIRS[objective.pair_loss.name].force, objective.pair_loss
    total = 2 * (torch.where(weight > 0, force(part, gap), 0.0) * weight).sum((-2, -1))
    if objective.ties_as_half:
        pull = (force(part, gap) - force(part, -gap)).abs() / 2
        total = total + 2 * (torch.where(halves > 0, pull, 0.0) * halves).sum((-2, -1))
    return torch.where(total > 0, torch.log2(1 + total) / total.clamp(min=1e-300), 1.0)


def pair_weights(objective: Pairwise, scores: Tensor, labels: Tensor, worth: Tensor, where: Tensor) -> Tensor:
    """[..., list, list]: what a swap changes, or the rank factor alone; label gaps; score normalisation."""
    if is_separable(objective.weight):
        weight = rank_factor(objective, scores, where)
        if not knows_no_ranks(objective.weight):
            weight = weight * (worth[..., :, None] - worth[..., None, :]).abs()
    else:
        weight = swap_weights(objective, scores.double(), labels.double(), worth, where)
    weight = (weight * inverse_of(objective.weight, worth, objective.truncation)[..., None, None]).to(scores)
    if objective.label_gap:
        label_gaps = labels.to(scores)[..., :, None] - labels.to(scores)[..., None, :]
        weight = weight * label_gaps.abs() ** objective.label_gap
    if objective.score_normalization:
        lowest = torch.where(where, scores, torch.inf).amin(-1, keepdim=True)
        highest = torch.where(where, scores, -torch.inf).amax(-1, keepdim=True)
        gap = (scores[..., :, None] - scores[..., None, :]).abs()
        weight = torch.where((highest > lowest)[..., None], weight / (SCORE_GAP_FLOOR + gap), weight)
    return weight


def rank_factor(objective: Pairwise, scores: Tensor, where: Tensor) -> Tensor:
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
    top, tau, mean, inside = group_factors(objective, above, size, scores)
    across = top[..., :, None] - tau[..., :, None] * mean[..., None, :]
    upper = above[..., :, None] < above[..., None, :]
    return torch.where(equal, inside[..., :, None], torch.where(upper, across, across.transpose(-1, -2)))
