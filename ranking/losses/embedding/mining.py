"""Which triplets to learn from: boolean masks [anchor, positive, negative] from distances and labels.

    positive  another item of the anchor's label        negative  an item of another label
    distances [batch, batch], labels int [batch]

For large batches `batch_hard_indices` and `semi_hard_indices` give a triplet an anchor, or a pair, and never
make [batch, batch, batch].
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ranking.errors import unknown_name

Miner = Callable[..., Tensor]


def pairs_of(labels: Tensor) -> tuple[Tensor, Tensor]:
    """(same label and not itself, other label), bool [batch, batch]."""
    alike = labels[:, None] == labels[None, :]
    own = torch.eye(len(labels), dtype=torch.bool, device=labels.device)
    return alike & ~own, ~alike


def all_triplets(distances: Tensor, labels: Tensor) -> Tensor:
    """Every anchor with every positive and every negative."""
    positive, negative = pairs_of(labels)
    return positive[:, :, None] & negative[:, None, :]


def random_triplets(distances: Tensor, labels: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """One negative, drawn, for each anchor and positive."""
    triplets = all_triplets(distances, labels)
    draw = torch.rand(triplets.shape, generator=generator, device=distances.device)
    return _largest(draw, triplets)


def hard_triplets(distances: Tensor, labels: Tensor) -> Tensor:
    """The negative is nearer than the positive: D(a, n) < D(a, p)."""
    return all_triplets(distances, labels) & (distances[:, None, :] < distances[:, :, None])


def semi_hard_triplets(distances: Tensor, labels: Tensor, margin: float = 0.2) -> Tensor:
    """The negative is farther than the positive, within the margin: D(a, p) < D(a, n) < D(a, p) + margin.

    source  Schroff, Kalenichenko, Philbin 2015 (FaceNet), margin 0.2 on squared distances of unit vectors.
    """
    near, far = distances[:, :, None], distances[:, None, :]
    return all_triplets(distances, labels) & (near < far) & (far < near + margin)


def batch_hard_triplets(distances: Tensor, labels: Tensor) -> Tensor:
    """One triplet an anchor: its farthest positive and its nearest negative; none for one without either.

    source  Hermans, Beyer, Leibe 2017.
    """
    positive, negative = pairs_of(labels)
    farthest = _largest(distances, positive)
    nearest = _largest(-distances, negative)
    return farthest[:, :, None] & nearest[:, None, :]


MINERS: dict[str, Miner] = {
    "all": all_triplets,
    "random": random_triplets,
    "hard": hard_triplets,
    "semi_hard": semi_hard_triplets,
    "batch_hard": batch_hard_triplets,
}


def batch_hard_indices(distances: Tensor, labels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """(anchors, positives, negatives) of `batch_hard_triplets`, int64 [triplets], without the cube."""
    positive, negative = pairs_of(labels)
    farthest = torch.where(positive, distances, -torch.inf).argmax(1)
    nearest = torch.where(negative, distances, torch.inf).argmin(1)
    anchors = torch.nonzero(positive.any(1) & negative.any(1))[:, 0]
    return anchors, farthest[anchors], nearest[anchors]


def semi_hard_indices(
    distances: Tensor, labels: Tensor, margin: float = 0.2
) -> tuple[Tensor, Tensor, Tensor]:
    """For each anchor and positive, the nearest negative of `semi_hard_triplets`; pairs without one left out.

    Sorted once by row: the first negative beyond D(a, p) is found by bisection, so that a batch of B takes
    O(B² log B) time and O(B²) memory.
    """
    positive, negative = pairs_of(labels)
    far = torch.where(negative, distances, torch.inf)
    ordered, order = far.sort(1)
    place = torch.searchsorted(ordered, distances.contiguous(), right=True).clamp(max=len(labels) - 1)
    found = ordered.gather(1, place)
    taken = positive & (found > distances) & (found < distances + margin)
    anchors, positives = torch.nonzero(taken, as_tuple=True)
    return anchors, positives, order.gather(1, place)[anchors, positives]


def miner_named(name: str) -> Miner:
    """Raises UsageError for an unknown name."""
    if name not in MINERS:
        raise unknown_name("miner", name, MINERS)
    return MINERS[name]


def _largest(values: Tensor, among: Tensor) -> Tensor:
    """bool: the largest along the last axis, the first of equal ones; nothing where `among` is empty."""
    best = torch.where(among, values, -torch.inf).argmax(-1, keepdim=True)
    chosen = torch.zeros_like(among).scatter(-1, best, True)
    return chosen & among
