"""Few rows: what a word of 64 bits holds is walked, all else goes the other way, to the same scores."""

from __future__ import annotations

from typing import Any

import numpy as np

from ranking.trees.forest import NAN_IS_MISSING, Forest
from ranking.trees.scoring import ForestEvaluator
from ranking.trees.scoring.evaluator import WALKED


def complete_tree(depth: int, features: int = 3) -> Forest:
    """2^depth leaves, each with its number as value; split k tests feature k mod `features`."""
    splits = 2**depth - 1
    rng = np.random.default_rng(5)
    child = 2 * np.arange(splits, dtype=np.int64)
    left, right = child + 1, child + 2
    left[left >= splits], right[right >= splits] = (
        -(left[left >= splits] - splits + 1),
        -(right[right >= splits] - splits + 1),
    )
    return Forest(
        feature_count=features, first_split=np.array([0, splits]), first_leaf=np.array([0, splits + 1]),
        feature=(np.arange(splits) % features).astype(np.int32),
        threshold=rng.normal(size=splits).astype(np.float32),
        rule=np.full(splits, NAN_IS_MISSING, np.uint8), default_left=rng.random(splits) < 0.5,
        left=left.astype(np.int32), right=right.astype(np.int32), sets=[],
        value=np.arange(splits + 1, dtype=np.float64), split_cover=np.ones(splits),
        leaf_cover=np.ones(splits + 1), gain=np.ones(splits), rounds=1,
    )  # fmt: skip


def descended(forest: Forest, rows: Any) -> Any:
    """The values of the leaves that rows come to, by the definition."""
    found = []
    for row in rows:
        node = 0
        while node >= 0:
            value = row[forest.feature[node]]
            left = forest.default_left[node] if np.isnan(value) else value <= forest.threshold[node]
            node = int(forest.left[node] if left else forest.right[node])
        found.append(forest.value[-node - 1])
    return np.array(found)


def some_rows() -> Any:
    rows = np.random.default_rng(6).normal(size=(WALKED, 3)).astype(np.float32)
    rows[1, 0], rows[2], rows[3, 1] = np.nan, [-np.inf, np.inf, np.nan], -0.0
    return rows


def test_a_tree_of_a_thousand_leaves_is_walked() -> None:
    forest, rows = complete_tree(10), some_rows()
    evaluator = ForestEvaluator.of(forest)
    assert evaluator.walk is not None
    np.testing.assert_array_equal(evaluator.score(rows), descended(forest, rows))


def test_a_child_too_far_away_leaves_the_other_way() -> None:
    """In a tree of 2^17 leaves some children are more than 16 bits from their parents."""
    forest, rows = complete_tree(17), some_rows()
    evaluator = ForestEvaluator.of(forest)
    assert evaluator.walk is None
    np.testing.assert_array_equal(evaluator.score(rows), descended(forest, rows))
