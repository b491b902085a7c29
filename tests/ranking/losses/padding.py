"""Ragged lists as padded tensors."""

from __future__ import annotations

from typing import Any

import torch


def padded(dataset: Any, scores: Any) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Scores, labels and mask [queries, longest]; padding holds values that would show if it counted."""
    shape = (dataset.query_count, int(dataset.sizes.max()) + 2)
    s, y, where = (
        torch.full(shape, 1e9, dtype=torch.float64),
        torch.full(shape, 99.0),
        torch.zeros(shape, dtype=torch.bool),
    )
    for q, (a, b) in enumerate(zip(dataset.offsets, dataset.offsets[1:], strict=False)):
        s[q, : b - a], y[q, : b - a] = torch.from_numpy(scores[a:b]), torch.from_numpy(dataset.labels[a:b])
        where[q, : b - a] = True
    return s, y, where
