"""From a value a list to one number: the reductions that every ranking loss offers under the same names."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from ranking.errors import unknown_name

Reduction = Literal["sum", "mean", "none"]
"""
sum    over lists, as the compiled objectives have it
mean   over the lists that have something to learn (a pair, a relevant document); weighted, where lists have
       weights. Neither padding nor lists without pairs change it
none   one value a list, [...]
"""


def everywhere(scores: Tensor, where: Tensor | None) -> Tensor:
    """The mask, or one that says that every place holds a document."""
    return torch.ones_like(scores, dtype=torch.bool) if where is None else where


def reduced(values: Tensor, learns: Tensor, weights: Tensor | None, reduction: Reduction) -> Tensor:
    """`values` [...] of lists (their weights inside already), of which those in `learns` bool [...] count.

    Where no list learns, "mean" is exactly 0 and still connected to the scores.
    Raises UsageError for an unknown reduction.
    """
    if reduction == "none":
        return values
    if reduction == "sum":
        return values.sum()
    if reduction != "mean":
        raise unknown_name("reduction", reduction, ("sum", "mean", "none"))
    count = learns.to(values) if weights is None else learns * weights.to(values)
    total = count.sum()
    return values.sum() / torch.where(total > 0, total, 1)
