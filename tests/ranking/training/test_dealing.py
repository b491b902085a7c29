"""Queries are dealt evenly, and what is one query stays in one fold."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ranking.data.dataset import RankingDataset
from ranking.errors import DataError
from ranking.training.dealing import dealt_queries, pooled
from tests.lists import one_list, random_lists

LISTS = random_lists(queries=41, seed=1)


def test_folds_are_even_and_drawn_by_the_seed() -> None:
    fold = dealt_queries(LISTS, 4, 7)
    assert sorted(np.bincount(fold).tolist()) == [10, 10, 10, 11]
    np.testing.assert_array_equal(fold, dealt_queries(LISTS, 4, 7))
    assert (fold != dealt_queries(LISTS, 4, 8)).any()


def test_every_fold_has_its_share_of_queries_with_a_relevant_document() -> None:
    """Nine of 41: a fold without any could stop nothing."""
    labels = np.where(np.repeat(np.arange(41) < 9, LISTS.sizes), np.maximum(LISTS.labels, 1), 0)
    fold = dealt_queries(replace(LISTS, labels=labels.astype(np.float32)), 4, 3)
    assert sorted(np.bincount(fold[:9]).tolist()) == [2, 2, 2, 3]
    assert sorted(np.bincount(fold).tolist()) == [10, 10, 10, 11]


def test_a_query_that_stands_twice_is_in_one_fold() -> None:
    """Under its id in both files, with the same documents in another order, and by way of a third."""
    turned = [
        replace(one, features=one.features[::-1], labels=one.labels[::-1], query_ids=[name])
        for one, name in ((LISTS.queries([q]), name) for q, name in enumerate(["a", "b", "q7", "q20"]))
    ]
    other = RankingDataset.concatenate([*turned, replace(random_lists(1, seed=5), query_ids=["q9"])])
    data = pooled(LISTS, other)
    for seed in range(20):
        fold = dealt_queries(data, 4, seed)
        assert [fold[q] for q in range(4)] == [fold[41 + q] for q in range(4)]
        assert fold[2] == fold[7]
        assert fold[3] == fold[20]
        assert fold[9] == fold[45]
        assert np.ptp(np.bincount(fold)) <= 1


def test_both_files_may_number_their_own_queries() -> None:
    data = pooled(LISTS, random_lists(queries=41, seed=2))
    assert len(set(data.query_ids)) == 82
    fold = dealt_queries(data, 4, 1)
    np.testing.assert_array_equal(fold[:41], fold[41:])


def query(labels: list[int], number: int, name: str) -> RankingDataset:
    features = np.full((len(labels), 1), number, np.float32)
    return replace(one_list(labels), features=features, query_ids=[f"{name}{number}"])


def test_too_few_queries_to_learn_from_are_refused_with_the_reason() -> None:
    few = RankingDataset.concatenate(
        [query([1, 0], n, "relevant") for n in range(7)] + [query([0, 0], n, "none") for n in range(9)]
    )
    with pytest.raises(DataError, match=r"7 different queries have a relevant .* needs 8: .* standard"):
        dealt_queries(few, 4, 1)
    assert len(dealt_queries(few, 3, 1)) == 16


def test_copies_of_a_query_count_once() -> None:
    copies = RankingDataset.concatenate([replace(one_list([1, 0]), query_ids=[f"{q}"]) for q in range(30)])
    with pytest.raises(DataError, match="1 different queries have"):
        dealt_queries(copies, 4, 1)
