"""The compiled pair loop: gradient, hessian and loss of a pair formula times a pair weight on ragged lists.

For each query the documents are sorted by score and visited as (i, j), i above j. Stages of their own
write the signed pair weights of row i, then the formula's stage turns them into gradients; all run over
contiguous scratch arrays, so that the compiler vectorises them. A weight is positive where i has the
higher label, negative where j has, zero where the labels tie: no branch on the labels is left.

The logistic needs no `exp` per pair: with E_i = exp(sigma (s_i - s_best)) once a document,
1 / (1 + exp(sigma (s_i - s_j))) = E_j / (E_i + E_j). Where the scores of a query spread so far that E
would underflow, its rows fall back to one `exp` a pair.

Every weight of a metric is a difference of worths times an affine function of a number of j alone:

    |delta M_ij| = |worth_i - worth_j| (T_i - tau_i D_j)

    ndcg, dcg, precision   T = D = the discount of the rank, tau = 1
    map   T_i = (n_i + [i irrelevant]) / r_i - A_i, D_j = n_j / r_j - A_{j-1}, tau = 1, with n_r the relevant
          documents down to rank r and A_r the sum of 1 / rank over them
    mrr   i the first relevant: T_i = 1 / r_i, tau = 1, D_j = max(1 / r_j, 1 / rank of the second);
          i irrelevant above the first: T_i = 1 / r_i - 1 / rank of the first, tau = 0; else nothing
    err   T_i = P_i / r_i + C_i / (1 - R_i), tau_i = 1 / (1 - R_i), D_j = C_{j-1} + P_j / r_j, with R the
          chance to stop at a document, P to come so far, C_r the ERR down to rank r

Sorting ties. Equal scores have no order. With `TIES_AVERAGE` the rank factor of ndcg, dcg, precision and
uniform weights is its expected value over all orders of the tied documents: for groups A above B with
positions p in A and q in B

    E[(D_p - D_q) 1(p < K)] = T_A - tau_A Dbar_B,   T_A = sum_{p in A, p < K} D_p / |A|,
                                                    tau_A = |{p in A: p < K}| / |A|

and inside one group the mean of |D_p - D_q| 1(min(p, q) < K) over its pairs. For the other weights tied
documents stand worse first, and those alike in worth, label and weight get their mean, which is the
expected value over the orders among them. Winner weights know no ranks: where there are any, the weights of
pairs are averaged so, and then multiplied. With `TIES_FILE` each document is a group of its own in input
order, as LightGBM and XGBoost have it.

The scratch is float64, or float32 where speed counts: the scores in it are relative to the query's best."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ranking.compiled.jit import compiled

LOGISTIC, HINGE, SQUARED_HINGE = range(3)
UNIFORM, RANKED, DISTANCE, PRECISION_AVERAGE, FIRST_RELEVANT, CASCADE = range(6)
"""Pair weights: 1; by given discounts (ndcg, dcg, precision); by rank distance; map; mrr; err."""
TIES_AVERAGE, TIES_FILE = 0, 1

SCORE_GAP_FLOOR = float(np.float32(0.01))
"""The floor of the score normalisation, a float32 literal in LightGBM's source."""

_MOVES_PER_DOCUMENT = 8

_LOWEST = -1e37
"""Relative scores are not taken below this in float32, whose range ends at 3.4e38."""

_REORDER = {"reassoc", "contract", "arcp", "nsz"}
"""What the compiler may do to sums so that rows vectorise; NaN and infinity keep their meaning."""

WIDTH = 16
"""Rows are run in multiples of this many pairs, the last ones of weight 0, so that no scalar rest is left."""

ROWS = 12
(
    SCORE, EXPONENTIAL, WORTH, LABEL, DISCOUNT, TOP, TAU, INSIDE, ROOT_WEIGHT, WINNER, LAMBDA, CURVATURE,
) = range(ROWS)  # fmt: skip
"""Rows of a thread's scratch, one column a document in sorted order."""


