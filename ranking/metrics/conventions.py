"""What a label is worth and what a rank is worth: the one implementation, for metrics and objectives."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from ranking.dataset import Float64
from ranking.errors import DataError, unknown_name

_LARGEST_EXPONENT = 31
"""Above this label 2^y - 1 passes what 32 bits hold, and labels are rather counts or times than grades."""

_GDEVAL_MAX_GRADE = 4.0
"""The largest grade of TREC's web track, which gdeval.pl has built in."""


def _exponential(labels: Float64) -> Float64:
    too_large = np.flatnonzero(labels > _LARGEST_EXPONENT)
    if len(too_large):
        raise DataError(
            f"document {too_large[0]} (from 0) has label {labels[too_large[0]]:g}, and exponential gain "
            f"(2^label - 1) takes labels up to {_LARGEST_EXPONENT}: "
            "choose the linear gain, or map the labels to a smaller scale"
        )
    gains: Float64 = np.exp2(labels) - 1.0
    return gains


def _log2(ranks: Float64) -> Float64:
    weights: Float64 = 1.0 / np.log2(1.0 + ranks)
    return weights


GAINS: dict[str, Callable[[Float64], Float64]] = {
    "exponential": _exponential,
    "linear": lambda labels: labels,
}
DISCOUNTS: dict[str, Callable[[Float64], Float64]] = {
    "log2": _log2,
    "reciprocal": lambda ranks: 1.0 / ranks,
}


def gain(labels: npt.NDArray[Any], name: str) -> Float64:
    """What each label is worth, float64 [documents]: "exponential" 2^y - 1 (Burges et al. 2005), "linear" y.

    Raises DataError for an exponential gain of a label above 31, UsageError for an unknown name.

    >>> gain(np.array([0, 1, 3]), "exponential").tolist()
    [0.0, 1.0, 7.0]
    """
    if name not in GAINS:
        raise unknown_name("gain", name, GAINS)
    return GAINS[name](np.array(labels, np.float64))


def discounts(count: int, name: str) -> Float64:
    """What each rank 1 … count is worth, float64 [count]: "log2" 1/log2(1 + rank), "reciprocal" 1/rank.

    Raises UsageError for an unknown name.

    >>> discounts(3, "reciprocal").tolist() == [1, 1 / 2, 1 / 3]
    True
    """
    if name not in DISCOUNTS:
        raise unknown_name("discount", name, DISCOUNTS)
    return DISCOUNTS[name](np.arange(1, count + 1, dtype=np.float64))


def relevance(labels: npt.NDArray[Any]) -> Float64:
    """1 where a label is above 0, else 0: what binary metrics call relevant, float64 [documents]."""
    return (labels > 0).astype(np.float64)


def stop_probabilities(labels: npt.NDArray[Any]) -> Float64:
    """ERR's chance that a reader stops at a document: (2^y - 1) / 2^g, float64 [documents].

    The largest grade g is 4, as in gdeval, or the largest label where one is larger.
    Chapelle et al., "Expected reciprocal rank for graded relevance", CIKM 2009.
    """
    largest = max(_GDEVAL_MAX_GRADE, float(labels.max(initial=0.0)))
    chances: Float64 = gain(labels, "exponential") / np.exp2(largest)
    return chances
