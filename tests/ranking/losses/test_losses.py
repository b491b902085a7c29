"""One name is one loss: torch's autograd of each loss is the compiled gradient of its namesake."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ranking.errors import UsageError
from ranking.losses import LOSSES, PerturbedLoss, SmoothedMetric, facts_of, loss_named, loss_of
from ranking.objectives import (
    OBJECTIVES,
    XENDCG,
    Gumbel,
    Pairwise,
    SVMHinge,
    objective_named,
)
from tests.lists import random_lists
from tests.ranking.losses.padding import padded
from tests.ranking.objectives.variants import VARIANTS, has_kinks


def extras(objective: Any, dataset: Any) -> dict[str, torch.Tensor]:
    """What a loss takes beside scores and labels, padded: weights of clicks, or a draw."""
    if objective.needs_positions:
        return {"winners": padded(dataset, objective.clicks.winner_weights(dataset))[0]}
    if isinstance(objective, Gumbel):
        noise = objective.noise(dataset.document_count, 0)
        return {"noise": torch.stack([padded(dataset, each)[0] for each in noise])}
    if isinstance(objective, XENDCG):
        draw = np.random.default_rng([objective.noise_seed, 0]).random(dataset.document_count)
        return {"uniform": padded(dataset, draw)[0]}
    return {}


def test_every_objective_has_its_loss() -> None:
    assert list(LOSSES)[: len(OBJECTIVES)] == list(OBJECTIVES)
    assert all(LOSSES[name].objective == OBJECTIVES[name] for name in OBJECTIVES)


@pytest.mark.parametrize("tied", [False, True], ids=["distinct scores", "tied scores"])
@pytest.mark.parametrize("name", VARIANTS)
def test_autograd_equals_the_compiled_kernel(name: str, tied: bool) -> None:
    """Value, gradient and (where exact) the diagonal of the second derivative, in float64.

    A pairwise loss in both its forms; the second derivative is the definition's.
    """
    objective, dataset = VARIANTS[name], random_lists(queries=6, longest=9, seed=11)
    scores = np.random.default_rng(2).normal(size=dataset.document_count)
    scores = (
        np.round(scores * 2) / 2 + 0.3 * (dataset.labels if has_kinks(objective) else 0) if tied else scores
    )
    if isinstance(objective, SVMHinge):
        scores = scores + 0.123  # off its kink
    s, y, where = padded(dataset, scores)
    s.requires_grad_()
    expected_gradient, expected_hessian = objective.gradients(scores, dataset)
    more = extras(objective, dataset)
    forms: list[dict[str, Any]] = [{}, {"readable": True}] if isinstance(objective, Pairwise) else [{}]
    for form in forms:
        value = loss_of(objective)(s, y, where, **more, **form)
        (gradient,) = torch.autograd.grad(value, s, create_graph=form is forms[-1])
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


@pytest.mark.parametrize("name", LOSSES)
def test_padding_may_hold_anything(name: str) -> None:
    """NaN and infinities beyond the list change neither value nor gradient, and get none."""
    scores = torch.tensor([[0.5, 0.1, -0.3, 0.7]], dtype=torch.float64)
    labels, where = torch.tensor([[0.0, 1.0, 2.0, 0.0]]), torch.ones(1, 4, dtype=torch.bool)
    uniform = torch.full((1, 6), 0.25, dtype=torch.float64)
    extra = [{"uniform": uniform[:, :n]} if name == "xendcg" else {} for n in (4, 6)]
    plain = scores.clone().requires_grad_()
    LOSSES[name](plain, labels, where, **extra[0]).backward()
    wide = torch.cat(
        [scores, torch.tensor([[torch.nan, torch.inf]], dtype=torch.float64)], 1
    ).requires_grad_()
    labels = torch.cat([labels, torch.tensor([[9.0, 9.0]])], 1)
    where = torch.tensor([[True] * 4 + [False] * 2])
    LOSSES[name](wide, labels, where, **extra[1]).backward()
    assert plain.grad is not None
    assert wide.grad is not None
    assert wide.grad[:, :4].numpy() == pytest.approx(plain.grad.numpy())
    assert not wide.grad[:, 4:].any()


def test_what_has_no_torch_form_is_named(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text("def loss(d):\n    return -d\n\ndef gradient(d):\n    return -1.0\n")
    with pytest.raises(UsageError, match="compiled for trees and has no torch loss"):
        loss_of(objective_named(str(file)))


@pytest.mark.parametrize("name", LOSSES)
def test_reductions_are_of_the_values_of_the_lists(name: str) -> None:
    """A list without pairs changes no mean; weights weigh it."""
    scores = torch.randn(3, 5, generator=torch.manual_seed(0), dtype=torch.float64)
    labels = torch.tensor([[2.0, 0, 1, 0, 3], [3.0, 3, 0, 0, 1], [0.0] * 5])
    weights = torch.tensor([0.5, 2.0, 3.0])
    given = {"uniform": torch.full((3, 5), 0.5, dtype=torch.float64)} if name == "xendcg" else {}
    loss = LOSSES[name]
    each = loss(scores, labels, weights=weights, reduction="none", **given)
    assert each.shape == (3,)
    assert loss(scores, labels, weights=weights, **given).item() == pytest.approx(each.sum().item())
    mean = loss(scores, labels, weights=weights, reduction="mean", **given).item()
    silent = facts_of(loss)["family"] == "pointwise" or name in (
        "calibrated",
        "margin_mse",
        "kl",
    )
    assert mean == pytest.approx(each.sum().item() / (5.5 if silent else 2.5))


def test_an_unknown_reduction_is_named() -> None:
    with pytest.raises(UsageError, match="unknown reduction 'avg'"):
        LOSSES["softmax"](torch.zeros(1, 2), torch.ones(1, 2), reduction="avg")


def test_losses_by_name_take_parameters() -> None:
    assert loss_named("lambdarank", {"truncation": 3}).objective.truncation == 3
    assert loss_named("gumbel:approx_ndcg", {"draws": 4, "temperature": 2.0}) == PerturbedLoss(
        SmoothedMetric(temperature=2.0), draws=4
    )
    with pytest.raises(UsageError, match="did you mean 'approx_ndcg'"):
        loss_named("aprox_ndcg")
    with pytest.raises(UsageError, match="parameter of objective list_mle: 'tie'"):
        loss_named("list_mle", {"tie": "shuffled"})
    assert facts_of(loss_named("gumbel:list_mle"))["parameters"] == {
        "ties": "shared",
        "strength": 0.3,
        "draws": 1,
    }


def test_a_loss_of_ones_own(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text(
        "FORMULA = 'the sum of squares'\nSHIFT_INVARIANT = False\n"
        "def loss(scores, labels, where):\n    return (scores.where(where, 0) ** 2).sum(-1)\n"
    )
    loss = loss_named(str(file))
    assert (
        loss(
            torch.tensor([[1.0, 2.0], [3.0, 9.0]]),
            torch.ones(2, 2),
            torch.tensor([[True] * 2, [True, False]]),
        )
        == 14
    )
    assert facts_of(loss)["formula"] == "the sum of squares"
    file.write_text("def loss(scores, labels, where):\n    return scores.sum()\n")
    with pytest.raises(UsageError, match="one value a list"):
        loss_named(str(file))(torch.zeros(2, 3), torch.zeros(2, 3))
    file.write_text("def cost(a):\n    return a\n")
    with pytest.raises(UsageError, match="defines no function loss"):
        loss_named(str(file))
