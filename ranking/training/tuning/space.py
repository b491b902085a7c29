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
from ranking.training.presets import BestSettings
from ranking.training.written import BEST
from ranking.trees.backends import BACKENDS
from ranking.trees.ranges import OneOf, Range, Scale, Share

if TYPE_CHECKING:
    import optuna

ALL_PAIRS = "all"
"""How "no truncation" is written among the choices."""


TRUNCATION = OneOf([5, 10, 20, 30, 50, 100, ALL_PAIRS])

QUERIES = "query_fraction"

SEARCHED_OBJECTIVES = ("blend", "lambdarank", "ranknet", "xendcg", "lambdarank_map", "gumbel:lambdarank")
"""What is tried where no objective is named."""

SHARE = Scale(0.1, 10.0)
"""Of each part of a blend but the first, in gradients of the first one's size."""
MEMBERS = OneOf([2, 4, 8])
"""Of preset best, where they are not set to another number than the usual one."""


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
        choices |= {f"share of {part}": 1.0 for part in self._shared_parts(name)}
        if self._searches_members():
            choices["members"] = self.start.members.members
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
        parts = self._shared_parts(objective)
        if parts:
            parameters["shares"] = [1.0, *(SHARE.suggest(trial, f"share of {part}") for part in parts)]
        best = self.start.best
        if self._searches_members():
            best = dataclasses.replace(self.start.members, members=MEMBERS.suggest(trial, "members"))
        share = self.start.query_fraction
        return dataclasses.replace(
            self.start,
            query_fraction=Share(0.3).suggest(trial, QUERIES) if share is None else share,
            objective=objective,
            objective_parameters=parameters,
            best=best,
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
        parameters = self._parameters(objective)
        if parameters.get("metric") == "precision":
            return None  # there it is the metric's cutoff
        parts = [parameters[part] for part in parameters.get("parts", ())] or [parameters]
        found = {part.get("truncation", "none of its own") for part in parts}
        if len(found) > 1:
            return None  # each part of the blend has its own
        return ALL_PAIRS if found == {None} else found.pop()

    def _shared_parts(self, objective: str) -> list[str]:
        """The parts of a blend whose shares are searched."""
        fixed = self.start.objective_parameters.keys() & {"shares", "scales"}
        return [] if fixed else list(self._parameters(objective).get("parts", ()))[1:]

    def _parameters(self, objective: str) -> Mapping[str, Any]:
        """Those of the objective as the run has it; none of several that members have in turns."""
        from ranking.training.objectives import objective_for

        if "," in objective:
            return {}
        given = self.start.objective_parameters if len(self.objectives) == 1 else {}
        return objective_for(objective, given).parameters()

    def _searches_members(self) -> bool:
        return self.start.preset == BEST and self.start.members.members == BestSettings().members
