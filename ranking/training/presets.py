"""Presets: what a training run draws at random and how finely it bins, under one name each.

Randomness makes rankers better where judged queries are few and costs nothing where they are many; the
measurements are in benchmarks/README.md.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ranking.errors import UsageError, unknown_name

_MOST = 64
_FOLDS = 4
"""Queries that a member is not trained on: a quarter; of two or three members, a half or a third."""


@dataclass(frozen=True, kw_only=True)
class BestSettings:
    """The members of preset best.

    members   how many: 2, 3, or a multiple of 4, which repeats the folds with others
    trees     the whole forest is cut to so many, all members together; None leaves it
    """

    members: int = 4
    trees: int | None = None

    def __post_init__(self) -> None:
        count = self.members
        if not _is_count(count, 2) or (count > _FOLDS and count % _FOLDS) or count > _MOST:
            raise UsageError(
                f"best.members must be 2, 3, or a multiple of {_FOLDS} up to {_MOST}, got {count!r}"
            )
        if self.trees is not None and not _is_count(self.trees, count):
            raise UsageError(
                f"best.trees must be a whole number from the {count} members on, or none, got {self.trees!r}"
            )

    @property
    def folds(self) -> int:
        """Into how many parts the queries are dealt; each part is one member's to be judged on."""
        return min(self.members, _FOLDS)

    @classmethod
    def of(cls, table: Mapping[str, object]) -> BestSettings:
        """The settings of a config's table. Raises UsageError for an unknown key or an impossible value."""
        known = {field.name for field in dataclasses.fields(cls)}
        for key in table:
            if key not in known:
                raise unknown_name("key of best:", key, known)
        given: dict[str, Any] = dict(table)  # each is checked as it is set
        return cls(**given)


def _is_count(value: Any, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


@dataclass(frozen=True)
class Preset:
    """Settings below those given by name; parameters of a booster stand in `ranking.trees.backends`.

    query_fraction   share of the training queries each tree learns from
    """

    query_fraction: float = 1.0


PRESETS: dict[str, Preset] = {
    # Every draw here depends on the seed and the round alone, so that --resume gives the same bytes.
    "standard": Preset(0.7),
    # Several of those, each without a part of the queries, as one forest (`ranking.training.crossfit`).
    "best": Preset(0.7),
    # A quarter of the bins, and a third of the features and half the documents a tree. The boosters draw them
    # from a state they cannot restore: --resume starts over.
    "fast": Preset(),
    "plain": Preset(),
}
