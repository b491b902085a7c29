"""Where a booster's parameter may lie, for a search: each range takes a value from a trial of Optuna's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol


class Range(Protocol):
    """Where one parameter may lie."""

    def suggest(self, trial: Any, name: str) -> Any: ...


@dataclass(frozen=True)
class Whole:
    """Whole numbers between two, evenly by their logarithm."""

    low: int
    high: int

    def suggest(self, trial: Any, name: str) -> Any:
        return trial.suggest_int(name, self.low, self.high, log=True)


@dataclass(frozen=True)
class Scale:
    """Numbers between two, evenly by their logarithm."""

    low: float
    high: float

    def suggest(self, trial: Any, name: str) -> Any:
        return trial.suggest_float(name, self.low, self.high, log=True)


@dataclass(frozen=True)
class Share:
    """Tenths up to 1."""

    low: float

    def suggest(self, trial: Any, name: str) -> Any:
        return round(trial.suggest_float(name, self.low, 1.0, step=0.1), 1)


@dataclass(frozen=True)
class OneOf:
    """A choice."""

    choices: Sequence[Any]

    def suggest(self, trial: Any, name: str) -> Any:
        return trial.suggest_categorical(name, list(self.choices))
