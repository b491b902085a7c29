"""The head of a ranked list, compiled: the documents that can stand in the first `top` ranks, best first."""

from __future__ import annotations

from typing import Any

from numba import njit

_RUN = 16
"""Runs this short are sorted by insertion before they are merged."""


@njit(cache=True, nogil=True)
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


@njit(cache=True, nogil=True)
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


@njit(cache=True, nogil=True)
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


@njit(cache=True, nogil=True)
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


@njit(cache=True, nogil=True)
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
