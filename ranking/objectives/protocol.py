"""What a booster needs of a training loss."""

from __future__ import annotations

from dataclasses import Field
from typing import Any, ClassVar, Literal, Protocol

from ranking.data.dataset import RankingDataset
from ranking.objectives.pairwise import Gradients


class Objective(Protocol):
    """What a booster needs of a training loss, and facts about it.

    name, family     its name, and "pointwise", "pairwise" or "listwise"
    hessian          "exact", the diagonal second derivative of `loss`, or "surrogate" (which: its docstring)
    formula, source  one line each
    shift_invariant  does a constant added to a list's scores change nothing?
    stochastic       are there draws, by seed, round and row?
    needs_positions  does the data need the positions at which documents were shown?

    An objective is a frozen dataclass of its parameters. What `prepare` returns may be called from several
    threads; its arrays are the caller's own.
    """

    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]

    @property
    def name(self) -> str: ...
    @property
    def family(self) -> str: ...
    @property
    def hessian(self) -> Literal["exact", "surrogate"]: ...
    @property
    def formula(self) -> str: ...
    @property
    def source(self) -> str: ...
    @property
    def shift_invariant(self) -> bool: ...
    @property
    def stochastic(self) -> bool: ...
    @property
    def needs_positions(self) -> bool: ...

    def gradients(self, scores: Any, dataset: RankingDataset) -> tuple[Any, Any]: ...
    def loss(self, scores: Any, dataset: RankingDataset, weights_at: Any = None) -> float: ...
    def prepare(self, dataset: RankingDataset, threads: int = 1, first_round: int = 0) -> Gradients: ...
