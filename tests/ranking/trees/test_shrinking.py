"""Fewer trees: which stay, and what each number of them scores."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ranking.errors import UsageError
from ranking.trees.merging import merged, of_trees
from ranking.trees.shrinking import cut_order, kept_of, scores_by_trees, shrunk
from tests.ranking.models.small import ranker_of, rows
from tests.ranking.trees.merging.members import FORMS, pair

SCALES = (0.7, 2.5)


def test_members_are_cut_together() -> None:
    """Of members of 2 and 4 trees (0, 1 and 2 to 5): the middles are 1/4, 3/4 and 1/8, 3/8, 5/8, 7/8."""
    assert cut_order([2, 4]).tolist() == [2, 0, 3, 4, 1, 5]
    assert [kept_of([2, 4], trees) for trees in (1, 3, 6)] == [(0, 1), (1, 2), (2, 4)]


def test_one_model_keeps_its_first_trees() -> None:
    assert cut_order([5]).tolist() == [0, 1, 2, 3, 4]


@given(st.lists(st.integers(0, 40), min_size=1, max_size=5).filter(any), st.data())
def test_each_member_keeps_its_share(members: list[int], data: st.DataObject) -> None:
    trees = data.draw(st.integers(1, sum(members)))
    kept = kept_of(members, trees)
    assert sum(kept) == trees
    share = trees / sum(members)
    assert all(abs(n - share * size) <= 1 + len(members) / 2 for n, size in zip(kept, members, strict=True))
    order, starts = cut_order(members), np.cumsum([0, *members])
    for n, start in zip(kept, starts, strict=False):
        assert set(range(start, start + n)) <= set(order[:trees].tolist())


@pytest.mark.parametrize(("kind", "form"), FORMS)
def test_scores_by_trees_are_those_of_the_models_cut_so(kind: str, form: str) -> None:
    whole = merged(pair(kind, form), SCALES)
    total = whole.evaluator.forest.tree_count
    counts = sorted({1, total - 1, total} - {0})
    sizes = [member.evaluator.forest.tree_count for member in pair(kind, form)]
    for trees, scores in zip(counts, scores_by_trees(whole, rows(), counts, sizes), strict=True):
        expected = shrunk(whole, trees, sizes).score(rows())
        assert scores.dtype == np.float32
        np.testing.assert_allclose(scores, expected, rtol=1e-6, atol=1e-5)


@pytest.mark.parametrize(("kind", "form"), FORMS)
def test_those_of_one_model_are_its_own_to_the_bit(kind: str, form: str) -> None:
    one = pair(kind, form)[0]
    counts = range(1, one.evaluator.forest.tree_count + 1)
    for trees, scores in zip(counts, scores_by_trees(one, rows(), counts), strict=True):
        np.testing.assert_array_equal(scores, of_trees(one, range(trees)).score(rows()))


def test_a_shrunk_model_keeps_its_trees_in_their_order() -> None:
    whole = merged(pair("lightgbm", "plain"), SCALES)
    small = shrunk(whole, 4, [3, 3])
    assert small.model == of_trees(whole, [0, 1, 3, 4]).model


@pytest.mark.parametrize("trees", [0, 4, -1])
def test_numbers_of_trees_that_there_are_not_are_refused(trees: int) -> None:
    with pytest.raises(UsageError, match=f"has 3 trees: 1 to 3 can be kept, got {trees}"):
        shrunk(ranker_of("lightgbm"), trees)


@pytest.mark.parametrize("members", [[1, 1], [4, -1], []])
def test_members_that_are_not_the_model_s_are_refused(members: list[int]) -> None:
    with pytest.raises(UsageError, match="expected to be the 3 that the model has"):
        shrunk(ranker_of("xgboost"), 2, members)
