"""What is searched: each parameter's range, and the configuration a set of choices stands for.

What the user fixed (`--set`, the config file) is not searched. Ranges hold the defaults, so that the default
configuration is a point of the space and can be its first trial.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ranking.errors import UsageError
from ranking.training.config import TrainConfig
from ranking.trees.backends import BACKENDS
from ranking.trees.ranges import OneOf, Range, Share

if TYPE_CHECKING:
    import optuna

ALL_PAIRS = "all"
"""How "no truncation" is written among the choices."""


TRUNCATION = OneOf([5, 10, 20, 30, 50, 100, ALL_PAIRS])

QUERIES = "query_fraction"

SEARCHED_OBJECTIVES = ("lambdarank", "ranknet", "xendcg", "lambdarank_map", "gumbel:lambdarank")
"""What is tried where no objective is named."""


@dataclass(frozen=True)
class Space:
    """The searched parameters of a run: those of `start` that it does not fix itself."""

    start: TrainConfig
    objectives: tuple[str, ...]

    def __post_init__(self) -> None:
        for name in self.objectives:
            config = dataclasses.replace(self.start, objective=name, objective_parameters={})
            if config.builtin is not None:
                raise UsageError(
                    f"tune searches over Rankwright's objectives, and {name} is the booster's own: "
                    "measure that with `rankwright cv`"
                )
            config.resolved()
        if len(self.objectives) > 1 and self.start.objective_parameters:
            key = next(iter(self.start.objective_parameters))
            raise UsageError(
                f"objective.{key} belongs to one objective, and {len(self.objectives)} are searched: "
                "name one with --objective"
            )

    def default(self) -> dict[str, Any]:
        """The choices that stand for `start` with the first of the objectives."""
        preset = self.start.booster_settings
        choices = {name: preset.get(name, default) for name, (_, default) in self._booster().items()}
        if self.start.query_fraction is None:
            choices[QUERIES] = self.start.queries_a_tree
        name = self.objectives[0]
        if len(self.objectives) > 1:
            choices["objective"] = name
        if self._truncates(name):
            choices[f"truncation of {name}"] = self._default_truncation(name)
        return choices

    def suggest(self, trial: optuna.Trial) -> TrainConfig:
        """The configuration of a trial."""
        chosen = {name: within.suggest(trial, name) for name, (within, _) in self._booster().items()}
        objective = self.objectives[0]
        if len(self.objectives) > 1:
            objective = OneOf(self.objectives).suggest(trial, "objective")
        parameters = dict(self.start.objective_parameters)
        if self._truncates(objective):
            count = TRUNCATION.suggest(trial, f"truncation of {objective}")
            parameters["truncation"] = None if count == ALL_PAIRS else count
        share = self.start.query_fraction
        return dataclasses.replace(
            self.start,
            query_fraction=Share(0.3).suggest(trial, QUERIES) if share is None else share,
            objective=objective,
            objective_parameters=parameters,
            booster={**self.start.booster, **chosen},
        )

    def _booster(self) -> Mapping[str, tuple[Range, Any]]:
        """Searched booster parameters: all that were not given."""
        return {
            key: facts
            for key, facts in BACKENDS[self.start.backend].search.items()
            if key not in self.start.booster
        }

    def _truncates(self, objective: str) -> bool:
        """Is the truncation of this objective searched? Where it has one that can be chosen freely."""
        return (
            "truncation" not in self.start.objective_parameters
            and self._default_truncation(objective) in TRUNCATION.choices
        )

    def _default_truncation(self, objective: str) -> Any:
        from ranking.training.objectives import objective_for

        parameters = objective_for(objective, {}).parameters()
        if parameters.get("metric") == "precision":
            return None  # there it is the metric's cutoff
        found = parameters.get("truncation", "none of its own")
        return ALL_PAIRS if found is None else found
