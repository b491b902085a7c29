'''A user's own pairwise objective: a pair formula, a pair weight, or both, in a Python file.

    """my_loss.py: the exponential loss of RankBoost."""
    import math

    def loss(d):                # of a pair whose better document leads by d
        return math.exp(-d)

    def gradient(d):            # its first derivative
        return -math.exp(-d)

    def hessian(d):             # its second derivative; without it |gradient| stands in
        return math.exp(-d)

    def weight(better_gain, worse_gain, better_rank, worse_rank, ideal):
        return (better_gain - worse_gain) / ideal

`loss` and `gradient` make a formula, without them it is log(1 + exp(−d)); `weight` makes a weight, without it
every pair weighs 1. Ranks count from 1, `ideal` is the list's ideal DCG at the truncation. Every function
takes and gives single numbers and is compiled by Numba: use `math`, arithmetic and conditions.
'''

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from ranking.compiled.own_code import functions_of
from ranking.errors import UsageError
from ranking.objectives.kernel.layout import (
    CURVATURE,
    DISTANCE,
    LABEL,
    LAMBDA,
    LOGISTIC,
    ROOT_WEIGHT,
    ROWS,
    SCORE,
    SCORE_GAP_FLOOR,
    TIES_AVERAGE,
    WIDTH,
    WORTH,
    Rule,
)
from ranking.objectives.lambdarank import LambdaRank

if TYPE_CHECKING:
    from ranking.data.arrays import Float64
    from ranking.data.dataset import RankingDataset

_PARTS = ("loss", "gradient", "hessian", "weight")


@dataclass(frozen=True, kw_only=True)
class OwnObjective(LambdaRank):
    """The sum over pairs y_i > y_j of weight × loss(s_i − s_j), both from a user's file.

    file       the file; `sha256` its hash, so that a resumed run notices a change
    Other parameters are LambdaRank's, but for metric and truncation_rule, which mean nothing here.

    gradient   weight × the file's gradient; a non-finite value is an error in training
    hessian    the file's, or |gradient| where it has none
    """

    name: ClassVar[str] = "own"
    hessian: ClassVar[Literal["exact", "surrogate"]] = "surrogate"
    formula: ClassVar[str] = "sum over y_i > y_j of weight · loss(s_i − s_j), from a file"
    source: ClassVar[str] = "the user's file"

    file: str
    sha256: str = ""
    truncation: int | None = None
    score_normalization: bool = False
    lambda_normalization: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        functions, digest = functions_of(self.file)
        if self.sha256 not in ("", digest):
            raise UsageError(
                f"{self.file} has changed: its hash is {digest}, and {self.sha256} was asked for"
            )
        object.__setattr__(self, "sha256", digest)
        if ("loss" in functions) != ("gradient" in functions):
            raise UsageError(f"{self.file} must define both loss(d) and gradient(d), or neither")
        if not {"loss", "weight"} & set(functions):
            raise UsageError(
                f"{self.file} defines neither a pair formula (loss and gradient) nor a weight; "
                f"it has: {', '.join(sorted(functions)) or 'no functions'}"
            )

    def rule(self) -> Rule:
        return self._rule(LOGISTIC, DISTANCE, self.sigma)

    def working_type(self) -> Literal["float32", "float64"]:
        return "float64"

    def visit(self) -> Callable[..., float]:
        return _compiled(self.file, self.sha256)

    def worth(self, dataset: RankingDataset) -> tuple[Float64, Float64]:
        gains, inverse = super().worth(dataset)
        # Lists without a relevant document have no pairs of different labels, but linear gains may be 0 too.
        return gains, np.where(inverse > 0, inverse, 1.0)


@lru_cache(maxsize=8)
def _compiled(file: str, digest: str) -> Callable[..., float]:
    """The pair loop around the file's functions; `digest` renews it where the file changed."""
    from numba import njit
    from numba.core.errors import NumbaError

    functions, _ = functions_of(file)
    parts = {}
    for name in _PARTS:
        if name in functions:
            # a file may have compiled its functions itself
            given = getattr(functions[name], "py_func", functions[name])
            parts[name] = njit(nogil=True, error_model="numpy")(given)
            arguments = (0.5,) if name != "weight" else (3.0, 1.0, 1.0, 2.0, 3.0)
            try:
                parts[name](*arguments)
            except (NumbaError, TypeError, ValueError) as error:
                reason = next((line for line in str(error).splitlines() if line.strip()), "")
                raise UsageError(f"{file}: {name} cannot be compiled for numbers: {reason}") from error
    return _loop(parts)


