"""What trees train on: gradient and hessian on ragged lists, compiled.

    hinge       hinge margin x uniform weight
    ranknet     logistic x uniform weight
    lambdarank  logistic x |delta NDCG|

An objective is a frozen dataclass of its parameters; `dataclasses.replace` or `objective_named` change
them. Losses sum within a list and over lists; nothing is averaged.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar, Literal, Protocol

from ranking.dataset import Float64, RankingDataset
from ranking.errors import UsageError, unknown_name
from ranking.objectives.pairwise import Gradients, Hinge, LambdaRank, RankNet

__all__ = ["OBJECTIVES", "Hinge", "LambdaRank", "Objective", "RankNet", "objective_named"]


class Objective(Protocol):
    """What a booster needs of a training loss; `name` and `hessian` are facts about it."""

    name: ClassVar[str]
    hessian: ClassVar[Literal["exact", "surrogate"]]

    def gradients(self, scores: Any, dataset: RankingDataset) -> tuple[Float64, Float64]: ...
    def loss(self, scores: Any, dataset: RankingDataset) -> float: ...
    def prepare(self, dataset: RankingDataset, threads: int = 1) -> Gradients: ...


OBJECTIVES: dict[str, Hinge | RankNet | LambdaRank] = {
    "hinge": Hinge(),
    "ranknet": RankNet(),
    "lambdarank": LambdaRank(),
}


def objective_named(name: str, parameters: Mapping[str, Any] | None = None) -> Hinge | RankNet | LambdaRank:
    """The registry's objective with these parameters changed.

    >>> objective_named("lambdarank", {"truncation": 10}).truncation
    10
    """
    if name not in OBJECTIVES:
        raise unknown_name("objective", name, OBJECTIVES)
    objective = OBJECTIVES[name]
    fields = {field.name for field in dataclasses.fields(objective)}
    for key in parameters or {}:
        if key not in fields:
            raise unknown_name(f"parameter of objective {name}:", key, fields)
    try:
        return dataclasses.replace(objective, **dict(parameters or {}))
    except TypeError as error:
        raise UsageError(f"objective {name}: {error}") from error
