"""The compiled pair loop: gradient, hessian and loss of a pair formula times a pair weight on ragged lists.

For each query the documents are sorted by score and visited as (i, j), i above j. A stage of its own
writes the signed pair weights of row i, then the formula's stage turns them into gradients; both run
over contiguous scratch arrays, so that the compiler vectorises them. A weight is positive where i has
the higher label, negative where j has, zero where the labels tie: no branch on the labels is left.

The logistic needs no `exp` per pair: with E_i = exp(sigma (s_i - s_best)) once a document,
1 / (1 + exp(sigma (s_i - s_j))) = E_j / (E_i + E_j). Where the scores of a query spread so far that E
would underflow, its rows fall back to one `exp` a pair.

Sorting ties. Equal scores have no order, so with `TIES_AVERAGE` a pair's rank factor is its expected
value over all orders of the tied documents: for groups A above B with positions p in A and q in B

    E[(D_p - D_q) 1(p < K)] = T_A - tau_A Dbar_B,   T_A = sum_{p in A, p < K} D_p / |A|,
                                                    tau_A = |{p in A: p < K}| / |A|

and inside one group the mean of |D_p - D_q| 1(min(p, q) < K) over its pairs. With `TIES_FILE` each
document is a group of its own in input order, as LightGBM and XGBoost have it.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit

LOGISTIC, HINGE = 0, 1
UNIFORM, GAIN_GAP = 0, 1
TIES_AVERAGE, TIES_FILE = 0, 1

_SAFE_SPREAD = 600.0
"""Largest sigma * (best - worst score) at which exp(-spread) is a normal float64 (limit: 708)."""

SCORE_GAP_FLOOR = float(np.float32(0.01))
"""The floor of the score normalisation, a float32 literal in LightGBM's source."""

_MOVES_PER_DOCUMENT = 8

_REORDER = {"reassoc", "contract", "arcp", "nsz"}
"""What the compiler may do to sums so that rows vectorise; NaN and infinity keep their meaning."""

ROWS = 9
SORTED_SCORE, EXPONENTIAL, WORTH, DISCOUNT, TOP, TAU, INSIDE, LAMBDA, CURVATURE = range(ROWS)
"""Rows of a thread's scratch, one column a document in sorted order."""


class Lists(NamedTuple):
    """The judged lists as the kernel reads them."""

    offsets: Any
    """int64 [queries + 1]"""
    worth: Any
    """float64 [documents]: the gain of the label (GAIN_GAP), or the label itself (UNIFORM)"""
    inverse: Any
    """float64 [queries]: 1 / ideal DCG, or 1; 0 leaves a query out"""
    query_weights: Any
    """float64 [queries]"""
    document_weights: Any
    """float64 [documents], or empty for ones"""
    discounts: Any
    """float64 [longest list], by 0-based rank"""


class Rule(NamedTuple):
    """What an objective is, as numbers."""

    formula: int
    """LOGISTIC or HINGE"""
    kind: int
    """UNIFORM or GAIN_GAP: |difference of gains| times |difference of discounts|"""
    shape: float
    """sigma of the logistic, or the margin of the hinge"""
    truncation: int
    """pairs need one document among this many best"""
    ties: int
    """TIES_AVERAGE or TIES_FILE"""
    score_norm: bool
    """divide each pair's weight by 0.01 + |score difference|"""
    lambda_norm: bool
    """scale a query's lambdas by log2(1 + S) / S"""
    hessian_scale: float


@njit(cache=True, nogil=True)
def sort_descending(scores: Any, order: Any) -> None:  # pragma: no cover - compiled
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


@njit(cache=True, nogil=True)
def inside_gap(discounts: Any, start: int, end: int, top: int) -> float:  # pragma: no cover
    """Mean over the pairs p < q of a tie group of (D_p - D_q) where p is inside the truncation."""
    below = 0.0
    for place in range(start, end):
        below += discounts[place]
    total = 0.0
    for place in range(start, min(end, top)):
        below -= discounts[place]
        total += (end - place - 1) * discounts[place] - below
    size = end - start
    return 2.0 * total / (size * (size - 1.0))


@njit(cache=True, nogil=True)
def rank_factors(scratch: Any, ends: Any, n: int, discounts: Any, rule: Any) -> None:  # pragma: no cover
    """Write each document's tie group end and the group's T, tau, mean discount and inside factor.

    A uniform weight is the same with every |D_p - D_q| put to 1.
    """
    scores = scratch[SORTED_SCORE]
    top = rule.truncation
    start = 0
    while start < n:
        end = start + 1
        if rule.ties == TIES_AVERAGE:
            while end < n and scores[end] == scores[start]:
                end += 1
        size = end - start
        tau = max(min(end, top) - start, 0) / size
        mean = mean_top = inside = 0.0
        if rule.kind == GAIN_GAP:
            for place in range(start, end):
                mean += discounts[place] / size
                mean_top += discounts[place] / size if place < top else 0.0
            if size > 1:
                inside = inside_gap(discounts, start, end, top)
        else:
            mean_top = tau
            if size > 1:
                outside = size * (1.0 - tau)
                inside = 1.0 - outside * (outside - 1.0) / (size * (size - 1.0))
        for place in range(start, end):
            ends[place] = end
            scratch[DISCOUNT, place] = mean
            scratch[TOP, place] = mean_top
            scratch[TAU, place] = tau
            scratch[INSIDE, place] = inside
        start = end


