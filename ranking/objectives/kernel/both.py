"""Two sums over pairs in one walk: logistic pairs weighed by ranks, and the same pairs each weighing 1.

What a pair costs, its chances, is the same for both; only what it counts differs. So the second sum costs a
multiplication a pair where it has no pairs of its own.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ranking.compiled.jit import compiled
from ranking.objectives.kernel.formulas import lambda_scale, spread_exponentials
from ranking.objectives.kernel.layout import (
    CURVATURE,
    EXPONENTIAL,
    LAMBDA,
    PLAIN_CURVATURE,
    PLAIN_LAMBDA,
    REORDER,
    ROWS,
    TAU,
    WIDTH,
    WORTH,
)
from ranking.objectives.kernel.visit import load_query, padded_end
from ranking.objectives.kernel.weights import adjust_row, weigh_row


@compiled(error_model="numpy", fastmath=REORDER)
def sign_row(
    scratch: Any, signs: Any, i: int, end: int, n: int, tied: float, below: float
) -> None:  # pragma: no cover
    """Write 1 or -1 times what pairs of row i count, those of its own tie group `tied`, into `signs`."""
    worth_i, inside, outside = scratch[WORTH, i], scratch.dtype.type(tied), scratch.dtype.type(below)
    group, group_worth = signs[i + 1 : end], scratch[WORTH, i + 1 : end]
    lower, lower_worth = signs[end:n], scratch[WORTH, end:n]
    for k in range(len(group)):
        group[k] = np.sign(worth_i - group_worth[k]) * inside
    for k in range(len(lower)):
        lower[k] = np.sign(worth_i - lower_worth[k]) * outside


@compiled(error_model="numpy", fastmath=REORDER)
def both_rows(
    scratch: Any, weights: Any, signs: Any, i: int, n: int, shape: float, safe: bool
) -> float:  # pragma: no cover
    """`logistic_row` for both weights at once; the sum of |lambda| of the first."""
    weight, sign = weights[i + 1 : n], signs[i + 1 : n]
    gradient, curvature = scratch[LAMBDA, i + 1 : n], scratch[CURVATURE, i + 1 : n]
    plain, plain_bend = scratch[PLAIN_LAMBDA, i + 1 : n], scratch[PLAIN_CURVATURE, i + 1 : n]
    exponential = scratch[EXPONENTIAL, i + 1 : n]
    zero, one, sigma = scratch.dtype.type(0.0), scratch.dtype.type(1.0), scratch.dtype.type(shape)
    e_i = scratch[EXPONENTIAL, i] if safe else one
    gradient_i = curvature_i = plain_i = plain_bend_i = total = zero
    for k in range(len(weight)):
        u = sign[k]
        inverse = one / (e_i + exponential[k])
        below = exponential[k] * inverse
        above = e_i * inverse
        wrong = sigma * (below if u > zero else above)
        right = above if u > zero else below
        force = weight[k] * wrong
        bend = abs(force) * right
        gradient_i -= force
        gradient[k] += force
        curvature_i += bend
        curvature[k] += bend
        total += abs(force)
        force = u * wrong
        bend = abs(force) * right
        plain_i -= force
        plain[k] += force
        plain_bend_i += bend
        plain_bend[k] += bend
    scratch[LAMBDA, i] += gradient_i
    scratch[CURVATURE, i] += curvature_i
    scratch[PLAIN_LAMBDA, i] += plain_i
    scratch[PLAIN_CURVATURE, i] += plain_bend_i
    return float(total)


@compiled(error_model="numpy", fastmath=REORDER)
def plain_row(scratch: Any, signs: Any, i: int, n: int, shape: float, safe: bool) -> None:  # pragma: no cover
    """`logistic_row` for the pairs that weigh 1 alone."""
    sign, exponential = signs[i + 1 : n], scratch[EXPONENTIAL, i + 1 : n]
    plain, plain_bend = scratch[PLAIN_LAMBDA, i + 1 : n], scratch[PLAIN_CURVATURE, i + 1 : n]
    zero, one, sigma = scratch.dtype.type(0.0), scratch.dtype.type(1.0), scratch.dtype.type(shape)
    e_i = scratch[EXPONENTIAL, i] if safe else one
    plain_i = plain_bend_i = zero
    for k in range(len(sign)):
        u = sign[k]
        inverse = one / (e_i + exponential[k])
        below = exponential[k] * inverse
        above = e_i * inverse
        force = sigma * u * (below if u > zero else above)
        bend = abs(force) * (above if u > zero else below)
        plain_i -= force
        plain[k] += force
        plain_bend_i += bend
        plain_bend[k] += bend
    scratch[PLAIN_LAMBDA, i] += plain_i
    scratch[PLAIN_CURVATURE, i] += plain_bend_i


@compiled
def tied_share(tau: float, size: int) -> float:  # pragma: no cover
    """How many of a tie group's pairs reach the truncation, as a share, where `tau` of its documents do."""
    if size < 2:
        return 0.0
    outside = size * (1.0 - tau)
    return 1.0 - outside * (outside - 1.0) / (size * (size - 1.0))


