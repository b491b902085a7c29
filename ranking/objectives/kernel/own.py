"""The pair loop around functions of a user's own: every pair loss and pair weight, theirs or the kernel's.

It runs in float64 and takes the longer way of `visit.visit_alike_winners` for every list, which is right for
all of them: the rows of documents alike are weighed first, then each takes their mean.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
from numba import njit

from ranking.objectives.kernel.formulas import (
    hinge_row,
    lambda_scale,
    logistic_row,
    row_value,
    spread_exponentials,
)
from ranking.objectives.kernel.layout import (
    CURVATURE,
    DISTANCE,
    LAMBDA,
    LOGISTIC,
    RANKED,
    ROWS,
    SCORE,
    SQUARED_HINGE,
    TIES_AVERAGE,
    UNIFORM,
    WIDTH,
    WORTH,
)
from ranking.objectives.kernel.order import alike_ends, share_weights
from ranking.objectives.kernel.visit import load_query, padded_end
from ranking.objectives.kernel.weights import (
    adjust_row,
    divide_by_gaps,
    weigh_row,
    weigh_row_by_distance,
)


@lru_cache(maxsize=16)
def visit_with(functions: Any, weight_of: Callable[..., float] | None) -> Callable[..., float]:
    """A loop of the signature of `visit.visit_pairs` with these compiled functions; None is the kernel's own.

    functions   (loss, gradient, hessian) of one gap each
    weight_of   of (better gain, worse gain, better rank, worse rank, ideal DCG)
    """
    weigh = _kernel_weights if weight_of is None else _own_weights(weight_of)
    push, value_of = (_kernel_losses, row_value) if functions is None else _own_losses(*functions)
    return _over_queries(_over_rows(weigh, push, value_of))


def _over_rows(
    weigh: Callable[..., None], push: Callable[..., float], value_of: Callable[..., float]
) -> Callable[..., Any]:
    """(sum of |lambda|, loss at `probe`) of one query, loaded into the scratch."""

    @njit(nogil=True, error_model="numpy")
    def visit_query(
        scratch: Any, spare: Any, ends: Any, alike: Any, order: Any, probe: Any, inverse: float, lists: Any,
        rule: Any, safe: bool, rows: int,
    ) -> Any:  # fmt: skip
        n = len(order)
        weights, means = spare[0], spare[1]
        by_documents, by_winners = len(lists.document_weights) > 0, len(lists.winner_weights) > 0
        last, start = min(rows, n - 1), 0
        score_norm = rule.score_norm and scratch[SCORE, n - 1] != 0.0
        total = value = 0.0
        while start < last:
            end = alike[start]
            means[start:n] = 0.0
            for i in range(start, min(end, last)):
                weigh(scratch, weights, ends, i, n, inverse, lists, rule)
                if score_norm:
                    divide_by_gaps(scratch, weights, i, n)
                adjust_row(scratch, weights, i, n, by_documents, False, rule.label_gap)
                means[end:n] += weights[end:n]
            share_weights(means, start, end, alike)
            for i in range(start, min(end, n - 1)):
                # Alike documents have no order to learn among them.
                weights[i + 1 : end] = 0.0
                weights[end:n] = means[end:n]
                adjust_row(scratch, weights, i, n, False, by_winners, 0.0)
                weights[n : padded_end(i, n)] = 0.0
                total += push(scratch, weights, i, n, rule, safe)
                if len(probe) > 0:
                    value += value_of(rule.formula, rule.shape, weights, probe, order, i, n)
            start = end
        return total, value

    return visit_query


def _over_queries(visit_query: Callable[..., Any]) -> Callable[..., float]:
    @njit(nogil=True, error_model="numpy")
    def visit(
        queries: Any, lists: Any, rule: Any, scores: Any, orders: Any, probe: Any, gradient: Any, hessian: Any
    ) -> float:
        longest = 1
        for query in queries:
            longest = max(longest, lists.offsets[query + 1] - lists.offsets[query])
        scratch, spare = np.empty((ROWS, longest + WIDTH)), np.empty((2, longest + WIDTH))
        ends = np.empty(longest, np.int64)
        bend = rule.hessian_scale * (rule.shape if rule.formula == LOGISTIC else 1.0)
        grouped = rule.kind == UNIFORM or rule.kind == RANKED
        loss = 0.0
        for query in queries:
            low, high = lists.offsets[query], lists.offsets[query + 1]
            gradient[low:high] = 0.0
            hessian[low:high] = 0.0
            inverse = lists.inverse[query]
            if high - low < 2 or inverse == 0.0:
                continue
            order, asked = orders[low:high], probe[low:high] if len(probe) > 0 else probe
            safe, rows = load_query(scratch, ends, order, scores[low:high], low, lists, rule)
            alike = np.arange(1, high - low + 1)
            if rule.ties == TIES_AVERAGE and not grouped:
                alike = alike_ends(scores[low:high], order, low, lists)
            total, value = visit_query(
                scratch, spare, ends, alike, order, asked, inverse, lists, rule, safe, rows
            )
            scale = lambda_scale(2.0 * total, rule.lambda_norm) * lists.query_weights[query]
            loss += value * scale
            for place in range(high - low):
                gradient[low + order[place]] = scratch[LAMBDA, place] * scale
                hessian[low + order[place]] = scratch[CURVATURE, place] * scale * bend
        return loss

    return visit


@njit(nogil=True, error_model="numpy")
def _kernel_weights(
    scratch: Any, weights: Any, ends: Any, i: int, n: int, inverse: float, lists: Any, rule: Any
) -> None:
    if rule.kind == DISTANCE:
        ranked, near = rule.ranked * inverse, rule.near * inverse
        weigh_row_by_distance(scratch, weights, i, n, lists.steps, lists.stretch, ranked, near)
    else:
        weigh_row(scratch, weights, i, ends[i], n, rule.kind, inverse)


def _own_weights(weight_of: Callable[..., float]) -> Callable[..., None]:
    @njit(nogil=True, error_model="numpy")
    def weigh(
        scratch: Any, weights: Any, ends: Any, i: int, n: int, inverse: float, lists: Any, rule: Any
    ) -> None:
        """The signed weight of the row's pairs: positive where i is the better one."""
        worth, ideal = scratch[WORTH], 1.0 / inverse
        for j in range(i + 1, n):
            if worth[i] > worth[j]:
                weights[j] = weight_of(worth[i], worth[j], i + 1.0, j + 1.0, ideal)
            elif worth[i] < worth[j]:
                weights[j] = -weight_of(worth[j], worth[i], j + 1.0, i + 1.0, ideal)
            else:
                weights[j] = 0.0

    return weigh


