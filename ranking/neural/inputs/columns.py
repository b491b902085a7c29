"""What the parts of a transformation have in common: numpy arrays, one entry for each column they make."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Protocol, Self, TypeVar

import numpy as np

from ranking.data.arrays import Float32, Float64, Int64


@dataclass(frozen=True, eq=False)
class Distinct:
    """A feature in the training rows: its values, rising, how many rows have each, and how many have none.

    values, counts   float64 and int64 [values]
    """

    values: Float64
    counts: Int64
    absent: int

    @classmethod
    def of(cls, column: Float32) -> Distinct:
        present = column[~np.isnan(column)]
        values, counts = np.unique(present, return_counts=True)
        return cls(values.astype(np.float64), counts.astype(np.int64), len(column) - len(present))

    def moments(self, made: Float64) -> tuple[Any, Any]:
        """(mean, standard deviation) over rows of what was made of each value, [values, …]."""
        mean = np.average(made, axis=0, weights=self.counts)
        return mean, np.sqrt(np.average((made - mean) ** 2, axis=0, weights=self.counts))


class Part(Protocol):
    """Makes columns of features; its fields are arrays, an entry a column each."""

    @property
    def feature(self) -> Int64:
        """[columns]: the feature of each."""

    @classmethod
    def fitted(cls, numbers: Int64, distinct: Sequence[Distinct]) -> Self:
        """For the features of these numbers."""

    def __call__(self, features: Float32) -> Float64:
        """float32 [rows, features] to float64 [rows, columns]; 0 where the feature is missing."""

    def check(self) -> None:
        """Raises ValueError for arrays that are no such part."""


_Part = TypeVar("_Part", bound=Part)


def stored(part: Part) -> dict[str, Any]:
    """The arrays by name."""
    return {name: getattr(part, key) for key, name in _names(type(part)).items()}


def restored(kind: type[_Part], arrays: Mapping[str, Any], features: int) -> _Part:
    """The part whose arrays these are. Raises ValueError where they do not fit, KeyError without one."""
    part = kind(**{key: arrays[name] for key, name in _names(kind).items()})
    if not all(len(array) == len(part.feature) for array in stored(part).values()):
        raise ValueError(f"the arrays of the {kind.__name__.lower()} do not fit each other")
    if part.feature.ndim != 1 or not ((part.feature >= 0) & (part.feature < features)).all():
        raise ValueError(f"the {kind.__name__.lower()} do not fit the features")
    part.check()
    return part


def _names(kind: Any) -> dict[str, str]:
    return {one.name: f"inputs.{kind.__name__.lower()}.{one.name}" for one in fields(kind)}
