"""The contrastive loss of pairs."""

from __future__ import annotations

import torch
from torch import Tensor

from ranking.losses.embedding.distances import directions, root, squared_distances, working


def contrastive_loss(a: Tensor, b: Tensor, is_similar: Tensor, margin: float = 1.0) -> Tensor:
    """The mean over pairs of D² / 2 where they are similar, max(0, margin − D)² / 2 where they are not.

    a, b        [pairs, d];  D = |a − b|
    is_similar  bool [pairs]. (Papers write Y = 0 for similar, libraries 1: hence the name)
    margin      1 in the paper's plots, in units of the embeddings

    source  Hadsell, Chopra, LeCun 2006.
    """
    a, b = working(a, b)
    squared = ((a - b) ** 2).sum(-1)
    return _halves(squared, is_similar, margin).sum() / max(len(a), 1)


def contrastive_loss_of_batch(
    embeddings: Tensor, labels: Tensor, margin: float = 1.0, normalize: bool = True
) -> Tensor:
    """`contrastive_loss` over all pairs of a batch, [batch, d] and int [batch]; alike by labels."""
    (vectors,) = working(embeddings)
    vectors = directions(vectors) if normalize else vectors
    upper = torch.ones(len(labels), len(labels), dtype=torch.bool, device=labels.device).triu(1)
    alike = labels[:, None] == labels[None, :]
    values = _halves(squared_distances(vectors, vectors), alike, margin)
    return torch.where(upper, values, 0.0).sum() / upper.sum().clamp(min=1)


def _halves(squared: Tensor, is_similar: Tensor, margin: float) -> Tensor:
    apart = (margin - root(squared)).clamp(min=0)
    return torch.where(is_similar, squared, apart**2) / 2
