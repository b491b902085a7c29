"""The contrastive loss of pairs."""

from __future__ import annotations

import torch
from torch import Tensor

from ranking.losses.embedding.distances import directions, root, squared_distances
from ranking.losses.embedding.precision import full_precision


@full_precision
def contrastive(first: Tensor, second: Tensor, is_similar: Tensor, margin: float = 1.0) -> Tensor:
    """The mean over pairs of D² / 2 where they are similar, max(0, margin − D)² / 2 where they are not.

    first, second   [pairs, d], taken as they are;  D = |first − second|
    is_similar      bool [pairs]. (Papers write Y = 0 for similar, libraries 1: hence the name)
    margin          1 in the paper's plots, in units of the embeddings

    source  Hadsell, Chopra, LeCun 2006.
    """
    squared = ((first - second) ** 2).sum(-1)
    return _halves(squared, is_similar, margin).sum() / max(len(first), 1)


@full_precision
def contrastive_in_batch(
    embeddings: Tensor, labels: Tensor, margin: float = 1.0, normalize: bool = False
) -> Tensor:
    """`contrastive` over all pairs of a batch, [batch, d] and int [batch]; alike by labels.

    Vectors as they are, as the paper has them: on digits not learned, unit ones were .016 of recall@1 behind.
    """
    vectors = directions(embeddings) if normalize else embeddings
    upper = torch.ones(len(labels), len(labels), dtype=torch.bool, device=labels.device).triu(1)
    alike = labels[:, None] == labels[None, :]
    values = _halves(squared_distances(vectors, vectors), alike, margin)
    return torch.where(upper, values, 0.0).sum() / upper.sum().clamp(min=1)


@torch.no_grad()
@full_precision
def active_pair_share(
    embeddings: Tensor, labels: Tensor, margin: float = 1.0, *, normalize: bool = True
) -> float:
    """The share of a batch's pairs of different labels with D < margin, which alone are pushed; 0 without."""
    vectors = directions(embeddings) if normalize else embeddings
    apart = labels[:, None] != labels[None, :]
    near = root(squared_distances(vectors, vectors)) < margin
    return float((near & apart).sum() / apart.sum().clamp(min=1))


def _halves(squared: Tensor, is_similar: Tensor, margin: float) -> Tensor:
    apart = (margin - root(squared)).clamp(min=0)
    return torch.where(is_similar, squared, apart**2) / 2
