"""Pointwise objectives: each document against its own target, for labels that are classes or qualities.

Scores are logits z, p = 1 / (1 + exp(−z)). The focal family is one formula,

    L = a · |y − p|^g · CE,   CE = −y log p − (1 − y) log(1 − p)

with a scale a, a target y in [0, 1] and a power g for each document. For y in {0, 1} everything is taken
from s = (2y − 1) z in log space: log p_t = −log(1 + exp(−s)), |y − p|^g = exp(g log(1 − p_t)), which stays
finite for any logit and any g.

hessian   L is not convex where a wrong answer is confident. There, and wherever it is larger, the second
          derivative gives way to a |y − p|^g p (1 − p), that of a cross-entropy whose factor is held
          constant, as LambdaRank holds its weights: positive everywhere.

Losses sum over documents; a document weighs its own weight, or its query's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple

import numpy as np
from scipy.special import expit, log_expit

from ranking.errors import DataError, UsageError
from ranking.objectives.arguments import check_at_least, check_positive, check_scores, row_weights
from ranking.objectives.protocol import Plain

if TYPE_CHECKING:
    from ranking.data.arrays import Float64
    from ranking.data.dataset import RankingDataset
    from ranking.objectives.protocol import Gradients


class Targets(NamedTuple):
    """What each document is to be, float64 [documents] each."""

    y: Any
    """in [0, 1]"""
    scale: Any
    power: Any


@dataclass(frozen=True, kw_only=True)
class Pointwise(Plain):
    """What pointwise objectives share: documents are classes by a threshold on their labels.

    relevant_from   labels of at least this are positive; None: those above 0
    hessian_scale   multiplies the hessian
    """

    name: ClassVar[str]
    family: ClassVar[str] = "pointwise"
    hessian: ClassVar[Literal["exact", "surrogate"]] = "surrogate"
    formula: ClassVar[str]
    source: ClassVar[str]
    shift_invariant: ClassVar[bool] = False
    stochastic: ClassVar[bool] = False
    needs_positions: ClassVar[bool] = False

    relevant_from: float | None = None
    hessian_scale: float = 1.0

    def __post_init__(self) -> None:
        check_positive(hessian_scale=self.hessian_scale)
        if self.relevant_from is not None:
            check_positive(relevant_from=self.relevant_from)

    def positive(self, dataset: RankingDataset) -> Any:
        """bool [documents]: is the document of the positive class?"""
        labels = dataset.labels.astype(np.float64)
        return labels > 0 if self.relevant_from is None else labels >= self.relevant_from

    def targets(self, dataset: RankingDataset) -> Targets:
        raise TypeError(f"{type(self).__name__} names no targets")

    def prepare(self, dataset: RankingDataset, threads: int = 1, first_round: int = 0) -> Gradients:
        """`scores -> (gradient, hessian)` for many rounds on one data set; threads are not needed."""
        targets, weights = self.targets(dataset), row_weights(dataset)

        def gradients(scores: Any) -> tuple[Float64, Float64]:
            gradient, hessian = self.derivatives(check_scores(scores, dataset), targets)
            return gradient * weights, hessian * weights * self.hessian_scale

        return gradients

    def gradients(self, scores: Any, dataset: RankingDataset) -> tuple[Float64, Float64]:
        """(gradient, hessian), float64 [documents], of `loss` at `scores` [documents].

        Raises DataError for scores of the wrong length or not finite.
        """
        return self.prepare(dataset)(scores)

    def loss(self, scores: Any, dataset: RankingDataset, weights_at: Any = None) -> float:
        """The weighted sum over documents; `weights_at` is not needed, since no weight knows ranks."""
        values = self.values(check_scores(scores, dataset), self.targets(dataset))
        return float(values @ row_weights(dataset))

    def values(self, z: Float64, targets: Targets) -> Float64:
        """The loss of each document."""
        value: Float64 = targets.scale * _factor(z, targets) * _cross_entropy(z, targets.y)
        return value

    def derivatives(self, z: Float64, targets: Targets) -> tuple[Float64, Float64]:
        """(first derivative, second derivative or its surrogate) of each document's loss."""
        y, scale, power = targets
        p, entropy = expit(z), _cross_entropy(z, y)
        bend = p * expit(-z)
        hard = (y == 0.0) | (y == 1.0)
        factor = _factor(z, targets)
        # d |y − p|^g / dz: −(2y − 1) g |y − p|^g p_t for y in {0, 1}, else ±g |y − p|^(g − 1) p (1 − p)
        chosen = expit((2.0 * y - 1.0) * z)
        miss = p - y
        shrunk = np.abs(miss) ** np.maximum(power - 1.0, 0.0)
        slope = np.where(
            hard, -(2.0 * y - 1.0) * power * factor * chosen, power * shrunk * np.sign(miss) * bend
        )
        toward = np.where(hard, (2.0 * y - 1.0) * -expit(-(2.0 * y - 1.0) * z), miss)
        # a huge cross-entropy may meet a factor of zero: their product is zero
        gradient = scale * (_product(slope, entropy) + factor * toward)
        # |y − p|^(g − 2) is infinite at p = y for g below 2: left out, the surrogate stands in
        sharp = np.where(
            power >= 2.0, power * (power - 1.0) * np.abs(miss) ** np.maximum(power - 2.0, 0.0), 0.0
        )
        curve = np.where(
            hard,
            power * factor * chosen * (power * chosen - (1.0 - chosen)),
            power * shrunk * np.sign(miss) * bend * (1.0 - 2.0 * p) + sharp * bend**2,
        )
        held = factor * bend
        exact = _product(curve, entropy) + 2.0 * slope * toward + held
        return gradient, scale * np.maximum(exact, held)


