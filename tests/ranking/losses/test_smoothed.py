"""Smoothed metrics come to the metrics as the temperature falls."""

from __future__ import annotations

import itertools
import math

import pytest
import torch

from ranking.errors import UsageError
from ranking.losses import NeuralNDCG, SmoothedMetric
from ranking.losses.neural_sort import sort_matrix
from ranking.metrics import Metric
from tests.lists import random_lists
from tests.ranking.losses.padding import padded


def test_two_documents_by_hand() -> None:
    """The relevant one a log 3 below: at temperature 1 its smooth rank is 1 + 3/4."""
    value = SmoothedMetric(temperature=1.0)(torch.tensor([[0.0, math.log(3)]]), torch.tensor([[1.0, 0.0]]))
    assert value.item() == pytest.approx(1 - 1 / math.log2(2.75), rel=1e-6)


@pytest.mark.parametrize(
    "metric",
    ["ndcg", "dcg", "map", "mrr", "err", "ndcg@3", "precision@3", "recall@3", "mrr@2", "err@4", "dcg@2"],
)
def test_the_limit_is_the_metric(metric: str) -> None:
    dataset = random_lists(queries=9, longest=9, seed=4)
    scores = torch.arange(dataset.document_count)[torch.randperm(dataset.document_count)].double().numpy()
    name, _, cut = metric.partition("@")
    loss = SmoothedMetric(metric=name, truncation=int(cut) if cut else None, temperature=0.01)
    s, y, where = padded(dataset, scores)
    value = loss(s, y, where, reduction="none")
    expected = torch.from_numpy(Metric.parse(metric).per_query(scores, dataset))
    usable = torch.tensor([dataset.labels[a:b].max() > 0 and b - a > 1 for a, b in _slices(dataset)])
    assert value[usable].numpy() == pytest.approx(
        ((0 if name == "dcg" else 1) - expected[usable]).numpy(), abs=1e-6
    )
    assert not value[~usable].any()


def _slices(dataset: object) -> list[tuple[int, int]]:
    offsets = dataset.offsets.tolist()  # type: ignore[attr-defined]
    return list(itertools.pairwise(offsets))


def test_neural_sort_comes_to_the_permutation() -> None:
    scores = torch.tensor([[0.1, 2.0, -1.0, 0.7, 9.0]], dtype=torch.float64)
    where = torch.tensor([[True, True, True, True, False]])
    matrix = sort_matrix(scores, where, temperature=0.01, sinkhorn=0)
    order = [1, 3, 0, 2]
    assert matrix[0, :4].argmax(-1).tolist() == order
    assert matrix[0, :4, :4].max(-1).values.numpy() == pytest.approx(1.0)
    assert not matrix[0, 4].any()
    assert not matrix[0, :, 4].any()


def test_sinkhorn_makes_columns_sum_to_one() -> None:
    scores, where = (
        torch.randn(2, 6, generator=torch.manual_seed(1), dtype=torch.float64),
        torch.ones(2, 6).bool(),
    )
    plain = sort_matrix(scores, where, 1.0, 0)
    scaled = sort_matrix(scores, where, 1.0, 50)
    assert (plain.sum(-2) - 1).abs().max() > 0.01
    assert (scaled.sum(-2) - 1).abs().max() < 1e-6
    assert (scaled.sum(-1) - 1).abs().max() < 1e-6


def test_neural_ndcg_comes_to_ndcg() -> None:
    dataset = random_lists(queries=9, longest=9, seed=4)
    scores = torch.randn(dataset.document_count, generator=torch.manual_seed(2), dtype=torch.float64).numpy()
    s, y, where = padded(dataset, scores)
    value = NeuralNDCG(temperature=1e-6, sinkhorn=0)(s, y, where, reduction="none")
    expected = torch.from_numpy(Metric.parse("ndcg").per_query(scores, dataset))
    usable = torch.tensor([dataset.labels[a:b].max() > 0 and b - a > 1 for a, b in _slices(dataset)])
    assert value[usable].numpy() == pytest.approx(1 - expected[usable].numpy(), abs=1e-6)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"metric": "bpref"}, "unknown metric 'bpref'"),
        ({"temperature": 0}, "temperature must be above 0"),
        ({"metric": "precision"}, "precision needs a cut-off"),
        ({"truncation": 0}, "at least 1"),
    ],
)
def test_parameters_are_checked(given: dict[str, object], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        SmoothedMetric(**given)  # type: ignore[arg-type]
