"""`Metric`: names, hand-worked values, conventions, errors."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from ranking.errors import DataError, UsageError
from ranking.metrics import METRICS, Metric
from tests.ranking.metrics.lists import dataset

LABELS = [0, 3, 0, 1]
"""By the scores below: rank 1 has label 1, rank 2 label 0, rank 3 label 3, rank 4 label 0."""
SCORES = np.array([0.1, 0.2, 0.3, 0.4], np.float32)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("dcg@10", 1 / 1 + 7 / 2),
        ("dcg@2", 1 / 1),
        ("ndcg", (1 / 1 + 7 / 2) / (7 / 1 + 1 / math.log2(3))),
        ("ndcg@1", 1 / 7),
        ("map", (1 / 1 + 2 / 3) / 2),
        ("map@2", (1 / 1) / 2),
        ("mrr", 1 / 1),
        ("err", 1 / 16 + (15 / 16) * (7 / 16) / 3),
        ("err@2", 1 / 16),
        ("precision@3", 2 / 3),
        ("precision@10", 2 / 10),
        ("recall@2", 1 / 2),
        ("hit_rate@1", 1.0),
    ],
)
def test_values_worked_by_hand(name: str, value: float) -> None:
    """One list of four, ranked 1 0 3 0."""
    metric = Metric.parse(name)
    assert metric.per_query(SCORES, dataset(LABELS)).tolist() == [pytest.approx(value, abs=1e-15)]
    assert metric.mean(SCORES, dataset(LABELS)) == pytest.approx(value, abs=1e-15)


@pytest.mark.parametrize(
    ("name", "value"),
    [("mrr", 1 / 3), ("mrr@2", 0.0), ("hit_rate@2", 0.0), ("hit_rate@3", 1.0), ("map", (1 / 3 + 2 / 4) / 2)],
)
def test_late_relevant_documents(name: str, value: float) -> None:
    """One list ranked 0 0 1 3."""
    assert Metric.parse(name).mean(-np.arange(4.0), dataset([0, 0, 1, 3])) == pytest.approx(value, abs=1e-15)


def test_gain_and_discount_can_be_chosen() -> None:
    """Linear gain with reciprocal discount: 1/1 + 3/3."""
    assert Metric("dcg", gain="linear", discount="reciprocal").mean(SCORES, dataset(LABELS)) == 1 / 1 + 3 / 3


@pytest.mark.parametrize(
    ("written", "printed"),
    [
        ("ndcg@10", "ndcg@10"),
        ("nDCG@10", "ndcg@10"),
        ("nDCG", "ndcg"),
        ("ndcg_cut_10", "ndcg@10"),
        ("ndcg_cut.10", "ndcg@10"),
        ("AP", "map"),
        ("AP@100", "map@100"),
        ("map_cut_30", "map@30"),
        ("RR", "mrr"),
        ("recip_rank", "mrr"),
        ("MRR@10", "mrr@10"),
        ("ERR@20", "err@20"),
        ("P@5", "precision@5"),
        ("P_5", "precision@5"),
        ("R@100", "recall@100"),
        ("recall_100", "recall@100"),
        ("Success@10", "hit_rate@10"),
        ("success_1", "hit_rate@1"),
        ("hit@10", "hit_rate@10"),
        ("HitRate@10", "hit_rate@10"),
        (" dcg@5 ", "dcg@5"),
    ],
)
def test_spellings_parse_to_the_canonical_name(written: str, printed: str) -> None:
    """ir_measures' and trec_eval's names are taken, and the printed name parses to the same metric."""
    metric = Metric.parse(written)
    assert str(metric) == printed
    assert Metric.parse(str(metric)) == metric


@pytest.mark.parametrize("name", METRICS)
def test_every_canonical_name_round_trips(name: str) -> None:
    """name@7 parses and prints back, whatever the conventions."""
    metric = Metric.parse(f"{name}@7", ties="file", empty="skip", gain="linear", discount="reciprocal")
    assert str(metric) == f"{name}@7"
    assert metric == Metric(name, 7, "linear", "reciprocal", "skip", "file")


def test_unknown_metric_names_the_nearest() -> None:
    """The error lists all names."""
    with pytest.raises(UsageError, match=r"unknown metric 'ndgc@10'; did you mean 'ndcg'\?.*recall"):
        Metric.parse("ndgc@10")


@pytest.mark.parametrize("cutoff", ["0", "-1", "ten", "1.5", "", "1e3", "@5", "9999999999", "٣"])
def test_cutoff_must_be_a_whole_number_from_one(cutoff: str) -> None:
    """A bad cutoff is a usage error that shows a good one."""
    with pytest.raises(UsageError, match=r"must be a whole number from 1, got .*: write ndcg@10"):
        Metric.parse(f"ndcg@{cutoff}")


@pytest.mark.parametrize("k", [0, -3, 2.0, True, "5"])
def test_cutoff_is_checked_without_parsing_too(k: Any) -> None:
    """The constructor holds the same rule."""
    with pytest.raises(UsageError, match="whole number from 1"):
        Metric("ndcg", k)


@pytest.mark.parametrize("name", ["precision", "recall", "hit_rate", "P", "success"])
def test_set_metrics_need_a_cutoff(name: str) -> None:
    """Over the whole list they do not depend on the ranking."""
    with pytest.raises(UsageError, match=r"needs a cutoff: write \w+@10"):
        Metric.parse(name)


@pytest.mark.parametrize(
    ("field", "known"),
    [("gain", "linear"), ("discount", "log2"), ("empty", "skip"), ("ties", "pessimistic")],
)
def test_unknown_conventions_are_usage_errors(field: str, known: str) -> None:
    """Each lists the known ones."""
    with pytest.raises(UsageError, match=f"unknown .*'nonsense'.*{known}"):
        Metric.parse("ndcg@10", **{field: "nonsense"})


@pytest.mark.parametrize("name", METRICS)
@pytest.mark.parametrize(("empty", "value"), [("zero", 0.0), ("one", 1.0), ("skip", math.nan)])
def test_a_query_without_relevant_documents_counts_by_empty(name: str, empty: str, value: float) -> None:
    """For every metric; the other queries keep their value, and skipped ones do not enter the mean."""
    metric = Metric(name, 1, empty=empty)
    data, scores = dataset([0, 0], [1, 0], [0]), np.array([1, 2, 2, 1, 5], np.float32)
    full = metric.per_query(scores[2:4], dataset([1, 0]))[0]
    assert full == (1 / 16 if name == "err" else 1.0)
    np.testing.assert_array_equal(metric.per_query(scores, data), [value, full, value])
    expected = full if empty == "skip" else (2 * value + full) / 3
    assert metric.mean(scores, data) == pytest.approx(expected, abs=1e-15)


def test_mean_is_weighted_by_query() -> None:
    """Query weights 3 and 1, of values 1 and 1/2; a skipped query's weight does not count."""
    data = dataset([1, 0], [0, 1], [0, 0], weights=np.array([3, 1, 100], np.float32))
    scores = np.array([2, 1, 2, 1, 2, 1], np.float32)
    assert Metric("mrr", empty="skip").mean(scores, data) == (3 * 1 + 1 * 1 / 2) / 4
    assert Metric("mrr").mean(scores, data) == pytest.approx((3 * 1 + 1 * 1 / 2) / 104, abs=1e-15)


