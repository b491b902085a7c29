"""The triplet loss, of given triplets and of mined ones."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import softplus

from ranking.errors import unknown_name
from ranking.losses.embedding.distances import directions, root, squared_distances
from ranking.losses.embedding.mining import mine_triplets
from ranking.losses.embedding.precision import full_precision

Mean = Literal["all", "active"]
"""Over all triplets, or over those with a loss above 0 (whose mean stays near the margin)."""


@full_precision
def triplet(
    anchors: Tensor,
    positives: Tensor,
    negatives: Tensor,
    margin: float = 1.0,
    squared: bool = True,
    soft: bool = False,
) -> Tensor:
    """The mean of max(0, D(a, p) − D(a, n) + margin) over triplets, [triplets, d] each, taken as they are.

    squared  D = |a − b|², as in FaceNet; else |a − b|, as most libraries have it. A margin means another
             thing
    soft     log(1 + exp(D(a, p) − D(a, n))) in place of the margin (Hermans et al.)

    source  Schroff, Kalenichenko, Philbin 2015, margin 0.2 on unit vectors; Hermans, Beyer, Leibe 2017.
    """
    near, far = ((anchors - positives) ** 2).sum(-1), ((anchors - negatives) ** 2).sum(-1)
    values = _values(near, far, margin, squared, soft)
    return values.sum() / max(len(values), 1)


@full_precision
def triplet_in_batch(
    embeddings: Tensor,
    labels: Tensor,
    how: str = "batch_hard",
    margin: float = 1.0,
    squared: bool = True,
    soft: bool = False,
    *,
    normalize: bool = False,
    mean: Mean = "all",
    seed: int = 0,
) -> Tensor:
    """`triplet` over the triplets that `mine_triplets` finds in a batch, [batch, d] and int [batch].

    Distances are squared ones, for mining as for the loss, unless `squared` is false. 0, connected to the
    embeddings, where there is no triplet. Raises UsageError for an unknown way of mining or mean.
    """
    if mean not in ("all", "active"):
        raise unknown_name("mean", mean, ("all", "active"))
    vectors = directions(embeddings) if normalize else embeddings
    distances = squared_distances(vectors, vectors)
    seen = (distances if squared else root(distances)).detach()
    a, p, n = mine_triplets(seen, labels, how, margin, seed)
    values = _values(distances[a, p], distances[a, n], margin, squared, soft)
    count = len(values) if mean == "all" else int((values > 0).sum())
    return values.sum() / max(count, 1) + 0 * vectors.sum()


@full_precision
def active_share(embeddings: Tensor, labels: Tensor, margin: float = 0.2, *, normalize: bool = True) -> float:
    """The share of all triplets of a batch with D²(a, p) + margin > D²(a, n); 0 without any triplet.

    Near 0 there is nothing left to learn from random triplets; near 1, with a loss at the margin, the
    embeddings have collapsed to a point.
    """
    with torch.no_grad():
        vectors = directions(embeddings) if normalize else embeddings
        distances = squared_distances(vectors, vectors)
        alike = labels[:, None] == labels[None, :]
        own = torch.eye(len(labels), dtype=torch.bool, device=labels.device)
        active = total = 0
        for row, same, self_ in zip(distances, alike, own, strict=True):
            near, far = row[same & ~self_], row[~same].sort().values
            active += int(torch.searchsorted(far, near + margin).sum())
            total += len(near) * len(far)
        return active / total if total else 0.0


def _values(near: Tensor, far: Tensor, margin: float, squared: bool, soft: bool) -> Tensor:
    gap = near - far if squared else root(near) - root(far)
    return softplus(gap) if soft else (gap + margin).clamp(min=0)
