"""The head of a list: chosen and sorted as a full stable sort would."""

from __future__ import annotations

import numpy as np
import pytest

from ranking.metrics.kernels import head, nth_largest


def _head(scores: np.ndarray, top: int) -> tuple[np.ndarray, np.ndarray]:
    size = len(scores)
    keys, spare_keys = np.empty(size, scores.dtype), np.empty(size, scores.dtype)
    rows, spare_rows = np.empty(size), np.empty(size)
    count = head(scores, np.arange(size, dtype=np.float64), top, keys, rows, spare_keys, spare_rows)
    return keys[:count], rows[:count].astype(int)


@pytest.mark.parametrize("levels", [1, 3, 50, 10**6])
@pytest.mark.parametrize("size", [1, 2, 16, 17, 33, 100, 1000])
def test_the_head_starts_as_the_stable_sort_and_holds_the_last_tie(size: int, levels: int) -> None:
    """At every kind of cutoff, from few distinct scores to none equal."""
    rng = np.random.default_rng(5)
    scores = rng.integers(0, levels, size).astype(np.float64)
    order = np.argsort(-scores, kind="stable")
    for top in {1, min(3, size), size // 5 or 1, (size + 1) // 2, size}:
        keys, rows = _head(scores, top)
        tied = int((scores >= scores[order[top - 1]]).sum())
        assert len(rows) >= tied
        assert rows.tolist() == order[: len(rows)].tolist()
        assert keys.tolist() == scores[order[: len(rows)]].tolist()


@pytest.mark.parametrize("arrange", ["rising", "falling", "random"])
def test_nth_largest_is_the_score_at_that_rank(arrange: str) -> None:
    """Whatever order the scores come in."""
    scores = np.arange(200.0) // 3
    if arrange == "falling":
        scores = scores[::-1].copy()
    if arrange == "random":
        scores = np.random.default_rng(6).permutation(scores)
    for top in (1, 2, 7, 50, 200):
        assert nth_largest(scores, top, np.empty(200)) == np.sort(scores)[::-1][top - 1]
