"""The four readings of a ranked list, compiled, each as its expected value over orders of equal scores.

A list comes as `keys` (scores, descending) and `values` (worth of the documents). A tie group is a run of
equal keys, whose documents stand in every order with equal chance; with `average` off each document is
its own group and the given order is the ranking. `weights` [ranks] says what a rank is worth; only the
first `top` ranks count. The sums come undivided.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from ranking.metrics.definitions import AVERAGE_PRECISION, DISCOUNTED_SUM, FIRST_RELEVANT
from ranking.metrics.ordering import head


@njit(cache=True, nogil=True)
def group_end(keys: Any, start: int, count: int, average: bool) -> int:  # pragma: no cover
    """One past the last document that ties with `start`."""
    end = start + 1
    if average:
        while end < count and keys[end] == keys[start]:
            end += 1
    return end


@njit(cache=True, nogil=True)
def discounted_sum(
    keys: Any, values: Any, count: int, top: int, weights: Any, average: bool
) -> float:  # pragma: no cover
    """Sum of worth x weight: by linearity, each document of a group earns the group's mean weight."""
    total = 0.0
    start = 0
    while start < top:
        end = group_end(keys, start, count, average)
        worth = 0.0
        for i in range(start, end):
            worth += values[i]
        weight = 0.0
        for rank in range(start, min(end, top)):
            weight += weights[rank]
        total += worth / (end - start) * weight
        start = end
    return total


@njit(cache=True, nogil=True)
def first_relevant(
    keys: Any, values: Any, count: int, top: int, weights: Any, average: bool
) -> float:  # pragma: no cover
    """Weight of the first relevant rank.

    In the first group with r relevant of n documents, the j-th place (from 0) is it with chance
    r/(n - j) times the chance that the places before held none.
    """
    start = 0
    while start < top:
        end = group_end(keys, start, count, average)
        size = end - start
        relevant = 0.0
        for i in range(start, end):
            relevant += values[i]
        if relevant > 0:
            total, none_yet = 0.0, 1.0
            for j in range(min(end, top) - start):
                total += none_yet * relevant / (size - j) * weights[start + j]
                none_yet *= (size - relevant - j) / (size - j)
            return total
        start = end
    return 0.0


@njit(cache=True, nogil=True)
def average_precision(
    keys: Any, values: Any, count: int, top: int, average: bool
) -> float:  # pragma: no cover
    """Sum of the precision at each relevant rank.

    In a group of n documents with r relevant, after R relevant ones, the j-th place (from 0) is relevant
    with chance r/n, and then j (r - 1)/(n - 1) of the places before it are expected to be.
    McSherry and Najork, "Computing information retrieval performance measures efficiently in the presence
    of tied scores", ECIR 2008.
    """
    total, before = 0.0, 0.0
    start = 0
    while start < top:
        end = group_end(keys, start, count, average)
        size = end - start
        relevant = 0.0
        for i in range(start, end):
            relevant += values[i]
        if relevant > 0:
            inside = (relevant - 1.0) / (size - 1.0) if size > 1 else 0.0
            for j in range(min(end, top) - start):
                total += relevant / size * (before + 1.0 + j * inside) / (start + j + 1.0)
        before += relevant
        start = end
    return total


@njit(cache=True, nogil=True)
def cascade(
    keys: Any, values: Any, count: int, top: int, weights: Any, average: bool, passed: Any
) -> float:  # pragma: no cover
    """Weight of the rank where a reader stops who stops at document i with chance R_i = values[i].

    A reader passes the first t documents of a group with chance a_t, the mean over all t-subsets of the
    product of (1 - R_i), and so stops at the t-th with chance a_{t-1} - a_t. The means grow by one
    document x = 1 - R at a time: a'_t = (n + 1 - t)/(n + 1) a_t + t/(n + 1) x a_{t-1}.
    `passed` [top + 1] is room for them.
    """
    total, reach = 0.0, 1.0
    start = 0
    while start < top:
        end = group_end(keys, start, count, average)
        places = min(end, top) - start
        passed[0] = 1.0
        passed[1 : places + 1] = 0.0
        for n in range(end - start):
            x = 1.0 - values[start + n]
            for t in range(min(n + 1, places), 0, -1):
                passed[t] = ((n + 1 - t) * passed[t] + t * x * passed[t - 1]) / (n + 1)
        for t in range(1, places + 1):
            total += reach * (passed[t - 1] - passed[t]) * weights[start + t - 1]
        reach *= passed[places]
        start = end
    return total


@njit(cache=True, nogil=True)
def read_lists(
    reading: int, scores: Any, worth: Any, offsets: Any, cutoff: int, weights: Any, average: bool
) -> Any:  # pragma: no cover
    """One reading of every list, float64 [queries], not yet divided."""
    queries = len(offsets) - 1
    longest = 0
    for query in range(queries):
        longest = max(longest, offsets[query + 1] - offsets[query])
    keys, spare_keys = np.empty(longest, scores.dtype), np.empty(longest, scores.dtype)
    values, spare_values = np.empty(longest, np.float64), np.empty(longest, np.float64)
    passed = np.empty(min(longest, cutoff) + 1, np.float64)
    sums = np.empty(queries, np.float64)
    for query in range(queries):
        low, high = offsets[query], offsets[query + 1]
        top = min(cutoff, high - low)
        count = head(scores[low:high], worth[low:high], top, keys, values, spare_keys, spare_values)
        if reading == DISCOUNTED_SUM:
            sums[query] = discounted_sum(keys, values, count, top, weights, average)
        elif reading == FIRST_RELEVANT:
            sums[query] = first_relevant(keys, values, count, top, weights, average)
        elif reading == AVERAGE_PRECISION:
            sums[query] = average_precision(keys, values, count, top, average)
        else:
            sums[query] = cascade(keys, values, count, top, weights, average, passed)
    return sums
