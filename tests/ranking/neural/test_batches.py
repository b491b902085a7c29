"""Every query once an epoch, lists of like lengths together, never too many pairs."""

from __future__ import annotations

import numpy as np
import torch

from ranking.neural import batches
from ranking.neural.batches import Lists, batches_of, epoch_of


def test_an_epoch_has_every_query_once_and_another_order_each_time() -> None:
    sizes = np.random.default_rng(0).integers(1, 50, 333)
    first, again, other = (epoch_of(sizes, 16, 7, epoch) for epoch in (0, 0, 1))
    assert sorted(np.concatenate(first)) == list(range(333))
    assert [b.tolist() for b in first] == [b.tolist() for b in again]
    assert [b.tolist() for b in first] != [b.tolist() for b in other]
    assert max(map(len, first)) == 16


def test_lengths_within_a_batch_are_alike() -> None:
    sizes = np.random.default_rng(0).integers(1, 200, 2000)
    padded = sum(len(b) * sizes[b].max() for b in epoch_of(sizes, 16, 7, 0))
    drawn = np.random.default_rng(1).permutation(2000).reshape(-1, 16)
    assert padded < 1.2 * sizes.sum()
    assert sum(len(b) * sizes[b].max() for b in drawn) > 1.5 * sizes.sum()


def test_long_lists_make_small_batches(monkeypatch: object) -> None:
    sizes = np.array([10, 2000, 2000, 2000, 10, 10])
    found = [b.tolist() for b in batches_of(sizes, np.arange(6), 100)]
    assert found == [[0], [1], [2], [3], [4, 5]]
    assert batches._MOST_PAIRS // 2000**2 == 1


def test_a_batch_holds_its_lists_and_nothing_else() -> None:
    offsets = np.array([0, 2, 5, 6])
    lists = Lists(
        rows_at=lambda places: torch.arange(6.0)[places, None], labels=torch.arange(6.0) * 10,
        weights=torch.tensor([1.0, 2.0, 3.0]),
        more={"winners": torch.arange(6.0) + 100}, offsets=offsets,
    )  # fmt: skip
    rows, where, padded = lists.batch(np.array([1, 2]))
    assert rows[:, 0].tolist() == [2, 3, 4, 5]
    assert where.tolist() == [[True, True, True], [True, False, False]]
    assert padded["labels"].tolist() == [[20, 30, 40], [50, 0, 0]]
    assert padded["winners"].tolist() == [[102, 103, 104], [105, 0, 0]]
    assert padded["weights"].tolist() == [2, 3]
