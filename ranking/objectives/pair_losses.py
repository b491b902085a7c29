"""Pair losses: what a pair costs whose better document leads by d = s_i − s_j.

Each is one frozen dataclass of its shape, with its facts; the kernel and torch (`ranking.losses.pairwise`)
compute it by its name.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal, NamedTuple, Protocol

from ranking.objectives.arguments import check_positive
from ranking.objectives.kernel.layout import HINGE, LOGISTIC, SQUARED_HINGE

if TYPE_CHECKING:
    from dataclasses import Field
    from typing import Any


class PairFunctions(NamedTuple):
    """A pair loss of one's own, compiled, each float64 of float64."""

    loss: Callable[[float], float]
    gradient: Callable[[float], float]
    hessian: Callable[[float], float]


class PairLoss(Protocol):
    """A pair loss and its facts.

    name             in `PAIR_LOSSES`, or "own"
    hessian          "exact": the second derivative; "surrogate": what stands in for it, by its docstring
    formula, source  one line each
    kernel           its number in `ranking.objectives.kernel.layout`
    """

    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]

    @property
    def name(self) -> str: ...
    @property
    def hessian(self) -> Literal["exact", "surrogate"]: ...
    @property
    def formula(self) -> str: ...
    @property
    def source(self) -> str: ...
    @property
    def kernel(self) -> int: ...
    @property
    def shape(self) -> float:
        """What the kernel is told beside the number: sigma, or the margin."""

    def functions(self) -> PairFunctions | None:
        """Compiled functions the kernel does not have, or None."""


@dataclass(frozen=True, kw_only=True)
class LogisticPair:
    """The pairwise logistic loss, of steepness sigma.

    With p = 1 / (1 + exp(sigma d)):
    gradient   −sigma p on i, +sigma p on j
    hessian    exact diagonal: sigma² p (1 − p) on both
    """

    name: ClassVar[str] = "logistic"
    hessian: ClassVar[Literal["exact", "surrogate"]] = "exact"
    formula: ClassVar[str] = "log(1 + exp(−sigma (s_i − s_j)))"
    source: ClassVar[str] = "Burges et al. 2005 (RankNet)"
    kernel: ClassVar[int] = LOGISTIC

    sigma: float = 1.0

    def __post_init__(self) -> None:
        check_positive(sigma=self.sigma)

    @property
    def shape(self) -> float:
        return float(self.sigma)

    def functions(self) -> None:
        return None


@dataclass(frozen=True, kw_only=True)
class HingePair:
    """The margin of the pair: nothing once the better document leads by `margin`.

    gradient   −1 on i and +1 on j for each pair closer than the margin; 0 at exactly the margin.
    hessian    surrogate. The second derivative is zero, so a Newton step would be infinite. Taken
               instead is that of the quadratic hinge (margin − d)₊² / (2 margin), which has the same
               gradient at a tie: 1 / margin on both documents of an active pair. Then
               |gradient| <= margin · hessian for every document, and no leaf, however little
               regularised, moves a score by more than the margin times the learning rate.
    """

    name: ClassVar[str] = "hinge"
    hessian: ClassVar[Literal["exact", "surrogate"]] = "surrogate"
    formula: ClassVar[str] = "max(0, margin − (s_i − s_j))"
    source: ClassVar[str] = "Herbrich, Graepel, Obermayer 2000; Joachims 2002 (ranking SVM)"
    kernel: ClassVar[int] = HINGE

    margin: float = 1.0

    def __post_init__(self) -> None:
        check_positive(margin=self.margin)

    @property
    def shape(self) -> float:
        return float(self.margin)

    def functions(self) -> None:
        return None


@dataclass(frozen=True, kw_only=True)
class SquaredHingePair(HingePair):
    """The squared margin of the pair.

    gradient   −2 (margin − d)₊ on i, and its opposite on j
    hessian    exact but at d = margin: 2 on both documents of a pair closer than the margin, else 0
    """

    name: ClassVar[str] = "squared_hinge"
    hessian: ClassVar[Literal["exact", "surrogate"]] = "exact"
    formula: ClassVar[str] = "max(0, margin − (s_i − s_j))²"
    source: ClassVar[str] = "Chapelle, Keerthi 2010 (RankSVM in the primal)"
    kernel: ClassVar[int] = SQUARED_HINGE


PAIR_LOSSES: dict[str, PairLoss] = {
    one.name: one for one in (LogisticPair(), HingePair(), SquaredHingePair())
}
"""Each name's pair loss with default parameters."""
