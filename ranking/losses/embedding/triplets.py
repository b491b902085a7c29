"""The triplet loss, of given triplets and of mined ones."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import softplus

from ranking.errors import unknown_name
from ranking.losses.embedding.distances import directions, root, squared_distances
from ranking.losses.embedding.mining import SPANS, Spans, Triplets, mine_triplets, spans
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
    if how in SPANS and not soft:
        distances = _distances(vectors, squared)
        found = spans(distances.detach(), labels, how, margin)
        total, active, every = _over_spans(distances, found, margin)
    else:
        with torch.no_grad():
            seen = _distances(vectors, squared)
        mined = mine_triplets(seen, labels, how, margin, seed)
        values = _of_triplets(vectors, mined, margin, squared, soft)
        total, active, every = values.sum(), int((values > 0).sum()), len(values)
    return total / max(every if mean == "all" else active, 1) + 0 * vectors.sum()


def _distances(vectors: Tensor, squared: bool) -> Tensor:
    found = squared_distances(vectors, vectors)
    return found if squared else root(found)


def _of_triplets(vectors: Tensor, mined: Triplets, margin: float, squared: bool, soft: bool) -> Tensor:
    """[triplets]: of a few from their own differences, of many from the distances of the batch."""
    a, p, n = mined
    if len(a) * vectors.shape[1] <= len(vectors) ** 2:
        near, far = ((vectors[a] - vectors[other]).square().sum(-1) for other in (p, n))
    else:
        squares = squared_distances(vectors, vectors)
        near, far = squares[a, p], squares[a, n]
    return _values(near, far, margin, squared, soft)


def _over_spans(distances: Tensor, found: Spans, margin: float) -> tuple[Tensor, int, int]:
    """(the sum of max(0, D(a, p) − D(a, n) + margin), how many are above 0, how many there are).

    Of a pair the active negatives are the first of its span: their sum is a difference of running sums.
    """
    near = distances[found.anchors, found.positives] + margin
    stop = torch.maximum(found.start, torch.minimum(found.stop, found.nearer_than(near.detach())))
    # In float64: a difference of two sums of a whole row is to be that of a few.
    sorted_far = distances.gather(1, found.order).double().masked_fill(found.ordered.isinf(), 0.0)
    running = torch.nn.functional.pad(sorted_far.cumsum(1), (1, 0))
    count = stop - found.start
    far = running[found.anchors, stop] - running[found.anchors, found.start]
    total = (count * near - far).sum()
    return total.to(distances), int(count.sum()), int((found.stop - found.start).sum())


@full_precision
def active_share(embeddings: Tensor, labels: Tensor, margin: float = 0.2, *, normalize: bool = True) -> float:
    """The share of all triplets of a batch with D²(a, p) + margin > D²(a, n); 0 without any triplet.

    Near 0 there is nothing left to learn from random triplets; near 1, with a loss at the margin, the
    embeddings have collapsed to a point.
    """
    with torch.no_grad():
        distances = _distances(directions(embeddings) if normalize else embeddings, squared=True)
        _, active, every = _over_spans(distances, spans(distances, labels, "all", margin), margin)
    return active / max(every, 1)


def _values(near: Tensor, far: Tensor, margin: float, squared: bool, soft: bool) -> Tensor:
    gap = near - far if squared else root(near) - root(far)
    return softplus(gap) if soft else (gap + margin).clamp(min=0)
