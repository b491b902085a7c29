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

from ranking.compiled.jit import compiled
from ranking.trees.forest import IN_SET_LEFT, NAN_IS_ZERO, ZERO, Array, Forest

MOST_KEYS = 255
"""Thresholds of a column: a code is a byte."""

PIVOTS = 16
"""Keys compared at once: first with every 16th, then with those between two of them."""

_LAST = np.int32(2**31 - 1)
_U7, _U32, _U33, _SET, _LOW = (np.uint64(n) for n in (7, 32, 33, IN_SET_LEFT, 2**32 - 1))
_MIDDLE = 2**31


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
    packed = _packed(forest)
    order = np.argsort(packed)
    splits = len(order)
    sorted_keys = packed[order]
    column, place = np.empty(splits, np.int32), np.empty(splits, np.uint8)
    starts, count = np.empty(splits, np.int64), np.empty(splits, np.int32)
    columns = _cut(sorted_keys, order, column, place, starts, count)
    starts, count = starts[:columns], count[:columns]
    # What a column is stands in the upper half of its first key.
    what = (sorted_keys[starts] >> _U32).astype(np.int64)
    rule = ((what >> 1) & 7).astype(np.uint8)
    key_starts = np.append(0, np.cumsum(-(-count // PIVOTS) * PIVOTS)).astype(np.int64)
    keys = np.full(key_starts[-1], _LAST, np.int32)
    _fill(sorted_keys, starts, count, key_starts, keys)
    at = key_starts[:-1, None] + PIVOTS * np.arange(1, PIVOTS + 1)
    inside = at < key_starts[1:, None]
    pivots = np.where(inside, keys[np.where(inside, at, 0)] if len(keys) else _LAST, _LAST)
    is_set = rule >= IN_SET_LEFT
    count[is_set] = forest.threshold[order[starts[is_set]]].astype(np.int32)
    set_starts, set_words = _bits(forest)
    found = Columns(
        feature=(what >> 4).astype(np.int32),
        rule=rule,
        missing=np.where(what & 1, 255, 0).astype(np.uint8),
        count=count,
        pivots=pivots.astype(np.int32).ravel(),
        key_starts=key_starts,
        keys=keys,
        set_starts=set_starts,
        set_words=set_words,
        zero_up_to=int(ZERO.view(np.int32)) if forest.tiny_is_zero else -1,
    )
    return found, column, place


def _packed(forest: Forest) -> Array:
    """uint64 [splits], in the order of feature, rule, missing and threshold: one is sorted faster than four.

    28 bits of it are the feature's, of which there are never that many, 3 the rule's, and 1 says that a
    missing value goes right.
    """
    # Where NaN counts as zero nothing is ever missing, and the default says nothing.
    left = ((forest.rule == NAN_IS_ZERO) | forest.default_left) & (forest.rule != IN_SET_LEFT)
    by_feature = (forest.feature.astype(np.uint64) << np.uint64(3)) | forest.rule
    by_missing = (by_feature << np.uint64(1)) | ~left
    keys = keys_of(forest.threshold + np.float32(0))
    packed: Array = (by_missing << _U32) | (keys.view(np.uint32) ^ np.uint32(1 << 31))
    return packed


@compiled
def _cut(
    packed: Any, order: Any, column: Any, place: Any, starts: Any, count: Any
) -> int:  # pragma: no cover - compiled
    """How many columns these sorted splits make; fills in where each begins and how many keys it has, and the
    column and place of each split, numbered as `order` says.

    Equal splits share a key, 255 keys fill a column; a categorical split is a column of its own.
    """
    columns, keys = -1, 0
    for i in range(len(packed)):
        is_set = (packed[i] >> _U33) & _U7 >= _SET
        if i == 0 or is_set or packed[i] >> _U32 != packed[i - 1] >> _U32:
            fresh, keys = True, 1
        else:
            fresh = packed[i] != packed[i - 1] and keys == MOST_KEYS
            keys = 1 if fresh else keys + (packed[i] != packed[i - 1])
        if fresh:
            columns += 1
            starts[columns] = i
        count[columns] = keys
        column[order[i]], place[order[i]] = columns, keys - 1
    return columns + 1


@compiled
def _fill(
    packed: Any, starts: Any, count: Any, key_starts: Any, keys: Any
) -> None:  # pragma: no cover - compiled
    """Each column's distinct thresholds, as the integers they are compared by."""
    for c in range(len(starts)):
        i, at = starts[c], key_starts[c]
        for k in range(count[c]):
            while k > 0 and np.int64(packed[i] & _LOW) - _MIDDLE == keys[at + k - 1]:
                i += 1
            keys[at + k] = np.int64(packed[i] & _LOW) - _MIDDLE


def _bits(forest: Forest) -> tuple[Array, Array]:
    """The sets of categories as bits of 32-bit words."""
    words = [np.zeros(int(one.max(initial=-1)) // 32 + 1, np.uint32) for one in forest.sets]
    for one, bits in zip(forest.sets, words, strict=True):
        np.bitwise_or.at(bits, one // 32, np.uint32(1) << (one % 32).astype(np.uint32))
    starts = np.cumsum([0, *(len(bits) for bits in words)]).astype(np.int64)
    return starts, np.concatenate([*words, np.zeros(0, np.uint32)])
