"""Gain, discount and stop probability."""

from __future__ import annotations

import math

import numpy as np
import pytest

from ranking.errors import DataError, UsageError
from ranking.metrics import DISCOUNTS, GAINS, discounts, gain
from ranking.metrics.conventions import relevance, stop_probabilities, written


def test_exponential_gain_is_a_power_of_two_less_one() -> None:
    """2^y - 1, for fractional labels too."""
    labels = np.array([0, 1, 2, 4, 31, 0.5], np.float32)
    assert gain(labels, "exponential").tolist() == [0, 1, 3, 15, 2**31 - 1, math.sqrt(2) - 1]


def test_linear_gain_is_the_label_and_takes_any() -> None:
    """Labels above 31 are fine without the power, and the result is a copy."""
    labels = np.array([0.0, 1.5, 1000.0])
    worth = gain(labels, "linear")
    worth[0] = 7.0
    assert labels.tolist() == [0.0, 1.5, 1000.0]
    assert worth.tolist() == [7.0, 1.5, 1000.0]


def test_exponential_gain_refuses_labels_above_31_and_names_the_linear_one() -> None:
    """The message tells the document, its label and both ways out."""
    with pytest.raises(
        DataError, match=r"document 1 .* label 32.* up to 31: choose the linear gain .*, or map"
    ):
        gain(np.array([3, 32], np.float32), "exponential")


def test_discounts_start_at_rank_one() -> None:
    """1/log2(1 + rank) is 1 at the top, 1/2 at rank 3, 1/3 at rank 7."""
    log2 = discounts(7, "log2")
    assert (log2[0], log2[2], log2[6]) == (1.0, 1 / 2, 1 / 3)
    assert log2[1] == pytest.approx(1 / math.log2(3), abs=1e-15)
    assert discounts(4, "reciprocal").tolist() == [1, 1 / 2, 1 / 3, 1 / 4]
    assert discounts(0, "log2").shape == (0,)


@pytest.mark.parametrize("name", GAINS)
def test_gains_are_float64_and_zero_for_label_zero(name: str) -> None:
    """An irrelevant document is worth nothing by any gain."""
    worth = gain(np.zeros(2, np.float32), name)
    assert worth.dtype == np.float64
    assert worth.tolist() == [0.0, 0.0]


@pytest.mark.parametrize("name", DISCOUNTS)
def test_discounts_fall_strictly(name: str) -> None:
    """A lower rank is worth less."""
    assert (np.diff(discounts(100, name)) < 0).all()


def test_unknown_names_list_the_known_ones() -> None:
    """With the nearest first to try."""
    with pytest.raises(UsageError, match=r"unknown gain 'exponental'; did you mean 'exponential'\?.*linear"):
        gain(np.zeros(1), "exponental")
    with pytest.raises(UsageError, match=r"unknown discount 'log'.*log2, reciprocal"):
        discounts(3, "log")


def test_relevance_is_a_label_above_zero() -> None:
    """However small."""
    assert relevance(np.array([0, 0.1, 1, 4], np.float32)).tolist() == [0, 1, 1, 1]


def test_stop_probability_takes_four_as_largest_grade_unless_a_label_is_larger() -> None:
    """(2^y - 1)/2^4 as gdeval, /2^5 where a label is 5."""
    assert stop_probabilities(np.array([0, 1, 4], np.float32)).tolist() == [0, 1 / 16, 15 / 16]
    assert stop_probabilities(np.array([0, 1, 5], np.float32)).tolist() == [0, 1 / 32, 31 / 32]


def test_stop_probabilities_refuse_labels_above_31_without_advising_a_gain_they_do_not_read() -> None:
    with pytest.raises(DataError, match=r"document 1 .* label 32.* whatever the gain.*another metric"):
        stop_probabilities(np.array([3, 32], np.float32))


@pytest.mark.parametrize(
    ("text", "rule"),
    [("linear", "linear"), ("0,1,3.5", [0.0, 1.0, 3.5]), ("gains.py:mine", "gains.py:mine"), ("", "")],
)
def test_a_flag_writes_a_name_or_a_table(text: str, rule: object) -> None:
    assert written(text) == rule
