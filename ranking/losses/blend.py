"""Several losses as one: a weighted sum, each brought to the size of the first."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from ranking.losses.facts import Loss, OfObjective
from ranking.losses.reduction import Reduction, everywhere
from ranking.objectives import Blend
from ranking.objectives.blend import scales_of


@dataclass(frozen=True)
class BlendLoss(OfObjective):
    """The torch loss of a blend; call it with `(scores, labels, where, weights=None)`.

    Where the objective has no scales they are those of the lists of the call, so that the lists of a batch
    depend on each other: a run takes them from all its training lists first (`Blend.fitted`).
    """

    objective: Blend
    parts: Mapping[str, Loss]

    @classmethod
    def of(cls, objective: Blend, loss_of: Callable[[Any], Loss]) -> BlendLoss:
        return cls(objective, {name: loss_of(part) for name, part in objective.parts.items()})

    def parameters(self) -> dict[str, Any]:
        own = {name: self.objective.parameters()[name] for name in ("parts", "shares", "scales")}
        return own | {name: part.parameters() for name, part in self.parts.items()}

    @property
    def clicks(self) -> Any:
        """What makes up for the positions that a part needs."""
        return next(part.clicks for part in self.parts.values() if part.needs_positions)  # type: ignore[attr-defined]

    def __call__(
        self,
        scores: Tensor,
        labels: Tensor,
        where: Tensor | None = None,
        weights: Tensor | None = None,
        reduction: Reduction = "sum",
        weights_at: Tensor | None = None,
        **more: Tensor,
    ) -> Tensor:
        """The sum over parts of share · scale · loss; each takes of `more` what it knows.

        `weights_at` are the scores at which pair weights are taken, by default these.
        """
        where = everywhere(scores, where)
        if weights_at is not None:
            more["weights_at"] = weights_at

        def value(part: Loss, at: Tensor, how: Reduction) -> Tensor:
            known = inspect.signature(type(part).__call__).parameters
            named = {name: tensor for name, tensor in more.items() if name in known}
            return part(at, labels, where, weights, reduction=how, **named)

        fitted = self if self.objective.scales is not None else self._of_this_call(scores, value)
        parts = zip(fitted.objective.factors(), self.parts.values(), strict=True)
        return torch.stack([factor * value(part, scores, reduction) for factor, part in parts]).sum(0)

    def with_scales(self, scales: Sequence[float]) -> BlendLoss:
        """The same with these scales."""
        return replace(self, objective=self.objective.with_parameters({"scales": scales}))

    def _of_this_call(self, scores: Tensor, value: Callable[[Loss, Tensor, Reduction], Tensor]) -> BlendLoss:
        """The same with the scales of these lists: by the gradients at equal scores."""
        sizes = []
        for part in self.parts.values():
            with torch.enable_grad():
                equal = torch.zeros_like(scores, dtype=torch.float64, requires_grad=True)
                (gradient,) = torch.autograd.grad(value(part, equal, "sum"), equal)
            sizes.append(float(gradient.abs().sum()))
        return self.with_scales(scales_of(sizes))
