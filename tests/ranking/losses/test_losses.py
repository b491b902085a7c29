"""One name is one loss: torch's autograd of each loss is the compiled gradient of its namesake."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from ranking.losses import LOSSES, PairwiseLoss
from ranking.objectives import OBJECTIVES, Hinge, LambdaRank, RankNet
from tests.lists import random_lists

VARIANTS: dict[str, Any] = {
    **OBJECTIVES,
    "hinge, truncated": Hinge(margin=0.7, truncation=2),
    "ranknet, truncated, normalised": RankNet(
        sigma=2.0, truncation=3, score_normalization=True, lambda_normalization=True
    ),
    "lambdarank, plain": LambdaRank(score_normalization=False, lambda_normalization=False, truncation=None),
    "lambdarank, linear, top 3, file ties": LambdaRank(gain="linear", truncation=3, ties="file"),
}


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


def test_the_two_registries_hold_the_same_names() -> None:
    assert set(LOSSES) == set(OBJECTIVES)
    assert all(LOSSES[name].objective == OBJECTIVES[name] for name in OBJECTIVES)


@pytest.mark.parametrize("tied", [False, True], ids=["distinct scores", "tied scores"])
@pytest.mark.parametrize("name", VARIANTS)
def test_autograd_equals_the_compiled_kernel(name: str, tied: bool) -> None:
    """Value, gradient and (where exact) the diagonal of the second derivative, in float64."""
    objective, dataset = VARIANTS[name], random_lists(queries=6, longest=9, seed=11)
    scores = np.random.default_rng(2).normal(size=dataset.document_count)
    scores = (
        np.round(scores * 2) / 2 + 0.3 * (dataset.labels if isinstance(objective, Hinge) else 0)
        if tied
        else scores
    )
    s, y, where = padded(dataset, scores)
    s.requires_grad_()
    value = PairwiseLoss(objective)(s, y, where)
    (gradient,) = torch.autograd.grad(value, s, create_graph=True)
    expected_gradient, expected_hessian = objective.gradients(scores, dataset)
    assert value.item() == pytest.approx(objective.loss(scores, dataset), rel=1e-9)
    assert gradient.detach()[where].numpy() == pytest.approx(expected_gradient, rel=1e-6, abs=1e-9)
    assert not gradient.detach()[~where].any()
    if objective.hessian == "exact":
        rows = [torch.autograd.grad(g, s, retain_graph=True)[0][where] for g in gradient[where]]
        diagonal = torch.stack(rows).diagonal().numpy()
        assert diagonal == pytest.approx(expected_hessian, rel=1e-6, abs=1e-9)


def test_lists_without_pairs_are_zero_and_connected() -> None:
    scores = torch.zeros(2, 3, requires_grad=True)
    value = LOSSES["lambdarank"](scores, torch.ones(2, 3), torch.tensor([[True, False, False], [True] * 3]))
    value.backward()
    assert value.item() == 0.0
    assert scores.grad is not None
    assert not scores.grad.any()


def test_infinite_padding_does_not_reach_the_gradient() -> None:
    scores = torch.tensor([[0.5, 0.1, -torch.inf]], requires_grad=True)
    LOSSES["ranknet"](scores, torch.tensor([[0.0, 1.0, 9.0]]), torch.tensor([[True, True, False]])).backward()
    assert scores.grad is not None
    assert torch.isfinite(scores.grad).all()
    assert scores.grad[0, 2] == 0


def test_list_weights_scale_the_value() -> None:
    scores, labels = torch.randn(3, 5, generator=torch.manual_seed(0)), torch.arange(15.0).reshape(3, 5) % 4
    where = torch.ones(3, 5, dtype=torch.bool)
    each = torch.stack([LOSSES["lambdarank"](scores[i], labels[i], where[i]) for i in range(3)])
    weights = torch.tensor([0.5, 0.0, 2.0])
    assert LOSSES["lambdarank"](scores, labels, where, weights).item() == pytest.approx(
        (each * weights).sum().item()
    )
