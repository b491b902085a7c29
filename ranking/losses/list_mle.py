"""ListMLE: the likelihood of the ideal order under the Plackett–Luce model of the scores."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor

from ranking.errors import unknown_name
from ranking.losses.reduction import Reduction, everywhere, reduced
from ranking.objectives.protocol import Plain

_FLOOR = -1e30


@dataclass(frozen=True, kw_only=True)
class ListMLE(Plain):
    """−log P(ideal order | s) in the Plackett–Luce model, i down the order by labels.

    ties   "shared": each document of a tie group has the whole group and all below it as its rivals
           (Breslow's form of the partial likelihood), so that the order of rows never matters;
           "shuffled": a group's order is drawn at each call, as most implementations have it

    The logarithms are those of sums from the bottom (`logcumsumexp`): nothing overflows or underflows.
    """

    name: ClassVar[str] = "list_mle"
    family: ClassVar[str] = "listwise"
    formula: ClassVar[str] = "sum_i [log sum_{j at or below i in the ideal order} exp s_j − s_i]"
    source: ClassVar[str] = "Xia et al. 2008 (ListMLE); ties as Breslow 1974"
    shift_invariant: ClassVar[bool] = True
    needs_positions: ClassVar[bool] = False

    ties: Literal["shared", "shuffled"] = "shared"

    def __post_init__(self) -> None:
        if self.ties not in ("shared", "shuffled"):
            raise unknown_name("ties", self.ties, ("shared", "shuffled"))

    @property
    def stochastic(self) -> bool:
        return self.ties == "shuffled"

    def __call__(
        self,
        scores: Tensor,
        labels: Tensor,
        where: Tensor | None = None,
        weights: Tensor | None = None,
        uniform: Tensor | None = None,
        reduction: Reduction = "sum",
    ) -> Tensor:
        """The value of each list, reduced over lists; lists of equal labels have nothing to learn and are 0.

        `uniform` [..., list] breaks ties where they are shuffled; without it a new draw does.
        """
        where = everywhere(scores, where)
        key = torch.where(where, labels.to(scores), -1.0)
        order = torch.arange(scores.shape[-1], device=scores.device).expand(scores.shape)
        if self.stochastic:
            order = (torch.rand_like(scores) if uniform is None else uniform).argsort(-1)
        # Descending by label, padding last.
        order = order.gather(-1, key.gather(-1, order).argsort(dim=-1, descending=True, stable=True))
        key, real = key.gather(-1, order), where.gather(-1, order)
        ranked = torch.where(real, scores.gather(-1, order), torch.full_like(scores, _FLOOR))
        below = ranked.flip(-1).logcumsumexp(-1).flip(-1)
        if not self.stochastic:
            below = below.gather(-1, _first_of_group(key))
        highest = torch.where(where, labels, -torch.inf).amax(-1)
        learns = highest > torch.where(where, labels, torch.inf).amin(-1)
        counts = real & learns[..., None]
        values = torch.where(counts, below - ranked, 0.0).sum(-1)
        if weights is not None:
            values = values * weights.to(values)
        return reduced(values, learns, weights, reduction)


def _first_of_group(key: Tensor) -> Tensor:
    """[..., list]: the place where the group of equal keys begins, for keys in order."""
    place = torch.arange(key.shape[-1], device=key.device).expand(key.shape)
    starts = torch.ones_like(key, dtype=torch.bool)
    starts[..., 1:] = key[..., 1:] != key[..., :-1]
    return torch.where(starts, place, 0).cummax(-1).values
