"""Gumbel-perturbed scores over any objective: the stochastic treatment of YetiRank."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from ranking.errors import UsageError, nearest, unknown_name
from ranking.objectives.arguments import check_at_least, check_scores

if TYPE_CHECKING:
    from ranking.data.arrays import Float64
    from ranking.data.dataset import RankingDataset
    from ranking.objectives.protocol import Gradients, Objective


@dataclass(frozen=True, kw_only=True)
class Gumbel:
    """The mean of an objective over draws of scores with Gumbel noise.

    Sorting scores with standard Gumbel noise draws a ranking from the Plackett–Luce model of the scores, so
    that pairs near in score take turns at being compared, and ties break at random.

    objective    what is perturbed
    strength     of the noise; a ranking is drawn from scores divided by it
    draws        perturbed rankings a round, averaged
    noise_seed   the noise depends on it, the round and the row alone, so that a resumed run draws the same

    gradient, hessian   the means of the objective's
    """

    name: ClassVar[str] = "gumbel"
    stochastic: ClassVar[bool] = True
    source: ClassVar[str] = (
        "Gulin, Kuralenok, Pavlov 2011 (YetiRank); Bruch et al. 2020 (stochastic treatment)"
    )

    objective: Objective
    strength: float = 0.3
    draws: int = 1
    noise_seed: int = 1

    def __post_init__(self) -> None:
        check_at_least(0, strength=self.strength, noise_seed=self.noise_seed)
        if not isinstance(self.draws, int) or isinstance(self.draws, bool) or self.draws < 1:
            raise UsageError(f"draws must be a whole number from 1, got {self.draws!r}")

    @property
    def family(self) -> str:
        return str(self.objective.family)

    @property
    def formula(self) -> str:
        return f"mean over draws of g of L(s + strength · g), L: {self.objective.formula}"

    @property
    def hessian(self) -> Literal["exact", "surrogate"]:
        exact: Literal["exact", "surrogate"] = self.objective.hessian
        return exact

    @property
    def shift_invariant(self) -> bool:
        return bool(self.objective.shift_invariant)

    @property
    def needs_positions(self) -> bool:
        return bool(self.objective.needs_positions)

    @property
    def labels(self) -> Literal["graded", "real"]:
        return self.objective.labels

    def noise(self, count: int, number: int) -> Float64:
        """The noise of round `number`, float64 [draws, count]."""
        return self.strength * np.random.default_rng([self.noise_seed, number]).gumbel(
            size=(self.draws, count)
        )

    def prepare(self, dataset: RankingDataset, threads: int = 1, first_round: int = 0) -> Gradients:
        """`scores -> (gradient, hessian)`, each call the next round, counted from `first_round`.

        It may be called from several threads: their rounds go one after the other.
        """
        # One for each draw: each remembers the order of its own last ranking.
        members = [self.objective.prepare(dataset, threads, first_round) for _ in range(self.draws)]
        number, turn = first_round, Lock()

        def gradients(scores: Any) -> tuple[Any, Any]:
            nonlocal number
            at = check_scores(scores, dataset)
            # A member that draws too must be in the same round as the noise.
            with turn:
                noises = self.noise(len(at), number)
                parts = [member(at + noise) for member, noise in zip(members, noises, strict=True)]
                number += 1
            gradient, hessian = (sum(part[i] for part in parts) / self.draws for i in (0, 1))
            return gradient, hessian

        return gradients

    def gradients(self, scores: Any, dataset: RankingDataset) -> tuple[Float64, Float64]:
        """(gradient, hessian), float64 [documents], of `loss` at `scores`, with the noise of round 0."""
        at = check_scores(scores, dataset)
        parts = [self.objective.gradients(at + noise, dataset) for noise in self.noise(len(at), 0)]
        return sum(g for g, _ in parts) / self.draws, sum(h for _, h in parts) / self.draws

    def loss(self, scores: Any, dataset: RankingDataset, weights_at: Any = None) -> float:
        """The mean of the objective over the noise of round 0."""
        probe = check_scores(scores, dataset)
        at = probe if weights_at is None else check_scores(weights_at, dataset)
        values = [self.objective.loss(probe + noise, dataset, at + noise) for noise in self.noise(len(at), 0)]
        return float(sum(values)) / self.draws

    def parameters(self) -> dict[str, Any]:
        """Its own beside the objective's."""
        return self.objective.parameters() | self._own()

    def with_parameters(self, parameters: Mapping[str, object]) -> Gumbel:
        """Own parameters changed here, all others in the objective."""
        own = self._own()
        mine: dict[str, Any] = {key: value for key, value in parameters.items() if key in own}
        others = {key: value for key, value in parameters.items() if key not in own}
        for key in others.keys() - self.parameters().keys():
            if nearest(key, own):
                raise unknown_name(f"parameter of objective {self.name}:", key, self.parameters())
        return dataclasses.replace(self, objective=self.objective.with_parameters(others), **mine)

    def fitted(self, dataset: RankingDataset) -> Gumbel:
        return dataclasses.replace(self, objective=self.objective.fitted(dataset))

    def warm_up(self) -> None:
        self.objective.warm_up()

    def documentation(self) -> str:
        return f"{inspect.getdoc(type(self))}\n\n{self.objective.documentation()}"

    def _own(self) -> dict[str, Any]:
        return {"strength": self.strength, "draws": self.draws, "noise_seed": self.noise_seed}
