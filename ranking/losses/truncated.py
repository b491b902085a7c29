"""Pairwise losses on the pairs that count alone, in closed form: the fast twin of `ranking.losses.pairwise`.

With each list sorted by score, rank i above rank j, a pair weighs

    |w_ij| = |worth_i − worth_j| · f_ij · …,   f_ij = T_i − tau_i D_j  (`ranking.objectives.kernel`),

and f is zero in rows beyond the truncation k, so that work is on [lists, k, list], not [lists, list, list].
The value of a list is sum |w_ij| phi(±gap_ij), and with the weights held its gradient by s_i is known as
well: both are summed in one pass over blocks of rows, of which nothing but [lists, list] is kept. A block of
rows begins at its own diagonal, since pairs below it are those above it again.

Memory is O(lists · list) and one block, whatever k; time is O(lists · k · list).

Covered are weights that know ranks by a discount or a distance (`covers`). A gradient that is itself to be
differentiated is the definition's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ranking.losses.pair_losses import PAIRS
from ranking.losses.places import GroupFactors, discounts_of, group_factors
from ranking.losses.weights import inverse_of, is_separable, knows_no_ranks, ranks_of, worth_of
from ranking.objectives import DistanceWeight, Pairwise
from ranking.objectives.kernel.layout import SCORE_GAP_FLOOR

_BLOCK = {"cpu": 1 << 16}
_ACCELERATOR_BLOCK = 1 << 24
"""Pairs of a block: what stays in a processor's caches, and what fills an accelerator."""


class Values(NamedTuple):
    values: Tensor
    """[...], differentiable"""
    learns: Tensor
    """bool [...]: has the list a pair that weighs something?"""


def covers(objective: Pairwise) -> bool:
    """Has the objective a fast form?"""
    weight = objective.weight
    return not objective.ties_as_half and (is_separable(weight) or isinstance(weight, DistanceWeight))


def fast_values(
    objective: Pairwise,
    scores: Tensor,
    labels: Tensor,
    where: Tensor,
    winners: Tensor | None,
    weights_at: Tensor | None,
    definition: Callable[[Tensor], Tensor],
) -> Values | None:
    """Value of each list, lists' weights not in it; None where only the readable form knows.

    scores, labels, where, winners, weights_at   [..., list], labels 0 at padding
    definition   scores -> the same values in the readable form, for derivatives of the gradient
    """
    if not covers(objective) or not scores.numel():
        return None
    wants_gradient = torch.is_grad_enabled() and scores.requires_grad
    with torch.no_grad():
        lists = _sorted_lists(objective, scores, labels, where, winners, weights_at)
        if lists is None:
            return None
        value, gradient, learns = _sums(objective, lists, wants_gradient=wants_gradient)
        shape = scores.shape[:-1]
        value, learns = value.to(scores.dtype).reshape(shape), learns.reshape(shape)
        if not wants_gradient:
            return Values(value, learns)
        gradient = torch.empty_like(gradient).scatter_(-1, lists.order, gradient)
        gradient = gradient.to(scores.dtype).reshape(scores.shape)
    known: Tensor = _Known.apply(scores, value, gradient, definition)  # type: ignore[no-untyped-call]
    return Values(known, learns)


class _Known(torch.autograd.Function):
    """A value whose gradient has been computed beside it."""

    @staticmethod
    def forward(
        ctx: Any, scores: Tensor, value: Tensor, gradient: Tensor, definition: Callable[[Tensor], Tensor]
    ) -> Tensor:
        ctx.save_for_backward(scores, gradient)
        ctx.definition = definition
        return value.clone()

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Tensor, None, None, None]:
        scores, gradient = ctx.saved_tensors
        if not torch.is_grad_enabled():
            return upstream[0][..., None] * gradient, None, None, None
        values = ctx.definition(scores)
        (gradient,) = torch.autograd.grad(values, scores, upstream[0], create_graph=True)
        return gradient, None, None, None


