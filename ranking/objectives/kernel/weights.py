"""The signed weights of the pairs of one row."""

from __future__ import annotations

from typing import Any

import numpy as np

from ranking.compiled.jit import compiled
from ranking.objectives.kernel.layout import (
    DISCOUNT,
    INSIDE,
    LABEL,
    REORDER,
    ROOT_WEIGHT,
    SCORE,
    SCORE_GAP_FLOOR,
    TAU,
    TOP,
    UNIFORM,
    WINNER,
    WORTH,
)


@compiled(error_model="numpy", fastmath=REORDER)
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


@compiled(error_model="numpy", fastmath=REORDER)
def weigh_row_by_distance(
    scratch: Any, weights: Any, i: int, n: int, steps: Any, stretch: Any, ranked: float, near: float
) -> None:  # pragma: no cover
    """The same for weights |G_i - G_j| (ranked (D_i - D_j) + near step(j - i) stretch(j))."""
    row, worth, discount = weights[i + 1 : n], scratch[WORTH, i + 1 : n], scratch[DISCOUNT, i + 1 : n]
    step, stretched = steps[1 : n - i], stretch[i + 1 : n]
    for k in range(len(row)):
        factor = ranked * (scratch[TOP, i] - discount[k]) + near * step[k] * stretched[k]
        row[k] = (scratch[WORTH, i] - worth[k]) * factor


@compiled(error_model="numpy", fastmath=REORDER)
def weigh_tied_labels(scratch: Any, halves: Any, i: int, end: int, n: int) -> None:  # pragma: no cover
    """Write the weight of row i's pairs of equal labels, 0 for the others, into `halves[i + 1 : n]`."""
    worth_i, top, inside = scratch[WORTH, i], scratch[TOP, i], scratch[INSIDE, i]
    zero = scratch.dtype.type(0.0)
    for j in range(i + 1, end):
        halves[j] = inside if scratch[WORTH, j] == worth_i else zero
    for j in range(end, n):
        halves[j] = top if scratch[WORTH, j] == worth_i else zero


# Said aloud, since a callee would inherit its caller's: reordered, the floor would vanish in a huge score.
@compiled(error_model="numpy", fastmath=False)
def divide_by_gaps(scratch: Any, weights: Any, i: int, n: int) -> None:  # pragma: no cover
    """Divide row i's weights by 0.01 + |s_i - s_j|."""
    below, scores, score_i = weights[i + 1 : n], scratch[SCORE, i + 1 : n], scratch[SCORE, i]
    floor = scratch.dtype.type(SCORE_GAP_FLOOR)
    for k in range(len(below)):
        below[k] /= floor + (score_i - scores[k])


@compiled(error_model="numpy", fastmath=REORDER)
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
