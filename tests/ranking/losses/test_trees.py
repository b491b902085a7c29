"""Torch losses as objectives for trees: gradients, draws, batches, the doctor."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from ranking.errors import DataError, UsageError
from ranking.losses import LOSSES
from ranking.losses.trees import TorchObjective
from ranking.objectives import OBJECTIVES
from ranking.objectives.doctor import examine
from tests.lists import random_lists
from tests.ranking.losses.padding import padded

TORCH_ALONE = [name for name in LOSSES if name not in OBJECTIVES]


@pytest.mark.parametrize(
    "name",
    [
        # Its repeated scaling of [n, n] takes ten seconds here.
        pytest.param(name, marks=pytest.mark.slow) if name == "neural_ndcg" else name
        for name in (*TORCH_ALONE, "gumbel:approx_mrr")
    ],
)
def test_every_torch_loss_passes_the_doctor_of_trees(name: str) -> None:
    certificate = examine(TorchObjective(loss_name=name))
    assert certificate.passed, certificate.text()
    assert certificate.objective == f"torch:{name}"


@pytest.mark.parametrize("name", ["lambdarank", "softmax", "focal", "margin_mse"])
def test_the_gradient_is_that_of_the_compiled_twin(name: str) -> None:
    """Through batches of other lengths, and weights of queries."""
    data = random_lists(queries=30, longest=17, seed=4)
    weights = np.linspace(0, 2, data.query_count).astype(np.float32)
    scores = np.random.default_rng(1).normal(size=data.document_count)
    for dataset in (data, replace(data, weights=weights)):
        gradient, hessian = TorchObjective(loss_name=name).gradients(scores, dataset)
        expected, _ = OBJECTIVES[name].gradients(scores, dataset)
        assert gradient == pytest.approx(expected, rel=1e-6, abs=1e-9)
        largest = np.maximum.reduceat(np.abs(gradient), dataset.offsets[:-1])
        assert hessian == pytest.approx(np.repeat(largest, dataset.sizes))


def test_the_loss_is_the_sum_over_lists() -> None:
    data = random_lists(queries=9, longest=12, seed=2)
    scores = np.random.default_rng(0).normal(size=data.document_count)
    s, y, where = padded(data, scores)
    expected = LOSSES["approx_ndcg"](s, y, where).item()
    assert TorchObjective(loss_name="approx_ndcg").loss(scores, data) == pytest.approx(expected)


def test_long_lists_do_not_share_a_batch_with_many(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pairs of a batch are bounded; what a batch holds changes nothing."""
    data = random_lists(queries=25, longest=30, seed=6)
    scores = np.random.default_rng(3).normal(size=data.document_count)
    together = TorchObjective(loss_name="list_mle").gradients(scores, data)
    monkeypatch.setattr("ranking.losses.trees._PAIRS", 100)
    apart = TorchObjective(loss_name="list_mle").gradients(scores, data)
    for one, other in zip(together, apart, strict=True):
        assert one == pytest.approx(other, rel=1e-12)


def test_draws_belong_to_seed_and_round() -> None:
    """And leave the generator of the process as it was."""
    data = random_lists(queries=6, seed=1)
    scores = np.zeros(data.document_count)
    objective = TorchObjective(loss_name="gumbel:approx_ndcg")
    torch.manual_seed(7)
    before = torch.random.get_rng_state()
    whole = objective.prepare(data)
    rounds = [whole(scores)[0].copy() for _ in range(4)]
    assert (torch.random.get_rng_state() == before).all()
    continued = objective.prepare(data, threads=2, first_round=2)
    assert (continued(scores)[0] == rounds[2]).all()
    assert (rounds[0] != rounds[1]).any()
    other = objective.with_parameters({"noise_seed": 2}).prepare(data)(scores)[0]
    assert (other != rounds[0]).any()


def test_parameters_are_the_losss_and_its_own() -> None:
    objective = TorchObjective(loss_name="approx_ndcg", changes={"temperature": 0.5})
    changed = objective.with_parameters({"hessian_scale": 2.0, "metric": "map"})
    assert changed.parameters().items() >= {"temperature": 0.5, "metric": "map", "hessian_scale": 2.0}.items()
    again = TorchObjective(loss_name="approx_ndcg").with_parameters(changed.parameters())
    assert again.parameters() == changed.parameters()
    with pytest.raises(UsageError, match="unknown parameter of objective approx_ndcg: 'temprature'"):
        objective.with_parameters({"temprature": 1.0})
    with pytest.raises(UsageError, match="hessian_scale must be a positive number"):
        TorchObjective(loss_name="list_mle", hessian_scale=0.0)


def test_a_file_of_ones_own(tmp_path: Path) -> None:
    """Squares of the distance to the labels: 2 (s − y)."""
    file = tmp_path / "squares.py"
    file.write_text(
        "import torch\n\nSHIFT_INVARIANT = False\n\n\ndef loss(scores, labels, where):\n"
        "    return torch.where(where, (scores - labels) ** 2, 0.0).sum(-1)\n"
    )
    data = random_lists(queries=4, longest=5, seed=3)
    scores = np.random.default_rng(0).normal(size=data.document_count)
    objective = TorchObjective(loss_name=str(file))
    alone = np.repeat(data.sizes, data.sizes) == 1  # a list of one has nothing to learn
    expected = np.where(alone, 0, 2 * (scores - data.labels))
    gradient, _ = objective.gradients(scores, data)
    assert gradient[~alone] == pytest.approx(expected[~alone])
    kept = objective.with_parameters(objective.parameters())
    file.write_text(file.read_text() + "\n# changed\n")
    with pytest.raises(UsageError, match="has changed"):
        kept.with_parameters({"hessian_scale": 3.0})


def test_wrong_scores_are_refused() -> None:
    data = random_lists(queries=2, seed=0)
    with pytest.raises(DataError, match="scores must be"):
        TorchObjective(loss_name="list_mle").prepare(data)(np.zeros(3))