def _cross_entropy(z: Float64, y: Any) -> Float64:
    value: Float64 = -_product(y, log_expit(z)) - _product(1.0 - y, log_expit(-z))
    return value


def _factor(z: Float64, targets: Targets) -> Float64:
    """|y − p|^g, in log space where y is 0 or 1."""
    y, _, power = targets
    hard = (y == 0.0) | (y == 1.0)
    in_logs = np.exp(power * log_expit(-(2.0 * y - 1.0) * z))
    factor: Float64 = np.where(hard, in_logs, np.abs(expit(z) - y) ** power)
    return factor


def _product(a: Any, b: Any) -> Any:
    """a · b, zero where either is, even beside an infinity."""
    with np.errstate(invalid="ignore", over="ignore"):
        return np.where((a == 0.0) | (b == 0.0), 0.0, a * b)


@dataclass(frozen=True, kw_only=True)
class LogisticLoss(Pointwise):
    """Cross-entropy of each document, y = 1 for the positive class.

    gradient   p − y
    hessian    exact: p (1 − p)
    """

    name: ClassVar[str] = "logistic"
    hessian: ClassVar[Literal["exact", "surrogate"]] = "exact"
    formula: ClassVar[str] = "sum of −y log p − (1 − y) log(1 − p), p = 1 / (1 + exp(−s))"
    source: ClassVar[str] = "Cox 1958; as a ranking loss Li, Burges, Wu 2007 (McRank)"

    def targets(self, dataset: RankingDataset) -> Targets:
        y = self.positive(dataset).astype(np.float64)
        return Targets(y, np.ones(len(y)), np.zeros(len(y)))


@dataclass(frozen=True, kw_only=True)
class Focal(Pointwise):
    """Focal loss, with p_t = p for positives and 1 − p for negatives.

    alpha      of positives; negatives have 1 − alpha. gamma=0 and alpha=½ is half the logistic loss
    gradient   (2y − 1) alpha_t (1 − p_t)^gamma (gamma p_t log p_t + p_t − 1), the sign for both classes
    hessian    surrogate where the loss is not convex (see the module), exact elsewhere
    """

    name: ClassVar[str] = "focal"
    formula: ClassVar[str] = "sum of −alpha_t (1 − p_t)^gamma log p_t"
    source: ClassVar[str] = "Lin et al. 2017 (RetinaNet: alpha=.25, gamma=2)"

    alpha: float = 0.25
    gamma: float = 2.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_at_least(0, gamma=self.gamma)
        if not (isinstance(self.alpha, int | float) and 0 < self.alpha < 1):
            raise UsageError(f"alpha must be between 0 and 1, got {self.alpha!r}")

    def targets(self, dataset: RankingDataset) -> Targets:
        y = self.positive(dataset).astype(np.float64)
        return Targets(y, np.where(y > 0, self.alpha, 1.0 - self.alpha), np.full(len(y), self.gamma))


@dataclass(frozen=True, kw_only=True)
class ClassBalancedFocal(Pointwise):
    """Focal loss with each class weighted by one over its effective number of documents n_t.

    beta       0 weighs classes alike, towards 1 by one over their counts; counted over the training data
    gradient, hessian   focal's
    """

    name: ClassVar[str] = "class_balanced_focal"
    formula: ClassVar[str] = "focal with alpha_t = (1 − beta) / (1 − beta^n_t), scaled to sum to 2"
    source: ClassVar[str] = "Cui et al. 2019 (class-balanced loss: beta .9 … .9999)"

    beta: float = 0.999
    gamma: float = 2.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_at_least(0, beta=self.beta, gamma=self.gamma)
        if self.beta >= 1:
            raise UsageError(f"beta must be below 1, got {self.beta!r}")

    def targets(self, dataset: RankingDataset) -> Targets:
        positive = self.positive(dataset)
        counts = np.array([np.count_nonzero(~positive), np.count_nonzero(positive)], np.float64)
        # 1 − beta^n as −expm1(n log beta), since beta^n is close to 1 for few documents
        effective = -np.expm1(counts * np.log(self.beta)) if self.beta > 0 else np.ones(2)
        weights = np.divide(1.0 - self.beta, effective, out=np.zeros(2), where=counts > 0)
        weights *= 2.0 / weights.sum()
        y = positive.astype(np.float64)
        return Targets(y, weights[positive.astype(int)], np.full(len(y), self.gamma))


