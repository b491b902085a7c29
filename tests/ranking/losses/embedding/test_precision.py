"""Half precision and NaN, by name and place."""

from __future__ import annotations

import pytest
import torch

from ranking.errors import DataError
from ranking.losses import info_nce, mine_triplets, supcon, triplet
from ranking.losses.embedding import full_precision


def test_autocast_ends_at_the_loss() -> None:
    """A product of float32 vectors is float32's, not one of 8 bits."""
    torch.manual_seed(0)
    queries, keys = torch.randn(2, 32, 64).unbind()
    expected = info_nce(queries.double(), keys.double()).item()
    with torch.autocast("cpu", torch.bfloat16):
        assert info_nce(queries, keys).item() == pytest.approx(expected, rel=1e-5)
        assert (queries @ keys.T).dtype == torch.bfloat16


def test_half_vectors_beyond_the_range_of_their_squares() -> None:
    long = torch.full((4, 8), 300.0, dtype=torch.float16, requires_grad=True)
    value = triplet(long, -long, long)
    assert value.item() == pytest.approx(8 * 600**2 + 1)
    value.backward()
    assert long.grad is not None
    assert long.grad.dtype == torch.float16


def test_not_a_number_is_named_with_its_place() -> None:
    keys = torch.randn(3, 4)
    keys[1, 2], keys[2, 0] = torch.nan, torch.inf
    with pytest.raises(DataError, match=r"keys must be finite: nan at \[1, 2\], 2 such numbers of 12"):
        info_nce(torch.randn(3, 4), keys=keys)
    with pytest.raises(DataError, match="embeddings must be finite"):
        supcon(keys, torch.tensor([0, 0, 1]))
    with pytest.raises(DataError, match="distances must be finite"):
        mine_triplets(keys[:, :3], torch.tensor([0, 0, 1]), "all")


def test_large_numbers_whose_sum_is_none_are_let_through() -> None:
    @full_precision
    def largest(vectors: torch.Tensor) -> torch.Tensor:
        return vectors.max()

    assert float(largest(torch.full((2, 2), 3e38))) == pytest.approx(3e38)
