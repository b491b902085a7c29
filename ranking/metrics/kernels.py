"""The four readings of a ranked list, compiled, each as its expected value over orders of equal scores.

First the head of the list is chosen and sorted, then it is read.

A list comes as `keys` (scores, descending) and `values` (worth of the documents). A tie group is a run of
equal keys, whose documents stand in every order with equal chance; with `average` off each document is
its own group and the given order is the ranking. `weights` [ranks] says what a rank is worth; only the
first `top` ranks count. The sums come undivided.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ranking.compiled.jit import compiled

DISCOUNTED_SUM, FIRST_RELEVANT, AVERAGE_PRECISION, CASCADE = range(4)
"""The four readings, as `values_of_lists` numbers them."""

_RUN = 16
"""Runs this short are sorted by insertion before they are merged."""


@compiled
def sift_down(heap: Any, size: int, root: int) -> None:  # pragma: no cover
    """Restore the smallest-first heap below `root`."""
    value = heap[root]
    child = 2 * root + 1
    while child < size:
        if child + 1 < size and heap[child + 1] < heap[child]:
            child += 1
        if heap[child] >= value:
            break
        heap[root] = heap[child]
        root = child
        child = 2 * root + 1
    heap[root] = value


@compiled
def nth_largest(scores: Any, top: int, heap: Any) -> Any:  # pragma: no cover
    """The score at rank `top` (from 1), in one pass: the root of a heap of the largest so far."""
    heap[:top] = scores[:top]
    for root in range(top // 2 - 1, -1, -1):
        sift_down(heap, top, root)
    for i in range(top, len(scores)):
        if scores[i] > heap[0]:
            heap[0] = scores[i]
            sift_down(heap, top, 0)
    return heap[0]


@compiled
def sort_runs(keys: Any, values: Any, count: int) -> None:  # pragma: no cover
    """Sort each run of `_RUN` pairs by key, descending and stable."""
    for low in range(0, count, _RUN):
        for i in range(low + 1, min(low + _RUN, count)):
            key, value = keys[i], values[i]
            j = i
            while j > low and keys[j - 1] < key:
                keys[j], values[j] = keys[j - 1], values[j - 1]
                j -= 1
            keys[j], values[j] = key, value


@compiled
def sort_descending(
    keys: Any, values: Any, spare_keys: Any, spare_values: Any, count: int
) -> None:  # pragma: no cover
    """Sort the first `count` pairs by key, descending and stable: a merge sort from the bottom up."""
    sort_runs(keys, values, count)
    width = _RUN
    while width < count:
        for low in range(0, count, 2 * width):
            middle, high = min(low + width, count), min(low + 2 * width, count)
            left, right = low, middle
            for place in range(low, high):
                if left < middle and (right >= high or keys[left] >= keys[right]):
                    spare_keys[place], spare_values[place] = keys[left], values[left]
                    left += 1
                else:
                    spare_keys[place], spare_values[place] = keys[right], values[right]
                    right += 1
        keys[:count], values[:count] = spare_keys[:count], spare_values[:count]
        width *= 2


@compiled
def head(
    scores: Any, worth: Any, top: int, keys: Any, values: Any, spare_keys: Any, spare_values: Any
) -> int:  # pragma: no cover
    """Fill `keys` and `values` with score and worth of the list's head, and return how many there are.

    The head holds the first `top` ranks and all that tie with the last of them, best first, equal scores
    in input order. Below a quarter of the list, choosing it costs less than sorting everything.
    """
    size = len(scores)
    count = 0
    if 4 * top < size:
        threshold = nth_largest(scores, top, spare_keys)
        for i in range(size):
            if scores[i] >= threshold:
                keys[count], values[count] = scores[i], worth[i]
                count += 1
    else:
        keys[:size], values[:size] = scores, worth
        count = size
    sort_descending(keys, values, spare_keys, spare_values, count)
    return count


@compiled
def group_end(keys: Any, start: int, count: int, average: bool) -> int:  # pragma: no cover
    """One past the last document that ties with `start`."""
    end = start + 1
    if average:
        while end < count and keys[end] == keys[start]:
            end += 1
    return end


@compiled
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


@compiled
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


@compiled
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


@compiled
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


@compiled
def values_of_lists(
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
