"""The rank factors of a metric's weights: T, tau, D of each document, and the factor inside a tie group."""

from __future__ import annotations

from typing import Any

from ranking.compiled.jit import compiled
from ranking.objectives.kernel.layout import (
    CASCADE,
    DISCOUNT,
    FIRST_RELEVANT,
    INSIDE,
    PRECISION_AVERAGE,
    RANKED,
    TAU,
    TIES_AVERAGE,
    TOP,
    WORTH,
)


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
