"""The best of some scores, with ties."""

from __future__ import annotations

import numpy as np
import pytest

from ranking.errors import UsageError
from ranking.retrieval.candidates import Candidates, best


@pytest.mark.parametrize("depth", [1, 2, 7, 39, 40, 100])
def test_the_best_are_those_of_a_full_sort_by_score_and_place(depth: int) -> None:
    rng = np.random.default_rng(depth)
    for values in (1, 2, 5, 1000):
        scores = rng.integers(values, size=40).astype(np.float32)
        expected = np.lexsort((np.arange(40), -scores))[:depth]
        np.testing.assert_array_equal(best(scores, depth), expected)


def test_what_is_not_found_is_padding() -> None:
    found = Candidates.empty(2, 3)
    found.put(1, np.array([4, 7]), np.array([0.5, 2.0], np.float32))
    assert found.rows.tolist() == [[-1, -1, -1], [7, 4, -1]]
    assert found.scores.tolist() == [[-np.inf] * 3, [2.0, 0.5, -np.inf]]


def test_a_search_goes_one_deep_at_least() -> None:
    with pytest.raises(UsageError, match="at least 1, got 0"):
        Candidates.empty(1, 0)
