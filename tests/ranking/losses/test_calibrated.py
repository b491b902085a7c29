"""Regression-compatible ranking, and what learns from a teacher."""

from __future__ import annotations

import math

import pytest
import torch

from ranking.errors import UsageError
from ranking.losses import LOSSES, Calibrated, PerturbedLoss, SmoothedMetric, SoftmaxDistillation


def test_calibrated_is_least_at_the_probabilities() -> None:
    """Both terms share the minimiser: sigmoid(s) = y has no gradient."""
    y = torch.tensor([[0.2, 0.9, 0.5]], dtype=torch.float64)
    scores = torch.logit(y).requires_grad_()
    Calibrated(largest_label=1.0, balance=3.0)(scores, y).backward()
    assert scores.grad is not None
    assert scores.grad.abs().max() < 1e-12


def test_calibrated_by_hand() -> None:
    """Scores 0, 0 and labels 1, 0: BCE log 2, and −log of one half."""
    value = Calibrated(balance=2.0)(torch.zeros(1, 2), torch.tensor([[1.0, 0.0]]))
    assert value.item() == pytest.approx(3 * math.log(2))


def test_labels_above_the_largest_are_refused() -> None:
    with pytest.raises(UsageError, match="above largest_label=1"):
        Calibrated(largest_label=1)(torch.zeros(1, 2), torch.tensor([[2.0, 0.0]]))


@pytest.mark.parametrize("name", ["margin_mse", "kl"])
def test_a_student_that_has_learned_has_nothing_to_learn(name: str) -> None:
    """Equal to the teacher up to a constant a list, which no ranking knows: 0, and no gradient."""
    teacher = torch.tensor([[0.4, -2.0, 1.0], [3.0, 0.0, 7.0]], dtype=torch.float64)
    scores = (teacher + torch.tensor([[5.0], [-1.0]])).requires_grad_()
    value = LOSSES[name](scores, teacher)
    value.backward()
    assert value.item() == pytest.approx(0.0, abs=1e-12)
    assert scores.grad is not None
    assert scores.grad.abs().max() < 1e-12


def test_margin_mse_is_the_sum_over_pairs() -> None:
    student, teacher = [0.1, 2.0, -0.5, 0.3], [1.0, 0.0, 4.0, 2.5]
    pairs = sum(
        ((student[i] - student[j]) - (teacher[i] - teacher[j])) ** 2 for i in range(4) for j in range(i)
    )
    value = LOSSES["margin_mse"](torch.tensor([student], dtype=torch.float64), torch.tensor([teacher]))
    assert value.item() == pytest.approx(pairs / 4)


def test_the_divergence_is_torchs() -> None:
    student, teacher = torch.randn(2, 4, 5, generator=torch.manual_seed(0), dtype=torch.float64)
    value = SoftmaxDistillation(temperature=2.0)(student, teacher)
    expected = torch.nn.functional.kl_div(
        (student / 2).log_softmax(-1), (teacher / 2).softmax(-1), reduction="sum"
    )
    assert value.item() == pytest.approx(4 * expected.item())


def test_perturbation_is_the_mean_over_noise() -> None:
    scores, labels = torch.randn(2, 6, generator=torch.manual_seed(0)), torch.arange(12.0).reshape(2, 6) % 3
    noise = torch.randn(4, 2, 6)
    loss = SmoothedMetric(temperature=1.0)
    expected = sum(loss(scores + each, labels) for each in noise) / 4
    assert PerturbedLoss(loss)(scores, labels, noise=noise).item() == pytest.approx(float(expected), rel=1e-6)


def test_its_own_noise_is_gumbels_and_seeded() -> None:
    """Mean 0.5772 and variance pi^2 / 6, times the strength; the same seed gives the same value."""
    drawn: list[torch.Tensor] = []

    def listening(scores: torch.Tensor, *_: object, **__: object) -> torch.Tensor:
        drawn.append(scores)
        return scores.sum()

    loss = PerturbedLoss(listening, strength=2.0, draws=3)
    torch.manual_seed(7)
    first = loss(torch.zeros(200, 200), torch.zeros(200, 200))
    noise = torch.stack(drawn)
    assert len(drawn) == 3
    assert noise.mean().item() == pytest.approx(2 * 0.5772, abs=0.03)
    assert noise.var().item() == pytest.approx(4 * math.pi**2 / 6, rel=0.03)
    torch.manual_seed(7)
    assert loss(torch.zeros(200, 200), torch.zeros(200, 200)).item() == first.item()
