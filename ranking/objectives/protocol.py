"""What a booster needs of a training loss."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Mapping
from dataclasses import Field
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol, Self

from ranking.errors import unknown_name

if TYPE_CHECKING:
    from ranking.data.dataset import RankingDataset

Gradients = Callable[[Any], "tuple[Any, Any]"]
"""Scores [documents] to (gradient, hessian) [documents], of one round after the other."""


class Facts(Protocol):
    """What a loss of lists says about itself, for trees and for networks.

    name, family     its name, and "pointwise", "pairwise", "listwise" or the like
    formula, source  one line each
    shift_invariant  does a constant added to a list's scores change nothing?
    stochastic       are there draws?
    needs_positions  does the data need the positions at which documents were shown?
    labels           what it learns from: "graded", labels >= 0; "real", a data set's targets (a teacher's
                     scores), or its labels where it has none
    """

    @property
    def name(self) -> str: ...
    @property
    def family(self) -> str: ...
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
    @property
    def labels(self) -> Literal["graded", "real"]: ...

    def parameters(self) -> dict[str, Any]:
        """All parameters by name; of one made of parts, theirs beside its own."""

    def documentation(self) -> str:
        """What it computes, for reading."""


LOSS_FACTS = ("family", "formula", "source", "shift_invariant", "stochastic", "needs_positions", "labels")
FACTS = ("family", "hessian", *LOSS_FACTS[1:])
"""What certificates and lists say of a loss, and of an objective."""


class Objective(Facts, Protocol):
    """What a booster needs of a training loss.

    hessian   "exact", the diagonal second derivative of `loss`, or "surrogate" (which: its docstring)

    An objective is a frozen dataclass of its parameters; draws are by seed, round and row. What `prepare`
    returns may be called from several threads; its arrays are the caller's own.
    """

    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]

    @property
    def hessian(self) -> Literal["exact", "surrogate"]: ...

    def gradients(self, scores: Any, dataset: RankingDataset) -> tuple[Any, Any]: ...
    def loss(self, scores: Any, dataset: RankingDataset, weights_at: Any = None) -> float: ...
    def prepare(self, dataset: RankingDataset, threads: int = 1, first_round: int = 0) -> Gradients: ...

    def with_parameters(self, parameters: Mapping[str, object]) -> Self:
        """The same with these changed. Raises UsageError for one it does not have."""

    def fitted(self, dataset: RankingDataset) -> Self:
        """The same with what it takes from the training lists as numbers among its parameters."""

    def warm_up(self) -> None:
        """Compile what it runs, or find that compiled on disk."""


class Plain:
    """An objective or a loss that has no parts: its parameters are its fields; most learn from grades."""

    labels: ClassVar[Literal["graded", "real"]] = "graded"

    if TYPE_CHECKING:

        @property
        def name(self) -> str: ...

    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]

    def parameters(self) -> dict[str, Any]:
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}

    def with_parameters(self, parameters: Mapping[str, object]) -> Self:
        for key in parameters:
            if key not in self.parameters():
                raise unknown_name(f"parameter of objective {self.name}:", key, self.parameters())
        return dataclasses.replace(self, **parameters)

    def fitted(self, dataset: RankingDataset) -> Self:
        return self

    def warm_up(self) -> None:
        """Nothing of it is compiled."""

    def documentation(self) -> str:
        return inspect.getdoc(type(self)) or ""