def test_no_query_left_is_an_error() -> None:
    """A mean of nothing has no value; the values of each query are still NaN."""
    metric = Metric("ndcg", 10, empty="skip")
    data = dataset([0, 0], [0])
    assert np.isnan(metric.per_query(np.zeros(3), data)).all()
    with pytest.raises(DataError, match=r'ndcg@10: no query is left .* of 2, 0 count with empty="skip"'):
        metric.mean(np.zeros(3), data)
    weightless = dataset([1], [1], weights=np.zeros(2, np.float32))
    with pytest.raises(DataError, match="weights add up to 0"):
        Metric("mrr").mean(np.zeros(2), weightless)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_scores_that_are_not_finite_name_their_query(bad: float) -> None:
    """And the place in its list."""
    with pytest.raises(DataError, match=r"query 'q1', document 2 of its list has the score -?(nan|inf)"):
        Metric("ndcg", 10).mean(np.array([1, 2, 3, bad]), dataset([1, 0], [1, 0]))


@pytest.mark.parametrize("shape", [(3,), (5,), (4, 1), ()])
def test_scores_of_another_shape_are_refused(shape: tuple[int, ...]) -> None:
    """One score a document."""
    with pytest.raises(
        DataError, match=r"one score for each of the 4 documents of 2 queries, got an array of"
    ):
        Metric("ndcg", 10).mean(np.zeros(shape), dataset([1, 0], [1, 0]))


def test_too_few_scores_name_the_query_they_end_in() -> None:
    """So that the reader sees where the lists went apart."""
    with pytest.raises(DataError, match=r"they end in query 'q1'"):
        Metric("ndcg", 10).mean(np.zeros(3), dataset([1, 0], [1, 0]))