# Said aloud, since a callee would inherit its caller's: reordered, the floor would vanish in a huge score.
@njit(cache=True, nogil=True, error_model="numpy", fastmath=False)
def divide_by_gaps(scratch: Any, weights: Any, i: int, n: int) -> None:  # pragma: no cover
    """Divide row i's weights by 0.01 + |s_i - s_j|."""
    below, scores, score_i = weights[i + 1 : n], scratch[SORTED_SCORE, i + 1 : n], scratch[SORTED_SCORE, i]
    for k in range(len(below)):
        below[k] /= SCORE_GAP_FLOOR + (score_i - scores[k])


@njit(cache=True, nogil=True, error_model="numpy", fastmath=_REORDER)
def weigh_row(
    scratch: Any, weights: Any, i: int, end: int, n: int, kind: int, inverse: float, score_norm: bool
) -> None:  # pragma: no cover
    """Write the signed weight of every pair (i, j), j below i, into `weights[i + 1 : n]`."""
    worth_i = scratch[WORTH, i]
    top = scratch[TOP, i] * inverse
    tau = scratch[TAU, i] * inverse
    inside = scratch[INSIDE, i] * inverse
    tied, tied_worth = weights[i + 1 : end], scratch[WORTH, i + 1 : end]
    lower, lower_worth, lower_discount = weights[end:n], scratch[WORTH, end:n], scratch[DISCOUNT, end:n]
    if kind == GAIN_GAP:
        for k in range(len(tied)):
            tied[k] = (worth_i - tied_worth[k]) * inside
        for k in range(len(lower)):
            lower[k] = (worth_i - lower_worth[k]) * (top - tau * lower_discount[k])
    else:
        for k in range(len(tied)):
            tied[k] = np.sign(worth_i - tied_worth[k]) * inside
        for k in range(len(lower)):
            lower[k] = np.sign(worth_i - lower_worth[k]) * top
    if score_norm:
        divide_by_gaps(scratch, weights, i, n)


@njit(cache=True, nogil=True, error_model="numpy", fastmath=_REORDER)
def logistic_row(
    scratch: Any, weights: Any, i: int, n: int, sigma: float, safe: bool
) -> float:  # pragma: no cover
    """log(1 + exp(-sigma d)): add row i's lambdas and curvatures, return the sum of |lambda|."""
    weight, gradient = weights[i + 1 : n], scratch[LAMBDA, i + 1 : n]
    curvature, exponential = scratch[CURVATURE, i + 1 : n], scratch[EXPONENTIAL, i + 1 : n]
    if not safe:
        # The scores spread too far for factored exponentials: e_j / (e_i + e_j) with e_i put to 1.
        scores, score_i = scratch[SORTED_SCORE, i + 1 : n], scratch[SORTED_SCORE, i]
        for k in range(len(scores)):
            exponential[k] = np.exp(-sigma * (score_i - scores[k]))
    e_i = scratch[EXPONENTIAL, i] if safe else 1.0
    gradient_i = 0.0
    curvature_i = 0.0
    total = 0.0
    square = sigma * sigma
    for k in range(len(weight)):
        one = 1.0 / (e_i + exponential[k])
        below = exponential[k] * one
        above = e_i * one
        w = weight[k]
        force = sigma * w * (below if w > 0.0 else above)
        bend = square * abs(w) * below * above
        gradient_i -= force
        gradient[k] += force
        curvature_i += bend
        curvature[k] += bend
        total += abs(force)
    scratch[LAMBDA, i] += gradient_i
    scratch[CURVATURE, i] += curvature_i
    return total


@njit(cache=True, nogil=True, error_model="numpy", fastmath=_REORDER)
def hinge_row(scratch: Any, weights: Any, i: int, n: int, margin: float) -> float:  # pragma: no cover
    """max(0, margin - d): add row i's lambdas and surrogate curvatures, return the sum of |lambda|."""
    weight, gradient = weights[i + 1 : n], scratch[LAMBDA, i + 1 : n]
    curvature, scores = scratch[CURVATURE, i + 1 : n], scratch[SORTED_SCORE, i + 1 : n]
    score_i = scratch[SORTED_SCORE, i]
    gradient_i = 0.0
    curvature_i = 0.0
    total = 0.0
    steepness = 1.0 / margin
    for k in range(len(weight)):
        w = weight[k]
        gap = score_i - scores[k]
        force = w if (gap if w > 0.0 else -gap) < margin else 0.0
        gradient_i -= force
        gradient[k] += force
        bend = abs(force) * steepness
        curvature_i += bend
        curvature[k] += bend
        total += abs(force)
    scratch[LAMBDA, i] += gradient_i
    scratch[CURVATURE, i] += curvature_i
    return total


