"""Checks of a loss on pairs: loss(first [n, d], second [n, d]) -> scalar, row i of one belongs to row i."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ranking.losses.doctor.numbers import value_and_gradient
from ranking.losses.doctor.vectors import CHECKS as VECTOR_CHECKS
from ranking.objectives.doctor import Finding


def steps_bring_pairs_together(loss: Any) -> Finding:
    """Steps on the vectors themselves bring row i to row i and away from others: the sign is right."""
    both = torch.randn(2, 12, 4, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    before, size = _contrast(both), torch.zeros_like(both)
    for _ in range(60):
        _, gradient = value_and_gradient(lambda b: loss(b[0], b[1]), both)
        size = 0.9 * size + 0.1 * gradient**2
        both = both - 0.05 * gradient / (size.sqrt() + 1e-12)
    after = _contrast(both)
    return Finding(
        after > before + 0.1, f"mean cosine of pairs less that of others, {before:.2f} to {after:.2f}"
    )


def _turned(check: Callable[[Any], Finding]) -> Callable[[Any], Finding]:
    """A check of vectors: the partner of each is itself with its axes moved on, the last turned round.

    So one batch makes both, in no more digits than it has, and a permutation moves pairs.
    """

    def checked(loss: Any) -> Finding:
        def of_one(embeddings: Tensor, labels: Tensor) -> Tensor:
            signs = torch.ones(embeddings.shape[1], dtype=embeddings.dtype)
            signs[-1] = -1
            value: Tensor = loss(embeddings, embeddings.roll(1, -1) * signs)
            return value

        return check(of_one)

    checked.__doc__ = check.__doc__
    return checked


CHECKS: dict[str, Callable[[Any], Finding]] = {
    **{title: _turned(check) for title, check in VECTOR_CHECKS.items() if title != "separates"},
    "brings together": steps_bring_pairs_together,
}


def _contrast(both: Tensor) -> float:
    unit = torch.nn.functional.normalize(both, dim=-1)
    cosine = unit[0] @ unit[1].T
    size = len(cosine)
    own = float(cosine.diagonal().mean())
    return own - float(cosine.sum() - cosine.diagonal().sum()) / (size * (size - 1))