class Lists(NamedTuple):
    """The judged lists as the kernel reads them."""

    offsets: Any
    """int64 [queries + 1]"""
    worth: Any
    """float64 [documents]: gain, relevance or stop probability, or the label itself (UNIFORM)"""
    labels: Any
    """float64 [documents], or empty where nothing is weighted by label gaps"""
    inverse: Any
    """float64 [queries]: 1 / ideal DCG and the like, or 1; 0 leaves a query out"""
    query_weights: Any
    """float64 [queries]"""
    document_weights: Any
    """float64 [documents], or empty for ones"""
    winner_weights: Any
    """float64 [documents], or empty: multiplies the pairs in which a document is the better one"""
    discounts: Any
    """float64 [longest list], by 0-based rank"""
    steps: Any
    """float64 [longest list + 1], by distance of ranks (DISTANCE)"""
    stretch: Any
    """float64 [longest list], by 0-based rank of the lower document (DISTANCE)"""


class Rule(NamedTuple):
    """What an objective is, as numbers."""

    formula: int
    """LOGISTIC, HINGE or SQUARED_HINGE"""
    kind: int
    """UNIFORM, RANKED, …"""
    shape: float
    """sigma of the logistic, or the margin of the hinges"""
    truncation: int
    """pairs need one document among this many best"""
    cutoff: int
    """ranks that count in map, mrr and err"""
    ranked: float
    """DISTANCE: factor of the difference of discounts"""
    near: float
    """DISTANCE: factor of the step by rank distance"""
    ties: int
    """TIES_AVERAGE or TIES_FILE"""
    label_gap: float
    """pairs are weighted by |y_i - y_j| to this power"""
    ties_as_half: bool
    """LOGISTIC, UNIFORM: pairs of equal labels aim at one half"""
    score_norm: bool
    """divide each pair's weight by 0.01 + |score difference|"""
    lambda_norm: bool
    """scale a query's lambdas by log2(1 + S) / S"""
    hessian_scale: float


@compiled
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


@compiled
def group_factors(
    scratch: Any, ends: Any, scores: Any, order: Any, discounts: Any, rule: Any
) -> int:  # pragma: no cover
    """Write each document's tie group end and the group's T, tau, mean discount and inside factor.

    A uniform weight is the same with every |D_p - D_q| put to 1. Returns how many rows have pairs.
    """
    n = len(order)
    top = rule.truncation
    ranked, average = rule.kind == RANKED, rule.ties == TIES_AVERAGE
    tops, taus, means, insides = scratch[TOP], scratch[TAU], scratch[DISCOUNT], scratch[INSIDE]
    for place in range(n):
        worth = discounts[place] if ranked else 1.0
        reached = 1.0 if place < top else 0.0
        ends[place] = place + 1
        means[place], tops[place], taus[place], insides[place] = worth, reached * worth, reached, 0.0
    if not average:
        return int(min(n, top))
    rows = start = 0
    while start < n:
        end = start + 1
        score = scores[order[start]]
        while end < n and scores[order[end]] == score:
            end += 1
        if end > start + 1:
            spread_over_group(scratch, ends, start, end, top, ranked, discounts)
        if start < top:
            rows = end
        start = end
    return rows


@compiled
def spread_over_group(
    scratch: Any, ends: Any, start: int, end: int, top: int, ranked: bool, discounts: Any
) -> None:  # pragma: no cover
    """The factors of a group of documents of equal score, the same for each."""
    size = end - start
    tau = max(min(end, top) - start, 0) / size
    mean = mean_top = 0.0
    if ranked:
        for place in range(start, end):
            mean += discounts[place] / size
            mean_top += discounts[place] / size if place < top else 0.0
        inside = inside_gap(discounts, start, end, top)
    else:
        mean_top = tau
        outside = size * (1.0 - tau)
        inside = 1.0 - outside * (outside - 1.0) / (size * (size - 1.0))
    for place in range(start, end):
        ends[place] = end
        scratch[DISCOUNT, place] = mean
        scratch[TOP, place] = mean_top
        scratch[TAU, place] = tau
        scratch[INSIDE, place] = inside


