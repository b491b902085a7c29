"""Any ranking loss over scores with Gumbel noise."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from ranking.errors import UsageError
from ranking.losses.facts import Loss
from ranking.losses.reduction import Reduction


@dataclass(frozen=True)
class PerturbedLoss:
    """The mean of a loss over draws of scores with standard Gumbel noise g.

    The torch form of the objective `gumbel:NAME`, over any loss of this room. A ranking by such scores is a
    draw from the Plackett–Luce model of s / strength, so that near pairs take turns at being compared.

    loss       what is perturbed
    strength   of the noise
    draws      perturbed rankings a call, averaged (8 in Bruch et al. 2020)
    """

    stochastic: ClassVar[bool] = True
    source: ClassVar[str] = (
        "Bruch et al. 2020 (stochastic treatment); Gulin, Kuralenok, Pavlov 2011 (YetiRank)"
    )

    loss: Loss
    strength: float = 0.3
    draws: int = 1

    def __post_init__(self) -> None:
        if self.strength < 0:
            raise UsageError(f"strength must be at least 0, got {self.strength!r}")
        if self.draws < 1:
            raise UsageError(f"draws must be at least 1, got {self.draws!r}")

    @property
    def name(self) -> str:
        return f"gumbel:{self.loss.name}"

    @property
    def family(self) -> str:
        return self.loss.family

    @property
    def formula(self) -> str:
        return f"mean over draws of g of L(s + strength · g), L: {self.loss.formula}"

    @property
    def shift_invariant(self) -> bool:
        return self.loss.shift_invariant

    @property
    def needs_positions(self) -> bool:
        return self.loss.needs_positions

    @property
    def labels(self) -> Literal["graded", "real"]:
        return self.loss.labels

    @property
    def clicks(self) -> Any:
        """What makes up for the positions that the loss needs."""
        return getattr(self.loss, "clicks", None)

    def parameters(self) -> dict[str, Any]:
        """Its own beside the loss's."""
        return {**self.loss.parameters(), "strength": self.strength, "draws": self.draws}

    def documentation(self) -> str:
        return f"{inspect.getdoc(type(self))}\n\n{self.loss.documentation()}"

    def __call__(
        self,
        scores: Tensor,
        labels: Tensor,
        where: Tensor | None = None,
        weights: Tensor | None = None,
        reduction: Reduction = "sum",
        noise: Tensor | None = None,
        weights_at: Tensor | None = None,
        **more: Tensor,
    ) -> Tensor:
        """The mean of the loss over the draws.

        `noise` [draws, ..., list] is what is added to the scores; without it `draws` times new Gumbel noise.
        `weights_at` are the scores, before the noise, at which a pairwise loss takes its pair weights.
        """
        if noise is None:
            # In one precision whatever the scores' is: the same seed draws the same noise.
            uniform = torch.rand((self.draws, *scores.shape), device=scores.device)
            edge = torch.finfo(uniform.dtype).eps
            noise = (-self.strength * torch.log(-torch.log(uniform.clamp(edge, 1 - edge)))).to(scores)
        values = []
        for each in noise:
            held = more if weights_at is None else {**more, "weights_at": weights_at + each}
            values.append(self.loss(scores + each, labels, where, weights, reduction=reduction, **held))
        return torch.stack(values).mean(0)