@dataclass(frozen=True)
class _Lists:
    """Lists sorted by the scores that rank them, best first and padding last; all [lists, list].

    order       place in the list it comes from
    ranked      the scores that rank, and at which pairs are weighed; at padding the list's lowest
    scores      those of the pair loss; the same tensor where they rank too
    worth       of each document
    labels      or None where nothing is weighed by their gaps
    winners     or None
    where       or None where there is no padding
    size        documents of each list, [lists]
    inverse     what multiplies the weights of a list, [lists]
    groups      (start, end) of the tie group of each place, or None where each place is its own
    alike       number of the group alike of each place, or None where lambdas are not to be averaged
    """

    order: Tensor
    ranked: Tensor
    scores: Tensor
    worth: Tensor
    labels: Tensor | None
    winners: Tensor | None
    where: Tensor | None
    size: Tensor
    inverse: Tensor
    groups: tuple[Tensor, Tensor] | None
    alike: Tensor | None


def _sorted_lists(
    objective: Pairwise,
    scores: Tensor,
    labels: Tensor,
    where: Tensor,
    winners: Tensor | None,
    weights_at: Tensor | None,
) -> _Lists | None:
    """The lists as `_sums` reads them; None where documents tie in a way that has no fast form."""
    shape, count = scores.shape, scores.shape[-1]
    kept = torch.float64 if scores.dtype == torch.float64 else torch.float32

    def flat(given: Tensor) -> Tensor:
        return given.expand(shape).reshape(-1, count)

    where, labels = flat(where), flat(labels)
    at = flat(scores if weights_at is None else weights_at).to(kept)
    worth = worth_of(objective.weight, labels, where)
    ranked, order = torch.where(where, at, -torch.inf).sort(stable=True, dim=-1, descending=True)
    size = where.sum(-1)
    padded = bool((size < count).any())
    held = where.gather(-1, order) if padded else None
    starts, alike, groups = _starts([ranked], held), None, None
    if objective.ties == "file" or bool(starts.all()):
        pass  # each place is its own
    elif isinstance(objective.weight, DistanceWeight):
        if winners is not None or weights_at is not None:
            return None
        # Tied documents stand worse first, as the kernel has it; documents alike in all share their mean.
        keys = [labels.double() if objective.label_gap else worth, worth]
        order = ranks_of(objective, at.double(), keys[0], worth, where)[1]
        starts = _starts([ranked, *(key.gather(-1, order) for key in keys)], held)
        alike = starts.cumsum(-1) - 1
    else:
        groups = _bounds(starts)
    if held is not None:
        lowest = ranked.gather(-1, (size - 1).clamp(min=0)[:, None])
        lowest = torch.where(size[:, None] > 0, lowest, 0.0)
        ranked = torch.where(held, ranked, lowest)
    values = ranked
    if weights_at is not None:
        values = torch.where(where, flat(scores), 0.0).to(kept).gather(-1, order)
    return _Lists(
        order=order,
        ranked=ranked,
        scores=values,
        worth=worth.gather(-1, order).to(kept),
        labels=labels.to(kept).gather(-1, order) if objective.label_gap else None,
        winners=None
        if winners is None
        else torch.where(where, flat(winners), 0.0).to(kept).gather(-1, order),
        where=held,
        size=size,
        inverse=inverse_of(objective.weight, worth, objective.truncation).to(kept),
        groups=groups,
        alike=alike,
    )


def _starts(keys: list[Tensor], where: Tensor | None) -> Tensor:
    """bool [lists, list]: does a place differ from the one above it in any key? Padding always does."""
    apart = torch.stack([key[:, 1:] != key[:, :-1] for key in keys]).any(0)
    starts = torch.nn.functional.pad(apart, (1, 0), value=True)
    return starts if where is None else starts | ~where


def _bounds(starts: Tensor) -> tuple[Tensor, Tensor]:
    """(first place of the group of each place, one past its last), int64 [lists, list]."""
    count = starts.shape[-1]
    place = torch.arange(count, device=starts.device)
    first = torch.where(starts, place, 0).cummax(-1).values
    following = torch.where(starts, place, count)[:, 1:]
    end = torch.nn.functional.pad(following, (0, 1), value=count).flip(-1).cummin(-1).values.flip(-1)
    return first, end


