"""What a label is worth and what a rank is worth: the one implementation, for metrics and objectives."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ranking.compiled.own_code import function_named, is_file_name
from ranking.data.arrays import Float64
from ranking.errors import DataError, UsageError, unknown_name

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
            "choose the linear gain (--gain linear), or map the labels to a smaller scale"
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


Worths = str | Sequence[float] | Callable[[Any], Any]
"""A gain or a discount: its name, a table, or a function of the array of labels or ranks; a function of the
user's own file is named `file.py:function`."""


def written(text: str) -> Worths:
    """The rule of a flag: numbers with commas between are a table, anything else is a name.

    >>> written("linear"), written("0,1,3.5")
    ('linear', [0.0, 1.0, 3.5])
    """
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        return text


def gain(labels: npt.NDArray[Any], rule: Worths) -> Float64:
    """What each label is worth, float64 [documents]: "exponential" 2^y - 1 (Burges et al. 2005), "linear" y,
    a table by label (labels must then be whole numbers), or a function of the labels.

    Raises DataError for labels the rule cannot take, UsageError for an unknown name or unusable worths.

    >>> gain(np.array([0, 1, 3]), "exponential").tolist()
    [0.0, 1.0, 7.0]
    >>> gain(np.array([0, 1, 2]), [0, 1, 10]).tolist()
    [0.0, 1.0, 10.0]
    """
    at = np.array(labels, np.float64)
    if isinstance(rule, str) and is_file_name(rule):
        rule = function_named(rule)
    if isinstance(rule, str):
        if rule not in GAINS:
            raise unknown_name("gain", rule, GAINS)
        return GAINS[rule](at)
    if callable(rule):
        return _worths("gain", rule(at), len(at))
    table = _worths("gain", rule, len(rule))
    odd = np.flatnonzero((at != np.rint(at)) | (at >= len(table)))
    if len(odd):
        raise DataError(
            f"document {odd[0]} (from 0) has label {at[odd[0]]:g}, and the gain is a table for the labels "
            f"0..{len(table) - 1}: add its gain, or choose linear or exponential"
        )
    return table[at.astype(np.int64)]


def discounts(count: int, rule: Worths) -> Float64:
    """What each rank 1 … count is worth, float64 [count]: "log2" 1/log2(1 + rank), "reciprocal" 1/rank,
    a table from rank 1 (0 beyond its end), or a function of the ranks.

    Raises UsageError for an unknown name or unusable worths.

    >>> discounts(3, "reciprocal").tolist() == [1, 1 / 2, 1 / 3]
    True
    >>> discounts(3, [1, 0.5]).tolist()
    [1.0, 0.5, 0.0]
    """
    ranks = np.arange(1, count + 1, dtype=np.float64)
    if isinstance(rule, str) and is_file_name(rule):
        rule = function_named(rule)
    if isinstance(rule, str):
        if rule not in DISCOUNTS:
            raise unknown_name("discount", rule, DISCOUNTS)
        return DISCOUNTS[rule](ranks)
    if callable(rule):
        return _falling(_worths("discount", rule(ranks), count))
    table = _falling(_worths("discount", rule, len(rule)))
    return np.pad(table[:count], (0, max(count - len(table), 0)))


def _worths(kind: str, values: Any, count: int) -> Float64:
    """Finite numbers from 0, one for each of `count`."""
    try:
        worths = np.asarray(values, np.float64)
    except (TypeError, ValueError) as error:
        raise UsageError(f"a {kind} must be numbers: {error}") from error
    if worths.shape != (count,) or not count or not np.isfinite(worths).all() or (worths < 0).any():
        raise UsageError(f"a {kind} must give a finite number from 0 for each, got {values!r}")
    return worths


def _falling(worths: Float64) -> Float64:
    if (np.diff(worths) > 0).any():
        raise UsageError(f"a discount must not rise with the rank, got {worths.tolist()[:10]}")
    return worths


def relevance(labels: npt.NDArray[Any]) -> Float64:
    """1 where a label is above 0, else 0: what binary metrics call relevant, float64 [documents]."""
    return (labels > 0).astype(np.float64)


def takes_stop_probabilities(labels: npt.NDArray[Any]) -> bool:
    """Are these labels small enough for ERR?"""
    return float(labels.max(initial=0.0)) <= _LARGEST_EXPONENT


def stop_probabilities(labels: npt.NDArray[Any]) -> Float64:
    """ERR's chance that a reader stops at a document: (2^y - 1) / 2^g, float64 [documents].

    The largest grade g is 4, as in gdeval, or the largest label where one is larger.
    Chapelle et al., "Expected reciprocal rank for graded relevance", CIKM 2009.

    Raises DataError for labels above 31: no choice of gain reaches them.
    """
    if not takes_stop_probabilities(labels):
        row = int(np.argmax(labels))
        raise DataError(
            f"document {row} (from 0) has label {labels[row]:g}, and ERR takes labels up to "
            f"{_LARGEST_EXPONENT}, whatever the gain: its reader stops by chances of 2^label - 1; "
            "choose another metric, such as ndcg with the linear gain, or map the labels to a smaller scale"
        )
    largest = max(_GDEVAL_MAX_GRADE, float(labels.max(initial=0.0)))
    chances: Float64 = gain(labels, "exponential") / np.exp2(largest)
    return chances