def _loop(parts: dict[str, Any]) -> Callable[..., float]:
    """`kernel.visit_pairs` with these functions for formula and weight; compiled at its first call."""
    import math

    from numba import njit

    from ranking.objectives.kernel.formulas import lambda_scale
    from ranking.objectives.kernel.order import alike_ends, average_alike, share_weights
    from ranking.objectives.kernel.visit import load_query

    @njit(nogil=True)
    def logistic(d: float) -> float:
        return max(-d, 0.0) + math.log1p(math.exp(-abs(d)))

    @njit(nogil=True)
    def logistic_gradient(d: float) -> float:
        return -math.exp(-max(d, 0.0)) / (math.exp(-max(d, 0.0)) + math.exp(min(d, 0.0)))

    @njit(nogil=True)
    def logistic_hessian(d: float) -> float:
        g = logistic_gradient(d)
        return -g * (1.0 + g)

    @njit(nogil=True)
    def uniform(better_gain: float, worse_gain: float, better: float, worse: float, ideal: float) -> float:
        return 1.0

    loss = parts.get("loss", logistic)
    gradient_of = parts.get("gradient", logistic_gradient)
    weight_of = parts.get("weight", uniform)
    own_hessian = parts.get("hessian", None if "loss" in parts else logistic_hessian)

    @njit(nogil=True)
    def steepness(d: float) -> float:
        return float(abs(gradient_of(d)))

    hessian_of = steepness if own_hessian is None else own_hessian

    @njit(nogil=True)
    def pair_weight(scratch: Any, i: int, j: int, n: int, inverse: float, rule: Any, lists: Any) -> float:
        """The signed weight of the pair: positive where i is the better one."""
        if scratch[WORTH, i] > scratch[WORTH, j]:
            w = weight_of(scratch[WORTH, i], scratch[WORTH, j], i + 1.0, j + 1.0, 1.0 / inverse)
        else:
            w = -weight_of(scratch[WORTH, j], scratch[WORTH, i], j + 1.0, i + 1.0, 1.0 / inverse)
        if len(lists.document_weights) > 0:
            w *= scratch[ROOT_WEIGHT, i] * scratch[ROOT_WEIGHT, j]
        if rule.label_gap > 0.0:
            w *= abs(scratch[LABEL, i] - scratch[LABEL, j]) ** rule.label_gap
        if rule.score_norm and scratch[SCORE, 0] != scratch[SCORE, n - 1]:
            w /= SCORE_GAP_FLOOR + (scratch[SCORE, i] - scratch[SCORE, j])
        return float(w)

    @njit(nogil=True)
    def visit(
        queries: Any, lists: Any, rule: Any, scores: Any, orders: Any, probe: Any, gradient: Any, hessian: Any
    ) -> float:
        value = 0.0
        for query in queries:
            low, high = lists.offsets[query], lists.offsets[query + 1]
            n = high - low
            gradient[low:high] = 0.0
            hessian[low:high] = 0.0
            if n < 2:
                continue
            scratch, ends, order = np.empty((ROWS, n + WIDTH)), np.empty(n, np.int64), orders[low:high]
            _, rows = load_query(scratch, ends, order, scores[low:high], low, lists, rule)
            total = own = 0.0
            last, start, end = min(rows, n - 1), 0, 0
            held = np.zeros(n)
            alike = np.arange(1, n + 1)
            if rule.ties == TIES_AVERAGE:
                alike = alike_ends(scores[low:high], order, low, lists)
            for i in range(last):
                if i == end or i == 0:
                    start, end = i, alike[i]
                    held[:] = 0.0
                for j in range(i + 1, n):
                    if scratch[WORTH, i] == scratch[WORTH, j]:
                        continue
                    w = pair_weight(scratch, i, j, n, lists.inverse[query], rule, lists)
                    if w == 0.0:
                        continue
                    held[j] += w
                    d = (
                        scratch[SCORE, i] - scratch[SCORE, j]
                        if w > 0.0
                        else scratch[SCORE, j] - scratch[SCORE, i]
                    )
                    force, bend = -gradient_of(d) * w, hessian_of(d) * abs(w)
                    scratch[LAMBDA, i] -= force
                    scratch[LAMBDA, j] += force
                    scratch[CURVATURE, i] += bend
                    scratch[CURVATURE, j] += bend
                    total += abs(force)
                if len(probe) > 0 and i == min(end, last) - 1:
                    share_weights(held, start, end, alike)
                    for row in range(start, end):
                        for j in range(end, n):
                            if held[j] != 0.0:
                                gap = probe[low + order[row]] - probe[low + order[j]]
                                own += abs(held[j]) * loss(gap if held[j] > 0.0 else -gap)
            if rule.ties == TIES_AVERAGE:
                average_alike(scratch, scores[low:high], order, low, lists)
            scale = lambda_scale(2.0 * total, rule.lambda_norm) * lists.query_weights[query]
            value += own * scale
            for place in range(n):
                gradient[low + order[place]] = scratch[LAMBDA, place] * scale
                hessian[low + order[place]] = scratch[CURVATURE, place] * scale * rule.hessian_scale
        return value

    return visit