@compiled
def order_factors(scratch: Any, ends: Any, n: int, discounts: Any, rule: Any) -> int:  # pragma: no cover
    """Write T, tau and D where each document has its own rank; returns how many rows have pairs."""
    worth, top, tau, discount = scratch[WORTH], scratch[TOP], scratch[TAU], scratch[DISCOUNT]
    first = second = n
    for place in range(n - 1, -1, -1):
        if worth[place] > 0.0:
            first, second = place, first
    relevant, harmonic = 0.0, 0.0
    reach, gained = 1.0, 0.0
    at_first = 1.0 / (first + 1.0) if first < min(n, rule.cutoff) else 0.0
    at_second = 1.0 / (second + 1.0) if second < min(n, rule.cutoff) else 0.0
    for place in range(n):
        ends[place] = place + 1
        scratch[INSIDE, place] = 0.0
        share = 1.0 / (place + 1.0) if place < rule.cutoff else 0.0
        if rule.kind == PRECISION_AVERAGE:
            before = harmonic
            if worth[place] > 0.0:
                relevant += 1.0
                harmonic += share
            own = relevant if worth[place] > 0.0 else relevant + 1.0
            top[place], tau[place] = own * share - harmonic, 1.0
            discount[place] = relevant * share - before
        elif rule.kind == FIRST_RELEVANT:
            top[place] = share if place == first else (share - at_first if place < first else 0.0)
            tau[place] = 1.0 if place == first else 0.0
            discount[place] = max(share, at_second)
        elif rule.kind == CASCADE:
            pass_on = 1.0 - worth[place]
            discount[place] = gained + reach * share
            gained += reach * worth[place] * share
            top[place], tau[place] = reach * share + gained / pass_on, 1.0 / pass_on
            reach *= pass_on
        else:
            top[place] = discount[place] = discounts[place]
            tau[place] = 1.0
    return int(min(n, rule.truncation))


# Said aloud, since a callee would inherit its caller's: reordered, the floor would vanish in a huge score.
@compiled(error_model="numpy", fastmath=False)
def divide_by_gaps(scratch: Any, weights: Any, i: int, n: int) -> None:  # pragma: no cover
    """Divide row i's weights by 0.01 + |s_i - s_j|."""
    below, scores, score_i = weights[i + 1 : n], scratch[SCORE, i + 1 : n], scratch[SCORE, i]
    floor = scratch.dtype.type(SCORE_GAP_FLOOR)
    for k in range(len(below)):
        below[k] /= floor + (score_i - scores[k])


@compiled(error_model="numpy", fastmath=_REORDER)
def weigh_row(
    scratch: Any, weights: Any, i: int, end: int, n: int, kind: int, inverse: float
) -> None:  # pragma: no cover
    """Write the signed weight of every pair (i, j), j below i, into `weights[i + 1 : n]`."""
    zero = scratch.dtype.type(0.0)
    scale = scratch.dtype.type(inverse)
    worth_i = scratch[WORTH, i]
    top = scratch[TOP, i] * scale
    tau = scratch[TAU, i] * scale
    inside = scratch[INSIDE, i] * scale
    tied, tied_worth = weights[i + 1 : end], scratch[WORTH, i + 1 : end]
    lower, lower_worth, lower_discount = weights[end:n], scratch[WORTH, end:n], scratch[DISCOUNT, end:n]
    if kind == UNIFORM:
        for k in range(len(tied)):
            tied[k] = np.sign(worth_i - tied_worth[k]) * inside
        for k in range(len(lower)):
            lower[k] = np.sign(worth_i - lower_worth[k]) * top
    else:
        for k in range(len(tied)):
            tied[k] = (worth_i - tied_worth[k]) * inside
        for k in range(len(lower)):
            # Rounding may leave a difference that is zero a little below it.
            lower[k] = (worth_i - lower_worth[k]) * max(top - tau * lower_discount[k], zero)


@compiled(error_model="numpy", fastmath=_REORDER)
def weigh_row_by_distance(
    scratch: Any, weights: Any, i: int, n: int, steps: Any, stretch: Any, ranked: float, near: float
) -> None:  # pragma: no cover
    """The same for weights |G_i - G_j| (ranked (D_i - D_j) + near step(j - i) stretch(j))."""
    row, worth, discount = weights[i + 1 : n], scratch[WORTH, i + 1 : n], scratch[DISCOUNT, i + 1 : n]
    step, stretched = steps[1 : n - i], stretch[i + 1 : n]
    for k in range(len(row)):
        factor = ranked * (scratch[TOP, i] - discount[k]) + near * step[k] * stretched[k]
        row[k] = (scratch[WORTH, i] - worth[k]) * factor


@compiled(error_model="numpy", fastmath=_REORDER)
def weigh_tied_labels(scratch: Any, halves: Any, i: int, end: int, n: int) -> None:  # pragma: no cover
    """Write the weight of row i's pairs of equal labels, 0 for the others, into `halves[i + 1 : n]`."""
    worth_i, top, inside = scratch[WORTH, i], scratch[TOP, i], scratch[INSIDE, i]
    zero = scratch.dtype.type(0.0)
    for j in range(i + 1, end):
        halves[j] = inside if scratch[WORTH, j] == worth_i else zero
    for j in range(end, n):
        halves[j] = top if scratch[WORTH, j] == worth_i else zero


