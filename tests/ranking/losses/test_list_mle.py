"""ListMLE beside the likelihood written out."""

from __future__ import annotations

import itertools
import math

import pytest
import torch

from ranking.errors import UsageError
from ranking.losses import ListMLE


def test_it_is_minus_the_log_likelihood_of_the_ideal_order() -> None:
    """Plackett–Luce: the first of those left, each time, by its share of exp(score)."""
    scores, labels = [0.3, -1.0, 2.0, 0.1], [1.0, 3.0, 0.0, 2.0]
    order = sorted(range(4), key=lambda i: -labels[i])
    chance = 1.0
    for place, i in enumerate(order):
        chance *= math.exp(scores[i]) / sum(math.exp(scores[j]) for j in order[place:])
    value = ListMLE()(torch.tensor([scores], dtype=torch.float64), torch.tensor([labels]))
    assert value.item() == pytest.approx(-math.log(chance))


def test_chances_of_all_orders_sum_to_one() -> None:
    scores = torch.tensor([[0.3, -1.0, 2.0, 0.1]], dtype=torch.float64)
    total = sum(
        math.exp(-ListMLE()(scores, torch.tensor([order], dtype=torch.float64)).item())
        for order in itertools.permutations(range(4))
    )
    assert total == pytest.approx(1.0)


def test_a_tie_group_shares_its_rivals() -> None:
    """Labels 1, 1, 0 at scores 0, log 2, 0: both at the top see exp sums of 4; the last one sees itself."""
    value = ListMLE()(torch.tensor([[0.0, math.log(2), 0.0]]), torch.tensor([[1.0, 1.0, 0.0]]))
    assert value.item() == pytest.approx(2 * math.log(4) - math.log(2), rel=1e-6)


def test_shuffled_ties_take_the_draw() -> None:
    """Equal labels in the order of the draw: the first of the two has all three as rivals, the other two."""
    scores, labels = torch.tensor([[0.0, math.log(2), 0.0]]), torch.tensor([[1.0, 1.0, 0.0]])
    value = ListMLE(ties="shuffled")(scores, labels, uniform=torch.tensor([[0.9, 0.1, 0.5]]))
    assert value.item() == pytest.approx(math.log(4) - math.log(2) + math.log(2), rel=1e-6)


def test_wide_scores_do_not_underflow() -> None:
    """The lower sums are far below the upper ones' precision: 200, then 0 against −1."""
    scores = torch.tensor([[200.0, 0.0, -1.0]], requires_grad=True)
    value = ListMLE()(scores, torch.tensor([[2.0, 1.0, 0.0]]))
    value.backward()
    assert value.item() == pytest.approx(math.log1p(math.exp(-1)), rel=1e-5)
    assert scores.grad is not None
    assert scores.grad[0, 1].item() == pytest.approx(1 / (1 + math.exp(-1)) - 1, rel=1e-5)


def test_an_unknown_treatment_of_ties_is_named() -> None:
    with pytest.raises(UsageError, match="unknown ties 'random'"):
        ListMLE(ties="random")  # type: ignore[arg-type]
