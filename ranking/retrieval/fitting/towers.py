"""The towers in torch, while they are trained."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from ranking.retrieval.fitting.settings import Settings
from ranking.retrieval.towers import Tower, Towers


class TrainedTower(nn.Module):
    """`ranking.retrieval.towers.Tower` with gradients: the identity at first, since `linear` and `out` are 0.

    `into` starts as random directions; without them `out` would have no gradient.
    """

    def __init__(self, width: int, hidden: int, generator: torch.Generator) -> None:
        super().__init__()
        self.linear = nn.Parameter(torch.zeros(width, width))
        into = torch.randn(width, hidden, generator=generator) if hidden else torch.zeros(width, 0)
        self.into = nn.Parameter(into, requires_grad=hidden > 0)
        self.out = nn.Parameter(torch.zeros(hidden, width), requires_grad=hidden > 0)

    def forward(self, vectors: Tensor) -> Tensor:
        """Unit vectors [n, width]."""
        mapped = vectors + vectors @ self.linear
        if len(self.out):
            mapped = mapped + torch.relu(vectors @ self.into) @ self.out
        return nn.functional.normalize(mapped, dim=-1)

    @torch.no_grad()
    def pull(self, share: float) -> None:
        """Go this share of the way back to the identity."""
        self.linear.mul_(1 - share)
        self.out.mul_(1 - share)

    def frozen(self) -> Tower:
        linear, into, out = (one.detach().cpu().numpy().copy() for one in (self.linear, self.into, self.out))
        return Tower(linear, into, out)


class TrainedTowers(nn.Module):
    """Those of both sides, as `Settings.sides` says."""

    def __init__(self, width: int, settings: Settings) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(settings.seed)
        self.query = TrainedTower(width, settings.hidden, generator)
        self.document: nn.Module = nn.Identity()
        if settings.sides == "shared":
            self.document = self.query
        elif settings.sides == "both":
            self.document = TrainedTower(width, settings.hidden, generator)

    @property
    def trained(self) -> list[TrainedTower]:
        return [one for one in (self.query, self.document) if isinstance(one, TrainedTower)]

    def pull(self, share: float) -> None:
        for one in {id(one): one for one in self.trained}.values():
            one.pull(share)

    def frozen(self, encoder: str) -> Towers:
        query = self.query.frozen()
        if self.document is self.query:
            return Towers(encoder, query, query)
        document = self.document.frozen() if isinstance(self.document, TrainedTower) else None
        return Towers(encoder, query, document)


def tensor(vectors: np.ndarray, device: str) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(vectors)).to(device)
