"""The pair loop: queries in, gradient, hessian and loss out.

The stages of a row are called from the loops themselves, where they are written twice: one call deeper the
compiler no longer joins them into vectors, and the loop takes one to three times as long.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ranking.compiled.jit import compiled
from ranking.objectives.kernel.factors import group_factors, order_factors
from ranking.objectives.kernel.formulas import (
    fast_exponentials,
    half_row,
    half_value,
    hinge_row,
    lambda_scale,
    logistic_row,
    row_value,
    spread_exponentials,
)
from ranking.objectives.kernel.layout import (
    CURVATURE,
    DISTANCE,
    EXPONENTIAL,
    LABEL,
    LAMBDA,
    LOGISTIC,
    RANKED,
    ROOT_WEIGHT,
    ROWS,
    SCORE,
    SQUARED_HINGE,
    TIES_AVERAGE,
    UNIFORM,
    WIDTH,
    WINNER,
    WORTH,
)
from ranking.objectives.kernel.order import (
    alike_ends,
    average_alike,
    share_weights,
    sort_order,
    worse_first,
)
from ranking.objectives.kernel.weights import (
    adjust_row,
    divide_by_gaps,
    weigh_row,
    weigh_row_by_distance,
    weigh_tied_labels,
)

_LOWEST = -1e37
"""Relative scores are not taken below this in float32, whose range ends at 3.4e38."""


@compiled
def load_query(
    scratch: Any, ends: Any, order: Any, scores: Any, low: int, lists: Any, rule: Any
) -> Any:  # pragma: no cover
    """Sort one query into the scratch: (are factored exponentials safe, how many rows have pairs)."""
    n = len(scores)
    worth, labels = lists.worth[low : low + n], lists.labels[low : low + n]
    weights, winners = lists.document_weights[low : low + n], lists.winner_weights[low : low + n]
    sort_order(scores, order)
    grouped = rule.kind == UNIFORM or rule.kind == RANKED
    if rule.ties == TIES_AVERAGE and not grouped:
        worse_first(scores, worth, labels, weights, winners, order)
    best = scores[order[0]]
    # Largest spread at which exp(-spread) is still a normal number, with room for products.
    limit = 600.0 if scratch.itemsize == 8 else 75.0
    safe = rule.formula == LOGISTIC and rule.shape * (best - scores[order[n - 1]]) < limit
    for place in range(n):
        document = order[place]
        score = scores[document] - best
        scratch[SCORE, place] = score if scratch.itemsize == 8 else max(score, _LOWEST)
        scratch[WORTH, place] = worth[document]
        scratch[LAMBDA, place] = 0.0
        scratch[CURVATURE, place] = 0.0
        if len(weights) > 0:
            scratch[ROOT_WEIGHT, place] = np.sqrt(weights[document])
        if len(winners) > 0:
            scratch[WINNER, place] = winners[document]
        if len(labels) > 0:
            scratch[LABEL, place] = labels[document]
    if safe and scratch.itemsize == 8:
        for place in range(n):
            scratch[EXPONENTIAL, place] = np.exp(rule.shape * scratch[SCORE, place])
    elif safe:
        fast_exponentials(scratch, n, rule.shape)
    # Beyond the list stand harmless documents for the last pairs of a row, whose weights are put to 0.
    scratch[:, n : n + WIDTH] = 1.0
    scratch[SCORE, n : n + WIDTH] = scratch[SCORE, n - 1]
    if grouped:
        return safe, group_factors(scratch, ends, scores, order, lists.discounts, rule)
    return safe, order_factors(scratch, ends, n, lists.discounts, rule)


@compiled
def padded_end(i: int, n: int) -> int:  # pragma: no cover
    """Where row i ends with its last pairs of weight 0."""
    return i + 1 + (n - i - 2 + WIDTH) // WIDTH * WIDTH


@compiled
def push_tied_labels(
    scratch: Any, halves: Any, i: int, end: int, n: int, lists: Any, rule: Any, score_norm: bool, safe: bool
) -> float:  # pragma: no cover
    """Add the lambdas of row i's pairs of equal labels, weights left in `halves`; the sum of |lambda|."""
    by_documents, by_winners = len(lists.document_weights) > 0, len(lists.winner_weights) > 0
    weigh_tied_labels(scratch, halves, i, end, n)
    if score_norm:
        divide_by_gaps(scratch, halves, i, n)
    if by_documents or by_winners or rule.label_gap > 0.0:
        adjust_row(scratch, halves, i, n, by_documents, by_winners, rule.label_gap)
    return half_row(scratch, halves, i, n, rule.shape, safe)


@compiled
def visit_alike_winners(
    scratch: Any, spare: Any, ends: Any, alike: Any, order: Any, probe: Any, inverse: float, lists: Any,
    rule: Any, safe: bool, rows: int,
) -> Any:  # pragma: no cover  # fmt: skip
    """The rest of `visit_query` where alike documents have places of their own, and winner weights.

    The rows of alike documents are weighed first; then each takes their mean, times the winner's weight.
    """
    n = len(order)
    weights, means = spare[0], spare[1]
    by_documents, formula, shape = len(lists.document_weights) > 0, rule.formula, rule.shape
    ranked, near = rule.ranked * inverse, rule.near * inverse
    last, start = min(rows, n - 1), 0
    score_norm = rule.score_norm and scratch[SCORE, n - 1] != 0.0
    total = value = 0.0
    while start < last:
        end = alike[start]
        means[end:n] = 0.0
        for i in range(start, min(end, last)):
            if rule.kind == DISTANCE:
                weigh_row_by_distance(scratch, weights, i, n, lists.steps, lists.stretch, ranked, near)
            else:
                weigh_row(scratch, weights, i, ends[i], n, rule.kind, inverse)
            if score_norm:
                divide_by_gaps(scratch, weights, i, n)
            adjust_row(scratch, weights, i, n, by_documents, False, rule.label_gap)
            means[end:n] += weights[end:n]
        share_weights(means, start, end, alike)
        for i in range(start, min(end, n - 1)):
            full = padded_end(i, n)
            # Alike documents have no order to learn among them.
            weights[i + 1 : end] = 0.0
            weights[end:n] = means[end:n]
            adjust_row(scratch, weights, i, n, False, True, 0.0)
            weights[n:full] = 0.0
            if formula == LOGISTIC:
                if not safe:
                    spread_exponentials(scratch, i, n, shape)
                total += logistic_row(scratch, weights, i, full, shape, safe)
            else:
                total += hinge_row(scratch, weights, i, full, shape, formula == SQUARED_HINGE)
            if len(probe) > 0:
                value += row_value(formula, shape, weights, probe, order, i, n)
        start = end
    return total, value


