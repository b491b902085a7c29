"""The order of a query's documents, and what documents share that have none among them."""

from __future__ import annotations

from typing import Any

import numpy as np

from ranking.compiled.jit import compiled
from ranking.objectives.kernel.layout import CURVATURE, LAMBDA

_MOVES_PER_DOCUMENT = 8


@compiled
def sort_order(scores: Any, order: Any) -> None:  # pragma: no cover - compiled
    """Bring `order`, any order of the indices of `scores`, to best first, equal scores in input order.

    One round changes an order little, so that insertion into the last round's takes few moves; where it
    takes more than a few a document, a merge sort is quicker.
    """
    n = len(scores)
    moves = _MOVES_PER_DOCUMENT * n
    for index in range(1, n):
        document = order[index]
        score = scores[document]
        place = index
        while place > 0:
            other = order[place - 1]
            if scores[other] > score or (scores[other] == score and other < document):
                break
            order[place] = other
            place -= 1
        order[place] = document
        moves -= index - place
        if moves < 0:
            order[:] = np.argsort(-scores, kind="mergesort")
            return


@compiled
def worse_first(
    scores: Any, worth: Any, labels: Any, weights: Any, winners: Any, order: Any
) -> None:  # pragma: no cover
    """Bring documents of equal scores to ascending worth, then label, weight, winner weight.

    No input order is left.
    """
    for index in range(1, len(order)):
        document = order[index]
        place = index
        while place > 0:
            other = order[place - 1]
            if scores[other] != scores[document]:
                break
            if not comes_first(document, other, worth, labels, weights, winners):
                break
            order[place] = other
            place -= 1
        order[place] = document


@compiled
def comes_first(
    a: int, b: int, worth: Any, labels: Any, weights: Any, winners: Any
) -> bool:  # pragma: no cover
    if worth[a] != worth[b]:
        return bool(worth[a] < worth[b])
    if len(labels) > 0 and labels[a] != labels[b]:
        return bool(labels[a] < labels[b])
    if len(weights) > 0 and weights[a] != weights[b]:
        return bool(weights[a] < weights[b])
    return bool(len(winners) > 0 and winners[a] < winners[b])


@compiled
def alike_ends(scores: Any, order: Any, low: int, lists: Any) -> Any:  # pragma: no cover
    """For each place, one past the last document alike to its own in score, worth, label and weight.

    Winner weights are left out: documents that differ in them alone would earn the same at a place.
    """
    n = len(order)
    worth, labels = lists.worth[low : low + n], lists.labels[low : low + n]
    weights, none = lists.document_weights[low : low + n], lists.winner_weights[:0]
    ends = np.empty(n, np.int64)
    end = n
    for place in range(n - 1, -1, -1):
        document = order[place]
        if place + 1 < n:
            below = order[place + 1]
            apart = scores[document] != scores[below]
            if apart or comes_first(document, below, worth, labels, weights, none):
                end = place + 1
        ends[place] = end
    return ends


@compiled
def average_alike(scratch: Any, scores: Any, order: Any, low: int, lists: Any) -> None:  # pragma: no cover
    """Give alike documents their mean lambda and curvature."""
    alike = alike_ends(scores, order, low, lists)
    start = 0
    while start < len(order):
        end = alike[start]
        if end > start + 1:
            scratch[LAMBDA, start:end] = scratch[LAMBDA, start:end].mean()
            scratch[CURVATURE, start:end] = scratch[CURVATURE, start:end].mean()
        start = end


@compiled
def share_weights(held: Any, start: int, end: int, alike: Any) -> None:  # pragma: no cover
    """Turn the summed weights of the rows start .. end into each row's mean weights.

    The rows are alike, and a row's weights with documents that are alike to each other are their mean.
    """
    other = end
    while other < len(alike):
        after = alike[other]
        if after == other + 1:
            held[other] /= end - start
        else:
            held[other:after] = held[other:after].mean() / (end - start)
        other = after
