'''A user's own pair loss, pair weight, or both, in a Python file.

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

`loss` and `gradient` make a pair loss, without them it is log(1 + exp(−sigma d)), or what `pair_loss` names;
`weight` makes a pair weight, without it every pair weighs 1, or what `metric` or `weight` says. Ranks count
from 1, `ideal` is the list's ideal DCG at the truncation. Every function takes and gives single numbers and
is compiled by Numba: use `math`, arithmetic and conditions.
'''

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from ranking.compiled.own_code import functions_of
from ranking.errors import UsageError
from ranking.metrics import gain
from ranking.metrics.conventions import Worths
from ranking.objectives.kernel.layout import DISTANCE, OWN
from ranking.objectives.pair_losses import LogisticPair, PairFunctions, PairLoss
from ranking.objectives.pair_weights import (
    PairWeight,
    UniformWeight,
    WeightRule,
    check_worths,
    inverse_ideals,
)
from ranking.objectives.pairwise import Pairwise

if TYPE_CHECKING:
    from ranking.data.arrays import Float64
    from ranking.data.dataset import RankingDataset


def from_file(file: str) -> Pairwise:
    """The objective of a user's file: its pair loss and its pair weight, where it has them.

    Raises UsageError where it cannot be read, does not run, or defines neither.
    """
    functions, _ = functions_of(file)
    if ("loss" in functions) != ("gradient" in functions):
        raise UsageError(f"{file} must define both loss(d) and gradient(d), or neither")
    if not {"loss", "weight"} & set(functions):
        raise UsageError(
            f"{file} defines neither a pair loss (loss and gradient) nor a weight; "
            f"it has: {', '.join(sorted(functions)) or 'no functions'}"
        )
    pair_loss: PairLoss = OwnPair(file=file) if "loss" in functions else LogisticPair()
    weight: PairWeight = OwnWeight(file=file) if "weight" in functions else UniformWeight()
    return Pairwise(pair_loss=pair_loss, weight=weight)


@dataclass(frozen=True, kw_only=True)
class OwnPair:
    """The pair loss of a user's file.

    file       the file; `sha256` its hash, so that a resumed run notices a change

    gradient   the file's; a non-finite value is an error in training
    hessian    the file's, or |gradient| where it has none
    """

    name: ClassVar[str] = "own"
    hessian: ClassVar[Literal["exact", "surrogate"]] = "surrogate"
    formula: ClassVar[str] = "loss(s_i − s_j)"
    source: ClassVar[str] = "the user's file"
    kernel: ClassVar[int] = OWN
    shape: ClassVar[float] = 1.0

    file: str
    sha256: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "sha256", _unchanged(self.file, self.sha256))

    def functions(self) -> PairFunctions:
        """The file's functions, compiled. Raises UsageError for one that Numba cannot compile."""
        return _pair_functions(self.file, self.sha256)


@dataclass(frozen=True, kw_only=True)
class OwnWeight(PairWeight):
    """The pair weight of a user's file.

    file            the file; `sha256` its hash, so that a resumed run notices a change
    gain, discount  what a label and a rank are worth: the gains and the ideal DCG that the file is given
    """

    source: ClassVar[str] = "the user's file"

    file: str
    sha256: str = ""
    gain: Worths = "exponential"
    discount: Worths = "log2"

    def __post_init__(self) -> None:
        object.__setattr__(self, "sha256", _unchanged(self.file, self.sha256))
        check_worths(self.gain, self.discount)

    @property
    def name(self) -> str:
        return "own"

    @property
    def formula(self) -> str:
        return "weight(G_i, G_j, r_i, r_j, maxDCG)"

    def rule(self, truncation: int | None) -> WeightRule:
        # Documents are ordered as for the weights by distance; what a pair weighs is asked of the function.
        return WeightRule(DISTANCE)

    def worth(self, dataset: RankingDataset, truncation: int | None) -> tuple[Float64, Float64]:
        gains = gain(dataset.labels, self.gain)
        inverse = inverse_ideals(gains, dataset, self.discount, truncation)
        # Lists without a relevant document have no pairs of different labels, but linear gains may be 0 too.
        return gains, np.where(inverse > 0, inverse, 1.0)

    def function(self) -> Callable[..., float]:
        """The file's function, compiled. Raises UsageError for one that Numba cannot compile."""
        return _weight_function(self.file, self.sha256)


def _unchanged(file: str, asked: str) -> str:
    """The hash of the file, which must be the one asked for."""
    _, digest = functions_of(file)
    if asked not in ("", digest):
        raise UsageError(f"{file} has changed: its hash is {digest}, and {asked} was asked for")
    return digest


# The digest renews what is compiled where the file changed.
@lru_cache(maxsize=8)
def _pair_functions(file: str, digest: str) -> PairFunctions:
    functions, _ = functions_of(file)
    loss, gradient = (_compiled(file, name, functions[name], 0.5) for name in ("loss", "gradient"))
    if "hessian" in functions:
        return PairFunctions(loss, gradient, _compiled(file, "hessian", functions["hessian"], 0.5))

    def steepness(d: float) -> float:
        return abs(gradient(d))

    return PairFunctions(loss, gradient, _compiled(file, "gradient", steepness, 0.5))


@lru_cache(maxsize=8)
def _weight_function(file: str, digest: str) -> Callable[..., float]:
    functions, _ = functions_of(file)
    return _compiled(file, "weight", functions["weight"], 3.0, 1.0, 1.0, 2.0, 3.0)


def _compiled(file: str, name: str, function: Callable[..., Any], *example: float) -> Callable[..., float]:
    """The function compiled for numbers like those of the example."""
    from numba import njit
    from numba.core.errors import NumbaError

    # a file may have compiled its functions itself
    compiled: Callable[..., float] = njit(nogil=True, error_model="numpy")(
        getattr(function, "py_func", function)
    )
    try:
        compiled(*example)
    except (NumbaError, TypeError, ValueError) as error:
        reason = next((line for line in str(error).splitlines() if line.strip()), "")
        raise UsageError(f"{file}: {name} cannot be compiled for numbers: {reason}") from error
    return compiled
