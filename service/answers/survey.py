"""What a matrix of features lacks and what lies outside the range of training, in one pass."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ranking.compiled.jit import compiled
from ranking.compiled.warming import warms
from ranking.data.arrays import Float32, Int64

_INFINITE = np.float32(np.inf)


class Survey(NamedTuple):
    """Candidates that lack each feature and that lie outside its range, int64 [features]."""

    missing: Int64
    outside: Int64
    noted: bool
    """does any candidate either?"""
    infinite: bool


def survey(matrix: Float32, low: Float32, high: Float32) -> Survey:
    """Of float32 [candidates, features], NaN for missing; `low` and `high` float32 [features]."""
    missing, outside = np.zeros((2, matrix.shape[1]), np.int64)
    return Survey(missing, outside, *_count(matrix, low, high, missing, outside))


@compiled
def _count(matrix: Float32, low: Float32, high: Float32, missing: Int64, outside: Int64) -> tuple[bool, bool]:
    infinite = False
    for row in range(len(matrix)):
        values = matrix[row]
        some = np.int32(0)
        # Without a branch, so that several columns are counted at once.
        for column in range(len(values)):
            value = values[column]
            missing[column] += np.int32(value != value)
            outside[column] += np.int32((value < low[column]) | (value > high[column]))
            some |= np.int32(abs(value) == _INFINITE)
        infinite |= some != 0
    noted = False
    for column in range(len(missing)):
        noted |= (missing[column] | outside[column]) != 0
    return noted, infinite


def _survey_one() -> None:
    row = np.zeros((1, 1), np.float32)
    survey(row, row[0], row[0])
    row.setflags(write=False)
    survey(row, row[0].copy(), row[0].copy())


SURVEY = warms("survey of features", _survey_one)
