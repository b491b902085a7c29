"""InfoNCE as a lower bound of mutual information."""

from __future__ import annotations

import math
from dataclasses import dataclass

from torch import Tensor

from ranking.errors import UsageError

_SATURATED = 0.9


@dataclass(frozen=True)
class InformationBound:
    """I(query; key) >= value, in nats; the loss can show `cap` at most, whatever the truth."""

    value: float
    cap: float

    @property
    def saturated(self) -> bool:
        """Is the value so near the cap that the information may be far above it? Then take more negatives."""
        return self.value > _SATURATED * self.cap

    def __float__(self) -> float:
        return self.value

    def __str__(self) -> str:
        note = ", saturated: more negatives would show more" if self.saturated else ""
        return f"at least {self.value:.3f} nats (at most {self.cap:.3f} can be shown{note})"


def mutual_information_bound(loss: float | Tensor, negatives: int) -> InformationBound:
    """log(N + 1) − L, of InfoNCE's mean L with N negatives a query; in a batch of B, N = B − 1.

    Holds for negatives drawn independently from the keys' marginal: not with mined negatives, masked or
    corrected logits, or duplicates. One batch's value may exceed the truth by noise.
    Raises UsageError without negatives.

    source  van den Oord, Li, Vinyals 2018; Poole et al. 2019.
    """
    if negatives < 1:
        raise UsageError(f"the bound needs at least one negative, got {negatives}")
    cap = math.log(negatives + 1)
    nats = float(loss.detach()) if isinstance(loss, Tensor) else loss
    return InformationBound(cap - nats, cap)
