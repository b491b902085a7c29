"""What embeddings look like while they are trained: spread, collapse, alignment and uniformity."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from ranking.losses.embedding.distances import directions, working

_COLLAPSED = 0.1


@dataclass(frozen=True)
class EmbeddingAudit:
    """Of a batch of directions.

    spread          sqrt(d) times the mean deviation of a dimension: 1 for directions spread evenly, 0 for
                    a point
    mean_cosine     between different items
    effective_rank  exp of the entropy of the singular values' shares: how many dimensions are used
    uniformity      log mean exp(−2 |x − y|²): −4 at best, 0 for a point (Wang and Isola 2020)
    alignment       mean |x − y|² of pairs that belong together; None without pairs
    collapsed       do all items point the same way, or nearly?
    """

    spread: float
    mean_cosine: float
    effective_rank: float
    uniformity: float
    alignment: float | None
    collapsed: bool

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


@torch.no_grad()
def audit_embeddings(embeddings: Tensor, partners: Tensor | None = None) -> EmbeddingAudit:
    """Of embeddings [batch, d], and what each belongs with [batch, d]; at least two items say anything."""
    (vectors,) = working(embeddings)
    unit = directions(vectors)
    size, width = unit.shape
    spread = float(unit.std(0, correction=0).mean()) * width**0.5 if size else 0.0
    between = max(size * (size - 1), 1)
    cosine = float((unit.sum(0) ** 2).sum() - (unit**2).sum()) / between
    return EmbeddingAudit(
        spread=spread,
        mean_cosine=cosine,
        effective_rank=_effective_rank(unit),
        uniformity=uniformity(unit),
        alignment=None if partners is None else alignment(unit, partners),
        collapsed=size > 1 and spread < _COLLAPSED,
    )


def alignment(a: Tensor, b: Tensor) -> float:
    """The mean of |a − b|² over pairs of directions, [pairs, d] each."""
    a, b = working(a, b)
    return float(((directions(a) - directions(b)) ** 2).sum(-1).mean()) if len(a) else 0.0


def uniformity(embeddings: Tensor) -> float:
    """log of the mean over different items of exp(−2 |x − y|²), of directions [batch, d]."""
    (vectors,) = working(embeddings)
    if len(vectors) < 2:
        return 0.0
    return float(torch.nn.functional.pdist(directions(vectors)).pow(2).mul(-2).exp().mean().log())


def _effective_rank(unit: Tensor) -> float:
    values = torch.linalg.svdvals(unit.double())
    if not float(values.sum()) > 0:
        return 0.0
    share = values / values.sum()
    return float(torch.exp(-torch.where(share > 0, share * share.clamp(min=1e-300).log(), 0.0).sum()))
