"""The pair formulas over one row: gradient and hessian, and the loss."""

from __future__ import annotations

from typing import Any

import numpy as np

from ranking.compiled.jit import compiled
from ranking.objectives.kernel.layout import (
    CURVATURE,
    EXPONENTIAL,
    LAMBDA,
    LOGISTIC,
    REORDER,
    SCORE,
    SQUARED_HINGE,
)


@compiled(error_model="numpy", fastmath={"contract"})
def fast_exponentials(scratch: Any, n: int, sigma: float) -> None:  # pragma: no cover
    """exp(sigma s) of scores in [-75 / sigma, 0], float32, by 2^k times a polynomial: it runs in vectors.

    x = k ln 2 + r with |r| <= ln 2 / 2; the Taylor terms of exp(r) up to r^7 leave a relative error below
    1e-7; 2^k is written as the bits of a float32.
    """
    scores, powers = scratch[SCORE, :n], scratch[EXPONENTIAL, :n]
    bits = powers.view(np.int32)
    one = np.float32(1.0)
    for place in range(n):
        x = np.float32(sigma) * scores[place]
        k = np.floor(x * np.float32(1.4426950408889634) + np.float32(0.5))
        # ln 2 in two parts, the first short, so that the subtraction is exact
        r = (x - k * np.float32(0.693359375)) + k * np.float32(2.12194440e-4)
        p = np.float32(1.0 / 5040.0)
        p = p * r + np.float32(1.0 / 720.0)
        p = p * r + np.float32(1.0 / 120.0)
        p = p * r + np.float32(1.0 / 24.0)
        p = p * r + np.float32(1.0 / 6.0)
        p = p * r + np.float32(0.5)
        p = p * r + one
        p = p * r + one
        powers[place] = p
        bits[place] += np.int32(k) << np.int32(23)


@compiled(error_model="numpy", fastmath=REORDER)
def spread_exponentials(scratch: Any, i: int, n: int, sigma: float) -> None:  # pragma: no cover
    """Write exp(-sigma (s_i - s_j)) for row i: e_j with e_i put to 1, where factors would underflow."""
    exponential, scores = scratch[EXPONENTIAL, i + 1 : n], scratch[SCORE, i + 1 : n]
    score_i = scratch[SCORE, i]
    for k in range(len(scores)):
        exponential[k] = np.exp(-sigma * (score_i - scores[k]))


@compiled(error_model="numpy", fastmath=REORDER)
def logistic_row(
    scratch: Any, weights: Any, i: int, n: int, shape: float, safe: bool
) -> float:  # pragma: no cover
    """log(1 + exp(-sigma d)): add row i's lambdas and curvatures, return the sum of |lambda|."""
    weight, gradient = weights[i + 1 : n], scratch[LAMBDA, i + 1 : n]
    curvature, exponential = scratch[CURVATURE, i + 1 : n], scratch[EXPONENTIAL, i + 1 : n]
    zero, one, sigma = scratch.dtype.type(0.0), scratch.dtype.type(1.0), scratch.dtype.type(shape)
    e_i = scratch[EXPONENTIAL, i] if safe else one
    gradient_i = curvature_i = total = zero
    for k in range(len(weight)):
        w = weight[k]
        # The chances are taken first: their factors may be too small to be multiplied.
        inverse = one / (e_i + exponential[k])
        below = exponential[k] * inverse
        above = e_i * inverse
        force = sigma * w * (below if w > zero else above)
        bend = abs(force) * (above if w > zero else below)
        gradient_i -= force
        gradient[k] += force
        curvature_i += bend
        curvature[k] += bend
        total += abs(force)
    scratch[LAMBDA, i] += gradient_i
    # The second factor sigma is left to the end, where the documents are written.
    scratch[CURVATURE, i] += curvature_i
    return float(total)