@compiled
def visit_query(
    scratch: Any, spare: Any, ends: Any, order: Any, scores: Any, probe: Any, low: int, inverse: float,
    lists: Any, rule: Any,
) -> Any:  # pragma: no cover  # fmt: skip
    """Fill the scratch's lambdas and curvatures of one query: (sum of |lambda|, loss at `probe`)."""
    n = len(scores)
    weights, halves, steps, stretch = spare[0], spare[1], lists.steps, lists.stretch
    by_documents, by_winners = len(lists.document_weights) > 0, len(lists.winner_weights) > 0
    adjusted = by_documents or by_winners or rule.label_gap > 0.0
    kind, formula, shape = rule.kind, rule.formula, rule.shape
    ranked, near = rule.ranked * inverse, rule.near * inverse
    safe, rows = load_query(scratch, ends, order, scores, low, lists, rule)
    shared = rule.ties == TIES_AVERAGE and kind != UNIFORM and kind != RANKED
    alike = order
    if shared and (by_winners or len(probe) > 0):
        alike = alike_ends(scores, order, low, lists)
        if by_winners and (alike > np.arange(1, n + 1)).any():
            return visit_alike_winners(
                scratch, spare, ends, alike, order, probe, inverse, lists, rule, safe, rows
            )
    last, start, end = min(rows, n - 1), 0, 0
    score_norm = rule.score_norm and scratch[SCORE, n - 1] != 0.0
    total = value = 0.0
    for i in range(last):
        full = padded_end(i, n)
        if kind == DISTANCE:
            weigh_row_by_distance(scratch, weights, i, n, steps, stretch, ranked, near)
        else:
            weigh_row(scratch, weights, i, ends[i], full, kind, inverse)
        if score_norm:
            divide_by_gaps(scratch, weights, i, full)
        if adjusted:
            adjust_row(scratch, weights, i, n, by_documents, by_winners, rule.label_gap)
        weights[n:full] = 0.0
        if formula == LOGISTIC:
            if not safe:
                spread_exponentials(scratch, i, n, shape)
            total += logistic_row(scratch, weights, i, full, shape, safe)
        else:
            total += hinge_row(scratch, weights, i, full, shape, formula == SQUARED_HINGE)
        if len(probe) > 0 and shared:
            if i == end or i == 0:
                start, end = i, alike[i]
                halves[:n] = 0.0
            halves[end:n] += weights[end:n]
            if i == min(end, last) - 1:
                share_weights(halves, start, end, alike)
                for row in range(start, end):
                    value += row_value(formula, shape, halves, probe, order, row, n)
        elif len(probe) > 0:
            value += row_value(formula, shape, weights, probe, order, i, n)
        if rule.ties_as_half:
            total += push_tied_labels(scratch, halves, i, ends[i], n, lists, rule, score_norm, safe)
            if len(probe) > 0:
                value += half_value(shape, halves, probe, order, i, n)
    if shared:
        average_alike(scratch, scores, order, low, lists)
    return total, value


@compiled
def visit_pairs(
    queries: Any, lists: Any, rule: Any, scores: Any, orders: Any, probe: Any, gradient: Any, hessian: Any
) -> float:  # pragma: no cover
    """Fill `gradient` and `hessian` of the documents of `queries` at `scores` (float64 [documents]).

    The pair loop runs in the type of `gradient`, float32 or float64. `orders` (int64 [documents]) holds an
    order of each query's documents, counted from its first; it is left sorted by score, a good start for
    the next round.
    Returns the sum of pair weight (at `scores`) times pair loss at `probe`, or 0 where `probe` is empty.
    """
    offsets = lists.offsets
    longest = 1
    for query in queries:
        longest = max(longest, offsets[query + 1] - offsets[query])
    scratch = np.empty((ROWS, longest + WIDTH), gradient.dtype)
    spare = np.empty((2, longest + WIDTH), gradient.dtype)
    ends = np.empty(longest, np.int64)
    bend = rule.hessian_scale * (rule.shape if rule.formula == LOGISTIC else 1.0)
    loss = 0.0
    for query in queries:
        low, high = offsets[query], offsets[query + 1]
        gradient[low:high] = 0.0
        hessian[low:high] = 0.0
        if high - low < 2 or lists.inverse[query] == 0.0:
            continue
        order, asked = orders[low:high], probe[low:high] if len(probe) > 0 else probe
        total, value = visit_query(
            scratch, spare, ends, order, scores[low:high], asked, low, lists.inverse[query], lists, rule
        )
        scale = lambda_scale(2.0 * total, rule.lambda_norm) * lists.query_weights[query]
        loss += value * scale
        for place in range(high - low):
            gradient[low + order[place]] = scratch[LAMBDA, place] * scale
            hessian[low + order[place]] = scratch[CURVATURE, place] * scale * bend
    return loss
