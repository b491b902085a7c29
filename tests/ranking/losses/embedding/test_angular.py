"""ArcFace and CosFace; what embeddings look like."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch.nn.functional import cross_entropy, normalize

from ranking.errors import UsageError
from ranking.losses.embedding import (
    AngularClassifier,
    arcface,
    arcface_logits,
    cosface,
    cosface_logits,
)
from ranking.losses.embedding.angular import cosines


def test_the_own_class_is_moved_by_the_angle() -> None:
    theta = torch.linspace(0.01, math.pi - 0.51, 50, dtype=torch.float64)
    logits = arcface_logits(torch.cos(theta)[:, None], torch.zeros(50, dtype=torch.int64), 0.5, 1.0)
    assert logits[:, 0].numpy() == pytest.approx(torch.cos(theta + 0.5).numpy(), abs=1e-6)


def test_it_falls_with_the_angle_everywhere() -> None:
    """Beyond theta + m = pi the cosine would rise again."""
    theta = torch.linspace(0, math.pi, 2001, dtype=torch.float64)
    logits = arcface_logits(torch.cos(theta)[:, None], torch.zeros(2001, dtype=torch.int64), 0.5, 1.0)[:, 0]
    assert (logits.diff() < 1e-9).all()
    step = logits.diff().min().item()
    assert step == pytest.approx(-0.1175, abs=0.002)  # at pi − m: -1 against cos(pi − m) − m sin m


@pytest.mark.parametrize("end", [1.0, -1.0])
def test_gradients_are_finite_on_the_axis(end: float) -> None:
    vectors = torch.tensor([[end, 0.0]], requires_grad=True)
    prototypes = torch.eye(2, requires_grad=True)
    arcface(vectors, prototypes, torch.tensor([0])).backward()
    for tensor in (vectors, prototypes):
        assert tensor.grad is not None
        assert torch.isfinite(tensor.grad).all()


@pytest.mark.parametrize("loss", [arcface, cosface])
def test_without_a_margin_it_is_the_softmax_of_cosines(loss: Any) -> None:
    torch.manual_seed(0)
    prototypes = torch.randn(4, 3, dtype=torch.float64)
    vectors, classes = torch.randn(6, 3, dtype=torch.float64), torch.tensor([0, 1, 2, 3, 0, 1])
    cosine = normalize(vectors, dim=-1) @ normalize(prototypes, dim=-1).T
    value = loss(vectors, prototypes, classes, scale=10.0, margin=0.0)
    assert value.item() == pytest.approx(cross_entropy(10 * cosine, classes).item())


def test_of_several_centres_the_nearest_counts() -> None:
    """Two a class; a far second one changes nothing, and has no gradient."""
    torch.manual_seed(0)
    near = torch.randn(3, 5, dtype=torch.float64)
    both = torch.stack([near, -near], 1).requires_grad_()
    vectors, classes = near + 0.1 * torch.randn(3, 5, dtype=torch.float64), torch.arange(3)
    value = arcface(vectors, both, classes, scale=4.0)
    cosine = (normalize(vectors, dim=-1) @ normalize(near, dim=-1).T).abs()
    expected = cross_entropy(arcface_logits(cosine, classes, scale=4.0), classes)
    assert value.item() == pytest.approx(expected.item())
    value.backward()
    assert both.grad is not None
    assert both.grad[:, 0].any(-1).all()


def test_cosface_by_hand() -> None:
    cosine = torch.tensor([[0.9, 0.2]])
    assert cosface_logits(cosine, torch.tensor([0]), 0.35, 2.0).tolist()[0] == pytest.approx([1.1, 0.4])


def test_a_margin_separates_more_than_none() -> None:
    """Trained alike, the least angle between classes' items and other classes is wider with the margin."""
    gaps = []
    for margin in (0.0, 0.5):
        torch.manual_seed(1)
        vectors = torch.randn(60, 3, requires_grad=True)
        classes = torch.arange(60) % 3
        head = AngularClassifier(3, 3, margin=margin, scale=8.0)
        optimizer = torch.optim.Adam([vectors, *head.parameters()], lr=0.05)
        for _ in range(150):
            optimizer.zero_grad()
            head(vectors, classes).backward()
            optimizer.step()
        cosine = cosines(vectors, head.prototypes).detach()
        own = torch.arange(3)[None] == classes[:, None]
        gaps.append((cosine[own] - cosine[~own].reshape(60, 2).amax(1)).mean().item())
    assert gaps[1] > gaps[0] + 0.01


def test_degrees_are_refused() -> None:
    with pytest.raises(UsageError, match="radians"):
        arcface(torch.ones(1, 2), torch.eye(2), torch.tensor([0]), margin=28.6)
    with pytest.raises(UsageError, match="must be above 0"):
        AngularClassifier(0, 4)
