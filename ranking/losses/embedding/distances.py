"""Distances and similarities of all pairs of two batches of vectors, with usable gradients everywhere."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

_TINY = 1e-12
"""Squared norm below which a vector has no direction."""
_NEAR = 1e-3
"""|a − b|² over |a|² + |b|² below which a pair is near: there a product in float32 has three digits left."""
_BLOCK = 1 << 22
"""Numbers of a block of differences at most."""


def directions(vectors: Tensor) -> Tensor:
    """Unit vectors along the last axis; zeros, with a zero gradient, where there is no direction."""
    squared = (vectors**2).sum(-1, keepdim=True)
    long = ~(squared <= _TINY)  # NaN goes on
    return torch.where(
        long, vectors * torch.rsqrt(torch.where(long, squared, 1.0)), torch.zeros_like(vectors)
    )


def squared_distances(a: Tensor, b: Tensor) -> Tensor:
    """|a_i − b_j|², [a, b], of [a, d] and [b, d]; the gradient is once differentiable.

    |a|² + |b|² − 2 a·b, as one matrix product, loses all digits of near duplicates, which are what hard pairs
    are; so the product serves far pairs, and near ones are computed again from their differences, here and in
    the gradient.
    """
    distances: Tensor = _SquaredDistances.apply(a, b)  # type: ignore[no-untyped-call]
    return distances


class _SquaredDistances(torch.autograd.Function):
    """No graph of the steps is kept: the gradient is two more products."""

    @staticmethod
    def forward(ctx: Any, a: Tensor, b: Tensor) -> Tensor:
        # Distances know no origin, and from the middle of a cluster far out its pairs are not near ones.
        middle = a.mean(0) if len(a) else a.new_zeros(a.shape[1])
        from_a, from_b = a - middle, b - middle
        size = (from_a**2).sum(-1)[:, None] + (from_b**2).sum(-1)[None, :]
        distances = torch.addmm(size, from_a, from_b.T, alpha=-2)
        near = torch.nonzero(distances < _NEAR * size)
        for i, j in _parts(near, a.shape[1]):
            distances[i, j] = ((a[i] - b[j]) ** 2).sum(-1)
        ctx.save_for_backward(a, b, middle, near)
        return distances

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor]:
        a, b, middle, near = ctx.saved_tensors
        # A function of one's own is differentiated in the autocast of its caller.
        with torch.autocast(a.device.type, enabled=False):
            far = gradient.clone()
            far[near[:, 0], near[:, 1]] = 0
            from_a, from_b = a - middle, b - middle
            of_a = torch.addmm(far.sum(1)[:, None] * from_a, far, from_b, alpha=-1)
            of_b = torch.addmm(far.sum(0)[:, None] * from_b, far.T, from_a, alpha=-1)
            for i, j in _parts(near, a.shape[1]):
                force = gradient[i, j][:, None] * (a[i] - b[j])
                of_a.index_add_(0, i, force)
                of_b.index_add_(0, j, force, alpha=-1)
        return 2 * of_a, 2 * of_b


def _parts(pairs: Tensor, width: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Rows and columns of pairs, so many at a time that their differences stay small."""
    for part in torch.split(pairs, max(1, _BLOCK // max(width, 1))):
        yield part[:, 0], part[:, 1]


def root(squared: Tensor) -> Tensor:
    """The square root, with gradient 0 at 0, where the root has none."""
    zero = squared <= 0
    return squared.masked_fill(zero, 1.0).sqrt().masked_fill(zero, 0.0)
