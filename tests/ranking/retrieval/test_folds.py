"""Folds keep together what shares a relevant document."""

from __future__ import annotations

import numpy as np
import pytest

from ranking.errors import UsageError
from ranking.retrieval.folds import grouped_folds, random_folds
from ranking.retrieval.judgments import Judgments


def drawn(seed: int, queries: int = 60, documents: int = 80) -> Judgments:
    rng = np.random.default_rng(seed)
    pairs = np.unique(rng.integers((queries, documents), size=(70, 2)), axis=0)
    return Judgments(pairs[:, 0], pairs[:, 1], rng.integers(2, size=len(pairs)).astype(np.float32))


@pytest.mark.parametrize("seed", range(5))
def test_no_relevant_document_is_in_two_folds(seed: int) -> None:
    judgments = drawn(seed)
    fold = grouped_folds(judgments, 60, 5, seed)
    relevant = judgments.relevant
    assert all(
        len(set(fold[relevant.queries[relevant.documents == one]])) == 1 for one in set(relevant.documents)
    )
    sizes = np.bincount(fold, minlength=5)
    assert sizes.sum() == 60
    assert sizes.max() - sizes.min() <= 2


def test_a_chain_is_one_group_and_grades_of_zero_bind_nothing() -> None:
    judgments = Judgments(
        np.array([0, 1, 1, 2, 3, 4]), np.array([7, 7, 8, 8, 9, 9]), np.array([1, 1, 2, 1, 0, 1], np.float32)
    )
    for seed in range(5):
        fold = grouped_folds(judgments, 6, 2, seed)
        assert fold[0] == fold[1] == fold[2]
        assert sorted(np.bincount(fold)) == [3, 3]
    assert len({tuple(grouped_folds(judgments, 6, 3, seed)) for seed in range(20)}) > 1


def test_random_folds_are_even_and_of_their_seed() -> None:
    fold = random_folds(23, 4, seed=1)
    assert sorted(np.bincount(fold)) == [5, 6, 6, 6]
    assert (fold == random_folds(23, 4, seed=1)).all()
    assert (fold != random_folds(23, 4, seed=2)).any()


@pytest.mark.parametrize("folds", [1, 24])
def test_folds_that_cannot_be_are_refused(folds: int) -> None:
    with pytest.raises(UsageError, match=f"2 folds or more, and a query for each, got {folds} of 23"):
        random_folds(23, folds)
