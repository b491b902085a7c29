"""Distances and similarities of all pairs of two batches of vectors, with usable gradients everywhere."""

from __future__ import annotations

import torch
from torch import Tensor

_TINY = 1e-12
"""Squared norm below which a vector has no direction."""
_BLOCK = 1 << 24
"""Numbers of a [a, b, d] block of differences at most."""


def directions(vectors: Tensor) -> Tensor:
    """Unit vectors along the last axis; zeros, with a zero gradient, where there is no direction."""
    squared = (vectors**2).sum(-1, keepdim=True)
    long = squared > _TINY
    return torch.where(
        long, vectors * torch.rsqrt(torch.where(long, squared, 1.0)), torch.zeros_like(vectors)
    )


def squared_distances(a: Tensor, b: Tensor) -> Tensor:
    """|a_i − b_j|², [a, b], of [a, d] and [b, d], from the differences themselves.

    |a|² + |b|² − 2 a·b, as one matrix product, loses all digits of near duplicates, which are what hard pairs
    are; so the product serves far pairs, and near ones are computed again from differences.
    """
    if a.shape[0] * b.shape[0] * a.shape[1] <= _BLOCK:
        return ((a[:, None, :] - b[None, :, :]) ** 2).sum(-1)
    product = (a**2).sum(-1)[:, None] + (b**2).sum(-1)[None, :] - 2 * a @ b.T
    with torch.no_grad():
        size = (a**2).sum(-1)[:, None] + (b**2).sum(-1)[None, :]
        i, j = torch.nonzero(product < 1e-3 * size, as_tuple=True)
    exact = ((a[i] - b[j]) ** 2).sum(-1)
    return product.clamp(min=0).index_put((i, j), exact)


def root(squared: Tensor) -> Tensor:
    """The square root, with gradient 0 at 0, where the root has none."""
    positive = squared > 0
    return torch.where(positive, torch.where(positive, squared, 1.0).sqrt(), torch.zeros_like(squared))