@compiled
def visit_query_for_both(
    scratch: Any, spare: Any, ends: Any, order: Any, scores: Any, low: int, inverse: float, lists: Any,
    rule: Any, every: bool,
) -> float:  # pragma: no cover  # fmt: skip
    """Fill the scratch's lambdas and curvatures of one query, weighed and plain; the sum of |lambda|."""
    n = len(scores)
    weights, signs, shape = spare[0], spare[1], rule.shape
    by_documents = len(lists.document_weights) > 0
    safe, rows = load_query(scratch, ends, order, scores, low, lists, rule)
    scratch[PLAIN_LAMBDA, :n] = 0.0
    scratch[PLAIN_CURVATURE, :n] = 0.0
    last, start, total, inside = min(rows, n - 1), 0, 0.0, 1.0
    for i in range(n - 1 if every else last):
        full, reached = padded_end(i, n), 1.0
        if not every:
            reached = scratch[TAU, i]
            if i > 0 and ends[i - 1] <= i:
                start = i
            inside = tied_share(reached, ends[i] - start)
        sign_row(scratch, signs, i, ends[i], full, inside, reached)
        if by_documents:
            adjust_row(scratch, signs, i, n, True, False, 0.0)
        signs[n:full] = 0.0
        if not safe:
            spread_exponentials(scratch, i, n, shape)
        if i >= last:
            plain_row(scratch, signs, i, full, shape, safe)
            continue
        weigh_row(scratch, weights, i, ends[i], full, rule.kind, inverse)
        if by_documents:
            adjust_row(scratch, weights, i, n, True, False, 0.0)
        weights[n:full] = 0.0
        total += both_rows(scratch, weights, signs, i, full, shape, safe)
    return total


@compiled
def visit_both(
    queries: Any, lists: Any, rule: Any, every: bool, factors: Any, scores: Any, orders: Any, gradient: Any,
    hessian: Any,
) -> None:  # pragma: no cover  # fmt: skip
    """`visit_pairs` of `rule`, logistic pairs weighed by ranks, times `factors[0]`, plus `factors[1]` times
    the same of pairs that weigh 1: every pair, or those that reach the rule's truncation.

    The worths of `lists` are ordered as the labels are.
    """
    offsets = lists.offsets
    longest = 1
    for query in queries:
        longest = max(longest, offsets[query + 1] - offsets[query])
    scratch = np.empty((ROWS, longest + WIDTH), gradient.dtype)
    spare = np.empty((2, longest + WIDTH), gradient.dtype)
    ends = np.empty(longest, np.int64)
    bend = rule.hessian_scale * rule.shape
    for query in queries:
        low, high = offsets[query], offsets[query + 1]
        gradient[low:high] = 0.0
        hessian[low:high] = 0.0
        if high - low < 2 or lists.inverse[query] == 0.0:
            continue
        order = orders[low:high]
        total = visit_query_for_both(
            scratch, spare, ends, order, scores[low:high], low, lists.inverse[query], lists, rule, every
        )
        weighed = factors[0] * lambda_scale(2.0 * total, rule.lambda_norm) * lists.query_weights[query]
        plain = factors[1] * lists.query_weights[query]
        for place in range(high - low):
            at = low + order[place]
            gradient[at] = scratch[LAMBDA, place] * weighed + scratch[PLAIN_LAMBDA, place] * plain
            hessian[at] = (
                scratch[CURVATURE, place] * weighed + scratch[PLAIN_CURVATURE, place] * plain
            ) * bend
