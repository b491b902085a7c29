"""What every torch loss says about itself, and what those of an objective take from it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, Protocol

from ranking.objectives.protocol import Facts

if TYPE_CHECKING:
    from torch import Tensor

    from ranking.objectives.clicks import Propensities

TREES_ONLY = ("hessian_scale", "precision", "noise_seed")
"""Parameters of objectives that change nothing in torch."""


class Loss(Facts, Protocol):
    """A loss of lists in torch: called with `(scores, labels, where, weights, reduction)`."""

    def __call__(self, scores: Tensor, labels: Tensor, *more: Any, **named: Any) -> Tensor: ...


class OfObjective:
    """The facts and parameters of a torch loss that is the form of an objective: the objective's."""

    objective: Any

    @property
    def name(self) -> str:
        return str(self.objective.name)

    @property
    def family(self) -> str:
        return str(self.objective.family)

    @property
    def formula(self) -> str:
        return str(self.objective.formula)

    @property
    def source(self) -> str:
        return str(self.objective.source)

    @property
    def shift_invariant(self) -> bool:
        return bool(self.objective.shift_invariant)

    @property
    def stochastic(self) -> bool:
        return bool(self.objective.stochastic)

    @property
    def needs_positions(self) -> bool:
        return bool(self.objective.needs_positions)

    @property
    def labels(self) -> Literal["graded", "real"]:
        labels: Literal["graded", "real"] = self.objective.labels
        return labels

    @property
    def clicks(self) -> Propensities:
        """What makes up for the positions that it needs."""
        clicks: Propensities = self.objective.clicks
        return clicks

    def parameters(self) -> dict[str, Any]:
        return {key: value for key, value in self.objective.parameters().items() if key not in TREES_ONLY}

    def documentation(self) -> str:
        return str(self.objective.documentation())
