"""A torch loss from a user's own file."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from torch import Tensor

from ranking.compiled.own_code import functions_of
from ranking.errors import UsageError
from ranking.losses.reduction import Reduction, everywhere, reduced
from ranking.objectives.protocol import Plain


@dataclass(frozen=True, kw_only=True)
class OwnLoss(Plain):
    """`loss(scores, labels, where) -> Tensor` of a user's file: one value a list, [...].

    `where` is the mask of real documents; what the function makes of the rest must not change its values.
    Names in the file that say what it is are optional: FORMULA, SOURCE, SHIFT_INVARIANT (default true), and
    LABELS, "graded" (default) or "real" for one that learns a teacher's scores.
    Raises UsageError where the file has no such function.
    """

    name: ClassVar[str] = "own"
    family: ClassVar[str] = "own"
    stochastic: ClassVar[bool] = False
    needs_positions: ClassVar[bool] = False

    file: str
    sha256: str = ""
    function: Callable[..., Tensor] = field(init=False, repr=False)
    facts: dict[str, Any] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        functions, digest = functions_of(self.file)
        if self.sha256 not in ("", digest):
            raise UsageError(
                f"{self.file} has changed: its hash is {digest}, and {self.sha256} was asked for"
            )
        if "loss" not in functions:
            raise UsageError(f"{self.file} defines no function loss(scores, labels, where)")
        function = functions["loss"]
        wanted = list(inspect.signature(function).parameters)
        if wanted[:3] != ["scores", "labels", "where"]:
            raise UsageError(
                f"{self.file}: loss(scores, labels, where) expected, got loss({', '.join(wanted)})"
            )
        object.__setattr__(self, "function", function)
        object.__setattr__(self, "sha256", digest)
        module = getattr(function, "__globals__", {})
        object.__setattr__(self, "facts", {key: module[key] for key in _FACTS if key in module})

    def parameters(self) -> dict[str, Any]:
        return {"sha256": self.sha256}

    @property
    def formula(self) -> str:
        return str(self.facts.get("FORMULA", f"that of {self.file}"))

    @property
    def source(self) -> str:
        return str(self.facts.get("SOURCE", self.file))

    @property
    def shift_invariant(self) -> bool:
        return bool(self.facts.get("SHIFT_INVARIANT", True))

    @property
    def labels(self) -> Literal["graded", "real"]:  # type: ignore[override]  # told by the file
        return "real" if self.facts.get("LABELS") == "real" else "graded"

    def __call__(
        self,
        scores: Tensor,
        labels: Tensor,
        where: Tensor | None = None,
        weights: Tensor | None = None,
        reduction: Reduction = "sum",
    ) -> Tensor:
        """The function's values, reduced over the lists of more than one document.

        Raises UsageError where it gives anything but one value a list.
        """
        where = everywhere(scores, where)
        values = self.function(scores, labels, where)
        if not isinstance(values, Tensor) or values.shape != scores.shape[:-1]:
            got = tuple(values.shape) if isinstance(values, Tensor) else type(values).__name__
            raise UsageError(
                f"{self.file}: loss must give one value a list, {tuple(scores.shape[:-1])}, got {got}"
            )
        if weights is not None:
            values = values * weights.to(values)
        return reduced(values, where.sum(-1) > 1, weights, reduction)


_FACTS = ("FORMULA", "SOURCE", "SHIFT_INVARIANT", "LABELS")
