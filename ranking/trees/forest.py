"""Trees as plain arrays: what a checked model says, whichever library wrote it.

A tree of n leaves has n − 1 splits. A split sends a row to the left where `x <= threshold`; a child c >= 0 is
split c of the same tree, a child c < 0 is its leaf −c − 1. Both libraries' own rules come down to this:

LightGBM  compares doubles, and rows are float32: each threshold is the largest float32 that is not above it,
          which lets the same rows through.
XGBoost   has `x < threshold` on float32: the next float32 below it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

NAN_IS_ZERO, ZERO_IS_MISSING, NAN_IS_MISSING, IN_SET_LEFT, IN_SET_RIGHT = range(5)
"""A split's rule: LightGBM's kinds of missing value (None, Zero, NaN; XGBoost's is the last), and categories.

IN_SET_LEFT is LightGBM's: whole part in the set goes left, all else, missing too, right. IN_SET_RIGHT is
XGBoost's: in the set goes right, all else left, missing by default.
"""

ZERO = np.float32(1e-35)
"""LightGBM's kZeroThreshold: what is no larger it takes for 0, in every matrix that it scores."""


@dataclass(frozen=True, eq=False)
class Forest:
    """Trees in their order, splits and leaves of all of them one after the other.

    feature_count   width of a row
    first_split     int64 [trees + 1]: where each tree's splits begin
    first_leaf      int64 [trees + 1]
    feature         int32 [splits]
    threshold       float32 [splits]; of a categorical split, the number of its set
    rule            uint8 [splits]
    default_left    bool [splits]: where a missing value goes
    left, right     int32 [splits]
    sets            categories of each categorical split, int64
    value           float64 or float32 [leaves]: in which dtype scores are summed, in tree order
    split_cover, leaf_cover     float64: weight of the training rows that came by
    gain            float64 [splits]
    rounds          of boosting: XGBoost may grow several trees in one
    base            what every score starts from
    tiny_is_zero    is what is no larger than ZERO, of either sign, taken for 0 before any split?
    average         are scores the mean of the trees, not the sum?
    """

    feature_count: int
    first_split: Array
    first_leaf: Array
    feature: Array
    threshold: Array
    rule: Array
    default_left: Array
    left: Array
    right: Array
    sets: Sequence[Array]
    value: Array
    split_cover: Array
    leaf_cover: Array
    gain: Array
    rounds: int
    base: float = 0.0
    tiny_is_zero: bool = False
    average: bool = False

    @property
    def tree_count(self) -> int:
        return len(self.first_leaf) - 1

    def importance(self) -> npt.NDArray[np.float64]:
        """Total gain of the splits on each feature, float64 [features]."""
        return np.bincount(self.feature, self.gain, self.feature_count).astype(np.float64, copy=False)


@dataclass(frozen=True)
class Tree:
    """One tree's part of a Forest."""

    feature: Array
    threshold: Array
    rule: Array
    default_left: Array
    left: Array
    right: Array
    sets: Sequence[Array]
    value: Array
    split_cover: Array
    leaf_cover: Array
    gain: Array


def joined(
    trees: Sequence[Tree],
    feature_count: int,
    *,
    rounds: int,
    base: float = 0.0,
    tiny_is_zero: bool = False,
    average: bool = False,
) -> Forest:
    """The trees as one Forest; numbers of sets are shifted to count over all trees."""

    def column(name: str, dtype: Any) -> Array:
        return np.concatenate([getattr(tree, name) for tree in trees]).astype(dtype, copy=False)

    sets_before = np.cumsum([0, *(len(tree.sets) for tree in trees)])
    threshold = np.concatenate(
        [
            np.where(tree.rule >= IN_SET_LEFT, tree.threshold + np.float32(before), tree.threshold)
            for tree, before in zip(trees, sets_before[:-1], strict=True)
        ]
    )
    return Forest(
        feature_count=feature_count,
        first_split=np.cumsum([0, *(len(tree.feature) for tree in trees)], dtype=np.int64),
        first_leaf=np.cumsum([0, *(len(tree.value) for tree in trees)], dtype=np.int64),
        feature=column("feature", np.int32),
        threshold=threshold.astype(np.float32),
        rule=column("rule", np.uint8),
        default_left=column("default_left", np.bool_),
        left=column("left", np.int32),
        right=column("right", np.int32),
        sets=[one for tree in trees for one in tree.sets],
        value=column("value", trees[0].value.dtype),
        split_cover=column("split_cover", np.float64),
        leaf_cover=column("leaf_cover", np.float64),
        gain=column("gain", np.float64),
        rounds=rounds,
        base=base,
        tiny_is_zero=tiny_is_zero,
        average=average,
    )


def not_above(thresholds: Array) -> npt.NDArray[np.float32]:
    """For each float64 the largest float32 that is not above it."""
    with np.errstate(over="ignore"):
        near = thresholds.astype(np.float32)
        lower = np.nextafter(near, np.float32(-np.inf))
    return np.where(near > thresholds, lower, near).astype(np.float32)


def below(thresholds: Array) -> npt.NDArray[np.float32]:
    """For each float32 the next one below it."""
    with np.errstate(over="ignore"):
        return np.nextafter(thresholds.astype(np.float32), np.float32(-np.inf))
