"""Which triplets to learn from: anchors, positives and negatives of a batch, by its distances and labels.

    positive  another item of the anchor's label        negative  an item of another label
    distances [batch, batch], of any kind; a margin is in their unit

No way of mining makes [batch, batch, batch]: those that keep every triplet of a rule look at some anchors at
a time, the others sort or reduce rows of [batch, batch].
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from ranking.errors import UsageError, unknown_name
from ranking.losses.embedding.precision import full_precision

_BLOCK = 1 << 22
"""Triplets looked at at once at most."""


class Triplets(NamedTuple):
    """int64 [triplets] each."""

    anchors: Tensor
    positives: Tensor
    negatives: Tensor


@full_precision
def mine_triplets(
    distances: Tensor, labels: Tensor, how: str, margin: float | None = None, seed: int = 0
) -> Triplets:
    """The triplets of a batch by one of `MINERS`, in rising order of anchor and positive.

    all                every anchor with every positive and every negative
    random             one negative, drawn by `seed`, for each anchor and positive
    hard               every one with D(a, n) < D(a, p)
    semi_hard          every one with D(a, p) < D(a, n) < D(a, p) + margin
    semi_hard_nearest  for each anchor and positive the nearest negative beyond it, else the farthest one
    batch_hard         for each anchor that has both, its farthest positive and its nearest negative

    distances [batch, batch], labels int [batch].
    Raises UsageError for an unknown way, shapes that do not fit, and semi_hard without a margin.

    source  Schroff, Kalenichenko, Philbin 2015 (FaceNet, semi-hard); Hermans, Beyer, Leibe 2017 (batch hard).
    """
    if how not in MINERS:
        raise unknown_name("way of mining", how, MINERS)
    if distances.shape != (len(labels), len(labels)):
        raise UsageError(
            f"distances must be [{len(labels)}, {len(labels)}] for these labels, got {tuple(distances.shape)}"
        )
    if how == "semi_hard" and margin is None:
        raise UsageError("semi_hard mines within a margin: give one, in the unit of the distances")
    if not len(labels):
        return Triplets(*(torch.empty(0, dtype=torch.int64, device=labels.device) for _ in range(3)))
    with torch.no_grad():
        return MINERS[how](distances.contiguous(), labels, 0.0 if margin is None else margin, seed)


def pairs_of(labels: Tensor) -> tuple[Tensor, Tensor]:
    """(same label and not itself, other label), bool [batch, batch]."""
    alike = labels[:, None] == labels[None, :]
    own = torch.eye(len(labels), dtype=torch.bool, device=labels.device)
    return alike & ~own, ~alike


def _every(distances: Tensor, labels: Tensor, keeps: Callable[[Tensor, Tensor], Tensor] | None) -> Triplets:
    """Every triplet of which `keeps`(D(a, p), D(a, n)) is true, some anchors and positives at a time."""
    positive, negative = pairs_of(labels)
    anchors, positives = torch.nonzero(positive, as_tuple=True)
    step = max(1, _BLOCK // max(len(labels), 1))
    found = []
    for a, p in zip(torch.split(anchors, step), torch.split(positives, step), strict=True):
        mask = negative[a]
        if keeps is not None:
            mask = mask & keeps(distances[a, p][:, None], distances[a])
        row, n = torch.nonzero(mask, as_tuple=True)
        found.append(Triplets(a[row], p[row], n))
    if not found:
        return Triplets(anchors, positives, anchors)
    return Triplets(*(torch.cat(part) for part in zip(*found, strict=True)))


def _random(distances: Tensor, labels: Tensor, margin: float, seed: int) -> Triplets:
    positive, negative = pairs_of(labels)
    count = negative.sum(1)
    anchors, positives = torch.nonzero(positive & (count > 0)[:, None], as_tuple=True)
    generator = torch.Generator(device=labels.device).manual_seed(seed)
    draw = torch.rand(len(anchors), generator=generator, device=labels.device, dtype=torch.float64)
    # Negatives of a row stand first in this order, in that of the batch.
    order = (~negative).to(torch.int8).argsort(dim=1, stable=True)
    return Triplets(anchors, positives, order[anchors, (draw * count[anchors]).long()])


def _semi_hard_nearest(distances: Tensor, labels: Tensor, margin: float, seed: int) -> Triplets:
    """By one sort a row; the first negative beyond D(a, p) is found by bisection."""
    positive, negative = pairs_of(labels)
    count = negative.sum(1)
    ordered, order = torch.where(negative, distances, torch.inf).sort(1)
    place = torch.searchsorted(ordered, distances, right=True)
    # Beyond the last negative stands none: then the farthest is taken.
    place = torch.minimum(place, (count - 1).clamp(min=0)[:, None])
    anchors, positives = torch.nonzero(positive & (count > 0)[:, None], as_tuple=True)
    return Triplets(anchors, positives, order.gather(1, place)[anchors, positives])


def _batch_hard(distances: Tensor, labels: Tensor, margin: float, seed: int) -> Triplets:
    positive, negative = pairs_of(labels)
    farthest = torch.where(positive, distances, -torch.inf)
    nearest = torch.where(negative, distances, torch.inf)
    anchors = torch.nonzero(positive.any(1) & negative.any(1))[:, 0]
    return Triplets(anchors, farthest[anchors].argmax(1), nearest[anchors].argmin(1))


MINERS: dict[str, Callable[[Tensor, Tensor, float, int], Triplets]] = {
    "all": lambda distances, labels, margin, seed: _every(distances, labels, None),
    "random": _random,
    "hard": lambda distances, labels, margin, seed: _every(distances, labels, lambda near, far: far < near),
    "semi_hard": lambda distances, labels, margin, seed: _every(
        distances, labels, lambda near, far: (near < far) & (far < near + margin)
    ),
    "semi_hard_nearest": _semi_hard_nearest,
    "batch_hard": _batch_hard,
}
"""Each way of mining by its name."""
