"""What a matrix lacks and what lies outside, counted as NumPy counts it."""

from __future__ import annotations

import numpy as np
import pytest

from service.answers.survey import survey


@pytest.mark.parametrize("shape", [(1, 1), (3, 5), (100, 136)])
@pytest.mark.parametrize("writable", [True, False])
def test_counts_are_those_of_numpy(shape: tuple[int, int], writable: bool) -> None:
    generator = np.random.default_rng(0)
    matrix = generator.normal(size=shape).astype(np.float32)
    matrix[generator.random(shape) < 0.2] = np.nan
    low, high = np.sort(generator.normal(size=(2, shape[1])), axis=0).astype(np.float32)
    matrix.setflags(write=writable)
    found = survey(matrix, low, high)
    assert np.array_equal(found.missing, np.isnan(matrix).sum(axis=0))
    assert np.array_equal(found.outside, ((matrix < low) | (matrix > high)).sum(axis=0))
    assert found.noted == bool(found.missing.any() or found.outside.any())
    assert not found.infinite


def test_an_infinite_value_is_seen_and_limits_that_are_infinite_limit_nothing() -> None:
    matrix = np.array([[1, 2], [-np.inf, 3]], np.float32)
    ends = np.full(2, np.inf, np.float32)
    found = survey(matrix, -ends, ends)
    assert found.infinite
    assert not found.noted