@compiled(error_model="numpy", fastmath=REORDER)
def half_row(
    scratch: Any, halves: Any, i: int, n: int, shape: float, safe: bool
) -> float:  # pragma: no cover
    """(log(1 + exp(-sigma d)) + log(1 + exp(sigma d))) / 2: pairs of equal labels drawn together."""
    zero, one, sigma = scratch.dtype.type(0.0), scratch.dtype.type(1.0), scratch.dtype.type(shape)
    half = scratch.dtype.type(0.5)
    e_i = scratch[EXPONENTIAL, i] if safe else one
    total = zero
    for j in range(i + 1, n):
        inverse = one / (e_i + scratch[EXPONENTIAL, j])
        above = e_i * inverse
        force = sigma * halves[j] * (above - half)
        bend = sigma * halves[j] * above * scratch[EXPONENTIAL, j] * inverse
        scratch[LAMBDA, i] += force
        scratch[LAMBDA, j] -= force
        scratch[CURVATURE, i] += bend
        scratch[CURVATURE, j] += bend
        total += abs(force)
    return float(total)


@compiled(error_model="numpy", fastmath=REORDER)
def hinge_row(
    scratch: Any, weights: Any, i: int, n: int, shape: float, squared: bool
) -> float:  # pragma: no cover
    """max(0, margin - d), or its square: add row i's lambdas and curvatures, return the sum of |lambda|."""
    weight, gradient = weights[i + 1 : n], scratch[LAMBDA, i + 1 : n]
    curvature, scores = scratch[CURVATURE, i + 1 : n], scratch[SCORE, i + 1 : n]
    score_i = scratch[SCORE, i]
    zero, two, margin = scratch.dtype.type(0.0), scratch.dtype.type(2.0), scratch.dtype.type(shape)
    steepness = two if squared else scratch.dtype.type(1.0 / shape)
    gradient_i = curvature_i = total = zero
    for k in range(len(weight)):
        w = weight[k]
        gap = score_i - scores[k]
        short = margin - (gap if w > zero else -gap)
        active = w if short > zero else zero
        force = active * two * short if squared else active
        gradient_i -= force
        gradient[k] += force
        bend = abs(active) * steepness
        curvature_i += bend
        curvature[k] += bend
        total += abs(force)
    scratch[LAMBDA, i] += gradient_i
    scratch[CURVATURE, i] += curvature_i
    return float(total)


@compiled
def pair_value(formula: int, gap: float, shape: float) -> float:  # pragma: no cover
    """The pair loss at one score difference: log(1 + exp(-sigma d)), stable, or the hinges."""
    if formula == LOGISTIC:
        z = shape * gap
        return float(max(-z, 0.0) + np.log1p(np.exp(-abs(z))))
    short = max(shape - gap, 0.0)
    return float(short * short if formula == SQUARED_HINGE else short)


@compiled
def row_value(
    formula: int, shape: float, weights: Any, scores: Any, order: Any, i: int, n: int
) -> float:  # pragma: no cover
    """Sum over row i of |weight| times the pair loss at `scores` (which need not be the sorted ones)."""
    value = 0.0
    for j in range(i + 1, n):
        gap = scores[order[i]] - scores[order[j]]
        value += abs(weights[j]) * pair_value(formula, gap if weights[j] > 0.0 else -gap, shape)
    return value


@compiled
def half_value(
    shape: float, halves: Any, scores: Any, order: Any, i: int, n: int
) -> float:  # pragma: no cover
    """The same for pairs of equal labels: the mean of the losses of both orders."""
    value = 0.0
    for j in range(i + 1, n):
        gap = scores[order[i]] - scores[order[j]]
        both = pair_value(LOGISTIC, gap, shape) + pair_value(LOGISTIC, -gap, shape)
        value += 0.5 * halves[j] * both
    return value


@compiled
def lambda_scale(total: float, lambda_norm: bool) -> float:  # pragma: no cover
    """log2(1 + S) / S with S the sum of |lambda| over both documents of every pair; 1 where S is 0."""
    if lambda_norm and total > 0.0:
        return float(np.log2(1.0 + total) / total)
    return 1.0
