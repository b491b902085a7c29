"""One network, twice: torch for training, numpy for scoring; and what a list is to it."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ranking.neural.scoring import forward, shapes_of
from tests.ranking.neural.networks import SMALL, trained_network

WIDTH = 5


def scores_of(network: torch.nn.Module, rows: torch.Tensor, sizes: list[int]) -> torch.Tensor:
    where = torch.arange(max(sizes)) < torch.tensor(sizes)[:, None]
    with torch.no_grad():
        found: torch.Tensor = network(rows, where)[where]
    return found


@pytest.mark.parametrize("architecture", SMALL)
def test_numpy_scores_as_torch_does(architecture: str) -> None:
    settings = SMALL[architecture]
    network = trained_network(settings, WIDTH).double()
    weights = {name: value.double().numpy() for name, value in network.weights().items()}
    assert {name: value.shape for name, value in weights.items()} == shapes_of(WIDTH, settings)
    rows = torch.randn(11, WIDTH, generator=torch.manual_seed(1), dtype=torch.float64)
    expected = scores_of(network, rows, [11]).numpy()
    assert forward(rows.numpy(), weights, settings) == pytest.approx(expected, rel=1e-4, abs=1e-5)
    assert np.std(expected) > 0.01


@pytest.mark.parametrize("architecture", SMALL)
def test_lists_do_not_reach_into_each_other(architecture: str) -> None:
    """Together in a padded batch, each list has the scores it has alone."""
    network = trained_network(SMALL[architecture], WIDTH)
    rows = torch.randn(14, WIDTH, generator=torch.manual_seed(1))
    together = scores_of(network, rows, [3, 9, 2])
    alone = torch.cat([scores_of(network, part, [len(part)]) for part in rows.split([3, 9, 2])])
    assert torch.allclose(together, alone, atol=1e-6)


@pytest.mark.parametrize("architecture", SMALL)
def test_permuting_a_list_permutes_its_scores(architecture: str) -> None:
    network = trained_network(SMALL[architecture], WIDTH)
    rows = torch.randn(9, WIDTH, generator=torch.manual_seed(1))
    turn = torch.randperm(9, generator=torch.manual_seed(2))
    assert torch.allclose(scores_of(network, rows[turn], [9]), scores_of(network, rows, [9])[turn], atol=1e-6)


def test_attention_sees_the_list_and_the_others_do_not() -> None:
    rows = torch.randn(9, WIDTH, generator=torch.manual_seed(1))
    other = rows.clone()
    other[8] = 5.0
    for architecture, settings in SMALL.items():
        network = trained_network(settings, WIDTH)
        moved = (scores_of(network, other, [9]) - scores_of(network, rows, [9])).abs()
        assert moved[8] > 1e-3
        assert (moved[0] > 1e-5) == (architecture == "attention")


@pytest.mark.parametrize("architecture", SMALL)
def test_every_weight_learns(architecture: str) -> None:
    network = trained_network(SMALL[architecture], WIDTH).train()
    where = torch.tensor([[True] * 4, [True, True, False, False]])
    (network(torch.randn(6, WIDTH, generator=torch.manual_seed(1)), where) ** 2).sum().backward()
    still = [name for name, p in network.named_parameters() if p.grad is None or not p.grad.any()]
    # A norm's own shift undoes the bias before it.
    assert not [name for name in still if not (name.startswith("layers") and name.endswith("bias"))]
