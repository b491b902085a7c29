"""The pair losses of `ranking.objectives.PAIR_LOSSES` in torch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import softplus

from ranking.objectives import HingePair, SquaredHingePair


class Pair(NamedTuple):
    """A pair loss of the gap d in torch, by the parameters of its part of the objective."""

    loss: Callable[[Any, Tensor], Tensor]
    force: Callable[[Any, Tensor], Tensor]
    """−d loss / d gap, which is what the lambda normalisation sums"""


def _short(pair: HingePair | SquaredHingePair, gap: Tensor) -> Tensor:
    return (pair.margin - gap).clamp(min=0)


PAIRS: dict[str, Pair] = {
    "logistic": Pair(
        loss=lambda pair, gap: softplus(-pair.sigma * gap),
        force=lambda pair, gap: pair.sigma * torch.sigmoid(-pair.sigma * gap),
    ),
    "hinge": Pair(loss=_short, force=lambda pair, gap: (_short(pair, gap) > 0).to(gap)),
    "squared_hinge": Pair(
        loss=lambda pair, gap: _short(pair, gap) ** 2, force=lambda pair, gap: 2 * _short(pair, gap)
    ),
}
"""Each by its name."""
