"""nDCG over a collection: by hand, and equal to the metric of judged lists."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from ranking.data.dataset import RankingDataset
from ranking.errors import DataError
from ranking.metrics import Metric
from ranking.retrieval.candidates import Candidates
from ranking.retrieval.judgments import Judgments, ndcg


def judged(*triples: tuple[int, int, float]) -> Judgments:
    queries, documents, grades = (np.array(column) for column in zip(*triples, strict=True))
    return Judgments(queries, documents, grades.astype(np.float32))


def found(*rows: list[int]) -> Candidates:
    return Candidates(np.array(rows, np.int64), np.zeros((len(rows), len(rows[0])), np.float32))


def test_the_ideal_is_over_all_that_is_judged() -> None:
    """Grades 2 and 1, of which only the 1 is found, second: (1 / log2 3) / (2 + 1 / log2 3)."""
    values = ndcg(found([5, 8, -1]), judged((0, 8, 1), (0, 9, 2), (0, 5, 0)))
    np.testing.assert_allclose(values, [(1 / np.log2(3)) / (2 + 1 / np.log2(3))])


def test_a_query_without_a_relevant_document_is_skipped_and_one_that_finds_nothing_is_zero() -> None:
    values = ndcg(found([1, 2], [1, 2], [-1, -1]), judged((0, 1, 0), (2, 1, 1)))
    np.testing.assert_array_equal(values, [np.nan, np.nan, 0.0])


@pytest.mark.parametrize("rule", ["linear", "exponential"])
@pytest.mark.parametrize("k", [1, 5, 10])
def test_it_is_the_metric_of_judged_lists_where_every_document_is_judged(rule: str, k: int) -> None:
    rng = np.random.default_rng(k)
    grades = rng.integers(4, size=(30, 15)) * (rng.random((30, 15)) < 0.3)
    order = np.argsort(rng.random((30, 15)), axis=1)
    data = RankingDataset(
        features=np.zeros((450, 1), np.float32),
        labels=grades.reshape(-1).astype(np.float32),
        offsets=np.arange(0, 451, 15),
        query_ids=[str(query) for query in range(30)],
    )
    scores = -np.argsort(order, axis=1).reshape(-1).astype(np.float32)
    expected = Metric("ndcg", k, gain=rule, empty="skip").per_query(scores, data)
    pairs = np.divmod(np.arange(450), 15)
    shuffled = rng.permutation(450)
    judgments = Judgments(pairs[0][shuffled], pairs[1][shuffled], data.labels[shuffled])
    np.testing.assert_allclose(ndcg(found(*order.tolist()), judgments, k, rule), expected)


def test_judgments_of_queries_beyond_those_asked_change_nothing() -> None:
    judgments = judged((0, 1, 1), (7, 1, 1))
    np.testing.assert_array_equal(ndcg(found([1]), judgments), [1.0])


@pytest.mark.parametrize(
    ("triples", "message"),
    [
        (([0, 1], [0], [1]), "three arrays of one length"),
        (([-1], [0], [1]), "from 0, got one below"),
        (([0], [0], [np.nan]), "finite"),
        (([0, 0], [3, 3], [1, 0]), "judged twice"),
    ],
)
def test_judgments_that_cannot_be_are_refused(triples: Any, message: str) -> None:
    queries, documents, grades = triples
    with pytest.raises(DataError, match=message):
        Judgments(np.array(queries), np.array(documents), np.array(grades, np.float32))
