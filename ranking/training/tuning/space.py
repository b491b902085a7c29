"""What is searched: each parameter's range, and the configuration a set of choices stands for.

What the user fixed (`--set`, the config file) is not searched. Ranges hold the defaults, so that the default
configuration is a point of the space and can be its first trial.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from ranking.errors import UsageError
from ranking.training.config import TrainConfig

if TYPE_CHECKING:
    import optuna

ALL_PAIRS = "all"
"""How "no truncation" is written among the choices."""


class Range(Protocol):
    """Where one parameter may lie."""

    def suggest(self, trial: optuna.Trial, name: str) -> Any: ...


@dataclass(frozen=True)
class Whole:
    """Whole numbers between two, evenly by their logarithm."""

    low: int
    high: int

    def suggest(self, trial: optuna.Trial, name: str) -> Any:
        return trial.suggest_int(name, self.low, self.high, log=True)


@dataclass(frozen=True)
class Scale:
    """Numbers between two, evenly by their logarithm."""

    low: float
    high: float

    def suggest(self, trial: optuna.Trial, name: str) -> Any:
        return trial.suggest_float(name, self.low, self.high, log=True)


@dataclass(frozen=True)
class Share:
    """Tenths up to 1."""

    low: float

    def suggest(self, trial: optuna.Trial, name: str) -> Any:
        return round(trial.suggest_float(name, self.low, 1.0, step=0.1), 1)


@dataclass(frozen=True)
class OneOf:
    """A choice."""

    choices: Sequence[Any]

    def suggest(self, trial: optuna.Trial, name: str) -> Any:
        return trial.suggest_categorical(name, list(self.choices))


_PENALTY = OneOf([0.0, 0.1, 1.0, 3.0, 10.0, 30.0, 100.0])

BOOSTER: dict[str, dict[str, tuple[Range, Any]]] = {
    # Each name's range and default value, by the booster's own names.
    "lightgbm": {
        "num_leaves": (Whole(7, 127), 31),
        "learning_rate": (Scale(0.01, 0.2), 0.05),
        "max_bin": (OneOf([63, 127, 255]), 255),
        "min_data_in_leaf": (Whole(5, 200), 20),
        "lambda_l2": (_PENALTY, 0.0),
        "feature_fraction_bynode": (Share(0.2), 1.0),
        "extra_trees": (OneOf([False, True]), False),
    },
    "xgboost": {
        "max_leaves": (Whole(7, 127), 31),
        "learning_rate": (Scale(0.01, 0.2), 0.05),
        "max_bin": (OneOf([63, 127, 255]), 255),
        "min_child_weight": (Scale(0.001, 10.0), 0.001),
        "reg_lambda": (_PENALTY, 0.0),
        "colsample_bynode": (Share(0.2), 1.0),
    },
}

TRUNCATION = OneOf([5, 10, 20, 30, 50, 100, ALL_PAIRS])

QUERIES = "query_fraction"

OBJECTIVES = ("lambdarank", "ranknet", "xendcg", "lambdarank_map", "gumbel:lambdarank")
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
            key: facts for key, facts in BOOSTER[self.start.backend].items() if key not in self.start.booster
        }

    def _truncates(self, objective: str) -> bool:
        """Is the truncation of this objective searched? Where it has one that can be chosen freely."""
        return (
            "truncation" not in self.start.objective_parameters
            and self._default_truncation(objective) in TRUNCATION.choices
        )

    def _default_truncation(self, objective: str) -> Any:
        from ranking.objectives import objective_named, parameters_of

        parameters = parameters_of(objective_named(objective))
        if parameters.get("metric") == "precision":
            return None  # there it is the metric's cutoff
        found = parameters.get("truncation", "none of its own")
        return ALL_PAIRS if found is None else found