def _sums(objective: Pairwise, lists: _Lists, *, wants_gradient: bool) -> tuple[Tensor, Tensor, Tensor]:
    """(value [lists], gradient in ranked order [lists, list], learns bool [lists])."""
    count = lists.ranked.shape[-1]
    factors: _ByPlace | _ByGroup
    if lists.groups is None:
        factors = _ByPlace.of(objective, lists.ranked)
    else:
        factors = _ByGroup.of(objective, lists.ranked, lists.groups)
    pair, part = PAIRS[objective.pair_loss.name], objective.pair_loss
    gradient = torch.zeros_like(lists.ranked)
    value, total = torch.zeros_like(lists.inverse), torch.zeros_like(lists.inverse)
    learns = torch.zeros_like(lists.inverse, dtype=torch.bool)
    elsewhere = lists.scores is not lists.ranked
    budget = _BLOCK.get(lists.ranked.device.type, _ACCELERATOR_BLOCK)
    start = 0
    while start < factors.rows:
        end = min(factors.rows, start + max(1, budget // (len(lists.ranked) * (count - start))))
        weight, apart = _weights(objective, lists, factors, start, end)
        gap = lists.scores[:, start:end, None] - lists.scores[:, None, start:] if elsewhere else apart
        if objective.lambda_normalization and elsewhere:
            total += (pair.force(part, apart.copysign(weight)) * weight).abs_().sum((-2, -1))
        # Ranked gaps are not negative, so that the sign of the better document is the weight's.
        gap = gap * weight.sign() if elsewhere else gap.copysign_(weight)
        if wants_gradient or (objective.lambda_normalization and not elsewhere):
            force = pair.force(part, gap).mul_(weight)
            gradient[:, start:end] -= force.sum(-1)
            gradient[:, start:] += force.sum(-2)
            if objective.lambda_normalization and not elsewhere:
                total += force.abs_().sum((-2, -1))
        loss, weight = pair.loss(part, gap), weight.abs_()
        value += loss.mul_(weight).sum((-2, -1))
        learns |= weight.flatten(1).amax(-1) > 0
        start = end
    scale = lists.inverse
    if objective.lambda_normalization:
        total = 2 * total * lists.inverse
        scale = scale * torch.where(total > 0, torch.log2(1 + total) / total.clamp(min=1e-30), 1.0)
    if lists.alike is not None:
        gradient = _averaged(gradient, lists.alike)
    return value * scale, gradient * scale[:, None], learns & (lists.inverse > 0)


def _averaged(gradient: Tensor, group: Tensor) -> Tensor:
    """Each document's mean over those alike: pairs of two groups are alike but for their places."""
    sums = torch.zeros_like(gradient).scatter_add_(-1, group, gradient)
    sizes = torch.zeros_like(gradient).scatter_add_(-1, group, torch.ones_like(gradient))
    return (sums / sizes.clamp(min=1)).gather(-1, group)


@dataclass(frozen=True)
class _ByPlace:
    """f_ij of ranks i < j where each place is its own: `table` [rows, list], 0 on and below the diagonal."""

    table: Tensor

    @classmethod
    def of(cls, objective: Pairwise, like: Tensor) -> _ByPlace:
        count, weight = like.shape[-1], objective.weight
        rows = min(_top(objective, count), count - 1)
        if knows_no_ranks(weight):
            return cls(like.new_ones(rows, count).triu_(1))
        held = torch.zeros(count, dtype=torch.float64, device=like.device)
        discount = discounts_of(objective, held)
        table = discount[:rows, None] - discount
        if isinstance(weight, DistanceWeight):
            ranked, near = weight.factors()
            steps, stretch = weight.steps(count, objective.truncation)
            place = torch.arange(count, device=like.device)
            apart = (place - place[:rows, None]).clamp(min=0)
            by_distance = torch.from_numpy(steps).to(held)[apart] * torch.from_numpy(stretch).to(held)
            table = ranked * table + near * by_distance
        return cls(table.triu_(1).to(like))

    @property
    def rows(self) -> int:
        return len(self.table)

    def apply(self, weight: Tensor, start: int, end: int) -> Tensor:
        """`weight` [lists, rows start … end, list from start] times f, in place."""
        return weight.mul_(self.table[start:end, start:])


@dataclass(frozen=True)
class _ByGroup:
    """The same in expectation over the orders of tied documents.

    rows      how many rows have pairs: who ties with a document inside the truncation has a part in it
    groups    of each place, [lists, list, 1]
    ends      one past the last place of its group, [lists, list, 1]
    reach     the largest of them in any list, by place
    uniform   is the factor 1 wherever a pair counts?
    """

    rows: int
    groups: GroupFactors
    ends: Tensor
    reach: list[int]
    uniform: bool

    @classmethod
    def of(cls, objective: Pairwise, like: Tensor, groups: tuple[Tensor, Tensor]) -> _ByGroup:
        count, (first, end) = like.shape[-1], groups
        reach: list[int] = end.amax(0).tolist()
        # In float64: the factor inside a group is a difference of sums over many places.
        factors = group_factors(objective, first, end - first, like.double())
        return cls(
            rows=min(reach[_top(objective, count) - 1], count - 1),
            groups=GroupFactors(*(each.to(like)[..., None] for each in factors)),
            ends=end[..., None],
            reach=reach,
            uniform=knows_no_ranks(objective.weight),
        )

    def apply(self, weight: Tensor, start: int, end: int) -> Tensor:
        """As `_ByPlace.apply`."""
        top, tau, _, inside = (each[:, start:end] for each in self.groups)
        if self.uniform:
            factor = top.repeat(1, 1, weight.shape[-1])
        else:
            below = self.groups.mean[:, start:].transpose(-1, -2)
            # Rounding may leave a difference that is zero a little below it.
            factor = torch.addcmul(top, tau, below, value=-1).clamp_(min=0)
        reach = self.reach[end - 1]
        place = torch.arange(start, reach, device=weight.device)
        near = factor[..., : reach - start]
        near.copy_(torch.where(place < self.ends[:, start:end], inside, near))
        square = factor[..., : end - start]
        square.mul_(square.new_ones(end - start, end - start).triu_(1))
        return weight.mul_(factor)


def _top(objective: Pairwise, count: int) -> int:
    return count if objective.truncation is None else min(count, objective.truncation)


def _weights(
    objective: Pairwise, lists: _Lists, factors: _ByPlace | _ByGroup, start: int, end: int
) -> tuple[Tensor, Tensor]:
    """(signed weights, gaps of the scores that rank): [lists, rows start … end, list from start].

    Positive where the document ranked higher is the better one, 0 where the two are no pair.
    """
    better = lists.worth[:, start:end, None] - lists.worth[:, None, start:]
    if knows_no_ranks(objective.weight):
        better.sign_()
    weight = factors.apply(better, start, end)
    gap = lists.ranked[:, start:end, None] - lists.ranked[:, None, start:]
    if objective.score_normalization:
        # Lists of equal scores are not normalised; their gaps are all 0.
        spread = (lists.ranked[:, :1] > lists.ranked[:, -1:])[..., None]
        weight.div_(gap.abs().add_(torch.where(spread, SCORE_GAP_FLOOR, 1.0).to(gap)))
    if lists.labels is not None:
        gaps = (lists.labels[:, start:end, None] - lists.labels[:, None, start:]).abs_()
        weight.mul_(gaps.pow_(objective.label_gap))
    if lists.winners is not None:
        winners = lists.winners
        weight.mul_(torch.where(weight > 0, winners[:, start:end, None], winners[:, None, start:]))
    if lists.where is not None:
        weight.mul_(lists.where[:, None, start:])
    return weight, gap