@dataclass(frozen=True, kw_only=True)
class QualityFocal(Pointwise):
    """Quality focal loss: the cross-entropy of a soft target in [0, 1], less where it is met.

    largest_label   what label has quality y = 1; None: the largest of the training data
    gradient   beta |y − p|^(beta − 1) sign(p − y) p (1 − p) CE + |y − p|^beta (p − y); zero at p = y
    hessian    surrogate where the loss is not convex (see the module), exact elsewhere
    """

    name: ClassVar[str] = "quality_focal"
    formula: ClassVar[str] = "sum of |y − p|^beta (−y log p − (1 − y) log(1 − p)), y = label / largest label"
    source: ClassVar[str] = "Li et al. 2020 (generalized focal loss: beta=2)"

    beta: float = 2.0
    largest_label: float | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        # Below 1 the derivative is infinite at p = y.
        check_at_least(1, beta=self.beta)
        if self.largest_label is not None:
            check_positive(largest_label=self.largest_label)

    def targets(self, dataset: RankingDataset) -> Targets:
        y = qualities(dataset, self.largest_label)
        return Targets(y, np.ones(len(y)), np.full(len(y), self.beta))


@dataclass(frozen=True, kw_only=True)
class Varifocal(Pointwise):
    """Varifocal loss: positives by their quality q = label / largest label, negatives by how hard they are.

    largest_label   what label has quality q = 1; None: the largest of the training data
    gradient   q > 0: q (p − q); q = 0: focal's
    hessian    surrogate where the loss is not convex (see the module), exact elsewhere
    """

    name: ClassVar[str] = "varifocal"
    formula: ClassVar[str] = "sum of q CE(p, q) for quality q > 0, of −alpha p^gamma log(1 − p) for q = 0"
    source: ClassVar[str] = "Zhang et al. 2021 (VarifocalNet: alpha=.75, gamma=2)"

    alpha: float = 0.75
    gamma: float = 2.0
    largest_label: float | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive(alpha=self.alpha)
        check_at_least(0, gamma=self.gamma)
        if self.largest_label is not None:
            check_positive(largest_label=self.largest_label)

    def targets(self, dataset: RankingDataset) -> Targets:
        q = qualities(dataset, self.largest_label)
        return Targets(q, np.where(q > 0, q, self.alpha), np.where(q > 0, 0.0, self.gamma))


@dataclass(frozen=True, kw_only=True)
class SVMHinge(Pointwise):
    """Binary hinge, y = +1 for the positive class and −1 for the other.

    gradient   −y where y s < 1, else 0, at the kink too
    hessian    surrogate: 1 where y s < 1. The second derivative is zero; this is that of the quadratic
               hinge (1 − y s)₊² / 2, so that no leaf moves a score by more than 1 times the learning rate
    """

    name: ClassVar[str] = "svm_hinge"
    formula: ClassVar[str] = "sum of max(0, 1 − y s), y in {−1, +1}"
    source: ClassVar[str] = "Cortes, Vapnik 1995"

    def targets(self, dataset: RankingDataset) -> Targets:
        y = np.where(self.positive(dataset), 1.0, -1.0)
        return Targets(y, np.ones(len(y)), np.zeros(len(y)))

    def values(self, z: Float64, targets: Targets) -> Float64:
        value: Float64 = np.maximum(1.0 - targets.y * z, 0.0)
        return value

    def derivatives(self, z: Float64, targets: Targets) -> tuple[Float64, Float64]:
        active = (targets.y * z < 1.0).astype(np.float64)
        return -targets.y * active, active


def qualities(dataset: RankingDataset, largest: float | None) -> Float64:
    """label / largest label, float64 [documents] in [0, 1].

    Raises DataError for a label above the largest one named.
    """
    labels = dataset.labels.astype(np.float64)
    top = float(labels.max(initial=0.0)) if largest is None else float(largest)
    if labels.max(initial=0.0) > top:
        row = int(labels.argmax())
        raise DataError(
            f"row {row} (query {dataset.query_of(row)}) has label {labels[row]:g}, above "
            f"objective.largest_label={top:g}: raise it, or leave it out"
        )
    shares: Float64 = labels / top if top > 0 else labels
    return shares
