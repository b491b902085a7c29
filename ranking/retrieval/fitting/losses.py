"""What a step minimises, by name: losses of vectors over pairs, losses of lists over mined lists."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn

from ranking.losses import (
    LearnableTemperature,
    contrastive,
    info_nce,
    loss_named,
    siglip,
    supcon,
    triplet,
)
from ranking.retrieval.fitting.settings import Settings


@dataclass(frozen=True, eq=False)
class Step:
    """A batch of pairs that belong together, and what else stands beside them; vectors have length 1.

    queries       [n, d]
    documents     [n, d], the positive of each
    grades        [n], theirs
    query_ids     int64 [n]
    document_ids  int64 [n]
    mined         [n, k, d], mined negatives of each query
    mined_where   bool [n, k], False where there are too few
    shared        [m, d], negatives for all: the mined documents once each, then those of the queue
    shared_ids    int64 [m]
    ignored       bool [n, n + m], keys (documents, then shared) that are known positives of a query
    """

    queries: Tensor
    documents: Tensor
    grades: Tensor
    query_ids: Tensor
    document_ids: Tensor
    mined: Tensor
    mined_where: Tensor
    shared: Tensor
    shared_ids: Tensor
    ignored: Tensor


class StepLoss(nn.Module):
    """The loss of `settings` over steps, with what it learns beside the towers: temperature and bias."""

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self.settings = settings
        self.learned = LearnableTemperature(settings.temperature, 0.01) if settings.learnable else None
        self.bias = nn.Parameter(torch.tensor(-10.0)) if settings.loss == "siglip" else None
        self._value = _lists if settings.listwise else _VALUES[settings.loss]

    def temperature(self) -> Tensor | float:
        return self.settings.temperature if self.learned is None else self.learned()

    def forward(self, step: Step) -> Tensor:
        return self._value(self, step)


def _info_nce(loss: StepLoss, step: Step) -> Tensor:
    return info_nce(
        step.queries,
        step.documents,
        loss.temperature(),
        negatives=step.shared if len(step.shared) else None,
        key_ids=torch.cat([step.document_ids, step.shared_ids]),
        ignored=step.ignored,
        symmetric=loss.settings.symmetric,
    )


def _clip(loss: StepLoss, step: Step) -> Tensor:
    """CLIP's loss, which is symmetric InfoNCE of the batch; equal documents and known positives masked."""
    ignored = step.ignored[:, : len(step.queries)]
    return info_nce(
        step.queries, step.documents, loss.temperature(), key_ids=step.document_ids,
        ignored=ignored, symmetric=True,
    )  # fmt: skip


def _siglip(loss: StepLoss, step: Step) -> Tensor:
    """SigLIP of those pairs that no earlier one of the batch also belongs to: it has no mask."""
    size = len(step.queries)
    alike = step.ignored[:, :size] | (step.document_ids[:, None] == step.document_ids[None, :])
    apart = ~(alike | alike.T).tril(-1).any(1)
    assert loss.bias is not None
    return siglip(step.queries[apart], step.documents[apart], 1 / loss.temperature(), loss.bias)


def _supcon(loss: StepLoss, step: Step) -> Tensor:
    """A class is a document with the queries of the batch that ask for it."""
    labels, place = torch.unique(step.document_ids, return_inverse=True)
    first = torch.full_like(labels, len(place)).scatter_reduce(
        0, place, torch.arange(len(place), device=place.device), "amin"
    )
    vectors = torch.cat([step.queries, step.documents[first]])
    every = torch.cat([step.document_ids, labels])
    told: dict[str, Any] = dict(loss.settings.parameters)
    # A learned temperature is a tensor, by which it divides as by a number.
    return supcon(vectors, every, cast(float, loss.temperature()), **told)


def _triplet(loss: StepLoss, step: Step) -> Tensor:
    """Each pair with each mined negative of its query; margin 0.2, the paper's for unit vectors."""
    anchors, positives = (_beside_mined(side, step) for side in (step.queries, step.documents))
    told: dict[str, Any] = {"margin": 0.2, **loss.settings.parameters}
    return triplet(anchors, positives, step.mined[step.mined_where], **told)


def _contrastive(loss: StepLoss, step: Step) -> Tensor:
    """Pairs are similar, a query and its mined negatives are not."""
    first = torch.cat([step.queries, _beside_mined(step.queries, step)])
    second = torch.cat([step.documents, step.mined[step.mined_where]])
    similar = torch.arange(len(first), device=first.device) < len(step.queries)
    told: dict[str, Any] = dict(loss.settings.parameters)
    return contrastive(first, second, similar, **told)


def _beside_mined(vectors: Tensor, step: Step) -> Tensor:
    """[mined, d]: of each mined negative, the vector [n, d] of its pair."""
    return vectors[:, None].expand(step.mined.shape)[step.mined_where]


def _lists(loss: StepLoss, step: Step) -> Tensor:
    """A list for each query: its positives with their grades, then its mined negatives with 0."""
    _, number = torch.unique(step.query_ids, return_inverse=True)
    order = torch.argsort(number, stable=True)
    row, counts = number[order], torch.bincount(number)
    starts = counts.cumsum(0) - counts
    place = row, torch.arange(len(row), device=row.device) - starts[row]
    positive = step.queries.new_zeros(len(counts), int(counts.max()))
    scores = positive.index_put(place, (step.queries * step.documents).sum(-1)[order])
    labels = positive.index_put(place, step.grades[order])
    where = torch.zeros_like(positive, dtype=torch.bool)
    where[place] = True

    heads = order[starts]
    negative = (step.queries[heads][:, None] * step.mined[heads]).sum(-1)
    value: Tensor = loss_named(loss.settings.loss, loss.settings.parameters)(
        torch.cat([scores, negative], 1) / loss.temperature(),
        torch.cat([labels, torch.zeros_like(negative)], 1),
        torch.cat([where, step.mined_where[heads]], 1),
        reduction="mean",
    )
    return value


_VALUES: dict[str, Callable[[StepLoss, Step], Tensor]] = {
    "info_nce": _info_nce,
    "clip_loss": _clip,
    "siglip": _siglip,
    "supcon": _supcon,
    "triplet": _triplet,
    "contrastive": _contrastive,
}
