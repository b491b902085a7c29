"""Lists in batches of like lengths: little padding, and never more pairs than memory has room for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ranking.data.arrays import Int64

_MOST_PAIRS = 1 << 22
"""Of a batch, [lists, list, list]: what a pairwise loss makes several tensors of."""
_SORTED_TOGETHER = 20
"""Batches' worth of drawn queries that are sorted by length: more is less padding, and less chance."""


def batches_of(sizes: Int64, queries: Int64, batch_queries: int) -> Iterator[Int64]:
    """Query numbers, in this order, in batches of at most so many lists and so many pairs."""
    batch: list[int] = []
    longest = 0
    for query in queries.tolist():
        grown = max(longest, int(sizes[query]))
        if batch and (len(batch) == batch_queries or (len(batch) + 1) * grown * grown > _MOST_PAIRS):
            yield np.array(batch)
            batch, grown = [], int(sizes[query])
        batch.append(query)
        longest = grown
    if batch:
        yield np.array(batch)


def epoch_of(sizes: Int64, batch_queries: int, seed: int, epoch: int) -> list[Int64]:
    """All queries once, drawn by seed and epoch alone: bucketed by length, the batches in a drawn order."""
    rng = np.random.default_rng([seed, epoch])
    order = rng.permutation(len(sizes))
    chunk = batch_queries * _SORTED_TOGETHER
    found: list[Int64] = []
    for start in range(0, len(order), chunk):
        part = order[start : start + chunk]
        found += batches_of(sizes, part[np.argsort(sizes[part], kind="stable")], batch_queries)
    return [found[i] for i in rng.permutation(len(found))]


@dataclass(frozen=True, eq=False)
class Lists:
    """A data set as tensors on a device.

    rows_at  gives the rows of documents by number, float32 [documents, width], as the network takes them
    labels   float32 [documents]
    weights  float32 [queries] or None
    more     what a loss takes by name beside them, [documents] each
    """

    rows_at: Callable[[Int64], Tensor]
    labels: Tensor
    weights: Tensor | None
    more: dict[str, Tensor]
    offsets: Int64

    def batch(self, queries: Int64) -> tuple[Tensor, Tensor, dict[str, Any]]:
        """(rows [documents, width], where bool [lists, list], labels and the like as [lists, list])."""
        starts, ends = self.offsets[queries], self.offsets[queries + 1]
        device = self.labels.device
        places = np.concatenate([np.arange(a, b) for a, b in zip(starts, ends, strict=True)])
        documents = torch.from_numpy(places).to(device)
        sizes = torch.from_numpy(ends - starts).to(device)
        where = torch.arange(int((ends - starts).max()), device=device) < sizes[:, None]
        padded: dict[str, Any] = {}
        for name, values in (("labels", self.labels), *self.more.items()):
            padded[name] = values.new_zeros(where.shape)
            padded[name][where] = values[documents]
        if self.weights is not None:
            padded["weights"] = self.weights[torch.from_numpy(queries).to(device)]
        return self.rows_at(places), where, padded
