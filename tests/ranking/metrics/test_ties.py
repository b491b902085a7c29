"""Equal scores: the expected value over their orders, and the three fixed orders."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ranking.errors import DataError
from ranking.metrics import METRICS, TIES, Metric
from tests.ranking.metrics.lists import average_over_orders, dataset, orders, plain

CUTOFFS = [
    *((name, k) for name in METRICS for k in (1, 2, 3, 5, 9)),
    *((n, None) for n in ("ndcg", "map", "mrr")),
]


@st.composite
def tied_lists(draw: Any) -> tuple[list[int], list[int]]:
    """(scores, labels) of up to six documents, with few distinct scores and something relevant."""
    size = draw(st.integers(1, 6))
    scores = draw(st.lists(st.integers(0, 2), min_size=size, max_size=size))
    labels = draw(st.lists(st.integers(0, 4), min_size=size, max_size=size).filter(any))
    return scores, labels


@settings(deadline=None, derandomize=True, max_examples=60)
@given(tied_lists())
def test_average_is_the_mean_over_all_orders_of_equal_scores(lists: tuple[list[int], list[int]]) -> None:
    """Every metric at every cutoff, against listing the orders."""
    scores, labels = lists
    for name in METRICS:
        for k in (1, 2, 3, 5, 9):
            metric = Metric(name, k)
            value = metric.mean(np.array(scores, np.float32), dataset(labels))
            assert value == pytest.approx(average_over_orders(metric, scores, labels), abs=1e-12), str(metric)


@pytest.mark.parametrize("gain", ["exponential", "linear"])
@pytest.mark.parametrize("discount", ["log2", "reciprocal"])
@pytest.mark.parametrize("name", ["ndcg", "dcg"])
def test_average_holds_for_every_gain_and_discount(name: str, gain: str, discount: str) -> None:
    """Over a list with two tie groups and the whole list read."""
    scores, labels = [1, 1, 0, 0, 0, 2], [3, 0, 1, 2, 0, 1]
    metric = Metric(name, None, gain, discount)
    value = metric.mean(np.array(scores, np.float64), dataset(labels))
    assert value == pytest.approx(average_over_orders(metric, scores, labels), abs=1e-12)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("dcg", (1 / 1 + 1 / math.log2(3) + 1 / 2) / 3),
        ("precision@2", 2 / 3 * (1 / 2)),
        ("recall@2", 2 / 3),
        ("hit_rate@2", 1 - (2 / 3) * (1 / 2)),
        ("mrr", (1 / 1 + 1 / 2 + 1 / 3) / 3),
        ("mrr@2", (1 / 1 + 1 / 2) / 3),
        ("map", (1 / 1 + 1 / 2 + 1 / 3) / 3),
        ("err", (1 / 16) * (1 / 1 + 1 / 2 + 1 / 3) / 3),
    ],
)
def test_one_relevant_document_among_three_equal_scores(name: str, value: float) -> None:
    """It stands at ranks 1, 2 and 3 with chance 1/3 each."""
    assert Metric.parse(name).mean(np.zeros(3), dataset([0, 1, 0])) == pytest.approx(value, abs=1e-15)


@pytest.mark.parametrize("ties", ["file", "pessimistic", "trec"])
@pytest.mark.parametrize(("name", "k"), CUTOFFS)
def test_fixed_orders_are_the_definition_on_that_order(name: str, k: int | None, ties: str) -> None:
    """Sort by score, then by row, by ascending label, or by document id descending; then read off."""
    rng = np.random.default_rng(2)
    for _ in range(10):
        size = int(rng.integers(1, 40))
        labels, scores = rng.integers(0, 4, size), rng.integers(0, 4, size)
        labels[0] = 1
        ids = [f"d{i}" for i in rng.permutation(size)]
        by_id = sorted(range(size), key=ids.__getitem__, reverse=True)
        by_label = sorted(range(size), key=labels.tolist().__getitem__)
        rows = {"file": list(range(size)), "pessimistic": by_label, "trec": by_id}[ties]
        ranked = [int(labels[i]) for i in sorted(rows, key=(-scores).tolist().__getitem__)]
        metric = Metric(name, k, ties=ties)
        value = metric.mean(scores, dataset(labels.tolist(), document_ids=ids))
        assert value == pytest.approx(plain(metric, ranked), abs=1e-12)


@pytest.mark.parametrize(("name", "k"), [(name, k) for name, k in CUTOFFS if name != "err"])
def test_pessimistic_is_the_least_over_all_orders(name: str, k: int | None) -> None:
    """No order of equal scores gives less."""
    scores, labels = [1, 0, 1, 0, 1], [2, 1, 0, 0, 1]
    metric = Metric(name, k, ties="pessimistic")
    least = min(plain(metric, ranked) for ranked in orders(scores, labels))
    assert metric.mean(np.array(scores), dataset(labels)) == pytest.approx(least, abs=1e-12)


@pytest.mark.parametrize("ties", TIES)
@pytest.mark.parametrize("name", METRICS)
def test_without_ties_all_rules_agree(name: str, ties: str) -> None:
    """Long lists, where the head is chosen rather than all sorted, and short ones."""
    rng = np.random.default_rng(3)
    lists = [[1, *rng.integers(0, 4, size).tolist()] for size in (0, 3, 15, 63, 200)]
    data = dataset(*lists, document_ids=[str(i) for i in range(sum(map(len, lists)))])
    scores = rng.permutation(data.document_count)
    expected = [
        plain(Metric(name, 10), [one[i] for i in np.argsort(-scores[low:high])])
        for one, low, high in zip(lists, data.offsets, data.offsets[1:], strict=False)
    ]
    np.testing.assert_allclose(Metric(name, 10, ties=ties).per_query(scores, data), expected, atol=1e-12)


@pytest.mark.parametrize("ties", ["average", "pessimistic", "trec"])
@pytest.mark.parametrize("name", METRICS)
def test_the_order_of_rows_changes_nothing_but_by_file(name: str, ties: str) -> None:
    """A shuffled list has the same value."""
    rng = np.random.default_rng(4)
    labels, scores = rng.integers(0, 4, 60), rng.integers(0, 5, 60)
    ids, metric = [f"d{i}" for i in range(60)], Metric(name, 7, ties=ties)
    rows = rng.permutation(60)
    shuffled = dataset(labels[rows].tolist(), document_ids=[ids[i] for i in rows])
    value = metric.mean(scores, dataset(labels.tolist(), document_ids=ids))
    assert metric.mean(scores[rows], shuffled) == pytest.approx(value, abs=1e-12)


def test_by_file_the_order_of_rows_does_change_the_value() -> None:
    """The relevant document first or last among equal scores."""
    metric = Metric("mrr", ties="file")
    assert metric.mean(np.zeros(3), dataset([1, 0, 0])) == 1.0
    assert metric.mean(np.zeros(3), dataset([0, 0, 1])) == 1 / 3


def test_trec_order_is_that_of_texts_not_numbers() -> None:
    """ "d9" stands before "d10", as strcmp has it."""
    data = dataset([0, 1], document_ids=["d10", "d9"])
    assert Metric("mrr", ties="trec").mean(np.zeros(2), data) == 1.0


def test_trec_order_needs_document_ids() -> None:
    """The message offers both ways out."""
    with pytest.raises(DataError, match=r'no document ids: add them .* or choose ties="average"'):
        Metric("ndcg", 10, ties="trec").evaluator(dataset([1, 0]))


def test_negative_zero_ties_with_zero() -> None:
    """They are the same number."""
    assert Metric("mrr").mean(np.array([0.0, -0.0]), dataset([1, 0])) == (1 / 1 + 1 / 2) / 2


def test_err_of_a_long_tie_group_stays_exact() -> None:
    """200 documents of equal score and label R: the t-th stops a reader with chance (1 - R)^(t - 1) R."""
    stop = 3 / 16
    expected = sum((1 - stop) ** (t - 1) * stop / t for t in range(1, 201))
    assert Metric("err").mean(np.zeros(200), dataset([2] * 200)) == pytest.approx(expected, abs=1e-13)
