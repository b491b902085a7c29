"""Rows as bytes: for each split only the number of thresholds below a value counts.

A column is a feature under one rule for missing values, with at most 255 of the thresholds that the forest
compares it with, sorted. A row's code in it is the number of those below the value, so that

    x <= threshold k   if and only if   code <= k

A missing value has the code that sends it where the split says: 0 to the left of every threshold, 255 to the
right of every one; splits that disagree on that are columns of their own. A categorical split is a column
whose code is 0 for left and 255 for right.

Values are compared as integers: the bits of a float32, the magnitude's turned over where it is negative, are
in the order of the numbers, and nothing depends on how a processor treats denormal ones.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ranking.trees.forest import IN_SET_LEFT, NAN_IS_ZERO, ZERO, Array, Forest

MOST_KEYS = 255
"""Thresholds of a column: a code is a byte."""

PIVOTS = 16
"""Keys compared at once: first with every 16th, then with those between two of them."""

_LAST = np.int32(2**31 - 1)


class Columns(NamedTuple):
    """What a row is turned into codes by.

    The column of each split, and which threshold of it is its own, are what the kernels compare.
    """

    feature: Any
    """int32 [columns]"""
    rule: Any
    """uint8 [columns]"""
    missing: Any
    """uint8 [columns]: the code of a missing value"""
    count: Any
    """int32 [columns]: thresholds, or of a categorical column the number of its set"""
    pivots: Any
    """int32 [columns × PIVOTS]: the 16th, 32nd … key"""
    key_starts: Any
    """int64 [columns + 1]"""
    keys: Any
    """int32: each column's sorted thresholds, filled up to a multiple of 16 with the largest integer"""
    set_starts: Any
    """int64 [sets + 1]"""
    set_words: Any
    """uint32: the sets' bits"""
    zero_up_to: Any
    """int: the largest magnitude, as bits, that is taken for 0; −1 for none"""


def keys_of(values: Array) -> Array:
    """The integers, int32, in the order of float32 values; −0 comes just below 0."""
    bits = np.ascontiguousarray(values, np.float32).view(np.int32)
    return np.where(bits < 0, bits ^ np.int32(2**31 - 1), bits)


def columns_of(forest: Forest) -> tuple[Columns, Array, Array]:
    """(columns, column int32 [splits], place uint8 [splits]): split s is `codes[column[s]] <= place[s]`."""
    categorical = forest.rule >= IN_SET_LEFT
    # Where NaN counts as zero nothing is ever missing, and the default says nothing.
    left = ((forest.rule == NAN_IS_ZERO) | forest.default_left) & (forest.rule != IN_SET_LEFT)
    missing = np.where(left, 0, 255).astype(np.int64)
    threshold = keys_of(forest.threshold + np.float32(0)).astype(np.int64)
    order = np.argsort(_packed(forest, missing, threshold))
    numbers = np.stack([forest.feature, forest.rule, missing, threshold])[:, order]
    new_key = np.ones(len(order), np.bool_)
    new_key[1:] = (numbers[:, 1:] != numbers[:, :-1]).any(axis=0)
    new_group = np.ones(len(order), np.bool_)
    new_group[1:] = (numbers[:3, 1:] != numbers[:3, :-1]).any(axis=0)
    new_group |= categorical[order]
    # Number of each distinct key within its group, cut into columns of 255.
    distinct = np.cumsum(new_key | new_group) - 1
    first = np.maximum.accumulate(np.where(new_group, distinct, 0))
    place = distinct - first
    new_column = new_group | ((new_key | new_group) & (place % MOST_KEYS == 0))
    column = np.cumsum(new_column) - 1
    place %= MOST_KEYS

    starts = np.flatnonzero(new_column)
    count = (place[np.append(starts[1:], len(order))[: len(starts)] - 1] + 1).astype(np.int32)
    key_starts = np.append(0, np.cumsum(-(-count // PIVOTS) * PIVOTS)).astype(np.int64)
    keys = np.full(key_starts[-1], _LAST, np.int32)
    keys[key_starts[column] + place] = numbers[3]
    at = key_starts[:-1, None] + PIVOTS * np.arange(1, PIVOTS + 1)
    inside = at < key_starts[1:, None]
    pivots = np.where(inside, keys[np.where(inside, at, 0)] if len(keys) else _LAST, _LAST)
    is_set = categorical[order][starts]
    count[is_set] = forest.threshold[order][starts][is_set].astype(np.int32)
    set_starts, set_words = _bits(forest)
    found = Columns(
        feature=numbers[0, starts].astype(np.int32),
        rule=numbers[1, starts].astype(np.uint8),
        missing=numbers[2, starts].astype(np.uint8),
        count=count,
        pivots=pivots.astype(np.int32).ravel(),
        key_starts=key_starts,
        keys=keys,
        set_starts=set_starts,
        set_words=set_words,
        zero_up_to=int(ZERO.view(np.int32)) if forest.tiny_is_zero else -1,
    )
    column_of_split, place_of_split = np.empty(len(order), np.int32), np.empty(len(order), np.uint8)
    column_of_split[order], place_of_split[order] = column, np.where(categorical[order], 0, place)
    return found, column_of_split, place_of_split


def _packed(forest: Forest, missing: Array, threshold: Array) -> Array:
    """uint64 [splits], in the order of feature, rule, missing and threshold: one is sorted faster than four.

    28 bits of it are the feature's, of which there are never that many.
    """
    by_feature = (forest.feature.astype(np.uint64) << np.uint64(3)) | forest.rule
    by_missing = (by_feature << np.uint64(1)) | (missing > 0)
    return (by_missing << np.uint64(32)) | (threshold + 2**31).astype(np.uint64)


def _bits(forest: Forest) -> tuple[Array, Array]:
    """The sets of categories as bits of 32-bit words."""
    words = [np.zeros(int(one.max(initial=-1)) // 32 + 1, np.uint32) for one in forest.sets]
    for one, bits in zip(forest.sets, words, strict=True):
        np.bitwise_or.at(bits, one // 32, np.uint32(1) << (one % 32).astype(np.uint32))
    starts = np.cumsum([0, *(len(bits) for bits in words)]).astype(np.int64)
    return starts, np.concatenate([*words, np.zeros(0, np.uint32)])
