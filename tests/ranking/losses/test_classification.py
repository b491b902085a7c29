"""The focal family on logits: identities, the printed gradient, extremes."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

from ranking.errors import UsageError
from ranking.losses.classification import (
    class_balanced_weights,
    focal,
    prior_bias,
    quality_focal,
    softmax_focal,
    varifocal,
)
from ranking.objectives import ClassBalancedFocal

LOGITS = torch.tensor([-3.0, -0.2, 0.4, 2.0, 6.0], dtype=torch.float64)


@pytest.mark.parametrize("y", [0.0, 1.0])
def test_the_gradient_carries_the_sign_of_the_class(y: float) -> None:
    """(2y − 1) alpha_t (1 − p_t)^g (g p_t log p_t + p_t − 1); without 2y − 1 it is wrong for y = 0."""
    z = LOGITS.clone().requires_grad_()
    target = torch.full_like(z, y)
    focal(z, target, alpha=0.3, gamma=1.7, normalisation="sum").backward()
    sign = 2 * y - 1
    p = torch.sigmoid(sign * LOGITS)
    alpha = 0.3 if y else 0.7
    expected = sign * alpha * (1 - p) ** 1.7 * (1.7 * p * p.log() + p - 1)
    assert z.grad is not None
    assert z.grad.numpy() == pytest.approx(expected.numpy(), rel=1e-9)


def test_without_focus_it_is_the_cross_entropy() -> None:
    y = torch.tensor([1.0, 0, 1, 0, 1], dtype=torch.float64)
    value = focal(LOGITS, y, alpha=0.5, gamma=0.0)
    assert value.item() == pytest.approx(0.5 * binary_cross_entropy_with_logits(LOGITS, y).item())


def test_retinanet_divides_by_the_positives() -> None:
    y = torch.tensor([1.0, 0, 0, 0, 1], dtype=torch.float64)
    every = focal(LOGITS, y, normalisation="none")
    assert focal(LOGITS, y, normalisation="positives").item() == pytest.approx(every.sum().item() / 2)
    none = torch.zeros_like(y)
    assert focal(LOGITS, none, normalisation="positives").item() == pytest.approx(
        focal(LOGITS, none, normalisation="sum").item()
    )


@pytest.mark.parametrize("gamma", [0.3, 0.5, 2.0])
def test_confident_logits_have_finite_gradients(gamma: float) -> None:
    z = torch.tensor([200.0, 40.0, -40.0, -200.0], requires_grad=True)
    (focal(z, torch.ones(4), gamma=gamma) + focal(z, torch.zeros(4), gamma=gamma)).backward()
    assert z.grad is not None
    assert torch.isfinite(z.grad).all()


def test_quality_focal_is_least_where_the_quality_is_met() -> None:
    q = torch.tensor([0.2, 0.7], dtype=torch.float64)
    assert quality_focal(torch.logit(q), q).item() == pytest.approx(0.0, abs=1e-15)
    assert quality_focal(torch.logit(q) + 0.5, q) > 0.004


def test_quality_focal_with_a_small_power_has_a_gradient_at_its_minimum() -> None:
    q = torch.tensor([0.5, 0.25])
    z = torch.logit(q).requires_grad_()
    quality_focal(z, q, beta=0.5).backward()
    assert z.grad is not None
    assert torch.isfinite(z.grad).all()


def test_varifocal_weighs_positives_by_quality_and_negatives_down() -> None:
    z = torch.tensor([0.4, 0.4], dtype=torch.float64)
    value = varifocal(z, torch.tensor([0.6, 0.0]), normalisation="none")
    p = torch.sigmoid(z[0])
    assert value[0].item() == pytest.approx(0.6 * (-0.6 * p.log() - 0.4 * (1 - p).log()).item(), rel=1e-6)
    assert value[1].item() == pytest.approx((0.75 * p**2 * -(1 - p).log()).item())


def test_class_balanced_weights_by_hand() -> None:
    """beta 0.5: counts 1 and 2 are worth 1 and 1.5 examples."""
    weights = class_balanced_weights(torch.tensor([1, 2]), beta=0.5)
    assert weights.tolist() == pytest.approx([2 * 1 / (1 + 1 / 1.5), 2 / 1.5 / (1 + 1 / 1.5)])
    assert class_balanced_weights(torch.tensor([5, 500]), beta=0.0).tolist() == [1, 1]
    near_one = class_balanced_weights(torch.tensor([10, 1000]), beta=1 - 1e-12)
    assert (near_one[0] / near_one[1]).item() == pytest.approx(100, rel=1e-6)
    assert class_balanced_weights(torch.tensor([0, 3])).tolist() == [0, 2]
    with pytest.raises(UsageError, match="beta"):
        class_balanced_weights(torch.tensor([1]), beta=1.0)


def test_the_objective_weighs_classes_alike() -> None:
    """One name, one loss: the compiled objective's weights are these."""
    from tests.lists import one_list

    targets = ClassBalancedFocal(beta=0.9).targets(one_list([1.0, 0, 0, 0]))
    weights = class_balanced_weights(torch.tensor([3, 1]), beta=0.9)
    assert targets.scale.tolist() == pytest.approx([weights[1].item()] + 3 * [weights[0].item()])


def test_softmax_focal_is_cross_entropy_without_focus_and_weighted() -> None:
    logits = torch.randn(6, 3, generator=torch.manual_seed(0), dtype=torch.float64)
    classes = torch.tensor([0, 1, 2, 0, 1, 0])
    assert softmax_focal(logits, classes, gamma=0.0).item() == pytest.approx(
        cross_entropy(logits, classes).item()
    )
    p = logits.softmax(-1)[torch.arange(6), classes]
    weights = torch.tensor([0.5, 1.0, 1.5], dtype=torch.float64)
    expected = (weights[classes] * (1 - p) ** 2 * -p.log()).mean()
    assert softmax_focal(logits, classes, class_weights=weights).item() == pytest.approx(expected.item())
    far = torch.tensor([[200.0, 0.0]], requires_grad=True)
    softmax_focal(far, torch.tensor([0]), gamma=0.5).backward()
    assert far.grad is not None
    assert torch.isfinite(far.grad).all()


def test_the_prior_bias_predicts_the_prior() -> None:
    assert 1 / (1 + math.exp(-prior_bias(0.01))) == pytest.approx(0.01)
    with pytest.raises(UsageError, match="positive_share"):
        prior_bias(0.0)


def test_qualities_beyond_one_are_refused() -> None:
    with pytest.raises(UsageError, match="quality must be in"):
        quality_focal(torch.zeros(1), torch.tensor([2.0]))
