"""What the pair loop reads, and how its scratch lies; numbers and names alone, nothing compiled."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

LOGISTIC, HINGE, SQUARED_HINGE, OWN = range(4)
"""Pair losses; OWN is the user's, which only the loop in `own` can run."""
UNIFORM, RANKED, DISTANCE, PRECISION_AVERAGE, FIRST_RELEVANT, CASCADE = range(6)
"""Pair weights: 1; by given discounts (ndcg, dcg, precision); by rank distance; map; mrr; err."""
TIES_AVERAGE, TIES_FILE = 0, 1

SCORE_GAP_FLOOR = float(np.float32(0.01))
"""The floor of the score normalisation, a float32 literal in LightGBM's source."""

REORDER = {"reassoc", "contract", "arcp", "nsz"}
"""What the compiler may do to sums so that rows vectorise; NaN and infinity keep their meaning."""

WIDTH = 16
"""Rows are run in multiples of this many pairs, the last ones of weight 0, so that no scalar rest is left."""

ROWS = 14
(
    SCORE, EXPONENTIAL, WORTH, LABEL, DISCOUNT, TOP, TAU, INSIDE, ROOT_WEIGHT, WINNER, LAMBDA, CURVATURE,
    PLAIN_LAMBDA, PLAIN_CURVATURE,
) = range(ROWS)  # fmt: skip
"""Rows of a thread's scratch, one column a document in sorted order; the plain ones are those of pairs that
weigh 1 beside the others."""


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
    """LOGISTIC, HINGE, SQUARED_HINGE or OWN"""
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
