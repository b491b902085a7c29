"""What the places of a tie group are worth in expectation over the orders of its documents."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor

from ranking.losses.weights import knows_no_ranks
from ranking.objectives import Pairwise


class GroupFactors(NamedTuple):
    """Of the tie group of each document, [..., list]; `ranking.objectives.kernel` has the formulas.

    Above a document j outside the group, a document's expected factor is top − tau · mean_j.
    """

    top: Tensor
    """mean of D_p 1(p < truncation) over the group's places"""
    tau: Tensor
    """share of its places inside the truncation"""
    mean: Tensor
    """mean of D_p; 0 where the weight knows no ranks, whose |D_p − D_q| are 1"""
    inside: Tensor
    """the factor between two documents of the group"""


def group_factors(objective: Pairwise, above: Tensor, size: Tensor, like: Tensor) -> GroupFactors:
    """The factors of groups of `size` >= 1 documents with `above` before them, int64 [..., list].

    `like` [..., list] gives their type, and the length of the list.
    """
    places = _Places.of(objective, like)
    end = above + size
    cut = end if objective.truncation is None else end.clamp(max=objective.truncation)
    cut = torch.maximum(cut, above)
    tau = (cut - above).to(like) / size
    pairs = (size * (size - 1)).clamp(min=1).to(like)
    uniform = knows_no_ranks(objective.weight)
    inside = 2 * places.gaps(above, cut, end, uniform=uniform) / pairs
    if uniform:
        return GroupFactors(tau, tau, torch.zeros_like(tau), inside)
    mean = (places.upto[end] - places.upto[above]) / size
    return GroupFactors((places.upto[cut] - places.upto[above]) / size, tau, mean, inside)


@dataclass(frozen=True)
class _Places:
    """Sums over places p < r, as tables by r: of D_p, of p D_p, and of sum_{q <= p} D_q."""

    upto: Tensor
    weighted: Tensor = field(repr=False)
    twice: Tensor = field(repr=False)

    @classmethod
    def of(cls, objective: Pairwise, like: Tensor) -> _Places:
        discount = discounts_of(objective, like)
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


def discounts_of(objective: Pairwise, like: Tensor) -> Tensor:
    """The discount by 0-based place of a list as long as `like`'s."""
    return torch.from_numpy(objective.weight.discounts(like.shape[-1], objective.truncation)).to(like)