@njit(cache=True, nogil=True)
def load_query(
    scratch: Any, ends: Any, order: Any, scores: Any, worth: Any, discounts: Any, rule: Rule
) -> bool:  # pragma: no cover
    """Sort one query into the scratch; True where the factored exponentials are safe."""
    n = len(scores)
    sort_descending(scores, order)
    best = scores[order[0]]
    safe = rule.formula == LOGISTIC and rule.shape * (best - scores[order[n - 1]]) < _SAFE_SPREAD
    for place in range(n):
        document = order[place]
        score = scores[document]
        scratch[SORTED_SCORE, place] = score
        scratch[WORTH, place] = worth[document]
        scratch[LAMBDA, place] = 0.0
        scratch[CURVATURE, place] = 0.0
        if safe:
            scratch[EXPONENTIAL, place] = np.exp(rule.shape * (score - best))
    rank_factors(scratch, ends, n, discounts, rule)
    return safe


@njit(cache=True, nogil=True, error_model="numpy", fastmath=_REORDER)
def apply_document_weights(
    weights: Any, document_weights: Any, order: Any, i: int, n: int
) -> None:  # pragma: no cover
    """Multiply each pair's weight with the geometric mean of its two documents' weights."""
    own = document_weights[order[i]]
    for j in range(i + 1, n):
        weights[j] *= np.sqrt(own * document_weights[order[j]])


@njit(cache=True, nogil=True)
def pair_value(formula: int, gap: float, shape: float) -> float:  # pragma: no cover
    """The pair loss at one score difference: log(1 + exp(-sigma d)), stable, or max(0, margin - d)."""
    if formula == LOGISTIC:
        z = shape * gap
        return float(max(-z, 0.0) + np.log1p(np.exp(-abs(z))))
    return float(max(shape - gap, 0.0))


@njit(cache=True, nogil=True)
def row_value(
    formula: int, shape: float, weights: Any, scores: Any, order: Any, i: int, n: int
) -> float:  # pragma: no cover
    """Sum over row i of |weight| times the pair loss at `scores` (which need not be the sorted ones)."""
    value = 0.0
    for j in range(i + 1, n):
        gap = scores[order[i]] - scores[order[j]]
        value += abs(weights[j]) * pair_value(formula, gap if weights[j] > 0.0 else -gap, shape)
    return value


@njit(cache=True, nogil=True)
def lambda_scale(total: float, lambda_norm: bool) -> float:  # pragma: no cover
    """log2(1 + S) / S with S the sum of |lambda| over both documents of every pair; 1 where S is 0."""
    if lambda_norm and total > 0.0:
        return float(np.log2(1.0 + total) / total)
    return 1.0


@njit(cache=True, nogil=True)
def visit_pairs(
    queries: Any, lists: Lists, rule: Rule, scores: Any, orders: Any, probe: Any, gradient: Any, hessian: Any
) -> float:  # pragma: no cover
    """Fill `gradient` and `hessian` of the documents of `queries` at `scores` (float64 [documents]).

    `orders` (int64 [documents]) holds an order of each query's documents, counted from its first; it is
    left sorted by score, a good start for the next round.
    Returns the sum of pair weight (at `scores`) times pair loss at `probe`, or 0 where `probe` is empty.
    """
    offsets = lists.offsets
    longest = 1
    for query in queries:
        longest = max(longest, offsets[query + 1] - offsets[query])
    scratch = np.empty((ROWS, longest))
    weights = np.empty(longest)
    ends = np.empty(longest, np.int64)
    loss = 0.0
    for query in queries:
        low, high = offsets[query], offsets[query + 1]
        n = high - low
        gradient[low:high] = 0.0
        hessian[low:high] = 0.0
        if n < 2 or lists.inverse[query] == 0.0:
            continue
        order = orders[low:high]
        safe = load_query(
            scratch, ends, order, scores[low:high], lists.worth[low:high], lists.discounts, rule
        )
        score_norm = rule.score_norm and scratch[SORTED_SCORE, 0] != scratch[SORTED_SCORE, n - 1]
        total = 0.0
        value = 0.0
        for i in range(n - 1):
            if scratch[TAU, i] == 0.0:
                break
            weigh_row(scratch, weights, i, ends[i], n, rule.kind, lists.inverse[query], score_norm)
            if len(lists.document_weights) > 0:
                apply_document_weights(weights, lists.document_weights[low:high], order, i, n)
            if rule.formula == LOGISTIC:
                total += logistic_row(scratch, weights, i, n, rule.shape, safe)
            else:
                total += hinge_row(scratch, weights, i, n, rule.shape)
            if len(probe) > 0:
                value += row_value(rule.formula, rule.shape, weights, probe[low:high], order, i, n)
        scale = lambda_scale(2.0 * total, rule.lambda_norm) * lists.query_weights[query]
        loss += value * scale
        for place in range(n):
            gradient[low + order[place]] = scratch[LAMBDA, place] * scale
            hessian[low + order[place]] = scratch[CURVATURE, place] * scale * rule.hessian_scale
    return loss
