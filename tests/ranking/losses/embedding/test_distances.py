"""Distances of all pairs, against the differences themselves in float64."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from ranking.losses.embedding import distances
from ranking.losses.embedding.distances import directions, squared_distances


def by_differences(a: Tensor, b: Tensor) -> Tensor:
    return ((a.double()[:, None, :] - b.double()[None, :, :]) ** 2).sum(-1)


def batches() -> dict[str, tuple[Tensor, Tensor]]:
    generator = torch.Generator().manual_seed(0)
    a = directions(torch.randn(60, 32, generator=generator))
    near = a + 1e-4 * torch.randn(60, 32, generator=generator)
    return {
        "unit": (a, a[:40]),
        "with near duplicates": (a, near),
        "a point far out": (1000 + near, 1000 + a),
        "two clusters": (torch.cat([near, 50 + a]), torch.cat([a, 50 + near])),
        "nothing": (a[:0], a),
    }


@pytest.mark.parametrize("kind", batches())
@pytest.mark.parametrize("block", [1 << 22, 64], ids=["at once", "two pairs at a time"])
def test_values_and_gradients(kind: str, block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """|a|² + |b|² − 2 a·b in float32 knows nothing of a distance of 1e-4 between unit vectors."""
    monkeypatch.setattr(distances, "_BLOCK", block)
    a, b = (one.clone().requires_grad_() for one in batches()[kind])
    found = squared_distances(a, b)
    expected = by_differences(a, b)
    assert found.detach().double().numpy() == pytest.approx(expected.detach().numpy(), rel=2e-3, abs=1e-12)
    force = torch.randn(expected.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    for mine, theirs in zip(
        torch.autograd.grad((found * force.float()).sum(), (a, b)),
        torch.autograd.grad((expected * force).sum(), (a, b)),
        strict=True,
    ):
        scale = float(theirs.abs().max()) if theirs.numel() else 1.0
        assert mine.double().numpy() == pytest.approx(theirs.double().numpy(), abs=1e-4 * scale)


def test_equal_vectors_are_exactly_zero_apart() -> None:
    a = torch.randn(1, 7, generator=torch.Generator().manual_seed(0)).repeat(5, 1)
    assert not squared_distances(a, a).any()


def test_zero_vectors_have_no_direction_and_no_gradient() -> None:
    a = torch.tensor([[0.0, 0.0], [3.0, 4.0]], requires_grad=True)
    unit = directions(a)
    assert unit.tolist() == [[0.0, 0.0], [pytest.approx(0.6), pytest.approx(0.8)]]
    unit.sum().backward()
    assert a.grad is not None
    assert a.grad[0].tolist() == [0.0, 0.0]