@njit(nogil=True, error_model="numpy")
def _kernel_losses(scratch: Any, weights: Any, i: int, n: int, rule: Any, safe: bool) -> float:
    if rule.formula == LOGISTIC:
        if not safe:
            spread_exponentials(scratch, i, n, rule.shape)
        return logistic_row(scratch, weights, i, n, rule.shape, safe)
    return hinge_row(scratch, weights, i, n, rule.shape, rule.formula == SQUARED_HINGE)


def _own_losses(
    loss: Callable[[float], float], gradient_of: Callable[[float], float],
    hessian_of: Callable[[float], float],
) -> tuple[Callable[..., float], Callable[..., float]]:  # fmt: skip
    """(what adds row i's lambdas and curvatures and gives the sum of |lambda|, what gives its loss)."""

    @njit(nogil=True, error_model="numpy")
    def push(scratch: Any, weights: Any, i: int, n: int, rule: Any, safe: bool) -> float:
        total = 0.0
        for j in range(i + 1, n):
            w = weights[j]
            if w != 0.0:
                gap = scratch[SCORE, i] - scratch[SCORE, j]
                d = gap if w > 0.0 else -gap
                force, bend = -gradient_of(d) * w, hessian_of(d) * abs(w)
                scratch[LAMBDA, i] -= force
                scratch[LAMBDA, j] += force
                scratch[CURVATURE, i] += bend
                scratch[CURVATURE, j] += bend
                total += abs(force)
        return total

    @njit(nogil=True, error_model="numpy")
    def value_of(formula: int, shape: float, weights: Any, scores: Any, order: Any, i: int, n: int) -> float:
        value = 0.0
        for j in range(i + 1, n):
            if weights[j] != 0.0:
                gap = scores[order[i]] - scores[order[j]]
                value += abs(weights[j]) * loss(gap if weights[j] > 0.0 else -gap)
        return value

    return push, value_of