def test_labels_above_31_are_refused_by_exponential_gain_alone() -> None:
    """Binary metrics and linear gain do not care."""
    data, scores = dataset([40, 0]), np.array([2.0, 1.0])
    with pytest.raises(DataError, match="choose the linear gain"):
        Metric("ndcg", 10).mean(scores, data)
    assert Metric("ndcg", 10, gain="linear").mean(scores, data) == 1.0
    assert Metric("map").mean(scores, data) == 1.0


def test_a_gain_that_rounds_to_zero_counts_as_empty() -> None:
    """2^y - 1 of a tiny label is 0 in float64, and 0/0 would be no number."""
    assert Metric("ndcg", empty="one").mean(np.zeros(1), dataset([1e-20])) == 1.0


@pytest.mark.parametrize("name", METRICS)
def test_the_evaluator_gives_the_same_as_the_metric_again_and_again(name: str) -> None:
    """What it keeps depends on labels alone, and no call changes it."""
    rng = np.random.default_rng(1)
    data = dataset(*(rng.integers(0, 4, size).tolist() for size in (1, 5, 40)))
    metric = Metric(name, 4)
    evaluate = metric.evaluator(data)
    for _ in range(3):
        scores = rng.integers(0, 6, 46).astype(np.float64)
        before = scores.copy()
        assert evaluate(scores) == metric.mean(scores, data)
        assert np.array_equal(scores, before)
        assert evaluate(scores.astype(np.float32)) == evaluate(scores)


def test_scores_are_compared_in_their_own_precision() -> None:
    """What float64 tells apart, float32 ties."""
    scores = np.array([1.0 + 1e-12, 1.0])
    assert Metric("mrr").mean(scores, dataset([0, 1])) == 1 / 2
    assert Metric("mrr").mean(scores.astype(np.float32), dataset([0, 1])) == (1 / 1 + 1 / 2) / 2


@pytest.mark.parametrize("kind", ["list", "int", "strided", "read-only", "big-endian"])
def test_scores_come_in_any_memory(kind: str) -> None:
    """Lists, integers, columns of a matrix, read-only and foreign byte order."""
    scores: Any = {
        "list": [3, 1, 2],
        "int": np.array([3, 1, 2]),
        "strided": np.array([[3, 0], [1, 0], [2, 0]], np.float32)[:, 0],
        "read-only": np.array([3, 1, 2], np.float32),
        "big-endian": np.array([3, 1, 2], ">f4"),
    }[kind]
    if kind == "read-only":
        scores.flags.writeable = False
    assert Metric("mrr").mean(scores, dataset([0, 0, 1])) == 1 / 2


def test_conventions_state_what_the_number_means() -> None:
    """The choices made and the rules that are fixed; gain only where one is used."""
    stated = Metric.parse("ndcg@10", gain="linear", empty="skip", ties="file").conventions()
    assert stated == {
        "metric": "ndcg@10",
        "name": "ndcg",
        "k": 10,
        "gain": "linear",
        "discount": "log2",
        "relevant": "label > 0",
        "empty": "skip",
        "ties": "file",
        "mean": "over queries, by query weight where given",
    }
    assert "gain" not in Metric("map").conventions()
    assert Metric("err").conventions()["err_max_grade"] == "4, or the largest label where one is larger"


def test_a_gain_and_a_discount_may_be_tables_or_functions() -> None:
    """Labels 2, 0, 1 in this order, worth 10, 0, 1; ranks worth 1, 1/2, 1/4: (10 + 1/4) / (10 + 1/2)."""
    data, scores = dataset([2, 0, 1]), np.array([3.0, 2.0, 1.0])
    tables = Metric("ndcg", gain=[0, 1, 10], discount=[1, 0.5, 0.25])
    functions = Metric("ndcg", gain=lambda y: y * (4 * y - 3), discount=lambda r: 0.5 ** (r - 1))
    for metric in (tables, functions):
        assert metric.mean(scores, data) == pytest.approx(10.25 / 10.5, abs=1e-12)
    assert tables.conventions()["gain"] == [0, 1, 10]
    assert tables == Metric("ndcg", gain=(0, 1, 10), discount=(1, 0.5, 0.25))
    with pytest.raises(UsageError, match="must not rise with the rank"):
        Metric("ndcg", discount=[0.5, 1])


def test_check_refuses_labels_the_metric_cannot_take() -> None:
    data = dataset([0, 100])
    for fine in (Metric("ndcg", gain="linear"), Metric("map")):
        fine.check(data)
    for name, message in (("ndcg", "linear gain"), ("err", "another metric")):
        with pytest.raises(DataError, match=message):
            Metric(name).check(data)
