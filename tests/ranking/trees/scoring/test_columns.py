"""Columns: each split becomes a column and a place in it, as a plain grouping of the splits finds them."""

from itertools import groupby, pairwise
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from ranking.trees.forest import IN_SET_LEFT, IN_SET_RIGHT, NAN_IS_ZERO, Array
from ranking.trees.scoring.columns import MOST_KEYS, columns_of, keys_of


def splits(seed: int, count: int, thresholds: int, categorical: float) -> Any:
    """Splits of three features under every rule; thresholds repeat, some are infinite, some a zero."""
    draw = np.random.default_rng(seed)
    pool = (draw.normal(size=thresholds) * 10.0 ** draw.integers(-40, 38, thresholds)).astype(np.float32)
    pool[:3] = np.inf, -0.0, 0.0
    is_set = draw.random(count) < categorical
    threshold = draw.choice(pool, count)
    threshold[is_set] = np.arange(is_set.sum())
    return SimpleNamespace(
        feature=draw.integers(0, 3, count).astype(np.int32),
        rule=np.where(
            is_set, draw.integers(IN_SET_LEFT, IN_SET_RIGHT + 1), draw.integers(0, 3, count)
        ).astype(np.uint8),
        default_left=draw.random(count) < 0.5,
        threshold=threshold,
        sets=[draw.integers(0, 200, draw.integers(0, 20)) for _ in range(is_set.sum())],
        tiny_is_zero=bool(draw.integers(2)),
    )


def grouped(forest: Any) -> list[tuple[tuple[int, int, int], list[int], list[list[int]]]]:
    """(feature, rule and missing, keys in order, the splits of each key) of each column, by plain Python."""
    left = ((forest.rule == NAN_IS_ZERO) | forest.default_left) & (forest.rule != IN_SET_LEFT)
    missing = np.where(left, 0, 255)
    told = zip(forest.feature, forest.rule, missing, keys_of(forest.threshold + np.float32(0)), strict=True)
    rows = sorted((*map(int, one), number) for number, one in enumerate(told))
    found = []
    for what, group in groupby(rows, key=lambda row: row[:3]):
        keys = [(key, [row[4] for row in same]) for key, same in groupby(group, key=lambda row: row[3])]
        size = 1 if what[1] >= IN_SET_LEFT else MOST_KEYS
        for at in range(0, len(keys), size):
            part = keys[at : at + size]
            found.append((what, [key for key, _ in part], [numbers for _, numbers in part]))
    return found


@pytest.mark.parametrize("seed", range(20))
def test_columns_are_those_of_a_plain_grouping(seed: int) -> None:
    forest = splits(seed, [0, 1, 40, 3000][seed % 4], [5, 2000][seed // 4 % 2], [0.0, 0.2][seed // 8 % 2])
    columns, column, place = columns_of(forest)
    expected = grouped(forest)
    assert len(columns.feature) == len(expected)
    for number, (what, keys, numbers) in enumerate(expected):
        assert (columns.feature[number], columns.rule[number], columns.missing[number]) == what
        begin, end = columns.key_starts[number : number + 2]
        assert end - begin == -(-len(keys) // 16) * 16
        assert columns.keys[begin:end].tolist() == keys + [2**31 - 1] * (end - begin - len(keys))
        for where, same in enumerate(numbers):
            assert (column[same] == number).all()
            assert (place[same] == where).all()
        if what[1] >= IN_SET_LEFT:
            assert columns.count[number] == forest.threshold[numbers[0][0]]
        else:
            assert columns.count[number] == len(keys)
    _check_sets(forest.sets, columns.set_starts, columns.set_words)


def _check_sets(sets: list[Array], starts: Array, words: Array) -> None:
    for one, (a, b) in zip(sets, pairwise(starts), strict=True):
        bits = np.unpackbits(words[a:b].view(np.uint8), bitorder="little")
        assert np.flatnonzero(bits).tolist() == sorted(set(one.tolist()))