@compiled(error_model="numpy", fastmath=_REORDER)
def adjust_row(
    scratch: Any, weights: Any, i: int, n: int, by_documents: bool, by_winners: bool, label_gap: float
) -> None:  # pragma: no cover
    """Multiply row i's weights with what knows no ranks: documents, the better document, label gaps."""
    row = weights[i + 1 : n]
    if by_documents:
        root_i, roots = scratch[ROOT_WEIGHT, i], scratch[ROOT_WEIGHT, i + 1 : n]
        for k in range(len(row)):
            row[k] *= root_i * roots[k]
    if by_winners:
        winner_i, winners = scratch[WINNER, i], scratch[WINNER, i + 1 : n]
        for k in range(len(row)):
            row[k] *= winner_i if row[k] > 0.0 else winners[k]
    if label_gap > 0.0:
        label_i, labels = scratch[LABEL, i], scratch[LABEL, i + 1 : n]
        for k in range(len(row)):
            row[k] *= abs(label_i - labels[k]) ** label_gap


@compiled(error_model="numpy", fastmath=_REORDER)
def spread_exponentials(scratch: Any, i: int, n: int, sigma: float) -> None:  # pragma: no cover
    """Write exp(-sigma (s_i - s_j)) for row i: e_j with e_i put to 1, where factors would underflow."""
    exponential, scores = scratch[EXPONENTIAL, i + 1 : n], scratch[SCORE, i + 1 : n]
    score_i = scratch[SCORE, i]
    for k in range(len(scores)):
        exponential[k] = np.exp(-sigma * (score_i - scores[k]))


@compiled(error_model="numpy", fastmath=_REORDER)
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


@compiled(error_model="numpy", fastmath=_REORDER)
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


@compiled(error_model="numpy", fastmath=_REORDER)
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


@compiled
def load_query(
    scratch: Any, ends: Any, order: Any, scores: Any, low: int, lists: Any, rule: Any
) -> Any:  # pragma: no cover
    """Sort one query into the scratch: (are factored exponentials safe, how many rows have pairs)."""
    n = len(scores)
    worth, labels = lists.worth[low : low + n], lists.labels[low : low + n]
    weights, winners = lists.document_weights[low : low + n], lists.winner_weights[low : low + n]
    sort_descending(scores, order)
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
    by_documents, kind, formula, shape = len(lists.document_weights) > 0, rule.kind, rule.formula, rule.shape
    ranked, near = rule.ranked * inverse, rule.near * inverse
    last, start = min(rows, n - 1), 0
    score_norm = rule.score_norm and scratch[SCORE, n - 1] != 0.0
    total = value = 0.0
    while start < last:
        end = alike[start]
        means[end:n] = 0.0
        for i in range(start, min(end, last)):
            if kind == DISTANCE:
                weigh_row_by_distance(scratch, weights, i, n, lists.steps, lists.stretch, ranked, near)
            else:
                weigh_row(scratch, weights, i, ends[i], n, kind, inverse)
            if score_norm:
                divide_by_gaps(scratch, weights, i, n)
            adjust_row(scratch, weights, i, n, by_documents, False, rule.label_gap)
            means[end:n] += weights[end:n]
        share_weights(means, start, end, alike)
        for i in range(start, min(end, n - 1)):
            full = i + 1 + (n - i - 2 + WIDTH) // WIDTH * WIDTH
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
    kind, formula, shape, label_gap = rule.kind, rule.formula, rule.shape, rule.label_gap
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
        full = i + 1 + (n - i - 2 + WIDTH) // WIDTH * WIDTH
        if kind == DISTANCE:
            weigh_row_by_distance(scratch, weights, i, n, steps, stretch, ranked, near)
        else:
            weigh_row(scratch, weights, i, ends[i], full, kind, inverse)
        if score_norm:
            divide_by_gaps(scratch, weights, i, full)
        if adjusted:
            adjust_row(scratch, weights, i, n, by_documents, by_winners, label_gap)
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
            weigh_tied_labels(scratch, halves, i, ends[i], n)
            if score_norm:
                divide_by_gaps(scratch, halves, i, n)
            if adjusted:
                adjust_row(scratch, halves, i, n, by_documents, by_winners, label_gap)
            total += half_row(scratch, halves, i, n, shape, safe)
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
